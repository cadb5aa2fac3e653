"""Where the staff begin: the day of today."""

from datetime import date
from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from scheduler.web.callers import FromNow
from scheduler.web.pages.render import see_other
from scheduler.web.staff.render import staff_page, today
from scheduler.web.staff.session import FromStaff


@get("/")
async def go_home(staff: FromStaff, now: FromNow) -> Response[Any]:
    """Lead to the clinic's today."""
    return see_other(f"/staff/day/{today(staff.clinic, now)}")


@get("/day/{day:date}")
async def show_day(staff: FromStaff, day: FromPath[date]) -> Response[str]:
    """Show a day."""
    return staff_page(staff, "staff/day.html", title="Day", section="day", date=day)
