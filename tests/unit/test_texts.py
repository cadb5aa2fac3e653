"""The words of messages: both languages whole, nothing private in them, times as the clinic's clocks show them."""

import re
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from scheduler.channels.segments import count
from scheduler.channels.texts import (
    REQUIRED,
    Rendered,
    Template,
    Texts,
    lint,
    lint_bring,
    load_texts,
    render,
    sample_link,
)
from scheduler.domain.clinics import LANGUAGES, Channel, Clinic, Language
from scheduler.domain.replies import meaning_of
from scheduler.errors import ConfigurationError
from scheduler.services.clinic_files import read_files
from tests.unit.factories import NEW_YORK, make_clinic, make_visit_type

DIRECTORY = Path(__file__).parents[2] / "config" / "messages"
NAME = "Twin Boro Physical Therapy Fair Lawn"
PHONE = "(201) 791-1100"
BASE_URL = "https://appointments.twin-boro.example"
LINK = sample_link(BASE_URL)
ALL = [(channel, name, language) for channel in REQUIRED for name in REQUIRED[channel] for language in LANGUAGES]


@pytest.fixture(scope="module")
def texts() -> Texts:
    return load_texts(DIRECTORY)


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    run = make_visit_type(
        code="eval-run",
        names={"en": "Hip or running pain", "es": "Dolor de cadera"},
        bring={"en": "Bring a photo ID & water.", "es": "Traiga identificación."},
    )
    return make_clinic(
        visit_types=[run, make_visit_type(code="follow-up")],
        name="Twin Boro Physical Therapy, Fair Lawn",
        sms_name=NAME,
        phone=PHONE,
        address="100 Sample Plaza, Fair Lawn, NJ 07410",
        map_url="https://maps.example/?q=Fair%20Lawn&z=1",
    )


def at(clinic_time: str, was: str | None = None, visit_type: str = "eval-run") -> dict[str, str]:
    """What the outbox keeps about a visit at these wall-clock times in New York."""
    said = {"starts_at": clinic_time, "was_starts_at": was}
    instants = {
        name: datetime.fromisoformat(wall).replace(tzinfo=NEW_YORK).astimezone(UTC).isoformat()
        for name, wall in said.items()
        if wall
    }
    return instants | {"visit_type": visit_type}


def say(
    texts: Texts,
    clinic: Clinic,
    template: str,
    channel: Channel,
    language: Language,
    variables: dict[str, str],
    days_ahead: int = 1,
) -> Rendered:
    """Say it as if it left so many days before the visit."""
    now = datetime.fromisoformat(variables["starts_at"]) - timedelta(days=days_ahead)
    return render(
        texts, clinic, template=template, channel=channel, language=language, variables=variables, now=now, link=LINK
    )


@pytest.mark.parametrize(
    ("language", "days_ahead", "said"),
    [
        ("en", 0, "visit today, Tue Dec 8"),
        ("en", 1, "visit tomorrow, Tue Dec 8"),
        ("en", 2, "visit Tue Dec 8"),
        ("es", 0, "cita hoy, mar 8 dic"),
        ("es", 1, "cita mañana, mar 8 dic"),
        ("es", 2, "cita el mar 8 dic"),
    ],
)
def test_a_reminder_says_tomorrow_only_when_that_is_so(
    texts: Texts, clinic: Clinic, language: Language, days_ahead: int, said: str
) -> None:
    rendered = say(texts, clinic, "reminder_24h", "sms", language, at("2026-12-08T14:00"), days_ahead)
    assert said in rendered.text


def test_the_texts_that_ship_have_nothing_to_complain_about(texts: Texts) -> None:
    assert lint(texts, NAME, PHONE, BASE_URL) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_message_is_one_cheap_segment_on_every_day_of_four_years(
    texts: Texts, clinic: Clinic, language: Language
) -> None:
    first = date(2026, 1, 1)
    for number in range(0, 4 * 366, 3):
        day = first + timedelta(days=number)
        variables = at(f"{day}T12:30", was=f"{day + timedelta(days=1)}T10:15")
        for name in REQUIRED["sms"]:
            cost = count(say(texts, clinic, name, "sms", language, variables).text)
            assert (cost.encoding, cost.segments) == ("GSM-7", 1), (name, day)


@pytest.mark.parametrize(("channel", "name", "language"), ALL)
def test_no_message_tells_what_the_visit_is_for(
    texts: Texts, clinic: Clinic, channel: Channel, name: str, language: Language
) -> None:
    message = say(texts, clinic, name, channel, language, at("2026-12-08T09:45", was="2026-12-07T09:45"))
    shown = f"{message.subject} {message.text} {message.html}".casefold()
    for word in ("hip", "pain", "cadera", "dolor", "eval-run", "evaluation", "therapist"):
        assert f" {word}" not in shown


@pytest.mark.parametrize(("channel", "name", "language"), ALL)
def test_every_message_says_who_writes_and_where_to_call(
    texts: Texts, clinic: Clinic, channel: Channel, name: str, language: Language
) -> None:
    message = say(texts, clinic, name, channel, language, at("2026-12-08T09:45", was="2026-12-07T09:45"))
    assert PHONE in message.text
    assert (NAME if channel == "sms" else clinic.settings.name) in message.text
    assert (message.subject == "" and message.html == "") == (channel == "sms")


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_messages_ask_only_for_letters_that_are_understood(texts: Texts, language: Language) -> None:
    asked: set[str] = set()
    for template in texts.languages[language]["sms"].values():
        asked |= set(re.findall(r"\b([A-Z])\b(?= |\.|\))", template.text))
    assert asked == {"C", "R"}
    assert (meaning_of("C"), meaning_of("R")) == ("confirm", "reschedule")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_about_no_visit_needs_to_know_of_none(texts: Texts, clinic: Clinic, language: Language) -> None:
    for name in ("resched_request_ack", "which_visit", "unknown_reply", "help_ack", "optin_ack", "optin_confirm"):
        now = datetime(2026, 12, 8, tzinfo=UTC)
        said = render(texts, clinic, template=name, channel="sms", language=language, variables={}, now=now)
        assert PHONE in said.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_link_is_in_every_email_and_in_the_text_that_offers_another_time(
    texts: Texts, clinic: Clinic, language: Language
) -> None:
    moved = at("2026-12-08T09:45", was="2026-12-07T09:45")
    for name in REQUIRED["email"]:
        email = say(texts, clinic, name, "email", language, moved)
        assert f": {LINK}\n" in email.text
        assert f'<a class="action" href="{LINK}">' in email.html
    assert LINK in say(texts, clinic, "resched_link", "sms", language, moved).text


def test_an_email_without_a_link_leaves_its_line_out(texts: Texts, clinic: Clinic) -> None:
    variables, now = at("2026-12-08T09:45"), datetime(2026, 12, 1, tzinfo=UTC)
    email = render(texts, clinic, template="booked", channel="email", language="en", variables=variables, now=now)
    assert "online" not in email.text
    assert PHONE in email.text


def test_a_web_address_that_makes_a_text_too_long_is_complained_about(texts: Texts) -> None:
    problems = lint(texts, NAME, PHONE, f"https://{'a' * 60}.example")
    assert {problem.partition(" ")[0] for problem in problems} == {"en.toml:", "es.toml:"}
    assert all(re.search(r"sms\.(resched|new)_link takes 2 GSM-7 segments", problem) for problem in problems)


@pytest.mark.parametrize(
    ("language", "wall_clock", "said"),
    [
        ("en", "2026-11-30T12:30", "you are booked Mon Nov 30 12:30 PM."),
        ("es", "2026-11-30T12:30", "su cita es el lun 30 nov 12:30 PM."),
        ("es", "2026-12-02T09:45", "su cita es el mié 2 dic 9:45 AM."),
        # Saturday's accent would double the price.
        ("es", "2026-12-05T13:00", "su cita es el sab 5 dic 1:00 PM."),
    ],
)
def test_text_messages_say_times_in_the_short_form(
    texts: Texts, clinic: Clinic, language: Language, wall_clock: str, said: str
) -> None:
    assert said in say(texts, clinic, "booked", "sms", language, at(wall_clock)).text


@pytest.mark.parametrize(
    ("wall_clock", "english", "spanish"),
    [
        ("2026-12-08T09:45", "Tuesday, December~8 at 9:45~AM", "martes 8~de~diciembre a las 9:45~a.~m."),
        ("2026-12-08T12:00", "Tuesday, December~8 at noon", "martes 8~de~diciembre al mediodía"),
        ("2026-12-08T12:15", "Tuesday, December~8 at 12:15~PM", "martes 8~de~diciembre a las 12:15~p.~m."),
        ("2026-12-12T13:00", "Saturday, December~12 at 1:00~PM", "sábado 12~de~diciembre a la 1:00~p.~m."),
    ],
)
def test_emails_say_times_in_prose(texts: Texts, clinic: Clinic, wall_clock: str, english: str, spanish: str) -> None:
    """A tilde here is a no-break space there."""
    said = {language: say(texts, clinic, "booked", "email", language, at(wall_clock)).text for language in LANGUAGES}
    assert f"When: {english} (Eastern Time)" in said["en"].replace("\u00a0", "~")
    assert f"Cuándo: {spanish} (hora del Este)" in said["es"].replace("\u00a0", "~")


@pytest.mark.parametrize(
    ("wall_clock", "said"), [("2026-12-08T13:30", "hoy a la 1:30 PM"), ("2026-12-08T14:30", "hoy a las 2:30 PM")]
)
def test_spanish_bends_the_article_of_the_hour(texts: Texts, clinic: Clinic, wall_clock: str, said: str) -> None:
    assert said in say(texts, clinic, "reminder_2h", "sms", "es", at(wall_clock)).text


@pytest.mark.parametrize(
    ("instant", "said"),
    [
        ("2027-03-13T14:00:00+00:00", "Sat Mar 13 9:00 AM"),
        ("2027-03-14T14:00:00+00:00", "Sun Mar 14 10:00 AM"),
        ("2027-11-06T13:00:00+00:00", "Sat Nov 6 9:00 AM"),
        ("2027-11-07T13:00:00+00:00", "Sun Nov 7 8:00 AM"),
        ("2026-12-09T03:00:00+00:00", "Tue Dec 8 10:00 PM"),
        ("2026-12-08T09:45:00-05:00", "Tue Dec 8 9:45 AM"),
    ],
)
def test_times_are_the_clinics_wall_clock_also_when_the_clocks_change(
    texts: Texts, clinic: Clinic, instant: str, said: str
) -> None:
    variables = {"starts_at": instant, "visit_type": "eval-run"}
    assert said in say(texts, clinic, "booked", "sms", "en", variables).text


def test_a_moved_visit_tells_the_new_time_and_the_old_one(texts: Texts, clinic: Clinic) -> None:
    moved = at("2026-12-08T09:45", was="2026-12-07T13:00")
    text = say(texts, clinic, "rescheduled", "sms", "en", moved).text
    assert "moved to Tue Dec 8 9:45 AM (was Mon Dec 7 1:00 PM)" in text
    email = say(texts, clinic, "rescheduled", "email", "es", moved).text
    assert "Nuevo horario: martes 8" in email
    assert "Horario anterior: lunes 7" in email


def test_an_email_tells_where_and_what_to_bring(texts: Texts, clinic: Clinic) -> None:
    email = say(texts, clinic, "booked", "email", "en", at("2026-12-08T09:45"))
    assert email.subject == "Your appointment on Tuesday, December 8"
    assert "Where: Twin Boro Physical Therapy, Fair Lawn, 100 Sample Plaza, Fair Lawn, NJ 07410\n" in email.text
    assert "Directions: https://maps.example/?q=Fair%20Lawn&z=1\n" in email.text
    assert "\n\nBring a photo ID & water.\n\n" in email.text


def test_a_line_with_nothing_to_say_is_left_out(texts: Texts, clinic: Clinic) -> None:
    bare = msgspec.structs.replace(clinic, settings=msgspec.structs.replace(clinic.settings, map_url=""))
    email = say(texts, bare, "booked", "email", "en", at("2026-12-08T09:45", visit_type="follow-up"))
    assert "Directions" not in email.text
    assert "\n\n\n" not in email.text
    assert "<p></p>" not in email.html


def test_a_visit_type_that_the_clinic_gave_up_still_gets_its_message(texts: Texts, clinic: Clinic) -> None:
    assert PHONE in say(texts, clinic, "booked", "email", "en", at("2026-12-08T09:45", visit_type="gone")).text


def test_html_says_the_same_escaped_and_with_links(texts: Texts, clinic: Clinic) -> None:
    html = say(texts, clinic, "booked", "email", "en", at("2026-12-08T09:45")).html
    assert '<html lang="en">' in html
    assert "Bring a photo ID &amp; water." in html
    assert 'href="https://maps.example/?q=Fair%20Lawn&amp;z=1"' in html
    assert 'href="tel:(201)791-1100"' in html
    assert "December\u00a08 at 9:45\u00a0AM" in html
    assert "style=" not in html
    assert "<script" not in html
    assert "src=" not in html, "nothing is fetched from anywhere when the email is read"


def test_what_a_clinic_writes_cannot_break_out_of_the_html(texts: Texts, clinic: Clinic) -> None:
    nasty = "<script>alert(1)</script>"
    bring = make_visit_type(code="eval-run", bring={"en": nasty})
    named = msgspec.structs.replace(clinic.settings, name=nasty, address=nasty)
    attacked = msgspec.structs.replace(clinic, settings=named, visit_types={"eval-run": bring})
    html = say(texts, attacked, "booked", "email", "en", at("2026-12-08T09:45")).html
    assert html.count("&lt;script&gt;") == 5
    assert "<script>" not in html


def with_text(texts: Texts, language: Language, channel: Channel, name: str, template: Template | None) -> Texts:
    """The texts with one of them replaced, or taken out."""
    languages = deepcopy(texts.languages)
    languages[language][channel].pop(name, None)
    if template:
        languages[language][channel][name] = template
    return Texts(languages)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{clinic}: hip pain? Call {phone}.", "en.toml: sms.booked holds the clinical word 'hip'."),
        ("{clinic}: your TREATMENTS on {when}. {phone}", "holds the clinical word 'treatments'."),
        ("{clinic}: {when} \N{EN DASH} call {phone}", "holds a typographic dash."),
        ("{clinic}: you are booked {when}.", "does not say {phone}."),
        ("You are booked {when}. Call {phone}.", "does not say {clinic}."),
        ("{clinic}: {when} {phone} " + "word " * 20, "takes 2 GSM-7 segments"),
        ("{clinic}: {when} {phone} ç", "takes 2 UCS-2 segments"),
        ("{clinic}: {whenever} {phone}", "holds the unknown placeholder {whenever}."),
        ("{clinic}: {old} {phone}", "holds the unknown placeholder {old}."),
        ("{clinic}: you are booked {when}. {link} or {phone}. STOP to opt out.", "takes 2 GSM-7 segments"),
        ("{clinic}: {bring} {phone}", "holds the unknown placeholder {bring}."),
        ("{clinic.id}: {when} {phone}", "holds the unknown placeholder {clinic.id}."),
        ("{clinic!r}: {when} {phone}", "holds the unknown placeholder {clinic!r}."),
        ("{clinic}: {when {phone}", "has a brace without its partner"),
        (" ", "has no text."),
    ],
)  # fmt: skip
def test_a_text_that_should_not_be_sent_is_complained_about(texts: Texts, text: str, complaint: str) -> None:
    problems = lint(with_text(texts, "en", "sms", "booked", Template(text=text)), NAME, PHONE, BASE_URL)
    assert any(complaint in problem for problem in problems), problems


def test_what_to_bring_tells_nothing_either() -> None:
    plain = make_visit_type(code="eval", bring={"en": "Bring your insurance card.", "es": "Traiga su tarjeta."})
    telling = make_visit_type(code="knee", bring={"en": "Wear shorts.", "es": "Por su rodilla, pantalón corto."})
    assert lint_bring([plain, telling]) == [
        "bring.es of visit type knee holds the clinical word 'rodilla', and stands in emails."
    ]
    (file,) = read_files(DIRECTORY.parent / "clinic.toml")
    assert lint_bring(file.visit_types) == []


def test_accents_do_not_hide_a_clinical_word(texts: Texts) -> None:
    template = Template(subject="Su cita", text="Rehabilitación y Cirugía. {phone}")
    problems = lint(with_text(texts, "es", "email", "booked", template), NAME, PHONE, BASE_URL)
    assert [problem.partition("word ")[2] for problem in problems] == ["'cirugia'.", "'rehabilitacion'."]


def test_a_text_in_one_language_alone_is_complained_about(texts: Texts) -> None:
    extra = with_text(texts, "en", "sms", "reminder_48h", Template(text="{clinic} {when} {phone}"))
    assert lint(extra, NAME, PHONE, BASE_URL) == ["es.toml: sms.reminder_48h is missing."]
    assert lint(with_text(texts, "es", "email", "booked", None), NAME, PHONE, BASE_URL) == [
        "es.toml: email.booked is missing."
    ]


def test_a_clinics_own_rung_of_the_ladder_may_be_added_in_both_languages(texts: Texts, clinic: Clinic) -> None:
    own = Template(text="{clinic}: {when}. {phone}")
    both = with_text(with_text(texts, "en", "sms", "reminder_48h", own), "es", "sms", "reminder_48h", own)
    assert lint(both, NAME, PHONE, BASE_URL) == []
    text = say(both, clinic, "reminder_48h", "sms", "es", at("2026-12-08T09:45")).text
    assert text == f"{NAME}: mar 8 dic 9:45 AM. {PHONE}"


def write(directory: Path, language: Language, old: str, new: str) -> Path:
    for name in LANGUAGES:
        words = (DIRECTORY / f"{name}.toml").read_text(encoding="utf-8")
        if name == language:
            assert old in words
            words = words.replace(old, new)
        (directory / f"{name}.toml").write_text(words, encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    ("language", "old", "new", "complaint"),
    [
        ("en", "[sms.booked]", "[sms.boked]", r"en\.toml: sms\.booked is missing\."),
        ("es", "[email.booked]", "[email.reservada]", r"es\.toml: email\.booked is missing\."),
        ("en", "[sms.booked]", "[fax.booked]", r"en\.toml: fax is not a channel; there are sms and email\."),
        ("en", 'subject = "Your appointment on {day}"', "", r"en\.toml: email\.booked needs a subject\."),
        ("en", "[sms.booked]", '[sms.booked]\nsubject = "x"', r"en\.toml: sms\.booked has no use for a subject\."),
        ("en", "[sms.booked]", '[sms.booked]\nhtml = "x"', r"en\.toml: sms\.booked: .*unknown field `html`"),
        ("en", "[sms.booked]\ntext", "[sms.booked]\ntekst", r"en\.toml: sms\.booked: "),
        ("es", "{zone}", "{zona}", r"es\.toml: email\.booked holds the unknown placeholder \{zona\}\."),
        ("en", "[sms.booked]", "sms = 1\n#", r"en\.toml"),
        ("es", "[sms.booked]", "[sms.booked", r"es\.toml is not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence_naming_it(
    tmp_path: Path, language: Language, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        load_texts(write(tmp_path, language, old, new))


def test_a_missing_file_is_one_sentence_naming_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"en\.toml cannot be read: No such file"):
        load_texts(tmp_path)
