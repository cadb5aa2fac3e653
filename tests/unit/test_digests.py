"""A therapist's day in a few lines: right about times, silent about people."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from scheduler.channels.staff_words import STAFF, alert_words, digest_words, sample_words
from scheduler.channels.texts import CLINICAL_WORDS, Texts, load_texts, render
from scheduler.domain.clinic_files import parse
from scheduler.domain.clinics import LANGUAGES, Clinic, Language
from scheduler.domain.desk_tasks import TaskKind
from scheduler.domain.digests import TOLD, DayVisit, Digest, digest_key, due_day, initials, make_digest
from scheduler.domain.visits import Status
from scheduler.errors import ConfigurationError
from tests.unit.factories import NEW_YORK, make_clinic, make_visit_type, therapist_id

ROOT = Path(__file__).parents[2]
SAMPLE = re.sub("^digest_at = .*\n", "", (ROOT / "config" / "clinic.toml").read_text(), flags=re.MULTILINE)
BASE_URL = "https://clinic.example"


@pytest.fixture(scope="module")
def texts() -> Texts:
    return load_texts(ROOT / "config" / "messages")


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    types = [
        make_visit_type(code="eval-run", credential="PT"),
        make_visit_type(code="follow-up", credential="PTA"),
        make_visit_type(code="open"),
    ]
    return make_clinic(visit_types=types, name="Test Clinic", phone="(201) 791-1100")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def visit(starts: str, ends: str, **changes: Any) -> DayVisit:
    """Return a confirmed follow-up of somebody known, on a Tuesday."""
    usual = DayVisit(
        therapist_id=therapist_id(0),
        starts_at=local(f"2026-12-08T{starts}").astimezone(UTC),
        ends_at=local(f"2026-12-08T{ends}").astimezone(UTC),
        status="confirmed",
        visit_type="follow-up",
        given_name="Ash",
        family_name="Sample",
        seen_before=True,
    )
    return replace(usual, **changes)


def told(clinic: Clinic, *visits: DayVisit, language: Language = "en") -> dict[str, str]:
    words = digest_words(make_digest(clinic, visits), language, local("2026-12-08T06:30"))
    return {name: said.replace("\u00a0", " ") for name, said in words.items()}


@pytest.mark.parametrize(
    ("wall_clock", "due"),
    [("06:29", False), ("06:30", True), ("11:59", True), ("12:00", False), ("23:00", False), ("00:10", False)],
)
def test_digests_go_from_the_clinics_hour_until_noon_by_its_own_clocks(
    clinic: Clinic, wall_clock: str, *, due: bool
) -> None:
    for day in ("2026-12-08", "2026-07-07", "2027-03-14", "2026-11-01"):
        moment = local(f"{day}T{wall_clock}").astimezone(UTC)
        assert due_day(clinic, moment) == (date.fromisoformat(day) if due else None)


def test_an_hour_that_the_clocks_skip_is_made_up_for_and_one_that_comes_twice_is_one_day() -> None:
    clinic = make_clinic(digest_at=2 * 60 + 30)
    assert due_day(clinic, datetime.fromisoformat("2027-03-14T01:59:59-05:00")) is None
    assert due_day(clinic, datetime.fromisoformat("2027-03-14T03:00:00-04:00")) == date(2027, 3, 14)
    twice = make_clinic(digest_at=60 + 30)
    days = [due_day(twice, datetime.fromisoformat(f"2026-11-01T01:30:00{offset}")) for offset in ("-04:00", "-05:00")]
    assert {digest_key("rivera", day) for day in days if day} == {"digest:rivera:2026-11-01"}


@pytest.mark.parametrize(
    ("given", "family", "shown"),
    [
        ("Ash", "Sample", "A.S."),
        ("ash", "o'neil", "A.O."),
        ("Élodie", "'t Hooft", "É.T."),
        ("E\u0301lodie", "de la Cruz", "É.D."),
        ("ßeta", "Ng", "S.N."),
        ("7", "-", "?.?."),
    ],
)
def test_people_are_two_letters(given: str, family: str, shown: str) -> None:
    assert initials(given, family) == shown


def test_a_day_says_how_many_when_whom_and_where_there_is_room(clinic: Clinic) -> None:
    day = told(
        clinic,
        visit("08:00", "09:00", visit_type="eval-run", seen_before=False, status="booked"),
        visit("09:29", "10:15", given_name="Jo", family_name="Placeholder"),
        visit("10:45", "11:30", status="booked"),
    )
    assert day == {
        "day": "Tuesday, December 8",
        "count": "3 visits",
        "span": "8:00 AM to 11:30 AM",
        "marked": "1 first visit, 2 not confirmed",
        "visits": "8:00 AM to 9:00 AM  A.S., first visit, not confirmed\n"
        "9:29 AM to 10:15 AM  J.P.\n"
        "10:15 AM to 10:45 AM  Free\n"
        "10:45 AM to 11:30 AM  A.S., not confirmed",
        "as_of": "6:30 AM",
    }


def test_a_digest_tells_of_visits_that_stand_or_took_place() -> None:
    assert set(get_args(Status)) - TOLD == {"held", "no_show", "cancelled", "expired"}


def test_one_quiet_visit_has_nothing_marked(clinic: Clinic) -> None:
    day = told(clinic, visit("11:15", "12:00"), language="es")
    assert (day["count"], day["span"], day["marked"]) == ("1 cita", "11:15 a. m. a mediodía", "")
    assert day["visits"] == "11:15 a. m. a mediodía  A.S."


def test_a_visit_inside_a_longer_one_opens_no_gap_and_does_not_end_the_day(clinic: Clinic) -> None:
    digest = make_digest(
        clinic, [visit("08:00", "10:00"), visit("08:15", "09:00"), visit("10:15", "10:45"), visit("11:30", "12:00")]
    )
    assert [(starts.strftime("%H:%M"), ends.strftime("%H:%M")) for starts, ends in digest.gaps] == [("10:45", "11:30")]
    assert told(clinic, visit("08:00", "10:00"), visit("08:15", "09:00"))["span"] == "8:00 AM to 10:00 AM"


def test_two_visits_after_one_gap_tell_of_it_once(clinic: Clinic) -> None:
    day = told(clinic, visit("08:00", "09:00"), visit("10:00", "11:00"), visit("10:00", "11:00"))
    assert day["visits"].count("Free") == 1


@pytest.mark.parametrize(
    ("visit_type", "seen_before", "first"),
    [
        ("eval-run", False, True),
        ("eval-run", True, False),
        # Where the clinic has just moved to this service, nobody has been seen before.
        ("follow-up", False, False),
        ("open", False, False),
        ("retired", False, False),
    ],
)
def test_a_first_visit_is_somebodys_first_that_takes_a_pt(
    clinic: Clinic, visit_type: str, *, seen_before: bool, first: bool
) -> None:
    digest = make_digest(clinic, [visit("08:00", "09:00", visit_type=visit_type, seen_before=seen_before)])
    assert digest.first_visits == first


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", STAFF)
def test_mail_to_staff_holds_no_word_about_anybodys_health(
    texts: Texts, clinic: Clinic, name: str, language: Language
) -> None:
    starts = local("2026-12-08T10:00")
    variables = sample_words(name, language, BASE_URL, starts)
    rendered = render(texts, clinic, template=name, channel="email", language=language, variables=variables, now=starts)
    shown = f"{rendered.subject}\n{rendered.text}".casefold()
    assert not [word for word in CLINICAL_WORDS if f" {word}" in shown]
    assert "{" not in shown
    assert rendered.text.count("\n\n\n") == 0
    assert clinic.settings.phone in rendered.text or name == "desk_alert"


def test_a_digest_reads_as_a_therapist_reads_it(texts: Texts, clinic: Clinic) -> None:
    digest = make_digest(clinic, [visit("08:00", "09:00"), visit("09:00", "09:45", given_name="<b>", status="booked")])
    variables = digest_words(digest, "en", local("2026-12-08T06:31"))
    mail = render(
        texts, clinic, template="digest", channel="email", language="en", variables=variables,
        now=local("2026-12-08T06:31"),
    )  # fmt: skip
    assert mail.subject == "Your day on Tuesday, December 8: 2 visits"
    assert mail.text.replace("\u00a0", " ") == (
        "2 visits, 8:00 AM to 9:45 AM\n"
        "1 not confirmed\n"
        "\n"
        "8:00 AM to 9:00 AM  A.S.\n"
        "9:00 AM to 9:45 AM  B.S., not confirmed\n"
        "\n"
        "This is the calendar as of 6:31 AM. Names and details are in the clinic's schedule, not in this email; with "
        "questions call (201) 791-1100.\n"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", get_args(TaskKind))
def test_every_kind_of_task_has_words_for_one_and_for_several(kind: TaskKind, language: Language) -> None:
    one = alert_words([(kind, None)], language, BASE_URL)
    several = alert_words([(kind, None)] * 3, language, BASE_URL)
    assert kind not in one["tasks"] + several["tasks"]
    assert one["tasks"] != several["tasks"]
    assert "{" not in one["tasks"] + several["tasks"]


def test_an_alert_groups_by_kind_and_tells_when_the_visits_are() -> None:
    times = [local("2026-12-08T09:45"), local("2026-12-07T13:00"), None, local("2026-12-08T09:45")]
    words = alert_words([("undeliverable", at) for at in times] + [("wants-to-move", times[0])], "en", BASE_URL)
    assert words == {
        "count": "5 things to see to",
        "tasks": "4 messages could not be delivered. Visits: Mon Dec 7 1:00 PM; Tue Dec 8 9:45 AM.\n"
        "1 person asked by text for another time. Visit: Tue Dec 8 9:45 AM.",
        "url": "https://clinic.example/staff/messages",
    }


def test_an_alert_of_very_many_visits_stays_short() -> None:
    times = [local(f"2026-12-08T{hour:02}:{minute}") for hour in range(8, 14) for minute in (10, 40)]
    words = alert_words([("undeliverable", at) for at in times], "en", BASE_URL)
    assert words["tasks"].endswith("Tue Dec 8 12:40 PM; and 2 more.")


def test_a_kind_that_a_newer_release_knows_is_still_told_of() -> None:
    assert alert_words([("from-tomorrow", None)], "en", BASE_URL)["tasks"] == "1 thing to see to."


def test_a_day_without_visits_is_an_empty_digest(clinic: Clinic) -> None:
    assert make_digest(clinic, []) == Digest(entries=(), gaps=())


def with_keys(*, messages: str = "", rivera: str = "") -> str:
    return SAMPLE.replace("[messages]\n", f"[messages]\n{messages}\n").replace(
        "[therapists.rivera]\n", f"[therapists.rivera]\n{rivera}\n"
    )


def test_the_clinic_file_may_say_where_and_when_staff_hear_by_email() -> None:
    silent = parse(SAMPLE, "clinic.toml")
    assert (silent.settings.desk_email, silent.settings.digest_at) == ("", 390)
    assert {therapist.email for therapist in silent.therapists} == {None}
    said = parse(
        with_keys(messages='desk_email = "desk@EXAMPLE.com"\ndigest_at = "05:45"', rivera='email = "pt@example.com"'),
        "clinic.toml",
    )
    assert (said.settings.desk_email, said.settings.digest_at) == ("desk@example.com", 345)
    assert {therapist.code: therapist.email for therapist in said.therapists if therapist.email} == {
        "rivera": "pt@example.com"
    }


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"messages": 'digest_at = "12:00"'}, "clinic.toml: messages.digest_at: is not in the morning"),
        ({"messages": 'digest_at = "6.30"'}, "clinic.toml: messages.digest_at: is not a time"),
        ({"messages": 'desk_email = "Desk <d@example.com>"'}, "clinic.toml: messages.desk_email: is not an email"),
        ({"messages": 'desk_email = ""'}, "clinic.toml: messages.desk_email: is not an email"),
        ({"rivera": 'email = "rivera"'}, "clinic.toml: therapists.rivera.email: is not an email"),
    ],
)
def test_a_wrong_address_or_hour_is_one_sentence_that_names_the_key(keys: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        parse(with_keys(**keys), "clinic.toml")
