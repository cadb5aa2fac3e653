"""Whatever somebody writes, every parser says what it is or what is wrong with it, and never anything else.

What is tried is either anything at all, or something right that was written wrongly: a sign more, one less, another
one, or two that changed places. `make nightly` tries two thousand of each.
"""

import contextlib
import re
import unicodedata
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from scheduler.channels.addresses import read_mailbox
from scheduler.channels.twilio_reports import failure_of, state_of
from scheduler.channels.twilio_signature import is_signed, read_fields
from scheduler.domain.clinic_files import parse
from scheduler.domain.documents import parse_toml
from scheduler.domain.patients import folded, read_email, read_name, read_phone, read_search
from scheduler.domain.replies import language_of, may_mean_visit, meaning_of, words_of
from scheduler.domain.staff import initials_of, password_problem, read_username
from scheduler.domain.totp import matching_step
from scheduler.domain.webhooks import Reach, read_url
from scheduler.errors import ConfigurationError, InvalidRequest, MalformedRequest, NotFound, VersionRequired
from scheduler.settings import SETTINGS, load_settings
from scheduler.telemetry import scrub
from scheduler.web.clients import find_client, name_of
from scheduler.web.cursors import read_cursor, write_cursor
from scheduler.web.reading import Problems, read_bound, read_instant, read_language, read_start, read_version
from scheduler.web.requests import parse_json
from scheduler.web.staff.booking_panel import read_at
from scheduler.web.staff.inbox_looks import read_id
from scheduler.web.staff.new_visits import read_to
from scheduler.web.staff.periods import read_period
from scheduler.web.staff.views import read_view
from tests.unit.factories import make_clinic

pytestmark = pytest.mark.hypothesis

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "config" / "clinic.toml").read_text()
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
CLINIC = make_clinic()

# However busy the machine is: how long a parser takes is not what is asked here.
patient = settings(deadline=None)

# Signs that mean something to some parser, beside any other.
SIGNS = st.sampled_from([*"0123456789+-:.,;@#%&?/\\()[]{}<>'\"=_ \t\r\n\x00\x1f\u00a0\u2019\u202e\ufeff\U0001f600٣Z"])


@st.composite
def nearly(draw: st.DrawFn, *right: str) -> str:
    """Something right, with a few slips of the hand in it; or any text at all."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.text(max_size=60))
    text = draw(st.sampled_from(right))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        sign = draw(st.one_of(SIGNS, st.characters(codec="utf-8")))
        slip = draw(st.sampled_from(["more", "less", "other", "swapped", "cut"]))
        text = {
            "more": text[:at] + sign + text[at:],
            "less": text[:at] + text[at + 1 :],
            "other": text[:at] + sign + text[at + 1 :],
            "swapped": text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
            "cut": text[:at],
        }[slip]
    return text


TIMES = nearly(
    "2026-12-08T09:45:00-05:00", "2026-12-08", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2026-03-08T02:30:00-05:00", "2026-12-08T14:45:00Z", "2026-12-08T24:00:00Z", "2026-W50-2", "20261208T094500Z",
)  # fmt: skip
CODES = nearly("123456", "12345", "\uff11\uff12\uff13\uff14\uff15\uff16", "000000 ")


@contextlib.contextmanager
def refusing(kind: type[Exception], fits: Callable[[str], bool]) -> Generator[None]:
    """Let something be refused in one way, in words that fit."""
    refusal: Exception | None = None
    try:
        yield
    except kind as refused:
        refusal = refused
    assert refusal is None or fits(str(refusal)), refusal


def given(*strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """Try a test on whatever these make, for as long as it takes."""
    return lambda test: patient(given_any(*strategies)(test))


def told(read: Callable[[Problems], Any]) -> tuple[Any, bool]:
    """Return what was read, and whether something was said to be wrong; what is said has a code and words."""
    problems = Problems()
    value = read(problems)
    assert all(problem.code and problem.detail and problem.pointer for problem in problems)
    return value, bool(problems)


@given(
    nearly(
        "201 555 0142", "+1 (201) 555-0142", "+44 20 7946 0018", "12015550142", "201-555-0142 x5", "tel:+12015550142"
    )
)
def test_phones(text: str) -> None:
    phone, wrong = told(lambda problems: read_phone(text, "/phone", problems))
    if not wrong:
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", phone)
        assert told(lambda problems: read_phone(phone, "/phone", problems)) == (phone, False), (
            "and read again, the same"
        )


@given(nearly("Ash", "O'Neil", "José María", "Jean-Luc", "  Ann   Lee ", "李小龍", "van der Berg"))
def test_names(text: str) -> None:
    name, wrong = told(lambda problems: read_name(text, "/name", problems))
    if not wrong:
        assert told(lambda problems: read_name(name, "/name", problems)) == (name, False)
        assert not any(
            unicodedata.category(sign).startswith("C") and sign != "\u200d" for sign in name if sign.isspace()
        )
    assert folded(folded(text)) == folded(text)


@given(nearly("ash@example.com", "a.b+c@example.co.uk", '"a b"@example.com', "ash@[127.0.0.1]", "ash@exämple.com"))
def test_emails(text: str) -> None:
    email, wrong = told(lambda problems: read_email(text, "/email", problems))
    if not wrong:
        assert email.count("@") == 1
        assert not re.search(r"[\s\x00-\x1f<>]", email), "nothing that could end a header"
        assert told(lambda problems: read_email(email, "/email", problems)) == (email, False)


@given(nearly("Clinic <desk@fair-lawn.example>", "desk@fair-lawn.example", "A, B <a@b.example>\r\nBcc: x@y.example"))
# At these the standard library's parser makes mistakes of its own.
@example("'.@[_é<\\\\")
@example("'.@[\t'")
def test_mailboxes(text: str) -> None:
    mailbox = read_mailbox(text)
    assert mailbox is None or not re.search(r"[\r\n]", str(mailbox))


@given(nearly("sample", "Ash Sample", "0142", "201 555", "o'neil jo", "ash sample junior de la"))
def test_searches(text: str) -> None:
    told(lambda problems: read_search(text, "?q", problems))


@given(
    nearly("C", "c!", "Yes please", "STOP", "stop texting me", "no más", "cancel my visit", "R", "1", "Sí, confirmo"),
    st.sampled_from(["", "STOP", "START", "HELP", "stop", "?"]),
    st.booleans(),
)
def test_texts_of_patients(text: str, opt_out_type: str, opted_out: bool) -> None:
    assert meaning_of(text, opt_out_type=opt_out_type, opted_out=opted_out) == meaning_of(
        text, opt_out_type=opt_out_type, opted_out=opted_out
    )
    assert isinstance(words_of(text), list)
    assert may_mean_visit(text) in (True, False)
    assert language_of(text) in (None, "en", "es")


@given(nearly("stop", "STOPALL", "unsubscribe"))
def test_the_word_to_stop_stops_however_it_is_written(text: str) -> None:
    if "".join(text.split()).lower() in ("stop", "stopall", "unsubscribe") and text.split() == [text.strip()]:
        assert meaning_of(text) == meaning_of("STOP")


@given(TIMES, st.booleans())
def test_times(text: str, staff: bool) -> None:
    instant, wrong = told(lambda problems: read_instant(text, "/starts_at", problems))
    assert wrong == (instant is None)
    assert instant is None or instant.tzinfo is not None
    start, wrong = told(lambda problems: read_start(text, "/starts_at", problems, now=NOW, staff=staff))
    assert wrong or start.timestamp() % 60 == 0
    bound, _ = told(lambda problems: read_bound(text, "?from", problems, CLINIC))
    assert isinstance(bound, int)


@given(TIMES, st.sampled_from(["rivera", "nobody", ""]))
def test_times_in_addresses_of_the_desk(text: str, code: str) -> None:
    at = read_at(text, CLINIC)
    assert at is None or at.tzinfo is not None
    read_to(f"{code} {text}", CLINIC)
    read_period({"from": text, "to": text[::-1]}, today=NOW.date(), days=7)


@given(
    nearly("/staff/day/2026-12-08", "/staff/week/rivera/2026-12-08?visit=1", "/staff/day/2026-13-45", "//evil.example")
)
def test_addresses_of_the_board(text: str) -> None:
    # The second is what the library says that takes addresses apart.
    with contextlib.suppress(NotFound, ValueError):
        assert 2000 < read_view(text).day.year < 2200


@given(nearly("01a206f9-fd71-7771-a54c-6c959606910c", "{01a206f9fd717771a54c6c959606910c}", "urn:uuid:1"))
def test_ids(text: str) -> None:
    found = read_id(text)
    assert found is None or isinstance(found, UUID)


@given(nearly('"3"', 'W/"3"', "*", '"3", "4"', '"99999999999999999999"', "3"))
def test_versions(text: str) -> None:
    try:
        version = read_version(text)
    except (InvalidRequest, VersionRequired):
        return
    assert version >= 0


@given(nearly(write_cursor(NOW, UUID(int=7)), write_cursor(datetime.max.replace(tzinfo=UTC), UUID(int=7)), "MDAw"))
def test_cursors(text: str) -> None:
    found, wrong = told(lambda problems: read_cursor(text, problems))
    assert wrong == (found is None)


@given(st.one_of(
    st.binary(max_size=200),
    nearly('{"a": [1, 2.5, null, true, "x"]}', '{"a": 1, "a": 2}', '"\\ud800"', "[" * 40, "1e999", "-0", '"\\u0000"')
    .map(lambda text: text.encode(errors="surrogatepass")),
))  # fmt: skip
def test_json(body: bytes) -> None:
    with refusing(MalformedRequest, lambda words: len(words) < 120):
        # What was taken can be written down again, so it can be stored and told.
        assert repr(parse_json(body)).encode()


@given(st.binary(max_size=200), nearly("AccountSid=AC1&Body=a%20b&MessageStatus=sent", "Body=%00&Body=&=x&&%zz=%ff"))
def test_forms_that_twilio_signs(junk: bytes, text: str) -> None:
    for body in (junk, text.encode(errors="replace")):
        fields = read_fields(body)
        assert "\x00" not in fields.first("Body", "MessageSid")
        for signature in (None, "", text, "c2lnbmF0dXJl"):
            assert not is_signed(("token",), "https://clinic.example/hooks", fields, signature, text)


@given(nearly("delivered", "undelivered", "read"), nearly("30003", "21610", "0", "99999999999999999999"))
def test_reports_of_twilio(status: str, code: str) -> None:
    assert state_of(status) in (
        "sent",
        "delivered",
        "undelivered",
        "failed",
        "cancelled",
        "sending",
        "unknown",
        "pending",
    )
    assert failure_of(code).reason


@given(
    nearly(
        "203.0.113.7", "2001:db8::1, 10.0.0.1", "[2001:db8::1]:4711, 10.0.0.2", "unknown, 10.0.0.1", "::ffff:1.2.3.4"
    )
)
def test_forwarded_addresses(text: str) -> None:
    assert name_of(find_client("10.0.0.9", text, (ip_network("10.0.0.0/8"),)))
    assert str(find_client("198.51.100.1", text, (ip_network("10.0.0.0/8"),))) == "198.51.100.1", "nobody else's word"


@given(
    nearly("https://example.com/hooks", "http://127.0.0.1:9000/", "https://user:pw@example.com/", "https://[::1]/x#y")
)
def test_addresses_of_webhooks(text: str) -> None:
    problem = read_url(text, Reach(loopback=False, private=False))
    assert problem is not None or (
        text.lower().startswith("https://") and text.isascii() and "@" not in text.split("/")[2]
    )


@given(nearly("ash.rivera", "Ash@example.com", "a" * 130), nearly("correct horse battery", "password", "aaaaaaaaaaaa"))
def test_names_and_passwords_of_staff(name: str, password: str) -> None:
    assert read_username(name) in ("", name.strip().lower())
    username = "somebody"
    assert password_problem(password, username) is None or len(str(password_problem(password, username))) > 10
    assert len(initials_of(name)) <= 4


@given(CODES)
def test_codes_of_a_second_factor(text: str) -> None:
    assert matching_step(b"k" * 20, text, NOW, after=0) is None or re.fullmatch("[0-9]{6}", text.strip())


@given(nearly("en", "es", "EN", "fr"))
def test_languages(text: str) -> None:
    language, wrong = told(lambda problems: read_language(text, "/language", problems, CLINIC))
    assert wrong == (language is None)


@given(st.data())
def test_clinic_files(data: st.DataObject) -> None:
    """The sample with one line of it written wrongly."""
    lines = SAMPLE.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(nearly(lines[number] or "x = 1", "x = 1", "[a]", 'a = "', "a = 1979-05-27T07:32:00"))
    with refusing(ConfigurationError, lambda words: words.startswith("clinic.toml")):
        parse("\n".join(lines), "clinic.toml")


@given(nearly('a = "x"', "a = [1, {b = 2}]", '[[a]]\nb = """\n"""', "a = 0x1\na = 2", "a = nan"))
def test_toml(text: str) -> None:
    with refusing(ValueError, bool):
        assert isinstance(parse_toml(text), dict)


@given(
    st.sampled_from([*SETTINGS]), nearly("true", "10", "https://clinic.example", "postgresql://a:b@c/d", "15,45", "::1")
)
def test_settings(name: str, text: str) -> None:
    environment = {"SECRET_KEY": "k" * 32, name: text.replace("\x00", "")}
    with refusing(ConfigurationError, lambda words: len(words) > 10):
        assert all(isinstance(shown, str) for _, shown, _ in load_settings(environment).rows())


@given(
    nearly("call 201 555 0142 or ash@example.com", "Bearer tbs_abcdefghijklmnop", "/m/abcdefgh?x=1", "DETAIL: (a)=(b)")
)
def test_what_is_logged_can_be_scrubbed_twice(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)
