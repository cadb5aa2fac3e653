"""The stream by which an open board hears that it should be read again. It carries a date and a clock, no patient."""

import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import cast

from litestar import get
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from scheduler.domain.boards import week_of
from scheduler.services.live import Heard, LiveBoards
from scheduler.store.connections import Pool
from scheduler.web.pages.render import PageRequest
from scheduler.web.staff import board_words as words
from scheduler.web.staff.board_page import FromPool
from scheduler.web.staff.session import FromStaff, StaffMember, still_lives
from scheduler.web.staff.views import read_day_of

# Whoever stops hearing comes back after so many milliseconds, and waits longer each time by itself.
_RETRY = 1_000

_HEADERS = {
    "Cache-Control": "no-store",
    # Some proxies keep what they pass on until there is enough of it; this asks them not to.
    "X-Accel-Buffering": "no",
}


@get("/live/{day:str}")
async def watch_board(
    request: PageRequest, staff: FromStaff, pool: FromPool, day: FromPath[str], week: FromQuery[str] = ""
) -> Stream:
    """Tell of changes of a day, or with ``week`` of the week around it, for as long as the session lives."""
    shown = read_day_of(day)
    first, last = (week_of(shown)[0], week_of(shown)[-1]) if week else (shown, shown)
    boards = cast("LiveBoards", request.app.state.boards)
    heard = boards.watch(staff.clinic.id, first, last)
    return Stream(_events(heard, staff, pool, day), media_type="text/event-stream", headers=_HEADERS)


async def _events(heard: AsyncGenerator[Heard], staff: StaffMember, pool: Pool, day: str) -> AsyncGenerator[str]:
    yield f"retry: {_RETRY}\n\n"
    try:
        async for what in heard:
            number = time.time_ns() // 1_000_000
            if what == "changed":
                yield f"event: board-changed\nid: {number}\ndata: {day}\n\n"
            elif await still_lives(pool, staff):
                clock = words.clock(staff.clinic.local(datetime.now(UTC)))
                yield f"event: board-beat\nid: {number}\ndata: {clock}\n\n"
            else:
                # The board asks for itself once more, and is led to the sign-in.
                yield f"event: board-changed\nid: {number}\ndata: {day}\n\n"
                return
    finally:
        await heard.aclose()


LIVE_PAGES = [watch_board]
