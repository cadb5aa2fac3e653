"""Visits that a change of the schedule leaves outside working time, and where each of them could go instead.

Nothing here moves a visit: whoever changed the schedule decides what becomes of it.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from scheduler.domain.availability import Opening, calendar_bounds, nearest, open_starts, place, with_buffers
from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar, windows_on, works_through
from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.times import DAY, Span, day_end, day_start, epoch_minute, wall_spans
from scheduler.domain.visits import Visit

# By resource (a therapist, a room, a device or a patient), when it is busy.
BusyById = Mapping[UUID, Sequence[Span]]

ALTERNATIVES = 5

# So many alternatives are with the visit's own therapist, if there are, before others are named.
_WITH_THE_SAME = 3

# How far around a visit alternatives are looked for, and for how long a therapist who is away is waited for.
_BEFORE, _AFTER, _LONGEST_WAIT = 2 * DAY, 7 * DAY, 31 * DAY


class Mover(msgspec.Struct, frozen=True, kw_only=True):
    """A visit that must go elsewhere: what it keeps busy where it is, and when its patient is at other visits."""

    visit: Visit
    visit_type: VisitType
    own: BusyById
    patient_busy: Sequence[Span]

    @property
    def start(self) -> int:
        return epoch_minute(self.visit.starts_at)


class Suggestion(msgspec.Struct, frozen=True):
    """A start (epoch minute) at which a therapist could take the visit."""

    start: int
    therapist: UUID


def day_stretch(day: date, zone: ZoneInfo, *hours: TherapistCalendar) -> Span:
    """Return the instants that a change of one date's windows can change: the date, and what runs past its end.

    ``hours`` are a therapist's before the change and after it.
    """
    ends = [
        span[1]
        for each in hours
        for window in windows_on(each.weekly, each.overrides, day)
        for span in wall_spans(day, *window, zone)
    ]
    return day_start(day, zone), max([day_end(day, zone), *ends])


def outside_working_time(
    visit: Visit, visit_type: VisitType | None, clinic: Clinic, hours: Calendar, stretch: Span
) -> bool:
    """Whether any minute of a visit that lies in the stretch is outside its therapist's working time.

    Buffers count where the clinic wants them within hours, as in booking.
    """
    starts, ends = epoch_minute(visit.starts_at), epoch_minute(visit.ends_at)
    if clinic.settings.buffers_within_hours and visit_type is not None:
        starts, ends = starts - visit_type.buffer_before_minutes, ends + visit_type.buffer_after_minutes
    span = max(starts, stretch[0]), min(ends, stretch[1])
    therapist = next((each for each in hours.therapists if each.id == visit.therapist_id), None)
    return span[0] < span[1] and (therapist is None or not works_through(hours, clinic.zone, therapist, span))


def search_span(movers: Sequence[Mover], stretch: Span, now: int) -> Span:
    """Return where alternatives to these visits, which are in order of start, are looked for, as epoch minutes.

    It reaches past the end of the changed stretch where that is within a month, so that the therapist can be
    waited for.
    """
    last = epoch_minute(movers[-1].visit.ends_at)
    back = min(max(last, stretch[1]), last + _LONGEST_WAIT)
    return max(movers[0].start - _BEFORE, now), back + _AFTER


def suggest(calendar: Calendar, clinic: Clinic, mover: Mover, within: Span, promised: BusyById) -> list[Suggestion]:
    """Return up to five starts for a visit, the nearest first: with its own therapist, then with others.

    The calendar must cover ``calendar_bounds`` of ``within``. ``promised`` is what was suggested to others first,
    so that everybody can follow their first suggestion.
    """
    near = max(mover.start - _BEFORE, within[0]), min(mover.start + _AFTER, within[1])
    openings = _openings(calendar, clinic, mover, near, promised)
    number = next((index for index, each in enumerate(calendar.therapists) if each.id == mover.visit.therapist_id), -1)
    same = [each for each in openings if each.therapist == number]
    if not same and number >= 0:
        alone = msgspec.structs.replace(calendar, therapists=[calendar.therapists[number]])
        same = [Opening(each.start, number) for each in _openings(alone, clinic, mover, within, promised)]
    same = nearest(same, mover.start, ALTERNATIVES)
    offered = {each.start for each in same[:_WITH_THE_SAME]}
    others = [each for each in openings if each.therapist != number and each.start not in offered]
    others = nearest(others, mover.start, ALTERNATIVES)
    kept = same[: max(_WITH_THE_SAME, ALTERNATIVES - len(others))]
    chosen = [*kept, *others[: ALTERNATIVES - len(kept)]]
    return [Suggestion(each.start, calendar.therapists[each.therapist].id) for each in chosen]


def promise(
    calendar: Calendar, clinic: Clinic, mover: Mover, suggestion: Suggestion, promised: BusyById
) -> dict[UUID, Span]:
    """Return what the visit would keep busy if it followed a suggestion that it got from this calendar."""
    visit_type, start = mover.visit_type, suggestion.start
    own_time = (start, start + visit_type.duration_minutes)
    met = _as_met_by(calendar, mover, calendar_bounds(visit_type, *own_time), promised)
    therapist = clinic.therapists_by_id[suggestion.therapist]
    placement = place(met, clinic, visit_type, start, therapist=therapist)
    span = with_buffers(visit_type, start)
    taken = dict.fromkeys([placement.therapist, *placement.equipment], span)
    if placement.room is not None:
        taken[placement.room] = span
    if mover.visit.patient_id is not None:
        taken[mover.visit.patient_id] = own_time
    return taken


def _openings(calendar: Calendar, clinic: Clinic, mover: Mover, within: Span, promised: BusyById) -> list[Opening]:
    if within[0] >= within[1]:
        return []
    met = _as_met_by(calendar, mover, calendar_bounds(mover.visit_type, *within), promised)
    return open_starts(met, clinic, mover.visit_type, within=within)


def _as_met_by(calendar: Calendar, mover: Mover, bounds: Span, promised: BusyById) -> Calendar:
    """Return a calendar as one visit meets it: cut to the bounds, and without what it keeps busy by itself."""

    def busy(resource: TherapistCalendar | PlaceCalendar) -> list[Span]:
        spans = [(starts, ends) for starts, ends in resource.busy if starts < bounds[1] and bounds[0] < ends]
        for span in mover.own.get(resource.id, ()):
            if span in spans:
                spans.remove(span)
        return [*spans, *promised.get(resource.id, ())]

    patient_id = mover.visit.patient_id
    return msgspec.structs.replace(
        calendar,
        start=bounds[0],
        end=bounds[1],
        therapists=[msgspec.structs.replace(each, busy=busy(each)) for each in calendar.therapists],
        rooms=[msgspec.structs.replace(each, busy=busy(each)) for each in calendar.rooms],
        equipment=[msgspec.structs.replace(each, busy=busy(each)) for each in calendar.equipment],
        patient_busy=[*mover.patient_busy, *(promised.get(patient_id, ()) if patient_id else ())],
    )
