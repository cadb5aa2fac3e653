"""Booking, the farewell: the visit that was booked, and what happens next."""

from datetime import date
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from scheduler.errors import NotFound
from scheduler.services.links import find_manage_urls
from scheduler.services.messages import list_messages
from scheduler.services.patients import texts_are_off
from scheduler.services.visits import patient_of
from scheduler.store.connections import Pool
from scheduler.store.units import reading
from scheduler.web.callers import FromNow
from scheduler.web.pages.own_holds import find_own
from scheduler.web.pages.render import PageRequest, Visitor, page, see_other
from scheduler.web.pages.views import hold_url, is_booked, type_and_therapist, visit_file

FromVisitor = NamedDependency[Visitor]
FromPool = NamedDependency[Pool]

# A visit has a dozen messages at most, however often it moves.
_MOST_MESSAGES = 100


@get("/book/h/{hold_id:uuid}/done")
async def show_booked(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, now: FromNow, hold_id: FromPath[UUID]
) -> Response[Any]:
    """The visit that was booked, and what happens next."""
    own, held = await find_own(request, visitor, pool, hold_id)
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
    _, held = await find_own(request, visitor, pool, hold_id)
    visit = held.visit
    if not is_booked(visit) or visit.status == "cancelled":
        raise NotFound
    return visit_file(request, visitor, visit, now=now)


BOOKED = [show_booked, download_calendar]
