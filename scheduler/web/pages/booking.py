"""Booking in three steps and a farewell: what, when and with whom, who. Plain forms, no script."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.visits import Visit
from scheduler.errors import HoldExpired, NotFound, PlacementRefused, TooSoon, WrongStatus
from scheduler.services.bookings import Booking, book_hold
from scheduler.services.holds import extend_hold, find_hold, is_for, page_token, place_hold
from scheduler.services.links import find_manage_urls
from scheduler.services.messages import list_messages
from scheduler.services.patients import texts_are_off
from scheduler.services.visits import patient_of
from scheduler.store.connections import Pool
from scheduler.store.holds import HeldVisit
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.limits import client_subject, limit_bookings, limit_changes, limit_reads
from scheduler.web.pages.own_holds import OwnHold, find_held, hold_cookie, let_go, own_hold
from scheduler.web.pages.patients import TRAP, Typed, read_details, read_typed
from scheduler.web.pages.render import PageRequest, Visitor, page, read_form, see_other
from scheduler.web.pages.times import read_slot, read_wish, times_url
from scheduler.web.pages.views import (
    FORBIDDEN,
    details_page,
    hold_url,
    is_booked,
    refused_page,
    times_page,
    type_and_therapist,
    types_page,
    visit_file,
)

FromVisitor = NamedDependency[Visitor]
FromPool = NamedDependency[Pool]

# How consent given here is told from consent given elsewhere, in the record of it.
CONSENT_METHOD = "booking page"

# A visit has a dozen messages at most, however often it moves.
_MOST_MESSAGES = 100


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


@get("/book/h/{hold_id:uuid}")
async def enter_details(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, hold_id: FromPath[UUID]
) -> Response[Any]:
    """Step 3: who."""
    own, held = await _own(request, visitor, pool, hold_id)
    if is_booked(held.visit):
        return see_other(f"{hold_url(own)}/done")
    return details_page(visitor, held.visit, own, _until(held))


@post("/book/h/{hold_id:uuid}", status_code=200, guards=[limit_changes])
async def book_visit(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow, hold_id: FromPath[UUID]
) -> Response[Any]:
    """Book what is held, or say what is wrong with what was typed, or that the time is gone."""
    own, held = await _own(request, visitor, pool, hold_id)
    form = await read_form(request)
    own.check(form.get("token"))
    if is_booked(held.visit):
        return see_other(f"{hold_url(own)}/done")
    visit, typed = held.visit, read_typed(form)
    if "lang" in dict(visitor.query):
        return details_page(visitor, visit, own, _until(held), typed=typed)
    if form.get(TRAP):
        # Nobody sees this field, so nobody fills it in but a program.
        return page(visitor, "error.html", status=FORBIDDEN, here="/book", words="by-phone")
    details, errors = read_details(typed, visitor, now)
    if errors:
        return details_page(visitor, visit, own, _until(held), typed=typed, errors=errors)
    await limit_bookings(request, visitor.clinic, details.phone)
    booking = Booking(
        details=details,
        # An empty box says nothing: it takes back no consent that was given before.
        sms_consent=True if typed.texts else None,
        wording_version=visitor.clinic.settings.consent_wording_version,
        consent_method=CONSENT_METHOD,
    )
    if _until(held) is None:
        # The same browser may have taken the same time once more, in another window.
        await let_go(request, pool, visitor)
    try:
        async with unit_of_work(pool) as connection:
            await book_hold(
                connection, visitor.clinic, booking, hold_id, own.token,
                secret_key=request.app.state.settings.secret_key, actor=visitor.actor, now=now,
            )  # fmt: skip
    except PlacementRefused as refused:
        visit_type, therapist = type_and_therapist(visitor, visit)
        return await refused_page(
            visitor, pool, visit_type, visit.starts_at, refused, lost_with=therapist, now=now, typed=typed
        )
    return see_other(f"{hold_url(own)}/done")


@post("/book/h/{hold_id:uuid}/extend", status_code=200, guards=[limit_changes])
async def hold_longer(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, hold_id: FromPath[UUID]
) -> Response[Any]:
    """Keep the time for longer and show step 3 again, with what was typed."""
    own, held = await _own(request, visitor, pool, hold_id)
    form = await read_form(request)
    own.check(form.get("token"))
    until, typed = _until(held), read_typed(form)
    try:
        async with unit_of_work(pool) as connection:
            _, until = await extend_hold(connection, visitor.clinic, hold_id, own.token, actor=visitor.actor)
    except (HoldExpired, WrongStatus):
        # Held for as long as it could be; the page says until when, and booking it is still open.
        pass
    cookie = hold_cookie(visitor, own)
    if not typed.anything or is_booked(held.visit):
        return see_other(hold_url(own), [cookie])
    return details_page(visitor, held.visit, own, until, typed=typed, cookies=[cookie])


@get("/book/h/{hold_id:uuid}/done")
async def show_booked(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow, hold_id: FromPath[UUID]
) -> Response[Any]:
    """The visit that was booked, and what happens next."""
    own, held = await _own(request, visitor, pool, hold_id)
    if not is_booked(held.visit):
        return see_other(hold_url(own))
    clinic, visit = visitor.clinic, held.visit
    visit_type, therapist = type_and_therapist(visitor, visit)
    async with reading(pool) as connection:
        patient = await patient_of(connection, clinic, visit)
        stopped = await texts_are_off(connection, clinic, patient)
        messages, _ = await list_messages(connection, clinic, visit_id=visit.id, limit=_MOST_MESSAGES)
        settings = request.app.state.settings
        links = await find_manage_urls(
            connection, clinic, [visit.id], secret_key=settings.secret_key, base_url=settings.public_base_url
        )
    standing = [message for message in messages if message.state not in ("cancelled", "suppressed")]
    reminders: dict[date, set[str]] = {}
    for message in sorted(standing, key=lambda message: message.not_before):
        if message.kind == "reminder" and message.not_before > now:
            reminders.setdefault(clinic.local(message.not_before).date(), set()).add(message.channel)
    return page(
        visitor,
        "done.html",
        visit=visit,
        visit_type=visit_type,
        therapist=therapist,
        starts_at=clinic.local(visit.starts_at),
        told={message.channel for message in standing if message.kind != "reminder"},
        ending=patient.phone[-2:],
        stopped=stopped,
        reminders=reminders,
        url=hold_url(own),
        link=links.get(visit.id),
    )


@get("/book/h/{hold_id:uuid}/visit.ics")
async def download_calendar(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow, hold_id: FromPath[UUID]
) -> Response[bytes]:
    """The visit as a calendar file, which says nothing about what it is for."""
    _, held = await _own(request, visitor, pool, hold_id)
    visit = held.visit
    if not is_booked(visit) or visit.status == "cancelled":
        raise NotFound
    return visit_file(request, visitor, visit, now=now)


async def _own(request: PageRequest, visitor: Visitor, pool: Pool, hold_id: UUID) -> tuple[OwnHold, HeldVisit]:
    """Return a hold of this browser and what it is now. Raises HoldNotFound."""
    own = own_hold(request, hold_id)
    async with reading(pool) as connection:
        return own, await find_hold(connection, visitor.clinic, hold_id, own.token)


def _go_on(visitor: Visitor, visit: Visit, own: OwnHold, until: datetime | None, typed: Typed) -> Response[Any]:
    """Send the browser on to the third step, or show it at once where something typed comes along."""
    cookie = hold_cookie(visitor, own)
    if not typed.anything:
        return see_other(hold_url(own), [cookie])
    return details_page(visitor, visit, own, until, typed=typed, cookies=[cookie])


def _until(held: HeldVisit) -> datetime | None:
    """Return when a hold runs out, None where it has."""
    return None if held.expired else held.expires_at


def _online_type(clinic: Clinic, code: str) -> VisitType:
    visit_type = clinic.visit_types.get(code)
    if visit_type is None or not visit_type.online:
        raise NotFound
    return visit_type


BOOKING = [
    choose_type,
    choose_another_type,
    choose_time,
    choose_another_time,
    hold_time,
    enter_details,
    book_visit,
    hold_longer,
    show_booked,
    download_calendar,
]
