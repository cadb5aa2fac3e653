"""A day of the clinic as the front desk looks at it: visits, what is open between them, and when nobody works.

All that is known of the days goes in as ``Facts``; what comes out is placed on rows of five minutes. Rows count the
wall clock, from the board's first hour on, and lengths are elapsed time. So on the day on which an hour is repeated
both halves of it share their rows, side by side, and on the day on which one is skipped its rows stay empty.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.bitmaps import everything, runs, span_bits, union
from scheduler.domain.board_visits import BoardVisit
from scheduler.domain.calendars import Calendar, TherapistCalendar, closed_minutes, hours_spans
from scheduler.domain.clinics import Clinic
from scheduler.domain.lanes import ROW_MINUTES, SHORTEST, Spot, apart, side_by_side
from scheduler.domain.times import DAY, Span, day_end, day_start, epoch_minute, instant_at, overlap, wall_spans
from scheduler.domain.visits import LIVE

# The hours of a board on which nothing is to be seen.
_USUAL_HOURS = (8, 17)

GapKind = Literal["open", "short", "move", "too_short", "not_theirs", "no_room"]
OffKind = Literal["starts", "break", "off", "out", "closed"]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of some dates: everybody's hours and absences, closures with their reasons, and every visit.

    ``absences`` are the time off of each therapist once more, with the ids by which it can be looked at.
    """

    therapists: Sequence[TherapistCalendar]
    closures: Mapping[date, Sequence[Span]]
    closure_reasons: Mapping[date, str]
    visits: Sequence[BoardVisit]
    absences: Mapping[UUID, Sequence[tuple[int, int, UUID]]] = {}


class Moving(msgspec.Struct, frozen=True, kw_only=True):
    """A visit for which a new place is looked for, and the starts (epoch minutes) that each therapist could give it."""

    visit_id: UUID
    minutes: int
    able: frozenset[UUID]
    starts: Mapping[UUID, Sequence[int]]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A visit in its place. It is ``stray`` where its therapist does not work, or not all of its time."""

    visit: BoardVisit
    spot: Spot
    stray: bool


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Time of a therapist that nobody has: from ``starts_at`` on, for so many minutes. What it offers is its kind."""

    kind: GapKind
    therapist_id: UUID
    starts_at: datetime
    minutes: int
    spot: Spot

    @property
    def ends_at(self) -> datetime:
        # By the clock that never changes: on the wall's an hour would be lost, or found, on two nights of the year.
        ends = self.starts_at.astimezone(UTC) + timedelta(minutes=self.minutes)
        return ends.astimezone(self.starts_at.tzinfo)


class Off(msgspec.Struct, frozen=True, kw_only=True):
    """Time in which a therapist does not work, and until when; ``reason`` is a closure's, the absence an out's."""

    kind: OffKind
    until: datetime
    spot: Spot
    reason: str = ""
    absence_id: UUID | None = None


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One therapist on one date: everything there in order of time, and what the head of the column counts.

    ``now`` is where the line of the present moment crosses it, as minutes from the first row.
    """

    therapist_id: UUID
    day: date
    items: Sequence[Card | Gap | Off]
    visits: int
    open: int
    now: int | None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Columns side by side, from one hour of the clock to another, [first, last)."""

    hours: tuple[int, int]
    columns: Sequence[Column]

    @property
    def now(self) -> int | None:
        return next((column.now for column in self.columns if column.now is not None), None)

    @property
    def cards(self) -> list[Card]:
        return [item for column in self.columns for item in column.items if isinstance(item, Card)]


def build_board(
    facts: Facts,
    clinic: Clinic,
    places: Sequence[tuple[UUID, date]],
    *,
    now: datetime,
    moving: Moving | None = None,
) -> Board:
    """Return the columns of these therapists on these dates, which the facts must cover."""
    sketches = [_Sketch(facts, clinic, therapist_id, day, now) for therapist_id, day in places]
    hours = _hours(sketches)
    return Board(hours=hours, columns=[sketch.column(hours, moving) for sketch in sketches])


def day_places(facts: Facts, clinic: Clinic, day: date) -> list[tuple[UUID, date]]:
    """Return the columns of a day: everybody who treats, and whoever left but still has a visit."""
    staff = [therapist.id for therapist in clinic.therapists.values()]
    seen = [visit.therapist_id for visit in facts.visits]
    return [(therapist_id, day) for therapist_id in dict.fromkeys([*staff, *seen])]


class _Sketch:
    """One column before its place among the hours of the board is known. Sets of minutes are integers."""

    def __init__(self, facts: Facts, clinic: Clinic, therapist_id: UUID, day: date, now: datetime) -> None:
        zone = clinic.zone
        self.clinic, self.therapist_id, self.day, self.instant = clinic, therapist_id, day, now
        self.now = epoch_minute(now)
        self.bounds = bounds = day_start(day, zone), day_end(day, zone)
        known = (each for each in facts.therapists if each.id == therapist_id)
        calendar = next(known, TherapistCalendar(id=therapist_id, weekly=()))
        around = Calendar(start=bounds[0], end=bounds[1], therapists=[calendar], closures=dict(facts.closures))
        self.usual = hours = union(bounds, hours_spans(around, zone, calendar))
        self.closed = closed_minutes(around, zone)
        self.reason = facts.closure_reasons.get(day, "")
        self.absences = facts.absences.get(therapist_id, ())
        self.out = union(bounds, calendar.time_off) & hours & ~self.closed
        self.working = hours & ~self.closed & ~self.out
        self.visits = [
            visit
            for visit in facts.visits
            if visit.therapist_id == therapist_id and visit.is_shown(now) and overlap(visit.span, bounds)
        ]

    def wall(self, minute: int) -> int:
        """Return what the clocks show at an epoch minute, as minutes of this date; past its end that is its end."""
        local = instant_at(minute, self.clinic.zone)
        days = (local.date() - self.day).days
        return min(max(days * DAY + local.hour * 60 + local.minute, 0), DAY)

    def reach(self) -> list[int]:
        """Return the wall minutes at which something begins or ends."""
        spans = [*self.spans(self.usual), *(visit.span for visit in self.visits)]
        return [self.wall(minute) for span in spans for minute in span]

    def spans(self, minutes: int) -> list[Span]:
        return [(self.bounds[0] + first, self.bounds[0] + last) for first, last in runs(minutes)]

    def column(self, hours: tuple[int, int], moving: Moving | None) -> Column:
        cards = self._cards(hours)
        gaps = [gap for span in self._free() for gap in self._gaps(span, hours, moving)]
        items: list[Card | Gap | Off] = [*self._offs(hours), *cards, *gaps]
        items.sort(key=lambda item: (item.spot.row, item.spot.lane, isinstance(item, Card)))
        return Column(
            therapist_id=self.therapist_id,
            day=self.day,
            items=items,
            visits=sum(visit.status != "held" for visit in self.visits),
            open=sum(gap.kind in ("open", "move") for gap in gaps),
            now=self.wall(self.now) - hours[0] * 60 if self._shows_now(hours) else None,
        )

    def _shows_now(self, hours: tuple[int, int]) -> bool:
        today = self.bounds[0] <= self.now < self.bounds[1]
        return today and hours[0] * 60 <= self.wall(self.now) < hours[1] * 60

    def _spot(self, span: Span, hours: tuple[int, int], *, least: int = 1) -> Spot:
        first = self.wall(max(span[0], self.bounds[0])) - hours[0] * 60
        length = min(span[1], self.bounds[1]) - max(span[0], self.bounds[0])
        row = max(0, first) // ROW_MINUTES
        whole = (hours[1] - hours[0]) * 60 // ROW_MINUTES
        rows = math.ceil((length + first % ROW_MINUTES) / ROW_MINUTES)
        return Spot(row, max(1, min(max(rows, least), whole - row)))

    def _cards(self, hours: tuple[int, int]) -> list[Card]:
        spots = side_by_side([self._spot(visit.span, hours, least=SHORTEST) for visit in self.visits])
        return [
            Card(visit=visit, spot=spot, stray=self._is_stray(visit))
            for visit, spot in zip(self.visits, spots, strict=True)
        ]

    def _is_stray(self, visit: BoardVisit) -> bool:
        """Whether somebody should find another time for a visit; one that was squeezed in was meant to be there."""
        taken = span_bits(self.bounds, visit.span)
        away = self.out | self.closed if visit.overbooked else everything(self.bounds) & ~self.working
        return visit.status in LIVE and visit.ends_at > self.instant and bool(taken & away)

    def _free(self) -> list[Span]:
        """Return when the therapist could take somebody, from the next start of the grid on."""
        busy = [self._busy(visit) for visit in self.visits]
        grid = self.clinic.settings.grid_minutes
        earliest = self.now + -self.wall(self.now) % grid
        free = self.working & ~union(self.bounds, busy)
        return self.spans(free & ~span_bits(self.bounds, (self.bounds[0], earliest)))

    def _busy(self, visit: BoardVisit) -> Span:
        visit_type = self.clinic.visit_types.get(visit.visit_type)
        starts, ends = visit.span
        if visit_type is None or visit.status not in LIVE:
            return starts, ends
        return starts - visit_type.buffer_before_minutes, ends + visit_type.buffer_after_minutes

    def _gaps(self, span: Span, hours: tuple[int, int], moving: Moving | None) -> list[Gap]:
        if moving is None:
            shortest = self._shortest()
            kind: GapKind = "open" if shortest is not None and span[1] - span[0] >= shortest else "short"
            return [self._gap(kind, span, hours)]
        # A start that only its own present place leaves room for is listed beside the board, not drawn over that.
        last = span[1] - moving.minutes
        starts = [start for start in moving.starts.get(self.therapist_id, ()) if span[0] <= start <= last]
        if starts:
            return [
                self._gap("move", (start, start + moving.minutes), hours) for start in apart(starts, moving.minutes)
            ]
        if self.therapist_id not in moving.able:
            return [self._gap("not_theirs", span, hours)]
        return [self._gap("too_short" if span[1] - span[0] < moving.minutes else "no_room", span, hours)]

    def _gap(self, kind: GapKind, span: Span, hours: tuple[int, int]) -> Gap:
        return Gap(
            kind=kind,
            therapist_id=self.therapist_id,
            starts_at=instant_at(span[0], self.clinic.zone),
            minutes=span[1] - span[0],
            spot=self._spot(span, hours),
        )

    def _shortest(self) -> int | None:
        """Return the length of the shortest visit that the therapist performs, None where there is none."""
        therapist = self.clinic.therapists_by_id.get(self.therapist_id)
        performed = (each for each in self.clinic.visit_types.values() if therapist and therapist.may_perform(each))
        return min((each.duration_minutes for each in performed), default=None)

    def _offs(self, hours: tuple[int, int]) -> list[Off]:
        """Return the times without work within the hours of the board, each under its most telling name."""
        shown = union(self.bounds, wall_spans(self.day, hours[0] * 60, hours[1] * 60, self.clinic.zone))
        closed = self.closed & shown
        out = self.out & shown
        rest = shown & ~closed & ~out & ~self.working
        present = self.spans(self.working | self.out)
        offs = [self._off("closed", span, hours) for span in self.spans(closed)]
        offs += [self._off("out", span, hours) for span in self.spans(out)]
        for span in self.spans(rest):
            later = any(each[0] >= span[1] for each in present)
            earlier = any(each[1] <= span[0] for each in present)
            kind: OffKind = "off" if not later else "break" if earlier else "starts"
            offs.append(self._off(kind, span, hours))
        return offs

    def _off(self, kind: OffKind, span: Span, hours: tuple[int, int]) -> Off:
        away = (absence_id for first, last, absence_id in self.absences if overlap((first, last), span))
        return Off(
            kind=kind,
            until=instant_at(span[1], self.clinic.zone),
            spot=self._spot(span, hours),
            reason=self.reason if kind == "closed" else "",
            absence_id=next(away, None) if kind == "out" else None,
        )


def _hours(sketches: Iterable[_Sketch]) -> tuple[int, int]:
    """Return the whole hours of the clock between which everything on the board lies."""
    reached = [minute for sketch in sketches for minute in sketch.reach()]
    if not reached:
        return _USUAL_HOURS
    first, last = min(reached) // 60, math.ceil(max(reached) / 60)
    return first, max(last, first + 1)


def week_of(day: date) -> list[date]:
    """Return the dates of the week that a date lies in, Monday first."""
    monday = day - timedelta(days=day.weekday())
    return [monday + timedelta(days=offset) for offset in range(7)]
