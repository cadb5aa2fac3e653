"""Forms that block time of a therapist, and open it again. Visits in it are listed, never dropped."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.params import FromPath

from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.times import DAY, Span, day_end, day_start, epoch_minute
from scheduler.errors import InvalidRequest, NotFound
from scheduler.services.affected import AffectedVisit
from scheduler.services.time_off import add_time_off, remove_time_off
from scheduler.store.connections import Pool
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.reading import FURTHEST, Problems
from scheduler.web.staff.away_panels import block_panel
from scheduler.web.staff.board_page import FromPool, board_page, screen_of, view_of
from scheduler.web.staff.booking_panel import wall_start
from scheduler.web.staff.session import FromStaff, StaffMember, roles

_INVALID = 422

_LONGEST_REASON = 100
_LONGEST_DAYS = 366


@post("/time-off", status_code=200, guards=[roles("desk", "admin")])
async def add(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[Any]:
    """Block time, or only tell whom that would affect."""
    form = await read_form(request)
    view = view_of(form, staff, now)
    clinic, therapist = staff.clinic, staff.clinic.therapists.get(form.get("who", ""))
    tried = "try" in form
    try:
        span = _read_span(form, clinic, therapist, now)
    except InvalidRequest as problem:
        fields = {error["pointer"].lstrip("/"): error["detail"] for error in problem.members["errors"]}
        return await _again(staff, pool, form, now=now, problems=fields, status=_INVALID)
    assert therapist is not None  # noqa: S101 - or reading the span would have raised
    async with unit_of_work(pool) as connection:
        absence, affected = await add_time_off(
            connection, clinic, therapist, span, reason=form.get("reason", "").strip()[:_LONGEST_REASON],
            dry_run=tried, actor=staff.actor, now=now,
        )  # fmt: skip
    if tried:
        return await _again(staff, pool, form, now=now, affected=affected)
    return see_other(view.to(away=absence.id, who=therapist.code, did="away"))


@post("/time-off/{therapist:str}/{absence_id:uuid}/remove", status_code=200, guards=[roles("desk", "admin")])
async def remove(
    request: PageRequest,
    staff: FromStaff,
    pool: FromPool,
    now: FromNow,
    therapist: FromPath[str],
    absence_id: FromPath[UUID],
) -> Response[Any]:
    """Open the time again. Somebody may have been faster; then there is nothing left to do."""
    form = await read_form(request)
    view = view_of(form, staff, now)
    known = staff.clinic.therapists.get(therapist)
    if known is None:
        raise NotFound
    try:
        async with unit_of_work(pool) as connection:
            await remove_time_off(connection, staff.clinic, known, absence_id, actor=staff.actor, now=now)
    except NotFound:
        pass
    return see_other(view.to(did="unaway"))


async def _again(
    staff: StaffMember,
    pool: Pool,
    form: Mapping[str, str],
    *,
    now: datetime,
    problems: Mapping[str, str] | None = None,
    affected: Sequence[AffectedVisit] | None = None,
    status: int = 200,
) -> Response[str]:
    view = view_of(form, staff, now)
    view = msgspec.structs.replace(view, asked={"block": form.get("who", "") or "1"})
    panel = block_panel(screen_of(staff, view, now), form, problems=problems, affected=affected)
    return await board_page(staff, pool, view, now=now, panel=panel, status=status)


def _read_span(form: Mapping[str, str], clinic: Clinic, therapist: Therapist | None, now: datetime) -> Span:
    """Return the epoch minutes that are blocked; a day without times is a whole one. Raises InvalidRequest."""
    problems = Problems()
    if therapist is None:
        problems.add("/who", "missing", "Choose a therapist")
    starts = _read_moment(form, "from", clinic, problems)
    ends = _read_moment(form, "to", clinic, problems)
    if starts is not None and ends is not None:
        if ends <= starts:
            problems.add("/to_time", "range-empty", "The end must be after the beginning")
        elif ends - starts > _LONGEST_DAYS * DAY:
            problems.add("/to_day", "range-too-long", f"Block at most {_LONGEST_DAYS} days at once")
        elif ends <= epoch_minute(now):
            problems.add("/to_day", "time-in-the-past", "This time is past")
        elif ends > epoch_minute(now + FURTHEST):
            problems.add("/to_day", "time-too-far", "This is more than two years ahead")
    problems.settle()
    assert starts is not None and ends is not None  # noqa: S101, PT018 - or settling would have raised
    return starts, ends


def _read_moment(form: Mapping[str, str], end: str, clinic: Clinic, problems: Problems) -> int | None:
    try:
        day = date.fromisoformat(form.get(f"{end}_day", ""))
    except ValueError:
        day = None
    if day is None or abs((day - date.today()).days) > FURTHEST.days:  # noqa: DTZ011 - about, that is enough
        problems.add(f"/{end}_day", "date-invalid", "Enter a date, like 12/08/2026")
        return None
    text = form.get(f"{end}_time", "")
    if not text:
        return day_start(day, clinic.zone) if end == "from" else day_end(day, clinic.zone)
    try:
        time = datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - a time of day has no zone
    except ValueError:
        time = None
    start = wall_start(day, time.hour * 60 + time.minute, clinic) if time else None
    if start is None:
        problems.add(f"/{end}_time", "time-invalid", "Enter a time that exists, like 2:00 PM")
        return None
    return epoch_minute(start)


ABSENCE_PAGES = [add, remove]
