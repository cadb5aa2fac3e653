"""The rules of availability a second time, as slowly and plainly as they read.

Nothing here knows a bitmap, a cache or a shortcut, and nothing but Structs and errors is shared with the engine: what
the clinic's clocks show is asked of ``zoneinfo`` for one minute after another. Where the two disagree, read the rule
in words before believing either.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from uuid import UUID
from zoneinfo import ZoneInfo

from scheduler.domain.availability import Placement
from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar
from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.errors import (
    NotBookableOnline,
    NotQualified,
    OutsideHours,
    PlacementRefused,
    SlotTaken,
    TooFarAhead,
    TooSoon,
)

Stretch = tuple[int, int]

# A refusal and, for SlotTaken, what stands in the way.
Refusal = tuple[type[PlacementRefused], str | None]


@lru_cache(maxsize=200_000)
def at(minute: int, zone: ZoneInfo) -> datetime:
    """Return what the clinic's clocks show at an epoch minute."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)).astimezone(zone)


def clock_of(shown: datetime) -> int:
    return shown.hour * 60 + shown.minute


def works_at(minute: int, therapist: TherapistCalendar, calendar: Calendar, zone: ZoneInfo) -> bool:
    """Whether one minute is working time: inside a window, allowed by the closures, not in time off."""
    shown = at(minute, zone)
    today, clock = shown.date(), clock_of(shown)
    yesterday = today - timedelta(days=1)
    in_hours = _inside(clock, _windows(therapist, today)) or _inside(clock + 1440, _windows(therapist, yesterday))
    allowed = today not in calendar.closures or _inside(clock, calendar.closures[today])
    return in_hours and allowed and not _inside(minute, therapist.time_off)


def open_starts(
    calendar: Calendar, clinic: Clinic, visit_type: VisitType, within: Stretch, earliest: int
) -> list[tuple[int, int]]:
    """Return every open (start, number of the therapist), in that order."""
    opened: list[tuple[int, int]] = []
    reach = with_buffers(within[0], visit_type)[0], with_buffers(within[1], visit_type)[1]
    for number, therapist in enumerate(calendar.therapists):
        working = {minute for minute in range(*reach) if works_at(minute, therapist, calendar, clinic.zone)}
        opened += [
            (start, number)
            for start in range(*within)
            if start >= earliest
            and start + visit_type.duration_minutes <= within[1]
            and clock_of(at(start, clinic.zone)) % clinic.settings.grid_minutes == 0
            and takes(clinic, therapist, visit_type)
            and is_working(start, clinic, visit_type, working.__contains__)
            and is_free(start, visit_type, therapist.busy)
            and has_places(start, calendar, visit_type)
            and not is_elsewhere(start, calendar, visit_type)
        ]
    return sorted(opened)


def placement(
    calendar: Calendar,
    clinic: Clinic,
    visit_type: VisitType,
    start: int,
    therapist: Therapist | None,
    room: UUID | None,
) -> Placement | set[Refusal]:
    """Return who and what a visit takes at a start, or every refusal that would be true."""
    if therapist is not None and not qualified(therapist, visit_type):
        return {(NotQualified, None)}
    working = [
        each
        for each in calendar.therapists
        if takes(clinic, each, visit_type)
        and (therapist is None or each.id == therapist.id)
        and is_working(
            start, clinic, visit_type, partial(works_at, therapist=each, calendar=calendar, zone=clinic.zone)
        )
    ]
    if not working:
        lost = therapist is not None and not any(
            each.performs for each in calendar.therapists if each.id == therapist.id
        )
        return {(NotQualified, None)} if lost else {(OutsideHours, None)}
    free = [each for each in working if is_free(start, visit_type, each.busy)]
    rooms = [each for each in calendar.rooms if room is None or each.id == room]
    free_rooms = free_places(start, visit_type, rooms, visit_type.room_kind) if visit_type.room_kind else []
    devices = [free_places(start, visit_type, calendar.equipment, kind) for kind in visit_type.equipment_kinds]
    in_the_way = {
        "therapist": not free,
        "patient": is_elsewhere(start, calendar, visit_type),
        "room": bool(visit_type.room_kind) and not free_rooms,
        "equipment": not all(devices),
    }
    refusals: set[Refusal] = {(SlotTaken, resource) for resource, blocked in in_the_way.items() if blocked}
    if refusals:
        return refusals
    loads = [load(each, at(start, clinic.zone).date(), clinic.zone) for each in free]
    return Placement(
        therapist=free[loads.index(min(loads))].id,
        room=free_rooms[0].id if free_rooms else None,
        equipment=tuple(found[0].id for found in devices),
    )


def rules_broken(visit_type: VisitType, clinic: Clinic, start: int, now: datetime) -> set[Refusal]:
    """Return every rule for patients that a start breaks."""
    starts_at = at(start, clinic.zone)
    first = now.astimezone(UTC) + timedelta(minutes=visit_type.minimum_notice_minutes)
    last_date = now.astimezone(clinic.zone).date() + timedelta(days=visit_type.horizon_days)
    broken: dict[type[PlacementRefused], bool] = {
        NotBookableOnline: not visit_type.online,
        TooSoon: starts_at.astimezone(UTC) < first,
        TooFarAhead: starts_at.date() > last_date,
        OutsideHours: clock_of(starts_at) % clinic.settings.grid_minutes != 0,
    }
    return {(error, None) for error, is_broken in broken.items() if is_broken}


def qualified(therapist: Therapist, visit_type: VisitType) -> bool:
    if visit_type.credential == "PT" and therapist.credential != "PT":
        return False
    return visit_type.code in therapist.visit_types


def takes(clinic: Clinic, therapist: TherapistCalendar, visit_type: VisitType) -> bool:
    """Whether a therapist of the calendar is known to the clinic, may perform the visit, and still does."""
    known = [each for each in clinic.therapists.values() if each.id == therapist.id]
    return therapist.performs and any(qualified(each, visit_type) for each in known)


def is_working(start: int, clinic: Clinic, visit_type: VisitType, works: Callable[[int], bool]) -> bool:
    """Whether the visit's own time, or with its buffers where the clinic asks for it, is all working time."""
    first, last = start, start + visit_type.duration_minutes
    if clinic.settings.buffers_within_hours:
        first, last = with_buffers(start, visit_type)
    return all(works(minute) for minute in range(first, last))


def is_free(start: int, visit_type: VisitType, busy: Sequence[Stretch]) -> bool:
    """Whether the visit with its buffers keeps clear of all that is busy; touching is clear."""
    first, last = with_buffers(start, visit_type)
    return all(last <= begins or ends <= first for begins, ends in busy)


def is_elsewhere(start: int, calendar: Calendar, visit_type: VisitType) -> bool:
    """Whether the patient is at another visit during any minute of this one's own time."""
    own_time = range(start, start + visit_type.duration_minutes)
    return any(_inside(minute, calendar.patient_busy) for minute in own_time)


def has_places(start: int, calendar: Calendar, visit_type: VisitType) -> bool:
    """Whether a room of the kind, if one is needed, and a device of every kind are free."""
    needs = [(calendar.equipment, kind) for kind in visit_type.equipment_kinds]
    if visit_type.room_kind is not None:
        needs.append((calendar.rooms, visit_type.room_kind))
    return all(free_places(start, visit_type, places, kind) for places, kind in needs)


def free_places(start: int, visit_type: VisitType, places: Sequence[PlaceCalendar], kind: str) -> list[PlaceCalendar]:
    return [place for place in places if place.kind == kind and is_free(start, visit_type, place.busy)]


def with_buffers(start: int, visit_type: VisitType) -> Stretch:
    ends = start + visit_type.duration_minutes
    return start - visit_type.buffer_before_minutes, ends + visit_type.buffer_after_minutes


def load(therapist: TherapistCalendar, day: date, zone: ZoneInfo) -> int:
    """Return how many minutes of a date are busy; two visits at once count as two."""
    return sum(at(minute, zone).date() == day for busy in therapist.busy for minute in range(*busy))


def _windows(therapist: TherapistCalendar, day: date) -> Sequence[Stretch]:
    """Return the wall-clock windows that begin on a date."""
    if day in therapist.overrides:
        return therapist.overrides[day]
    return [
        (window.starts, window.ends)
        for window in therapist.weekly
        if day.isoweekday() == window.weekday and window.valid_from <= day <= window.valid_until
    ]


def _inside(minute: int, stretches: Sequence[Stretch]) -> bool:
    return any(begins <= minute < ends for begins, ends in stretches)
