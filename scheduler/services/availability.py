"""What is open: slots for a stretch of time, counts by day, and the nearest ones to a wish that failed."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cached_property
from uuid import UUID

import msgspec

from scheduler.domain.availability import Opening, calendar_bounds, earliest_start, latest_start, nearest, open_starts
from scheduler.domain.clinics import Clinic, Place, Therapist, VisitType
from scheduler.domain.times import DAY, Span, day_end, day_start, epoch_minute, instant_at
from scheduler.domain.visits import Visit
from scheduler.errors import NotBookableOnline
from scheduler.store.availability import CalendarRows, calendar_of, fetch_calendar
from scheduler.store.connections import Connection

ALTERNATIVES = 5

# How far around a refused start alternatives are looked for: close by first, then as far as the horizon.
_NEARBY = (2 * DAY, 7 * DAY)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A start at which a therapist can take a visit type, in clinic time."""

    starts_at: datetime
    ends_at: datetime
    therapist: str


class OpenSlots(msgspec.Struct, frozen=True, kw_only=True):
    """Slots in time order, and the first opening from the start of the query on, also where it lies beyond its end."""

    items: Sequence[Slot]
    next_available: datetime | None


class _Found(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The openings of a span, and what they follow from."""

    clinic: Clinic
    visit_type: VisitType
    read: CalendarRows | None
    therapists: Sequence[str]
    openings: Sequence[Opening]

    @cached_property
    def slots(self) -> list[Slot]:
        return _slots(self.clinic, self.visit_type, self.openings, self.therapists)


Question = tuple[UUID, str, UUID | None, UUID | None, int, int]

# Openings remembered in all, of which each takes a hundred bytes or two, and how many of them a question counts as.
_MOST_REMEMBERED = 50_000
_QUESTION = 20


class _Lately:
    """What was found lately, by question; what was asked longest ago is forgotten first.

    The database is asked every time all the same; but where it says what it said before, the same follows from it.
    Between two bookings the same days are looked at again and again, and all who lose a race for a slot ask for the
    same alternatives.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[Question, _Found] = OrderedDict()
        self._room = _MOST_REMEMBERED

    def recall(self, question: Question, clinic: Clinic, read: CalendarRows) -> _Found | None:
        """Return what was found where the same was read before."""
        known = self._found.get(question)
        if known is None or known.clinic is not clinic or known.read != read:
            return None
        self._found.move_to_end(question)
        return known

    def keep(self, question: Question, found: _Found) -> None:
        self._forget(self._found.pop(question, None))
        self._found[question] = found
        self._room -= _QUESTION + len(found.openings)
        while self._room < 0:
            self._forget(self._found.popitem(last=False)[1])

    def _forget(self, found: _Found | None) -> None:
        if found is not None:
            self._room += _QUESTION + len(found.openings)


_lately = _Lately()


class DayCount(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic date, how many different starts are open on it, and the first."""

    date: date
    open: int
    first: datetime | None


async def list_slots(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    *,
    within: Span,
    now: datetime,
    therapist: Therapist | None = None,
    staff: bool = False,
    limit: int | None = None,
    moving: Visit | None = None,
) -> OpenSlots:
    """Return the open slots that start and end within a span of epoch minutes.

    Notice and horizon bind patients only; staff see whatever is still to come. ``moving`` is a visit for which a new
    place is looked for: its own does not stand in its way, other visits of its patient do. Raises NotBookableOnline.
    """
    _check_online(visit_type, staff=staff)
    found = await _find(connection, clinic, visit_type, within, now, therapist=therapist, staff=staff, moving=moving)
    next_start = found.openings[0].start if found.openings else None
    if next_start is None:
        next_start = await next_opening(
            connection, clinic, visit_type, after=within[0], now=now, therapist=therapist, staff=staff, moving=moving
        )
    return OpenSlots(
        items=found.slots[:limit],
        next_available=None if next_start is None else instant_at(next_start, clinic.zone),
    )


async def count_days(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    *,
    days: Sequence[date],
    within: Span | None = None,
    now: datetime,
    therapist: Therapist | None = None,
    staff: bool = False,
) -> list[DayCount]:
    """Return for each of a run of clinic dates how many starts are open, and the first.

    They count where they start and end ``within`` a span of epoch minutes, which is the whole of the dates unless
    given. Raises NotBookableOnline.
    """
    _check_online(visit_type, staff=staff)
    within = within or (day_start(days[0], clinic.zone), day_end(days[-1], clinic.zone))
    found = await _find(connection, clinic, visit_type, within, now, therapist=therapist, staff=staff)
    by_day: dict[date, list[int]] = {day: [] for day in days}
    for start in dict.fromkeys(opening.start for opening in found.openings):
        by_day[instant_at(start, clinic.zone).date()].append(start)
    return [
        DayCount(date=day, open=len(starts), first=instant_at(starts[0], clinic.zone) if starts else None)
        for day, starts in by_day.items()
    ]


async def next_opening(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    *,
    after: int,
    now: datetime,
    therapist: Therapist | None = None,
    staff: bool = False,
    moving: Visit | None = None,
) -> int | None:
    """Return the first open start (epoch minute) at or after a moment, up to the horizon, or None.

    ``moving`` as in ``list_slots``.
    """
    start = max(after, _earliest(visit_type, now, staff=staff))
    horizon = latest_start(visit_type, clinic, now) + visit_type.duration_minutes
    # The first week nearly always has one; the rest of the horizon is asked for only when it has not.
    for span in ((start, min(start + 7 * DAY, horizon)), (start + 7 * DAY - visit_type.duration_minutes, horizon)):
        if span[0] < span[1]:
            found = await _find(
                connection, clinic, visit_type, span, now, therapist=therapist, staff=staff, moving=moving
            )
            if found.openings:
                return found.openings[0].start
    return None


async def alternatives(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    start: int,
    *,
    now: datetime,
    therapist: Therapist | None = None,
    room: Place | None = None,
    patient_id: UUID | None = None,
    elsewhere: Sequence[Span] = (),
    moving: Visit | None = None,
    staff: bool = False,
) -> list[Slot]:
    """Return up to five open slots nearest to a start that cannot be had, nearest first.

    They are with the therapist wished for, if possible, and in no other room than the one wished for. Nothing is
    offered while the patient is at another visit or ``elsewhere``; ``moving`` as in ``list_slots``.
    """
    if not staff and not visit_type.online:
        return []
    center = max(start, _earliest(visit_type, now, staff=staff))
    center = min(center, latest_start(visit_type, clinic, now))
    for within in ((center - _NEARBY[0], center + _NEARBY[1]), (center - _NEARBY[0], center + 60 * DAY)):
        # What one therapist does is read and worked out in a fraction of the time, and is nearly always enough.
        for whose in dict.fromkeys((therapist, None)):
            found = await _find(
                connection, clinic, visit_type, within, now, therapist=whose, room=room, patient_id=patient_id,
                elsewhere=elsewhere, moving=moving, staff=staff,
            )  # fmt: skip
            if found.openings:
                return _slots(clinic, visit_type, nearest(found.openings, start, ALTERNATIVES), found.therapists)
    return []


async def _find(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    within: Span,
    now: datetime,
    *,
    therapist: Therapist | None = None,
    room: Place | None = None,
    patient_id: UUID | None = None,
    elsewhere: Sequence[Span] = (),
    moving: Visit | None = None,
    staff: bool,
) -> _Found:
    """Return the openings of a span; the rest as in callers."""
    start, end = max(within[0], _earliest(visit_type, now, staff=staff)), within[1]
    if not staff:
        end = min(end, latest_start(visit_type, clinic, now) - 1 + visit_type.duration_minutes)
    if start >= end:
        return _Found(clinic=clinic, visit_type=visit_type, read=None, therapists=(), openings=())
    read = await fetch_calendar(
        connection,
        clinic,
        visit_type,
        calendar_bounds(visit_type, start, end),
        therapist_id=therapist.id if therapist else None,
        patient_id=moving.patient_id if moving else patient_id,
        without_visit=moving.id if moving else None,
    )
    question = (clinic.id, visit_type.code, therapist.id if therapist else None, room.id if room else None, start, end)
    usual = moving is None and not elsewhere
    if usual and (known := _lately.recall(question, clinic, read)):
        return known
    calendar = calendar_of(read)
    calendar = msgspec.structs.replace(
        calendar,
        rooms=[each for each in calendar.rooms if room is None or each.id == room.id],
        patient_busy=[*calendar.patient_busy, *elsewhere],
    )
    openings = open_starts(calendar, clinic, visit_type, within=(start, end))
    therapists = [each.id for each in calendar.therapists]
    if moving is not None:
        # To be where it is already is no move.
        stays = (epoch_minute(moving.starts_at), moving.therapist_id)
        openings = [one for one in openings if (one.start, therapists[one.therapist]) != stays]
    found = _Found(
        clinic=clinic,
        visit_type=visit_type,
        read=read,
        therapists=[clinic.therapist_code(therapist_id) for therapist_id in therapists],
        openings=openings,
    )
    if usual:
        _lately.keep(question, found)
    return found


def _earliest(visit_type: VisitType, now: datetime, *, staff: bool) -> int:
    return epoch_minute(now) if staff else earliest_start(visit_type, now)


def _check_online(visit_type: VisitType, *, staff: bool) -> None:
    if not staff and not visit_type.online:
        raise NotBookableOnline


def _slots(clinic: Clinic, visit_type: VisitType, openings: Iterable[Opening], therapists: Sequence[str]) -> list[Slot]:
    return [
        Slot(
            starts_at=instant_at(opening.start, clinic.zone),
            ends_at=instant_at(opening.start + visit_type.duration_minutes, clinic.zone),
            therapist=therapists[opening.therapist],
        )
        for opening in openings
    ]
