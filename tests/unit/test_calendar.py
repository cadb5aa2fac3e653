"""Calendar files: what a calendar reads, and nothing about what the visit is for."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from scheduler.channels.calendar import calendar_file
from tests.unit.factories import NEW_YORK

VISIT = UUID(int=7)
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def write(starts_at: datetime, *, version: int = 1, summary: str = "Appointment", location: str = "Fair Lawn") -> bytes:
    return calendar_file(
        visit_id=VISIT,
        version=version,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
        now=NOW,
        summary=summary,
        description="Questions or changes: (201) 791-1100",
        location=location,
    )


def read(content: bytes) -> dict[str, str]:
    """Return the properties by name, unfolded, as RFC 5545 section 3.1 says."""
    lines = content.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    return dict(line.split(":", 1) for line in lines if not line.startswith(("BEGIN", "END")))


def test_a_visit_is_one_event_in_utc() -> None:
    content = write(datetime(2026, 12, 8, 9, 45, tzinfo=NEW_YORK), version=3)
    assert content.startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert content.endswith(b"END:VEVENT\r\nEND:VCALENDAR\r\n")
    assert read(content) == {
        "VERSION": "2.0",
        "PRODID": "-//scheduler//visits//EN",
        "UID": str(VISIT),
        "SEQUENCE": "3",
        "DTSTAMP": "20261123T150000Z",
        "DTSTART": "20261208T144500Z",
        "DTEND": "20261208T154500Z",
        "SUMMARY": "Appointment",
        "DESCRIPTION": "Questions or changes: (201) 791-1100",
        "LOCATION": "Fair Lawn",
    }


def test_the_same_wall_time_before_and_after_the_clocks_change_is_another_instant() -> None:
    friday, monday = (datetime(2027, 3, day, 9, 0, tzinfo=NEW_YORK) for day in (12, 15))
    assert read(write(friday))["DTSTART"] == "20270312T140000Z"
    assert read(write(monday))["DTSTART"] == "20270315T130000Z"


def test_long_lines_are_folded_at_75_octets_and_no_letter_is_cut() -> None:
    location = "Clínica de rehabilitación número uno, calle peatonal de la Constitución, piso décimo, España ñandú"
    content = write(NOW, location=location)
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    assert read(content)["LOCATION"] == location.replace(",", "\\,")


def test_what_means_something_to_a_calendar_is_escaped() -> None:
    content = write(NOW, summary="a; b, c\\d\r\nEND:VEVENT")
    assert read(content)["SUMMARY"] == "a\\; b\\, c\\\\d\\nEND:VEVENT"
    assert content.count(b"\r\nEND:VEVENT\r\n") == 1
