"""Where the staff begin: the day of today."""

from typing import Any

from litestar import Response, get

from scheduler.web.callers import FromNow
from scheduler.web.pages.render import see_other
from scheduler.web.staff.render import today
from scheduler.web.staff.session import FromStaff


@get("/")
async def go_home(staff: FromStaff, now: FromNow) -> Response[Any]:
    """Lead to the clinic's today."""
    return see_other(f"/staff/day/{today(staff.clinic, now)}")
