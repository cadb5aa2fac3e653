"""Booking, the first two of its three steps: what, and when and with whom. Plain forms, no script."""

from datetime import datetime
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.visits import Visit
from scheduler.errors import NotFound, PlacementRefused, TooSoon
from scheduler.services.holds import is_for, page_token, place_hold
from scheduler.store.connections import Pool
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.limits import client_subject, limit_changes, limit_reads
from scheduler.web.pages.own_holds import OwnHold, find_held, hold_cookie, let_go
from scheduler.web.pages.patients import Typed, read_typed
from scheduler.web.pages.render import PageRequest, Visitor, read_form, see_other
from scheduler.web.pages.times import read_slot, read_wish, times_url
from scheduler.web.pages.views import (
    details_page,
    hold_url,
    refused_page,
    times_page,
    types_page,
)

FromVisitor = NamedDependency[Visitor]
FromPool = NamedDependency[Pool]


@get("/book", guards=[limit_reads])
async def choose_type(visitor: FromVisitor, pool: FromPool, now: FromNow) -> Response[str]:
    """Step 1: what for. The one page that a search engine may show."""
    return await types_page(visitor, pool, now=now, headers={"X-Robots-Tag": "all"})


@post("/book", status_code=200, guards=[limit_changes])
async def choose_another_type(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow
) -> Response[Any]:
    """Step 1 again, from a later one: what was typed comes along."""
    typed = read_typed(await read_form(request))
    return await types_page(visitor, pool, now=now, typed=typed) if typed.anything else see_other("/book")


@get("/book/t/{code:str}", guards=[limit_reads])
async def choose_time(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow, code: FromPath[str]
) -> Response[str]:
    """Step 2: with whom and when."""
    visit_type = _online_type(visitor.clinic, code)
    wish = read_wish(dict(visitor.query), visitor.clinic, visit_type)
    return await times_page(request, visitor, pool, visit_type, wish, now=now)


@post("/book/t/{code:str}", status_code=200, guards=[limit_changes])
async def choose_another_time(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow, code: FromPath[str]
) -> Response[Any]:
    """Step 2 again, from step 3: the time held until now is let go, what was typed comes along."""
    visit_type = _online_type(visitor.clinic, code)
    wish = read_wish(dict(visitor.query), visitor.clinic, visit_type)
    typed = read_typed(await read_form(request))
    await let_go(request, pool, visitor)
    if not typed.anything:
        return see_other(times_url(visit_type, wish))
    return await times_page(request, visitor, pool, visit_type, wish, now=now, typed=typed)


@post("/book/holds", status_code=200, guards=[limit_changes])
async def hold_time(request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow) -> Response[Any]:
    """Keep the chosen time and go on to step 3, or show step 2 again with what is open nearby."""
    form = await read_form(request)
    clinic, typed = visitor.clinic, read_typed(form)
    visit_type = _online_type(clinic, form.get("type", ""))
    who = read_wish(form, clinic, visit_type).who
    starts_at = read_slot(form.get("start", ""), now)
    kept = await find_held(request, pool, visitor, lambda visit: is_for(visit, visit_type, starts_at, who))
    if kept is not None:
        # Their own hold must not stand in the way of whoever chooses the same time again.
        return _go_on(visitor, kept[1].visit, kept[0], kept[1].expires_at, typed)
    await let_go(request, pool, visitor)
    secret_key, key = request.app.state.settings.secret_key, form.get("page")
    try:
        if starts_at <= now:
            raise TooSoon
        async with unit_of_work(pool) as connection:
            hold = await place_hold(
                connection, clinic, visit_type, starts_at, therapist=who, secret_key=secret_key,
                # A second tap on a button comes before the answer to the first, and with it the cookie.
                token=page_token(secret_key, key) if key else None,
                client=client_subject(request), actor=visitor.actor, now=now,
            )  # fmt: skip
    except PlacementRefused as refused:
        return await refused_page(
            visitor, pool, visit_type, starts_at, refused, who=who, lost_with=who, now=now, typed=typed
        )
    return _go_on(visitor, hold.visit, OwnHold(id=hold.visit.id, token=hold.token), hold.expires_at, typed)


def _go_on(visitor: Visitor, visit: Visit, own: OwnHold, until: datetime | None, typed: Typed) -> Response[Any]:
    """Send the browser on to the third step, or show it at once where something typed comes along."""
    cookie = hold_cookie(visitor, own)
    if not typed.anything:
        return see_other(hold_url(own), [cookie])
    return details_page(visitor, visit, own, until, typed=typed, cookies=[cookie])


def _online_type(clinic: Clinic, code: str) -> VisitType:
    visit_type = clinic.visit_types.get(code)
    if visit_type is None or not visit_type.online:
        raise NotFound
    return visit_type


BOOKING = [choose_type, choose_another_type, choose_time, choose_another_time, hold_time]
