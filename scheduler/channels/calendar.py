"""Calendar files (RFC 5545) that a phone or a mail program adds to its calendar."""

import re
from datetime import UTC, datetime
from uuid import UUID

# RFC 5545 section 3.1: longer lines are folded, counted in octets.
_LINE_OCTETS = 75


def calendar_file(
    *,
    visit_id: UUID,
    version: int,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    summary: str,
    description: str,
    location: str,
) -> bytes:
    """Return one event. Instants are aware and written in UTC, which every calendar shows in its own zone.

    The same visit in a higher version replaces the one that a calendar has.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//scheduler//visits//EN",
        "BEGIN:VEVENT",
        f"UID:{visit_id}",
        f"SEQUENCE:{version}",
        f"DTSTAMP:{_utc(now)}",
        f"DTSTART:{_utc(starts_at)}",
        f"DTEND:{_utc(ends_at)}",
        f"SUMMARY:{_escaped(summary)}",
        f"DESCRIPTION:{_escaped(description)}",
        f"LOCATION:{_escaped(location)}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line) + b"\r\n" for line in lines)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", text).replace("\r\n", "\n").replace("\n", "\\n")


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
