"""The pages of the second and third step, which are shown in more than one situation each."""

import secrets
from collections.abc import Sequence
from datetime import date, datetime

from litestar import Response
from litestar.datastructures import Cookie

from scheduler.channels.addresses import read_mailbox
from scheduler.channels.calendar import calendar_file, visit_event
from scheduler.domain.clinics import Therapist, VisitType
from scheduler.domain.times import epoch_minute, instant_at
from scheduler.domain.visits import Visit
from scheduler.errors import HoldExpired, HoldNotFound, PlacementRefused, SlotTaken, TooSoon
from scheduler.services.availability import Slot, next_opening
from scheduler.store.connections import Pool
from scheduler.store.holds import HeldVisit
from scheduler.store.units import reading
from scheduler.web.pages import dates
from scheduler.web.pages.own_holds import OwnHold, find_held
from scheduler.web.pages.patients import Typed
from scheduler.web.pages.render import PageRequest, Visitor, page
from scheduler.web.pages.times import Wish, find_times, times_url

FORBIDDEN, CONFLICT, UNPROCESSABLE = 403, 409, 422

# What tells one showing of the second step from any other: 128 bits that nobody can guess.
_KEY_BYTES = 16


def hold_url(visit: Visit | OwnHold) -> str:
    return f"/book/h/{visit.id}"


def is_booked(visit: Visit) -> bool:
    """Whether what began as a hold has become a visit, whatever became of that."""
    return visit.status not in ("held", "expired")


def kept_until(held: HeldVisit) -> datetime | None:
    """Return when a hold runs out, None where it has."""
    return None if held.expired else held.expires_at


def type_and_therapist(visitor: Visitor, visit: Visit) -> tuple[VisitType, Therapist]:
    """Return what a visit is and who treats. Raises HoldNotFound where either has left the clinic."""
    visit_type = visitor.clinic.visit_types.get(visit.visit_type)
    therapist = visitor.clinic.therapists_by_id.get(visit.therapist_id)
    if visit_type is None or therapist is None:
        raise HoldNotFound
    return visit_type, therapist


async def types_page(
    visitor: Visitor, pool: Pool, *, now: datetime, typed: Typed | None = None, headers: dict[str, str] | None = None
) -> Response[str]:
    """Return the first step, with the next opening of each kind of visit."""
    clinic = visitor.clinic
    openings: list[tuple[VisitType, datetime | None]] = []
    async with reading(pool) as connection:
        for visit_type in clinic.visit_types.values():
            if visit_type.online:
                start = await next_opening(connection, clinic, visit_type, after=epoch_minute(now), now=now)
                openings.append((visit_type, instant_at(start, clinic.zone) if start else None))
    return page(visitor, "types.html", here="/book", headers=headers, openings=openings, typed=typed or Typed())


async def times_page(
    request: PageRequest,
    visitor: Visitor,
    pool: Pool,
    visit_type: VisitType,
    wish: Wish,
    *,
    now: datetime,
    typed: Typed | None = None,
) -> Response[str]:
    """Return the second step. With something ``typed`` every choice posts it on, so that it is not lost."""
    async with reading(pool) as connection:
        times = await find_times(connection, visitor.clinic, visit_type, wish, now=now)
    found = await find_held(request, pool, visitor, lambda visit: visit.visit_type == visit_type.code)
    holding = None
    if found is not None:
        own, held = found
        holding = dates.when(visitor.clinic.local(held.visit.starts_at), visitor.language), hold_url(own)
    return page(
        visitor,
        "times.html",
        here=times_url(visit_type, wish),
        page_key=secrets.token_urlsafe(_KEY_BYTES),
        visit_type=visit_type,
        times=times,
        typed=typed or Typed(),
        refusal=None,
        holding=holding,
    )


async def refused_page(
    visitor: Visitor,
    pool: Pool,
    visit_type: VisitType,
    starts_at: datetime,
    refused: PlacementRefused,
    *,
    who: Therapist | None = None,
    lost_with: Therapist | None,
    now: datetime,
    typed: Typed,
) -> Response[str]:
    """Return the second step with what is open near a start that could not be had, and a word on why.

    ``who`` is the choice that stays, ``lost_with`` the therapist with whom the start was lost; None is anybody.
    """
    lost = visitor.clinic.local(starts_at)
    wish = Wish(who=who, day=nearest_day(lost, refused))
    taken = lost if isinstance(refused, SlotTaken | HoldExpired) else None
    async with reading(pool) as connection:
        times = await find_times(connection, visitor.clinic, visit_type, wish, now=now, taken=taken)
    return page(
        visitor,
        "times.html",
        status=CONFLICT,
        here=times_url(visit_type, wish),
        page_key=secrets.token_urlsafe(_KEY_BYTES),
        visit_type=visit_type,
        times=times,
        typed=typed,
        refusal=refusal_words(visitor, lost, lost_with, refused, then="taken.then"),
        holding=None,
    )


def trapped_page(visitor: Visitor) -> Response[str]:
    """Return what a program sees that filled in a field which nobody sees; a person would know whom to call."""
    return page(visitor, "error.html", status=FORBIDDEN, here="/book", words="by-phone", texting="")


def visit_file(request: PageRequest, visitor: Visitor, visit: Visit, *, now: datetime) -> Response[bytes]:
    """Return a visit as a calendar file, which says nothing about what it is for."""
    # The same event as the one that the mails about this visit speak of, so that they change it and add no other.
    event = visit_event(
        visitor.clinic, "PUBLISH", visitor.language, visit_id=visit.id, version=visit.version,
        starts_at=visit.starts_at, ends_at=visit.ends_at,
    )  # fmt: skip
    sender = request.app.state.settings.email_from or visitor.clinic.settings.email_from
    content = calendar_file(event, organizer=read_mailbox(sender), now=now)
    # Not an attachment: telephones then offer to add it instead of filing it away.
    headers = {"Content-Disposition": 'inline; filename="visit.ics"'}
    return Response(content, media_type="text/calendar; method=PUBLISH", headers=headers)


def details_page(
    visitor: Visitor,
    visit: Visit,
    own: OwnHold,
    until: datetime | None,
    *,
    typed: Typed | None = None,
    errors: dict[str, str] | None = None,
    cookies: Sequence[Cookie] = (),
) -> Response[str]:
    """Return the third step, with what was typed and what is wrong with it.

    ``until`` is when the hold runs out, None where it has.
    """
    visit_type, therapist = type_and_therapist(visitor, visit)
    starts_at = visitor.clinic.local(visit.starts_at)
    return page(
        visitor,
        "details.html",
        status=UNPROCESSABLE if errors else 200,
        here=hold_url(visit),
        cookies=cookies,
        visit_type=visit_type,
        therapist=therapist,
        starts_at=starts_at,
        hold=own,
        url=hold_url(visit),
        back=times_url(visit_type, Wish(day=starts_at.date())),
        until=dates.said_clock(visitor.clinic.local(until), visitor.language) if until else None,
        typed=typed or Typed(),
        errors=errors or {},
    )


def nearest_day(lost: datetime, refused: PlacementRefused) -> date | None:
    """Return the day on which to look first after a refusal: the same one if anything is open then."""
    nearest: Sequence[Slot] = refused.members.get("alternatives", ())
    days = [slot.starts_at.date() for slot in nearest]
    return lost.date() if lost.date() in days else next(iter(days), None)


def refusal_words(
    visitor: Visitor, lost: datetime, lost_with: Therapist | None, refused: PlacementRefused, *, then: str
) -> tuple[str, str]:
    """Return what to say about a refusal: first the fact, then what follows from it, which has the key ``then``."""
    if isinstance(refused, TooSoon):
        return visitor.say("toosoon"), ""
    if not isinstance(refused, SlotTaken | HoldExpired):
        return visitor.say("refused"), visitor.say(then)
    key = "taken.with" if lost_with else "taken"
    name = lost_with.display_name if lost_with else ""
    time = dates.said_clock(lost, visitor.language)
    return visitor.say(key, time=time, name=name), visitor.say(then)
