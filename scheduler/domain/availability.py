"""Which starts are open: sets of starts, one bit a start, and no clock or database in sight.

A ``Calendar`` is everything that can say yes or no in a stretch of instants: the therapists' windows less overrides,
closures and time off, and what is already taken. Each rule allows a set of the starts that are asked about
(``domain/starts``), and what all allow is their intersection, ``&``: a week of twenty therapists costs less than a
millisecond.

The rules (DESIGN, sections 5 and 6): the visit's own time lies within working windows; its span with buffers meets
nobody else's span with buffers; a room and a device of every kind needed are free for the same span; starts lie on
the clock grid of the clinic's zone. Notice and horizon bind patients only.
"""

import heapq
import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar, working_spans
from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.domain.starts import all_of, chosen, clock_grid, starts_clear_of, starts_inside
from scheduler.domain.times import Span, day_end, day_start, instant_at, overlap
from scheduler.errors import NotBookableOnline, NotQualified, OutsideHours, SlotTaken, TooFarAhead, TooSoon


class Opening(msgspec.Struct, frozen=True, order=True):
    """A start (epoch minute) at which a therapist can take the visit. Sorts by time, then as the clinic lists them."""

    start: int
    therapist: int


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Who and what a visit takes, once it is known to fit."""

    therapist: UUID
    room: UUID | None
    equipment: tuple[UUID, ...]


def calendar_bounds(visit_type: VisitType, start: int, end: int) -> Span:
    """Widen a stretch of starts so that a calendar of it sees everything that a visit there could touch."""
    longest = visit_type.duration_minutes + visit_type.buffer_before_minutes + visit_type.buffer_after_minutes
    return start - longest, end + longest


def open_starts(
    calendar: Calendar, clinic: Clinic, visit_type: VisitType, *, within: Span, earliest: int = 0
) -> list[Opening]:
    """Return every open start of a visit type in time order, one for each therapist who could take it.

    ``within`` is a span of epoch minutes: a slot must start and end inside it. ``earliest`` is the first start that
    notice allows, inclusive. Nothing is open while the patient, where the calendar is of one, is elsewhere. The
    calendar must cover ``calendar_bounds`` of the span.
    """
    first, last = max(within[0], earliest), within[1] - visit_type.duration_minutes
    if first > last:
        return []
    starts, candidates = clock_grid(first, last, clinic.zone, clinic.settings.grid_minutes)
    candidates &= starts_with_room(calendar, visit_type, starts) & starts_with_equipment(calendar, visit_type, starts)
    candidates &= _starts_with_patient(calendar, visit_type, starts)
    found: list[tuple[int, int]] = []
    for number, therapist in enumerate(calendar.therapists):
        if candidates and qualified(clinic, visit_type, therapist):
            open_to_them = candidates & _therapist_starts(calendar, clinic, visit_type, therapist, starts)
            found += [(start, number) for start in chosen(starts, open_to_them)]
    return [Opening(start, number) for start, number in sorted(found)]


def place(
    calendar: Calendar,
    clinic: Clinic,
    visit_type: VisitType,
    start: int,
    *,
    therapist: Therapist | None = None,
    room: UUID | None = None,
    in_hours: bool = True,
) -> Placement:
    """Choose who and what takes a visit at one start (epoch minute), or refuse with the reason.

    Without a therapist the least loaded that day is taken, in minutes already busy on the local date, then the one
    listed first. Without a room the first free one of the kind. The grid does not bind here: staff may book between.
    Nor do hours where ``in_hours`` is false, for a visit that took place.
    Raises NotQualified, OutsideHours, or SlotTaken whose ``conflict`` member names the resource in the way.
    """
    if therapist is not None and not therapist.may_perform(visit_type):
        raise NotQualified
    here = range(start, start + 1)
    candidates = [
        candidate
        for candidate in calendar.therapists
        if qualified(clinic, visit_type, candidate) and (therapist is None or candidate.id == therapist.id)
    ]
    if therapist is not None and calendar.therapists and not candidates:
        raise NotQualified
    working = [each for each in candidates if not in_hours or _working_starts(calendar, clinic, visit_type, each, here)]
    if not working:
        raise OutsideHours
    free = [each for each in working if _free_starts(visit_type, each.busy, here)]
    if not free:
        raise SlotTaken(conflict="therapist")
    _refuse_busy_patient(calendar, visit_type, start)
    rooms = [candidate for candidate in calendar.rooms if room is None or candidate.id == room]
    chosen_room = None
    if visit_type.room_kind is not None:
        chosen_room = _first_free(visit_type, rooms, visit_type.room_kind, here, "room")
    devices = tuple(
        _first_free(visit_type, calendar.equipment, kind, here, "equipment") for kind in visit_type.equipment_kinds
    )
    day = _day_of(start, clinic.zone)
    least_loaded = min(free, key=lambda candidate: sum(_length_within(busy, day) for busy in candidate.busy))
    return Placement(therapist=least_loaded.id, room=chosen_room, equipment=devices)


def overbook(
    calendar: Calendar, visit_type: VisitType, start: int, *, therapist: Therapist, room: UUID | None = None
) -> Placement:
    """Choose who and what takes a visit that staff squeeze in: free places where there are any, the first otherwise.

    Hours and other visits do not bind; the credential and the patient's own calendar do.
    Raises NotQualified, or SlotTaken where the patient is elsewhere at that time.
    """
    if not therapist.may_perform(visit_type):
        raise NotQualified
    _refuse_busy_patient(calendar, visit_type, start)
    here = range(start, start + 1)

    def squeeze(places: Sequence[PlaceCalendar], kind: str) -> UUID | None:
        fitting = [candidate for candidate in places if candidate.kind == kind]
        fitting.sort(key=lambda candidate: not _free_starts(visit_type, candidate.busy, here))
        return fitting[0].id if fitting else None

    devices = [device for kind in visit_type.equipment_kinds if (device := squeeze(calendar.equipment, kind))]
    chosen_room = room or (squeeze(calendar.rooms, visit_type.room_kind) if visit_type.room_kind else None)
    return Placement(therapist=therapist.id, room=chosen_room, equipment=tuple(devices))


def check_booking_rules(visit_type: VisitType, clinic: Clinic, start: int, now: datetime) -> None:
    """Refuse what binds patients but not staff: online booking, notice (inclusive), horizon and the grid.

    Raises NotBookableOnline, TooSoon, TooFarAhead or OutsideHours.
    """
    if not visit_type.online:
        raise NotBookableOnline
    if start < earliest_start(visit_type, now):
        raise TooSoon
    if start >= latest_start(visit_type, clinic, now):
        raise TooFarAhead
    _, on_the_grid = clock_grid(start, start, clinic.zone, clinic.settings.grid_minutes)
    if not on_the_grid:
        raise OutsideHours


def earliest_start(visit_type: VisitType, now: datetime) -> int:
    """Return the first epoch minute that minimum notice allows: a start exactly at now + notice counts."""
    # Counted in elapsed time: adding to a local datetime would count by the clock on the wall.
    return math.ceil(now.timestamp() / 60 + visit_type.minimum_notice_minutes)


def latest_start(visit_type: VisitType, clinic: Clinic, now: datetime) -> int:
    """Return the epoch minute at which the horizon ends: the end of the clinic's date ``horizon_days`` from now."""
    last_day = clinic.local(now).date() + timedelta(days=visit_type.horizon_days)
    return day_end(last_day, clinic.zone)


def nearest(openings: Sequence[Opening], start: int, limit: int) -> list[Opening]:
    """Return those of openings in time order that are closest to a start, closest first, and no start twice.

    They are looked for from the start outwards, for there may be thousands.
    """
    middle = bisect_left(openings, start, key=attrgetter("start"))
    earlier = (openings[index] for index in range(middle - 1, -1, -1))
    later = (openings[index] for index in range(middle, len(openings)))
    closest: dict[int, Opening] = {}
    for opening in heapq.merge(earlier, later, key=lambda opening: abs(opening.start - start)):
        if len(closest) == limit and opening.start not in closest:
            break
        # Of those before the start, the therapist whom the clinic lists first comes last.
        closest[opening.start] = min(opening, closest.get(opening.start, opening))
    return list(closest.values())


def with_buffers(visit_type: VisitType, start: int) -> Span:
    """Return the minutes that a visit at a start takes from its therapist, room and devices."""
    ends = start + visit_type.duration_minutes
    return start - visit_type.buffer_before_minutes, ends + visit_type.buffer_after_minutes


def starts_with_room(calendar: Calendar, visit_type: VisitType, starts: range) -> int:
    """Return the starts at which a room of the kind needed is free; all of them where none is needed."""
    if visit_type.room_kind is None:
        return all_of(starts)
    return _starts_with(visit_type, calendar.rooms, visit_type.room_kind, starts)


def starts_with_equipment(calendar: Calendar, visit_type: VisitType, starts: range) -> int:
    """Return the starts at which a device of every kind needed is free."""
    able = all_of(starts)
    for kind in visit_type.equipment_kinds:
        able &= _starts_with(visit_type, calendar.equipment, kind, starts)
    return able


def reach_within_hours(clinic: Clinic, visit_type: VisitType) -> Span:
    """Return how many minutes before a start and after it must be working time: with buffers if the clinic says so."""
    if not clinic.settings.buffers_within_hours:
        return 0, visit_type.duration_minutes
    return _reach(visit_type)


def qualified(clinic: Clinic, visit_type: VisitType, therapist: TherapistCalendar) -> bool:
    """Whether a therapist of the calendar is known to the clinic, may perform the visit type, and still does."""
    known = clinic.therapists_by_id.get(therapist.id)
    return known is not None and known.may_perform(visit_type) and therapist.performs


def _starts_with_patient(calendar: Calendar, visit_type: VisitType, starts: range) -> int:
    """Return the starts at which the patient is nowhere else; a patient needs no buffers."""
    return starts_clear_of(starts, calendar.patient_busy, 0, visit_type.duration_minutes)


def _refuse_busy_patient(calendar: Calendar, visit_type: VisitType, start: int) -> None:
    own_time = (start, start + visit_type.duration_minutes)
    if any(overlap(own_time, busy) for busy in calendar.patient_busy):
        raise SlotTaken(conflict="patient")


def _therapist_starts(
    calendar: Calendar, clinic: Clinic, visit_type: VisitType, therapist: TherapistCalendar, starts: range
) -> int:
    free = _free_starts(visit_type, therapist.busy, starts)
    return free and free & _working_starts(calendar, clinic, visit_type, therapist, starts)


def _working_starts(
    calendar: Calendar, clinic: Clinic, visit_type: VisitType, therapist: TherapistCalendar, starts: range
) -> int:
    """Return the starts from which the visit's own time, or with buffers if the clinic says so, is all working time."""
    reach = reach_within_hours(clinic, visit_type)
    working = starts_inside(starts, working_spans(calendar, clinic.zone, therapist), *reach)
    return working & starts_clear_of(starts, therapist.time_off, *reach) if therapist.time_off else working


def _free_starts(visit_type: VisitType, busy: Sequence[Span], starts: range) -> int:
    """Return the starts whose whole span, buffers included, meets nothing in ``busy``."""
    return starts_clear_of(starts, busy, *_reach(visit_type))


def _reach(visit_type: VisitType) -> Span:
    """Return how many minutes before a start and after it a visit takes, buffers included."""
    return visit_type.buffer_before_minutes, visit_type.duration_minutes + visit_type.buffer_after_minutes


def _starts_with(visit_type: VisitType, places: Sequence[PlaceCalendar], kind: str, starts: range) -> int:
    """Return the starts at which any place of a kind is free."""
    able = 0
    for candidate in places:
        if candidate.kind == kind:
            able |= _free_starts(visit_type, candidate.busy, starts)
    return able


def _first_free(visit_type: VisitType, places: Sequence[PlaceCalendar], kind: str, here: range, conflict: str) -> UUID:
    for candidate in places:
        if candidate.kind == kind and _free_starts(visit_type, candidate.busy, here):
            return candidate.id
    raise SlotTaken(conflict=conflict)


def _length_within(span: Span, limits: Span) -> int:
    return max(0, min(span[1], limits[1]) - max(span[0], limits[0]))


def _day_of(minute: int, zone: ZoneInfo) -> Span:
    day = instant_at(minute, zone).date()
    return day_start(day, zone), day_end(day, zone)
