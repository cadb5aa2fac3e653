"""A therapist's day as the morning digest tells it: times and initials, and nothing about why anybody comes. Pure."""

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic
from scheduler.domain.times import day_end, day_start, instant_at
from scheduler.domain.visits import Status

# What is told of: a visit that stands, or that took place while the worker was down.
TOLD: frozenset[Status] = frozenset({"booked", "confirmed", "arrived", "completed"})

# Less than this between two visits is no gap, but time for notes.
GAP = timedelta(minutes=30)

# A worker that was down at the hour of the digest makes up for it until then, in minutes of the clinic's day.
NOON = 12 * 60


class DayVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit of the day with whose it is. ``seen_before`` is whether an earlier visit of theirs is on file."""

    therapist_id: UUID
    starts_at: datetime
    ends_at: datetime
    status: Status
    visit_type: str
    given_name: str
    family_name: str
    seen_before: bool


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One visit as the digest tells it. Moments are as the clinic's clocks show them."""

    starts: datetime
    ends: datetime
    initials: str
    is_first: bool
    is_confirmed: bool


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """A therapist's day: its visits in order, and the gaps of half an hour or more between them."""

    entries: tuple[Entry, ...]
    gaps: tuple[tuple[datetime, datetime], ...]

    @property
    def first_visits(self) -> int:
        return sum(entry.is_first for entry in self.entries)

    @property
    def unconfirmed(self) -> int:
        return sum(not entry.is_confirmed for entry in self.entries)


def due_day(clinic: Clinic, now: datetime) -> date | None:
    """Return the clinic's date where its digests go now: from the clinic's hour for them until noon; else None.

    The hours are wall-clock. An hour that the clocks skip is over as soon as they have skipped it.
    """
    local = clinic.local(now)
    return local.date() if clinic.settings.digest_at <= local.hour * 60 + local.minute < NOON else None


def day_bounds(clinic: Clinic, day: date) -> tuple[datetime, datetime]:
    """Return the instants between which a date of the clinic lies, [start, end)."""
    return instant_at(day_start(day, clinic.zone), clinic.zone), instant_at(day_end(day, clinic.zone), clinic.zone)


def digest_key(therapist: str, day: date) -> str:
    """Return what lets a second worker, or a second look, plan nothing: one digest a therapist (by code) and day."""
    return f"digest:{therapist}:{day}"


def make_digest(clinic: Clinic, visits: Sequence[DayVisit]) -> Digest:
    """Return what a therapist's visits of one day, in order of start, come to."""
    entries = tuple(
        Entry(
            starts=clinic.local(visit.starts_at),
            ends=clinic.local(visit.ends_at),
            initials=initials(visit.given_name, visit.family_name),
            is_first=_is_first(clinic, visit),
            is_confirmed=visit.status != "booked",
        )
        for visit in visits
    )
    return Digest(entries=entries, gaps=_gaps(entries))


def initials(given_name: str, family_name: str) -> str:
    """Return ``A.S.`` for Ash Sample. A name without a letter is a question mark."""
    return "".join(f"{_initial(name)}." for name in (given_name, family_name))


def _initial(name: str) -> str:
    letter = next((character for character in unicodedata.normalize("NFC", name) if character.isalpha()), "?")
    return letter.upper()[:1]


def _is_first(clinic: Clinic, visit: DayVisit) -> bool:
    """Whether the visit is somebody's first here: nothing earlier is on file, and it takes a PT, as evaluations do.

    The type's name would say what the visit is for. Without the second half, a clinic that has just moved to this
    service would see a first visit in every follow-up.
    """
    visit_type = clinic.visit_types.get(visit.visit_type)
    return not visit.seen_before and visit_type is not None and visit_type.credential == "PT"


def _gaps(entries: Sequence[Entry]) -> tuple[tuple[datetime, datetime], ...]:
    gaps: list[tuple[datetime, datetime]] = []
    # An overbooked visit may end before one that began earlier.
    busy_until = entries[0].ends if entries else None
    for entry in entries[1:]:
        assert busy_until is not None  # noqa: S101 - for the type checker
        if entry.starts - busy_until >= GAP:
            gaps.append((busy_until, entry.starts))
        busy_until = max(busy_until, entry.ends)
    return tuple(gaps)
