"""What can be known of a clinic in a stretch of instants: who works when, and what is taken."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from scheduler.domain.bitmaps import everything, span_bits, union
from scheduler.domain.times import DAY, Span, day_end, day_start, local_date, overlap, wall_spans

# Wall-clock windows, in minutes, that hold on a date instead of the usual ones.
Dated = Mapping[date, Sequence[Span]]


class WeeklyWindow(msgspec.Struct, frozen=True):
    """Wall-clock minutes [starts, ends) of an ISO weekday, valid on dates from ``valid_from`` to ``valid_until``."""

    weekday: int
    starts: int
    ends: int
    valid_from: date = date.min
    valid_until: date = date.max


def merge_touching(windows: Iterable[WeeklyWindow]) -> tuple[WeeklyWindow, ...]:
    """Return the windows sorted, those of one weekday and validity that touch made one, up to 24 hours long."""
    merged: list[WeeklyWindow] = []
    for window in sorted(windows, key=lambda each: (each.weekday, each.valid_from, each.valid_until, each.starts)):
        last = merged[-1] if merged else None
        if (
            last
            and (last.weekday, last.valid_from, last.valid_until, last.ends)
            == (window.weekday, window.valid_from, window.valid_until, window.starts)
            and window.ends - last.starts <= DAY
        ):
            merged[-1] = msgspec.structs.replace(last, ends=window.ends)
        else:
            merged.append(window)
    return tuple(merged)


class TherapistCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """One therapist's side of the calendar. ``overrides`` replace the weekly windows of the date they name.

    ``performs`` is whether they may perform the visit type asked for, as it stands now; what is known of the clinic
    may be some seconds older.
    """

    id: UUID
    weekly: Sequence[WeeklyWindow]
    overrides: dict[date, Sequence[Span]] = {}
    time_off: Sequence[Span] = ()
    busy: Sequence[Span] = ()
    performs: bool = True


class PlaceCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """One room or device, its kind, and when it is taken."""

    id: UUID
    kind: str
    busy: Sequence[Span] = ()


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """What can be known of a clinic between two epoch minutes, [start, end), in the order of the clinic's lists.

    ``closures`` limit everyone on a date to the given wall-clock windows. ``patient_busy`` is when the patient who
    is to be booked is already somewhere; it is empty while nobody is named.
    """

    start: int
    end: int
    therapists: Sequence[TherapistCalendar]
    rooms: Sequence[PlaceCalendar] = ()
    equipment: Sequence[PlaceCalendar] = ()
    closures: dict[date, Sequence[Span]] = {}
    patient_busy: Sequence[Span] = ()

    @property
    def bounds(self) -> Span:
        return self.start, self.end


def windows_on(weekly: Iterable[WeeklyWindow], overrides: Dated, day: date) -> Sequence[Span]:
    """Return the wall-clock windows that begin on a date: its override's, or else the weekly ones."""
    override = overrides.get(day)
    if override is not None:
        return override
    weekday = day.isoweekday()
    return [
        (window.starts, window.ends)
        for window in weekly
        if window.weekday == weekday and window.valid_from <= day <= window.valid_until
    ]


def hours_spans(calendar: Calendar, zone: ZoneInfo, therapist: TherapistCalendar) -> list[Span]:
    """Return a therapist's hours as instants, whatever closures and time off take from them."""
    days = local_date(calendar.start, zone), local_date(calendar.end, zone)
    return _hours_spans(therapist.weekly, therapist.overrides, days, zone)


def working_spans(calendar: Calendar, zone: ZoneInfo, therapist: TherapistCalendar) -> tuple[Span, ...]:
    """Return a therapist's working instants, time off aside, in order; what touches or overlaps is one span.

    They are the hours, cut by the clinic's closures. A closure cuts by the date that the clocks show.
    """
    days = local_date(calendar.start, zone), local_date(calendar.end, zone)
    return _working_spans(tuple(therapist.weekly), _frozen(therapist.overrides), _frozen(calendar.closures), days, zone)


def _frozen(dated: Dated) -> tuple[tuple[date, tuple[Span, ...]], ...]:
    return tuple((day, tuple((starts, ends) for starts, ends in spans)) for day, spans in dated.items())


@lru_cache(maxsize=2048)
def _working_spans(
    weekly: tuple[WeeklyWindow, ...],
    overrides: tuple[tuple[date, tuple[Span, ...]], ...],
    closures: tuple[tuple[date, tuple[Span, ...]], ...],
    days: tuple[date, date],
    zone: ZoneInfo,
) -> tuple[Span, ...]:
    """Return the working instants of these hours, which are the same from one question to the next."""
    spans = _within_closures(_hours_spans(weekly, dict(overrides), days, zone), dict(closures), zone)
    merged: list[Span] = []
    for starts, ends in sorted(spans):
        if merged and starts <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(ends, merged[-1][1]))
        else:
            merged.append((starts, ends))
    return tuple(merged)


def _hours_spans(
    weekly: Sequence[WeeklyWindow], overrides: Dated, days: tuple[date, date], zone: ZoneInfo
) -> list[Span]:
    # A window that runs past midnight belongs to the date it begins on, so the date before is looked at too.
    first_day = days[0] - timedelta(days=1)
    return [
        span
        for day in (first_day + timedelta(days=offset) for offset in range((days[1] - first_day).days + 1))
        for starts, ends in windows_on(weekly, overrides, day)
        for span in wall_spans(day, starts, ends, zone)
    ]


def working_minutes(calendar: Calendar, zone: ZoneInfo, therapist: TherapistCalendar) -> int:
    """Return the set of minutes at which a therapist works: hours less closures and time off."""
    working = union(calendar.bounds, working_spans(calendar, zone, therapist))
    return working & ~union(calendar.bounds, therapist.time_off)


def closed_minutes(calendar: Calendar, zone: ZoneInfo) -> int:
    """Return the set of minutes that closures take from everybody, worked or not."""
    closed = 0
    for day, windows in calendar.closures.items():
        allowed = [piece for starts, ends in windows for piece in wall_spans(day, starts, ends, zone)]
        whole = span_bits(calendar.bounds, (day_start(day, zone), day_end(day, zone)))
        closed |= whole & ~union(calendar.bounds, allowed)
    return closed


def works_through(calendar: Calendar, zone: ZoneInfo, therapist: TherapistCalendar, span: Span) -> bool:
    """Whether a therapist works at every minute of a span, wherever it lies in the calendar."""
    narrow = msgspec.structs.replace(calendar, start=span[0], end=span[1])
    return working_minutes(narrow, zone, therapist) == everything(span)


def _within_closures(spans: list[Span], closures: Dated, zone: ZoneInfo) -> list[Span]:
    for day, windows in closures.items():
        closed = (day_start(day, zone), day_end(day, zone))
        allowed = [piece for starts, ends in windows for piece in wall_spans(day, starts, ends, zone)]
        # A span never reaches over midnight, so it lies in the date or outside of it.
        outside = [span for span in spans if not overlap(span, closed)]
        inside = [span for span in spans if overlap(span, closed)]
        spans = outside + [
            (max(span[0], low), min(span[1], high))
            for span in inside
            for low, high in allowed
            if overlap(span, (low, high))
        ]
    return spans
