"""Logs may be read by anyone: nothing in them says who a patient is or opens a patient's link."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
import structlog

from scheduler.settings import load_settings
from scheduler.telemetry import HIDDEN, NOISY_LOGGERS, REQUEST_ID, configure_logging, redact, scrub

VISIT = UUID("01932d4e-1234-7567-8901-123456789012")


class Patient(msgspec.Struct):
    given_name: str


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Give the suite its logging back after each test that configures it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NOISY_LOGGERS}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def configured(tmp_path: Path, log_format: str = "json", log_level: str = "info") -> None:
    configure_logging(
        load_settings({"SCHEDULER_DATA": str(tmp_path), "LOG_FORMAT": log_format, "LOG_LEVEL": log_level})
    )


@pytest.mark.parametrize(
    "written",
    [
        "+12017911100",
        "+1 201 791 1100",
        "+1 (201) 791-1100",
        "(201) 791-1100",
        "201-791-1100",
        "201.791.1100",
        "2017911100",
        "12017911100",
        "1-201-791-1100",
        "+44 20 7946 0958",
        "004915112345678",
        "sms:+12017911100,",
        "%2B12017911100",
    ],
)
def test_a_phone_number_is_hidden_however_it_is_written(written: str) -> None:
    shown = scrub(f"could not text {written} today")
    assert HIDDEN in shown
    assert "1100" not in shown
    assert "0958" not in shown
    assert "2345678" not in shown
    assert shown.startswith("could not text")
    assert shown.endswith("today")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("no such mailbox: ana.silva+pt@mail.example.com", "ana.silva"),
        ("<o'neil@example.co.uk> refused", "neil"),
        ("GET /m/Zk3-_p9QxT0 404", "Zk3"),
        ("https://clinic.example/m/Zk3p9QxT0.ics", "Zk3"),
        ("POST /u/AZOTk3-_p9Qx 200", "AZOT"),
        ("key tbs_4fK2-xx_9 was revoked", "4fK2"),
        ("Authorization: Bearer abcdef123456", "abcdef"),
        ("authorization: basic QUM6dG9rZW4=", "QUM6"),
        ("postgresql://scheduler:hunter2@localhost/db", "hunter2"),
        ("duplicate key\nDETAIL:  Key (clinic_id, name_key)=(1, silva ana) already exists.", "silva"),
    ],
)
def test_what_identifies_or_admits_a_person_is_hidden_inside_any_text(text: str, secret: str) -> None:
    assert secret not in scrub(text)
    assert HIDDEN in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        str(VISIT),
        "01931234-7123-4567-8901-123456789012 and 0193abcd1234567890",
        "2026-11-23T05:28:00.123456+00:00",
        "2027-03-14 02:30:00-05:00",
        "127.0.0.1:8000 answered 200 in 12.5 ms",
        "GET /health/live",
        "GET /api/v1/slots?from=2027-03-14&to=2027-03-21",
        "23P01 on occupancy_without_overlap",
        "attempt 3 of 5, 15,45,120,300",
    ],
)
def test_ids_instants_and_ordinary_numbers_stay_readable(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    "key",
    (
        "phone email name given_name patient_phone token hold_token body text Authorization address password "
        "twilio_auth_token X-Auth-Token birth_date subject sender"
    ).split(),
)
def test_a_value_under_a_personal_key_is_dropped_whatever_it_is(key: str) -> None:
    for value in ("Ana", 5, ["Ana"], {"a": "Ana"}, Patient("Ana")):
        assert redact(None, "info", {key: value}) == {key: HIDDEN}
    assert redact(None, "info", {key: None}) == {key: None}


def test_values_are_hidden_at_every_depth_and_strangers_shown_by_type_only() -> None:
    event = {
        "event": "sent to ana@example.com",
        "visit_id": VISIT,
        "at": datetime(2027, 3, 14, 7, tzinfo=UTC),
        "count": 2017911100,
        "rows": [{"phone": "+12017911100", "status": "booked"}, ("ana@example.com", None)],
        "patient": Patient("Ana"),
        "problem": ValueError("bad number +12017911100"),
        "by": {"ana@example.com": 1},
    }
    assert redact(None, "info", event) == {
        "event": f"sent to {HIDDEN}",
        "visit_id": VISIT,
        "at": datetime(2027, 3, 14, 7, tzinfo=UTC),
        "count": 2017911100,
        "rows": [{"phone": HIDDEN, "status": "booked"}, [HIDDEN, None]],
        "patient": "<Patient>",
        "problem": f"ValueError: bad number {HIDDEN}",
        "by": {HIDDEN: 1},
    }


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_exceptions_and_library_records_pass_through_the_same_redaction(
    log_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, log_format)
    try:
        int("no route to +12017911100 or ana@example.com")
    except ValueError:
        structlog.get_logger("scheduler.test").exception("send_failed", phone="+12017911100", visit_id=VISIT)
        logging.getLogger("some.library").exception("posting to /m/%s for %s", "Zk3p9QxT0", "+12017911100")
    written = capsys.readouterr().err
    assert "send_failed" in written
    assert str(VISIT) in written
    assert written.count("Traceback") == 2
    for secret in ("2017911100", "ana@", "Zk3"):
        assert secret not in written


def test_a_json_line_holds_level_logger_instant_and_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configured(tmp_path)
    name = REQUEST_ID.set("r1")
    structlog.get_logger("scheduler.worker").warning("late", seconds=3)
    REQUEST_ID.reset(name)
    line = json.loads(capsys.readouterr().err)
    instant = datetime.fromisoformat(line.pop("timestamp"))
    assert instant.utcoffset() is not None
    assert line == {
        "event": "late",
        "seconds": 3,
        "level": "warning",
        "logger": "scheduler.worker",
        "request_id": "r1",
    }


@pytest.mark.parametrize("log_level", ["debug", "info", "error"])
def test_libraries_that_tell_whole_requests_never_speak_below_warning(
    log_level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, log_level=log_level)
    for name in ("twilio.http_client", "aiohttp.client", "granian.access", "apscheduler.scheduler"):
        logging.getLogger(name).info("a request with its headers")
    logging.getLogger("ours").debug("only when asked for")
    assert ("only when asked for" in capsys.readouterr().err) == (log_level == "debug")
    logging.getLogger("twilio").warning("refused")
    assert ("refused" in capsys.readouterr().err) == (log_level != "error")
