"""Why a therapist's start is open or is not: the rules of ``availability``, one by one, each with its name.

For staff only, because reasons tell of other people's calendars. A start without a reason is one that
``availability.open_starts`` finds, and the other way round.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

import msgspec

from scheduler.domain.availability import (
    earliest_start,
    latest_start,
    qualified,
    reach_within_hours,
    starts_with_equipment,
    starts_with_room,
    with_buffers,
)
from scheduler.domain.bitmaps import everything, free_for, span_bits, union
from scheduler.domain.calendars import Calendar, TherapistCalendar, closed_minutes, hours_spans
from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.starts import chosen, clock_grid
from scheduler.domain.times import Span, day_end, day_start, epoch_minute, overlap

# In the order in which they are told: what no other start of the day would help with comes first.
Reason = Literal[
    "not-qualified",
    "past",
    "closed",
    "time-off",
    "override",
    "outside-hours",
    "therapist-busy",
    "held",
    "buffer",
    "no-room",
    "no-equipment",
]
OnlineReason = Literal["not-bookable-online", "too-soon", "too-far-ahead"]

_ORDER: tuple[Reason, ...] = get_args(Reason)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a therapist busy: a visit's span with buffers, and its own time without. A hold runs out."""

    visit_id: UUID
    span: Span
    own_time: Span
    held_until: datetime | None = None


class ExplainedStart(msgspec.Struct, frozen=True, kw_only=True):
    """A start (epoch minute) and everything that speaks against it, of which ``in_the_way`` are the visits.

    ``online_reasons`` are what binds patients beyond that.
    """

    start: int
    reasons: tuple[Reason, ...]
    in_the_way: tuple[Taken, ...]
    online_reasons: tuple[OnlineReason, ...]

    @property
    def open(self) -> bool:
        return not self.reasons

    @property
    def open_online(self) -> bool:
        return self.open and not self.online_reasons


def explained_span(clinic: Clinic, visit_type: VisitType, day: date) -> Span:
    """Return the epoch minutes in which every visit lies that starts on a clinic date, past midnight if it must."""
    return day_start(day, clinic.zone), day_end(day, clinic.zone) - 1 + visit_type.duration_minutes


def explain(
    calendar: Calendar,
    clinic: Clinic,
    visit_type: VisitType,
    therapist: TherapistCalendar,
    taken: Sequence[Taken],
    *,
    day: date,
    now: datetime,
) -> list[ExplainedStart]:
    """Explain every start of the grid on a clinic date for one therapist, in time order.

    The calendar must cover ``calendar_bounds`` of ``explained_span``. ``taken`` is what the therapist has on, and
    stands for their ``busy``, which does not know with what.
    """
    blocked = _blocked(calendar, clinic, visit_type, therapist, now)
    first, last = day_start(day, clinic.zone), day_end(day, clinic.zone) - 1
    explained: list[ExplainedStart] = []
    for start in chosen(*clock_grid(first, last, clinic.zone, clinic.settings.grid_minutes)):
        own_time = (start, start + visit_type.duration_minutes)
        in_the_way = tuple(each for each in taken if overlap(with_buffers(visit_type, start), each.span))
        reasons: set[Reason] = {
            reason for reason, minutes in blocked.items() if minutes >> (start - calendar.start) & 1
        }
        reasons |= {_clash(own_time, each) for each in in_the_way}
        explained.append(
            ExplainedStart(
                start=start,
                reasons=tuple(sorted(reasons, key=_ORDER.index)),
                in_the_way=in_the_way,
                online_reasons=tuple(_online_reasons(clinic, visit_type, start, now)),
            )
        )
    return explained


def _blocked(
    calendar: Calendar, clinic: Clinic, visit_type: VisitType, therapist: TherapistCalendar, now: datetime
) -> dict[Reason, int]:
    """Return by reason the minutes of the calendar that it rules out, all but what the therapist is busy with."""
    bounds, zone = calendar.bounds, clinic.zone
    minutes_of_calendar = range(*bounds)
    weekly = union(bounds, hours_spans(calendar, zone, msgspec.structs.replace(therapist, overrides={})))
    hours = union(bounds, hours_spans(calendar, zone, therapist))
    # Every minute outside working time is in at least one of these.
    not_working: dict[Reason, int] = {
        "closed": closed_minutes(calendar, zone),
        "time-off": union(bounds, therapist.time_off),
        "override": weekly & ~hours,
        "outside-hours": everything(bounds) & ~weekly & ~hours,
    }
    before, after = reach_within_hours(clinic, visit_type)
    able: dict[Reason, int] = {
        reason: free_for(everything(bounds) & ~minutes, before + after) << before
        for reason, minutes in not_working.items()
    }
    able["past"] = span_bits(bounds, (epoch_minute(now), calendar.end))
    able["not-qualified"] = everything(bounds) if qualified(clinic, visit_type, therapist) else 0
    able["no-room"] = starts_with_room(calendar, visit_type, minutes_of_calendar)
    able["no-equipment"] = starts_with_equipment(calendar, visit_type, minutes_of_calendar)
    return {reason: everything(bounds) & ~starts for reason, starts in able.items()}


def _clash(own_time: Span, taken: Taken) -> Reason:
    if not overlap(own_time, taken.own_time):
        return "buffer"
    return "therapist-busy" if taken.held_until is None else "held"


def _online_reasons(clinic: Clinic, visit_type: VisitType, start: int, now: datetime) -> Iterator[OnlineReason]:
    if not visit_type.online:
        yield "not-bookable-online"
    if start < earliest_start(visit_type, now):
        yield "too-soon"
    if start >= latest_start(visit_type, clinic, now):
        yield "too-far-ahead"
