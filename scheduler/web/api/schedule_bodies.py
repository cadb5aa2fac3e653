"""Hours, overrides, time off and closures as they travel, and the visits that a change of them affects."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinic_files import DatedWindows
from scheduler.domain.clinic_parts import WEEKDAYS, Weekday
from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.times import DAY, Span
from scheduler.domain.visits import Status
from scheduler.errors import NotFound
from scheduler.services.affected import AffectedVisit
from scheduler.services.availability import Slot
from scheduler.store.hours import DatedRow
from scheduler.web.api.visit_bodies import PatientAnswer
from scheduler.web.reading import EARLIEST_YEAR, FROM, FURTHEST, LATEST_YEAR, TO, Problems, refuse_empty_range

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")

From = Annotated[str, msgspec.Meta(description='Wall-clock time, "00:00" to "23:59"', examples=["08:00"])]
To = Annotated[str, msgspec.Meta(description='Wall-clock time, "00:01" to "24:00"', examples=["12:00"])]
Note = Annotated[str, msgspec.Meta(max_length=200, description="For the desk; never told to patients")]
DryRun = Annotated[
    bool, QueryParameter(description="Answer what would happen, with whose visits it would affect, and change nothing")
]

FromDate = Annotated[str | None, QueryParameter(name="from", description="A clinic date, inclusive")]
ToDate = Annotated[str | None, QueryParameter(description="A clinic date, exclusive")]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]


class DayWindowBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A stretch of one date on the clinic's clocks."""

    starts: From = msgspec.field(name="from")
    ends: To = msgspec.field(name="to")


class WindowBody(DayWindowBody, forbid_unknown_fields=True, kw_only=True):
    """A stretch of a date on the clinic's clocks, which may run into the next date."""

    ends_next_day: bool = False


class WeeklyWindowBody(WindowBody, forbid_unknown_fields=True, kw_only=True):
    """Working hours on one day of every week, perhaps only between two dates, both included."""

    weekday: Weekday
    valid_from: date | None = None
    valid_until: date | None = None


class WindowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    starts: From = msgspec.field(name="from")
    ends: To = msgspec.field(name="to")
    ends_next_day: bool


class WeeklyWindowAnswer(WindowAnswer, frozen=True, kw_only=True):
    weekday: Weekday
    valid_from: date | None
    valid_until: date | None


class AffectedVisitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A live visit outside working time, and up to five open slots that it could be moved to, the nearest first.

    Slots with the visit's own therapist come first, three of them where others could take it as well. Every visit can
    have its first one, whatever the others take. Of more than 200 visits the later ones are told without slots.
    """

    id: UUID
    status: Status
    version: int
    visit_type: str
    therapist: str
    starts_at: datetime
    ends_at: datetime
    patient: PatientAnswer
    alternatives: list[Slot]


class ChangeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The visits that the schedule does not cover as it is now. None was moved or cancelled."""

    affected_visits: list[AffectedVisitAnswer]


def affected_answers(clinic: Clinic, affected: Sequence[AffectedVisit]) -> list[AffectedVisitAnswer]:
    """Return affected visits as the API tells them, in clinic time."""
    return [
        AffectedVisitAnswer(
            id=each.visit.id,
            status=each.visit.status,
            version=each.visit.version,
            visit_type=each.visit.visit_type,
            therapist=clinic.therapist_code(each.visit.therapist_id),
            starts_at=clinic.local(each.visit.starts_at),
            ends_at=clinic.local(each.visit.ends_at),
            patient=PatientAnswer(id=each.patient.id, display_name=each.patient.display_name),
            alternatives=list(each.alternatives),
        )
        for each in affected
    ]


def weekly_answer(window: WeeklyWindow) -> WeeklyWindowAnswer:
    """Return a weekly window as the API tells it; a validity without an end has none."""
    starts, ends, next_day = _clock_times((window.starts, window.ends))
    return WeeklyWindowAnswer(
        weekday=WEEKDAYS[window.weekday - 1],
        starts=starts,
        ends=ends,
        ends_next_day=next_day,
        valid_from=None if window.valid_from == date.min else window.valid_from,
        valid_until=None if window.valid_until == date.max else window.valid_until,
    )


def window_answers(row: DatedRow) -> list[WindowAnswer]:
    """Return the windows of an override or a closure as the API tells them."""
    return [
        WindowAnswer(starts=starts, ends=ends, ends_next_day=next_day)
        for starts, ends, next_day in map(_clock_times, row.plan.windows)
    ]


def known_therapist(clinic: Clinic, code: str) -> Therapist:
    """Return the therapist in the path. Raises NotFound."""
    therapist = clinic.therapists.get(code)
    if therapist is None:
        raise NotFound("There is no such therapist.")
    return therapist


def read_weekly(bodies: Sequence[WeeklyWindowBody], problems: Problems) -> list[WeeklyWindow]:
    """Return weekly windows, each problem with the pointer to its field."""
    windows: list[WeeklyWindow] = []
    for index, body in enumerate(bodies):
        pointer = f"/windows/{index}"
        starts, ends = _read_window(body, pointer, problems)
        if ends - starts > DAY:
            problems.add(f"{pointer}/to", "range-too-long", "Weekly windows are at most 24 hours long")
        valid_from, valid_until = body.valid_from or date.min, body.valid_until or date.max
        if valid_until < valid_from:
            problems.add(f"{pointer}/valid_until", "range-empty", "This must not be before valid_from")
        windows.append(WeeklyWindow(WEEKDAYS.index(body.weekday) + 1, starts, ends, valid_from, valid_until))
    return windows


def read_plan(bodies: Sequence[DayWindowBody], reason: str, day: date, problems: Problems) -> DatedWindows:
    """Return what a body says about a date, its windows sorted."""
    windows = [_read_window(body, f"/windows/{index}", problems) for index, body in enumerate(bodies)]
    return DatedWindows(day, tuple(sorted(windows)), reason)


def read_date(value: str, pointer: str, problems: Problems) -> date:
    """Return a clinic date written as 2026-12-08; where it is none, a problem and any date."""
    try:
        day = msgspec.convert(value, date)
    except msgspec.ValidationError:
        problems.add(pointer, "date-invalid", "Enter a date like 2026-12-08")
        return date(EARLIEST_YEAR, 1, 1)
    if not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        problems.add(pointer, "date-out-of-range", f"Use a year from {EARLIEST_YEAR} to {LATEST_YEAR}")
        return date(EARLIEST_YEAR, 1, 1)
    return day


def read_day(value: str, problems: Problems, *, clinic: Clinic, now: datetime) -> date:
    """Return the date in the path that is to be changed: today or later, and not years away."""
    before = len(problems)
    day, today = read_date(value, "day", problems), clinic.local(now).date()
    if len(problems) == before and day < today:
        problems.add("day", "date-in-the-past", "This date is past")
    elif day > today + FURTHEST:
        problems.add("day", "date-too-far", "This date is more than two years ahead")
    return day


def read_dates(
    from_: str | None, to: str | None, cursor: str | None, problems: Problems, *, today: date
) -> tuple[date, date]:
    """Return the first and the last date of a list: from today on, unless told otherwise, and after the cursor."""
    before = len(problems)
    first = read_date(from_, FROM, problems) if from_ is not None else today
    last = read_date(to, TO, problems) - timedelta(days=1) if to is not None else date.max
    if len(problems) == before and first > last:
        refuse_empty_range(problems)
    after = read_date(cursor, "?cursor", problems) if cursor is not None else None
    return (first if after is None else max(first, after + timedelta(days=1))), last


def _read_window(body: DayWindowBody, pointer: str, problems: Problems) -> Span:
    """Return the wall-clock minutes of a window, [start, end); some window where there is a problem."""
    starts = _read_clock(body.starts, f"{pointer}/from", problems)
    ends = _read_clock(body.ends, f"{pointer}/to", problems)
    if starts is None or ends is None:
        return 0, 1
    may_run_on = isinstance(body, WindowBody)
    ends += DAY if may_run_on and body.ends_next_day else 0
    if starts == DAY:
        problems.add(f"{pointer}/from", "time-invalid", 'Write "00:00" of the next day')
    elif ends <= starts:
        hint = "; for hours past midnight say ends_next_day" if may_run_on else ""
        problems.add(f"{pointer}/to", "range-empty", f"This must be after `from`{hint}")
    return starts, ends


def _read_clock(text: str, pointer: str, problems: Problems) -> int | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        problems.add(pointer, "time-invalid", 'Enter a time from "00:00" to "24:00"')
        return None
    hours, minutes = (int(part) for part in match.groups() if part)
    return hours * 60 + minutes


def _clock_times(span: Span) -> tuple[str, str, bool]:
    starts, ends = span
    next_day = ends > DAY
    ends -= DAY if next_day else 0
    return f"{starts // 60:02}:{starts % 60:02}", f"{ends // 60:02}:{ends % 60:02}", next_day
