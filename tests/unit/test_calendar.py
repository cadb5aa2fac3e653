"""Calendar files and invitations: what two calendars read, and nothing about what the visit is for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from scheduler.channels.calendar import Event, Method, calendar_file, invitation, visit_event
from scheduler.domain.clinics import Language
from tests.simulators.calendars import READERS, PatientCalendar, Reader
from tests.unit.factories import NEW_YORK, make_clinic, make_visit_type

VISIT = UUID(int=7)
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
TEN = datetime(2026, 12, 8, 15, 0, tzinfo=UTC)
CLINIC = Address(display_name="Twin Boro, Fair Lawn", addr_spec="appointments@clinic.example")
PATIENT = Address(addr_spec="jordan.sample+visits@patient.example")
HOUR = timedelta(hours=1)


def event(**changes: Any) -> Event:
    given: dict[str, Any] = {
        "method": "PUBLISH",
        "visit_id": VISIT,
        "version": 1,
        "starts_at": TEN,
        "ends_at": TEN + HOUR,
        "summary": "Appointment - Test Clinic",
        "description": "Questions or changes: (201) 791-1100",
        "location": "Fair Lawn",
    }
    return Event(**(given | changes))


def write(method: Method = "PUBLISH", **changes: Any) -> bytes:
    attendee = None if method == "PUBLISH" else PATIENT
    return calendar_file(event(method=method, **changes), organizer=CLINIC, attendee=attendee, now=NOW)


def read(content: bytes) -> dict[str, str]:
    """Return the properties by name, unfolded, as RFC 5545 section 3.1 says."""
    lines = content.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    return dict(line.split(":", 1) for line in lines if not line.startswith(("BEGIN", "END")))


def test_a_visit_is_one_event_in_utc() -> None:
    starts_at = datetime(2026, 12, 8, 9, 45, tzinfo=NEW_YORK)
    content = write(version=3, starts_at=starts_at, ends_at=starts_at + HOUR)
    assert content.startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert content.endswith(b"END:VEVENT\r\nEND:VCALENDAR\r\n")
    assert read(content) == {
        "VERSION": "2.0",
        "PRODID": "-//scheduler//visits//EN",
        "CALSCALE": "GREGORIAN",
        "METHOD": "PUBLISH",
        "UID": f"{VISIT}@clinic.example",
        "SEQUENCE": "3",
        "DTSTAMP": "20261123T150000Z",
        "DTSTART": "20261208T144500Z",
        "DTEND": "20261208T154500Z",
        'ORGANIZER;CN="Twin Boro, Fair Lawn"': "mailto:appointments@clinic.example",
        "STATUS": "CONFIRMED",
        "CLASS": "PRIVATE",
        "SUMMARY": "Appointment - Test Clinic",
        "DESCRIPTION": "Questions or changes: (201) 791-1100",
        "LOCATION": "Fair Lawn",
    }


def test_an_invitation_names_the_patient_and_asks_for_no_answer() -> None:
    said = read(write("REQUEST"))
    assert said["METHOD"] == "REQUEST"
    assert (
        said["ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE"]
        == "mailto:jordan.sample+visits@patient.example"
    )


def test_a_cancellation_is_the_same_event_with_the_word_that_it_is_off() -> None:
    booked, cancelled = read(write("REQUEST", version=2)), read(write("CANCEL", version=3))
    assert (cancelled["METHOD"], cancelled["STATUS"], cancelled["SEQUENCE"]) == ("CANCEL", "CANCELLED", "3")
    same = ("UID", 'ORGANIZER;CN="Twin Boro, Fair Lawn"')
    assert [cancelled[name] for name in same] == [booked[name] for name in same]


def test_the_same_wall_time_before_and_after_the_clocks_change_is_another_instant() -> None:
    friday, monday = (datetime(2027, 3, day, 9, 0, tzinfo=NEW_YORK) for day in (12, 15))
    assert read(write(starts_at=friday))["DTSTART"] == "20270312T140000Z"
    assert read(write(starts_at=monday))["DTSTART"] == "20270315T130000Z"


def test_long_lines_are_folded_at_75_octets_and_no_letter_is_cut() -> None:
    location = "Clínica de rehabilitación número uno, calle peatonal de la Constitución, piso décimo, España ñandú"
    content = write("REQUEST", location=location)
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    assert read(content)["LOCATION"] == location.replace(",", "\\,")
    assert {reader(content).location for reader in READERS} == {location}


def test_what_means_something_to_a_calendar_is_escaped() -> None:
    content = write(summary="a; b, c\\d\r\nEND:VEVENT\rx")
    assert read(content)["SUMMARY"] == "a\\; b\\, c\\\\d\\nEND:VEVENT\\nx"
    assert content.count(b"\r\nEND:VEVENT\r\n") == 1
    assert {reader(content).summary for reader in READERS} == {"a; b, c\\d\nEND:VEVENT\nx"}


@pytest.mark.parametrize("name", ['Twin "Boro"; Fair: Lawn', "Clínica\r\nATTENDEE:mailto:x@y.example", ""])
def test_no_name_of_a_clinic_breaks_a_file(name: str) -> None:
    organizer = Address(addr_spec="a@clinic.example")
    # The standard library refuses such names; nothing here relies on it.
    organizer._display_name = name  # pyright: ignore
    content = calendar_file(event(method="REQUEST"), organizer=organizer, attendee=PATIENT, now=NOW)
    for reader in READERS:
        told = reader(content)
        assert told.organizer == "mailto:a@clinic.example"
        assert told.attendees == ("mailto:jordan.sample+visits@patient.example",)


def test_a_clinic_whose_mail_cannot_leave_still_gives_out_files() -> None:
    content = calendar_file(event(), organizer=None, now=NOW)
    assert read(content)["UID"] == str(VISIT)
    assert b"ORGANIZER" not in content


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("method", ["PUBLISH", "REQUEST", "CANCEL"])
def test_every_parser_reads_the_same(reader: Reader, method: Method) -> None:
    told = reader(write(method, version=4))
    assert (told.method, told.uid, told.sequence) == (method, f"{VISIT}@clinic.example", 4)
    assert (told.starts_at, told.ends_at, told.stamp) == (TEN, TEN + HOUR, NOW)
    assert (told.summary, told.location) == ("Appointment - Test Clinic", "Fair Lawn")
    assert told.organizer == "mailto:appointments@clinic.example"


# A visit's mails in the order in which they were written: booked, moved by a day, cancelled.
BOOKED = write("REQUEST", version=1)
MOVED = write("REQUEST", version=2, starts_at=TEN + timedelta(days=1), ends_at=TEN + timedelta(days=1, hours=1))
CANCELLED = write("CANCEL", version=3, starts_at=TEN + timedelta(days=1), ends_at=TEN + timedelta(days=1, hours=1))


def arrivals(*files: bytes) -> Iterator[tuple[bytes, ...]]:
    """Yield every order in which these files can come, with up to two of them coming again and again."""
    for length in range(len(files), len(files) + 3):
        yield from (order for order in product(files, repeat=length) if set(order) == set(files))


@pytest.mark.parametrize("reader", READERS)
def test_a_cancelled_visit_is_gone_in_whichever_order_its_mails_come(reader: Reader) -> None:
    for order in arrivals(BOOKED, MOVED, CANCELLED):
        calendar = PatientCalendar(reader)
        calendar.take(order)
        assert calendar.events == []


@pytest.mark.parametrize("reader", READERS)
def test_a_moved_visit_stands_once_where_it_was_moved_to(reader: Reader) -> None:
    downloaded = write("PUBLISH", version=1)
    for order in arrivals(downloaded, BOOKED, MOVED):
        calendar = PatientCalendar(reader)
        calendar.take(order)
        assert [told.starts_at for told in calendar.events] == [TEN + timedelta(days=1)]


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("booked", "REQUEST"),
        ("rescheduled", "REQUEST"),
        ("cancelled_by_patient", "CANCEL"),
        ("cancelled_by_clinic", "CANCEL"),
        ("closure", "CANCEL"),
        ("reminder", None),
        ("no_show", None),
    ],
)
def test_only_what_changes_a_visit_speaks_to_the_calendar(kind: str, method: str | None) -> None:
    told = invitation(make_clinic(), kind, {"starts_at": TEN.isoformat(), "visit_type": "visit"}, "en", VISIT, 2)
    assert (told and told.method) == method


@pytest.mark.parametrize(("language", "summary"), [("en", "Appointment - Test"), ("es", "Cita - Test")])
def test_a_calendar_shows_nothing_about_what_for_and_with_whom(language: Language, summary: str) -> None:
    clinic = make_clinic(sms_name="Test", name="Test Clinic for Hips", phone="(201) 791-1100")
    told = visit_event(clinic, "REQUEST", language, visit_id=VISIT, version=1, starts_at=TEN, ends_at=TEN + HOUR)
    assert told.summary == summary
    assert "(201) 791-1100" in told.description
    assert told.location == clinic.settings.address
    assert "Therapist" not in str(told)


def test_a_visit_ends_when_it_was_planned_to_whatever_its_type_lasts_by_now() -> None:
    clinic = make_clinic(visit_types=[make_visit_type(duration_minutes=45)])
    planned = {"starts_at": TEN.isoformat(), "visit_type": "visit"}
    kept = invitation(clinic, "booked", planned | {"ends_at": (TEN + HOUR).isoformat()}, "en", VISIT, 1)
    older = invitation(clinic, "booked", planned, "en", VISIT, 1)
    gone = invitation(clinic, "booked", planned | {"visit_type": "no-more"}, "en", VISIT, 1)
    assert kept is not None
    assert older is not None
    assert (kept.ends_at - TEN, older.ends_at - TEN, gone) == (HOUR, timedelta(minutes=45), None)
