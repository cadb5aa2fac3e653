"""What applying a clinic file changes, in words for the person who edits the file."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Literal

import msgspec

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinic_files import ClinicFile, DatedWindows
from scheduler.domain.clinic_parts import WEEKDAYS
from scheduler.domain.times import DAY, Span

Kind = Literal["added", "changed", "removed", "kept"]

SIGNS: dict[Kind, str] = {"added": "+", "changed": "~", "removed": "-", "kept": "="}

# Fields whose words may be quoted: codes, never what people and places are called.
_QUOTABLE = {"credential", "kind", "room_kind", "equipment_kinds", "languages", "timezone"}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between a clinic's file and the database, which reads as a sentence.

    ``kept`` is a difference that stays, because the front desk made it. Sentences name codes, never people.
    """

    clinic: str
    kind: Kind
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def summarise(changes: Iterable[Change]) -> list[Change]:
    """Return the changes, but of a clinic that is new as a whole only the one that says so."""
    by_clinic: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_clinic[change.clinic].append(change)
    told: list[Change] = []
    for clinic, its_changes in by_clinic.items():
        whole = [change for change in its_changes if change.kind == "added" and change.subject == f"clinic {clinic}"]
        told += whole[:1] or its_changes
    return told


def describe(changes: Iterable[Change], *, dry_run: bool = False) -> list[str]:
    """Return the changes as lines to print: a line for each, under the clinic's code, and how many there are."""
    told = summarise(changes)
    lines: list[str] = []
    for clinic in dict.fromkeys(change.clinic for change in told):
        lines += [clinic, *(f"  {SIGNS[change.kind]} {change}" for change in told if change.clinic == clinic)]
    made = sum(change.kind != "kept" for change in told)
    if not made:
        return [*lines, "Nothing to change."]
    count = _count(made, "change")
    return [*lines, f"{count} to make; nothing was changed." if dry_run else f"{count} made."]


def contents(file: ClinicFile) -> str:
    """Return how much of what a file has, such as ``6 visit types, 4 therapists``."""
    counts = {
        "visit type": len(file.visit_types),
        "therapist": len(file.therapists),
        "room": len(file.rooms),
        "device": len(file.equipment),
        "closure": len(file.closures),
    }
    return ", ".join(_count(number, what) for what, number in counts.items())


def difference(field: str, was: object, wanted: object) -> str:
    """Return what became of a field, with both values where these are numbers or codes."""
    if field not in _QUOTABLE and not isinstance(was, int):
        return f"{field} changed"
    return f"{field} changed from {_value(was)} to {_value(wanted)}"


def weekly_words(window: WeeklyWindow) -> str:
    """Return weekly hours as ``hours on Monday 08:00-12:00``, with the dates between which they hold."""
    day = WEEKDAYS[window.weekday - 1].title()
    since = f" from {window.valid_from}" if window.valid_from > date.min else ""
    until = f" until {window.valid_until}" if window.valid_until < date.max else ""
    return f"hours on {day} {_span_words((window.starts, window.ends))}{since}{until}"


def day_words(what: str, plan: DatedWindows) -> str:
    """Return an override or a closure as ``closure on 2026-12-24 (07:00-13:00)``."""
    return f"{what} on {plan.day} ({', '.join(map(_span_words, plan.windows)) or 'all day off'})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _span_words(span: Span) -> str:
    starts, ends = span
    return f"{_clock(starts)}-{_clock(ends)}" if ends <= DAY else f"{_clock(starts)}-{_clock(ends - DAY)} next day"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _value(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value).lower() if isinstance(value, bool | None) else str(value)
