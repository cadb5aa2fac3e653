"""Being called back instead of booking: a name and a number, for those who do not know what they need."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from scheduler.services.call_requests import ask_for_call
from scheduler.store.connections import Pool
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.limits import limit_bookings, limit_changes
from scheduler.web.pages.patients import TRAP, Typed, read_details, read_typed
from scheduler.web.pages.render import PageRequest, Visitor, page, read_form, see_other
from scheduler.web.pages.views import UNPROCESSABLE, trapped_page

FromVisitor = NamedDependency[Visitor]


@get("/book/call")
async def offer_call(visitor: FromVisitor) -> Response[str]:
    """Whom to call, and where; or that somebody has just asked."""
    return _call_page(visitor, Typed(), asked="asked" in dict(visitor.query))


@post("/book/call", status_code=200, guards=[limit_changes])
async def ask(request: PageRequest, visitor: FromVisitor, pool: NamedDependency[Pool], now: FromNow) -> Response[Any]:
    """Tell the desk, or say what is wrong with what was typed."""
    form = await read_form(request)
    typed = read_typed(form)
    if "lang" in dict(visitor.query):
        return _call_page(visitor, typed)
    if form.get(TRAP):
        return trapped_page(visitor)
    details, errors = read_details(typed, visitor, now)
    if errors:
        return _call_page(visitor, typed, errors)
    await limit_bookings(request, visitor.clinic, details.phone)
    async with unit_of_work(pool) as connection:
        await ask_for_call(connection, visitor.clinic, details, actor=visitor.actor, now=now)
    return see_other("/book/call?asked=yes")


def _call_page(
    visitor: Visitor, typed: Typed, errors: dict[str, str] | None = None, *, asked: bool = False
) -> Response[str]:
    """Return the form, or what is said to somebody who has sent it."""
    return page(
        visitor,
        "call.html",
        status=UNPROCESSABLE if errors else 200,
        here="/book/call?asked=yes" if asked else "/book/call",
        typed=typed,
        errors=errors or {},
        asked=asked,
    )


CALL_BACK = [offer_call, ask]
