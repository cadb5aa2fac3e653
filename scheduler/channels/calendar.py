"""Calendar files (RFC 5545) and invitations by mail (RFC 5546, RFC 6047): one writer for both.

A visit is the same event for as long as it exists: its id at the organizer's domain. The version of the visit is the
SEQUENCE, so that calendars keep the newest word on it, in whichever order the words arrive.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from typing import Literal
from urllib.parse import quote
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic, Language

# A file that somebody downloads is published; what a mail program takes up by itself is a request or its end.
Method = Literal["PUBLISH", "REQUEST", "CANCEL"]

# RFC 5545 section 3.1: longer lines are folded, counted in octets.
_LINE_OCTETS = 75

# What stands in a calendar, which others may see, says nothing about what the visit is for.
_SUMMARY: dict[Language, str] = {"en": "Appointment", "es": "Cita"}
_NOTE: dict[Language, str] = {"en": "Questions or changes: {phone}", "es": "Preguntas o cambios: {phone}"}

# Which mails speak to the calendar, and what they tell it. Reminders do not: they would bring back an event that a
# patient took out of the calendar.
_METHODS: dict[str, Method] = {
    "booked": "REQUEST",
    "rescheduled": "REQUEST",
    "cancelled_by_patient": "CANCEL",
    "cancelled_by_clinic": "CANCEL",
    "closure": "CANCEL",
}

# What RFC 5322 allows in an address and RFC 6068 in a mailto, as it is. A percent sign is not among them.
_MAILTO_SAFE = "!#$&'*+-/=?^_`{|}~.@"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One visit as a calendar is told of it; instants are aware."""

    method: Method
    visit_id: UUID
    version: int
    starts_at: datetime
    ends_at: datetime
    summary: str
    description: str
    location: str


def visit_event(
    clinic: Clinic,
    method: Method,
    language: Language,
    *,
    visit_id: UUID,
    version: int,
    starts_at: datetime,
    ends_at: datetime,
) -> Event:
    """Return a visit as its calendar event. Who treats and what for is left out."""
    return Event(
        method=method,
        visit_id=visit_id,
        version=version,
        starts_at=starts_at,
        ends_at=ends_at,
        summary=f"{_SUMMARY[language]} - {clinic.settings.sms_name}",
        description=_NOTE[language].format(phone=clinic.settings.phone),
        location=clinic.settings.address,
    )


def invitation(
    clinic: Clinic, kind: str, variables: Mapping[str, str], language: Language, visit_id: UUID | None, version: int
) -> Event | None:
    """Return what a message of a kind tells the patient's calendar, or None where it has nothing to tell.

    ``variables`` and ``version`` are what the message was planned with. One that was planned before ends were kept
    lasts as long as its type of visit does today.
    """
    method = _METHODS.get(kind)
    if method is None or visit_id is None:
        return None
    starts_at = datetime.fromisoformat(variables["starts_at"])
    visit_type = clinic.visit_types.get(variables["visit_type"])
    if "ends_at" in variables:
        ends_at = datetime.fromisoformat(variables["ends_at"])
    elif visit_type:
        ends_at = starts_at + visit_type.duration
    else:
        return None
    return visit_event(
        clinic, method, language, visit_id=visit_id, version=version, starts_at=starts_at, ends_at=ends_at
    )


def calendar_file(event: Event, *, organizer: Address | None, attendee: Address | None = None, now: datetime) -> bytes:
    """Return the event as a calendar file, its instants in UTC, which every calendar shows in its own zone.

    ``organizer`` is the sender of the clinic's mail, None where it has none that can send. ``attendee`` is for
    invitations; nobody is asked to answer.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//scheduler//visits//EN",
        "CALSCALE:GREGORIAN",
        f"METHOD:{event.method}",
        "BEGIN:VEVENT",
        f"UID:{event.visit_id}{f'@{organizer.domain}' if organizer else ''}",
        f"SEQUENCE:{event.version}",
        f"DTSTAMP:{_utc(now)}",
        f"DTSTART:{_utc(event.starts_at)}",
        f"DTEND:{_utc(event.ends_at)}",
    ]
    if organizer:
        lines.append(f"ORGANIZER{_common_name(organizer)}:{_mailto(organizer)}")
    if attendee:
        # They chose the time, or were asked at the desk: a calendar need not show it as unanswered.
        lines.append(f"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE:{_mailto(attendee)}")
    lines += [
        f"STATUS:{'CANCELLED' if event.method == 'CANCEL' else 'CONFIRMED'}",
        # Those with whom a calendar is shared see that its owner is busy, not where.
        "CLASS:PRIVATE",
        f"SUMMARY:{_escaped(event.summary)}",
        f"DESCRIPTION:{_escaped(event.description)}",
        f"LOCATION:{_escaped(event.location)}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line) + b"\r\n" for line in lines)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _mailto(address: Address) -> str:
    return f"mailto:{quote(address.addr_spec, safe=_MAILTO_SAFE)}"


def _common_name(address: Address) -> str:
    """Return the parameter with an address's name, in quotes because of commas; one of these it cannot hold itself."""
    name = re.sub(r'["\x00-\x1f\x7f]', "'", address.display_name)
    return f';CN="{name}"' if name else ""


def _escaped(text: str) -> str:
    plain = re.sub(r"\r\n?|\n", "\n", text)
    return re.sub(r"([\\;,])", r"\\\1", plain).replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """Return the line in pieces of at most 75 octets, each but the first after a blank, no character cut in two."""
    folded, room = b"", _LINE_OCTETS
    for character in line:
        octets = character.encode()
        if len(octets) > room:
            folded += b"\r\n "
            room = _LINE_OCTETS - 1
        folded += octets
        room -= len(octets)
    return folded
