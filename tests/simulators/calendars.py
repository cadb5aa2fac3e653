"""Calendars of patients: each reads with a parser of its own, and keeps what RFC 5546 says a calendar should keep."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import icalendar
import msgspec
import vobject


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one file says about one event."""

    method: str
    uid: str
    sequence: int
    stamp: datetime
    starts_at: datetime
    ends_at: datetime
    status: str
    summary: str
    location: str
    organizer: str
    attendees: tuple[str, ...]


def read_with_icalendar(content: bytes) -> Told:
    """Read a file with the parser named icalendar, which Plone and Home Assistant use."""
    calendar = icalendar.Calendar.from_ical(content)
    (event,) = calendar.walk("VEVENT")
    found: Any = event
    attendees = found.get("ATTENDEE", [])
    return Told(
        method=str(calendar["METHOD"]),
        uid=str(found["UID"]),
        sequence=int(found["SEQUENCE"]),
        stamp=found["DTSTAMP"].dt,
        starts_at=found["DTSTART"].dt,
        ends_at=found["DTEND"].dt,
        status=str(found["STATUS"]),
        summary=str(found["SUMMARY"]),
        location=str(found["LOCATION"]),
        organizer=str(found["ORGANIZER"]),
        attendees=tuple(map(str, attendees if isinstance(attendees, list) else [attendees])),  # pyright: ignore
    )


def read_with_vobject(content: bytes) -> Told:
    """Read a file with the parser named vobject, which Radicale uses."""
    calendar = _parse(content)
    (found,) = calendar.vevent_list
    return Told(
        method=calendar.method.value,
        uid=found.uid.value,
        sequence=int(found.sequence.value),
        stamp=found.dtstamp.value,
        starts_at=found.dtstart.value,
        ends_at=found.dtend.value,
        status=found.status.value,
        summary=found.summary.value,
        location=found.location.value,
        organizer=found.organizer.value,
        attendees=tuple(attendee.value for attendee in getattr(found, "attendee_list", [])),
    )


def _parse(content: bytes) -> Any:
    return vobject.readOne(content.decode())  # pyright: ignore


Reader = Callable[[bytes], Told]

READERS: tuple[Reader, ...] = (read_with_icalendar, read_with_vobject)


class PatientCalendar:
    """One calendar. What was cancelled is remembered, so that an older invitation does not bring it back."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._known: dict[str, Told] = {}

    def take(self, contents: Iterable[bytes]) -> None:
        """Take up files as they come: of one event the highest SEQUENCE counts, then the latest DTSTAMP."""
        for content in contents:
            told = self._read(content)
            known = self._known.get(told.uid)
            if known and known.organizer != told.organizer:
                # Only the one who invited may change or cancel.
                continue
            if known is None or (told.sequence, told.stamp) >= (known.sequence, known.stamp):
                self._known[told.uid] = told

    @property
    def events(self) -> list[Told]:
        """What the calendar shows."""
        return [told for told in self._known.values() if told.method != "CANCEL"]
