"""The addresses of the board: a day of everybody, and a week of one therapist."""

from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from scheduler.errors import NotFound
from scheduler.web.callers import FromNow
from scheduler.web.pages.render import PageRequest, see_other
from scheduler.web.staff.board_page import FromPool, board_page
from scheduler.web.staff.render import today
from scheduler.web.staff.session import FromStaff
from scheduler.web.staff.views import day_view, read_day_of, read_view


@get("/day")
async def show_today(staff: FromStaff, now: FromNow) -> Response[Any]:
    """Lead to the clinic's today."""
    return see_other(f"/staff/day/{today(staff.clinic, now)}")


@get("/day/{day:str}")
async def show_day(staff: FromStaff, pool: FromPool, now: FromNow, day: FromPath[str]) -> Response[str]:
    """Show a day of the clinic."""
    read_day_of(day)
    return await board_page(staff, pool, read_view(staff.here), now=now)


@get("/week/{therapist:str}/{day:str}")
async def show_week(
    staff: FromStaff, pool: FromPool, now: FromNow, therapist: FromPath[str], day: FromPath[str]
) -> Response[str]:
    """Show the week of one therapist around a day."""
    read_day_of(day)
    if therapist not in staff.clinic.therapists:
        raise NotFound
    return await board_page(staff, pool, read_view(staff.here), now=now)


# Where forms are sent to: whoever asks again for what answered one is led to the board.
_ANSWERS = [
    "/patients/find",
    "/time-off",
    "/time-off/{therapist:str}/{absence_id:uuid}/remove",
    "/visits",
    *(f"/visits/{{visit_id:uuid}}/{step}" for step in ("{step:str}", "undo", "cancel", "move", "note")),
]


@get(_ANSWERS)
async def go_back(request: PageRequest, staff: FromStaff, now: FromNow) -> Response[Any]:
    """Show today, with the visit that a form was about."""
    visit_id = request.path_params.get("visit_id")
    return see_other(day_view(staff.clinic.local(now).date(), sel=visit_id).here)


DAY_PAGES = [show_today, show_day, show_week, go_back]
