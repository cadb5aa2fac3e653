"""The pages of the second and third step, which are shown in more than one situation each."""

from collections.abc import Sequence
from datetime import datetime

from litestar import Response
from litestar.datastructures import Cookie

from scheduler.domain.clinics import Therapist, VisitType
from scheduler.domain.visits import Visit
from scheduler.errors import HoldExpired, HoldNotFound, PlacementRefused, SlotTaken, TooSoon
from scheduler.services.availability import Slot
from scheduler.services.holds import find_hold
from scheduler.store.connections import Connection, Pool
from scheduler.store.units import reading
from scheduler.web.pages import dates
from scheduler.web.pages.own_holds import OwnHold, own_holds
from scheduler.web.pages.patients import Typed
from scheduler.web.pages.render import PageRequest, Visitor, page
from scheduler.web.pages.times import Wish, find_times, times_url

CONFLICT, UNPROCESSABLE = 409, 422


def hold_url(visit: Visit | OwnHold) -> str:
    return f"/book/h/{visit.id}"


def is_booked(visit: Visit) -> bool:
    """Whether what began as a hold has become a visit, whatever became of that."""
    return visit.status not in ("held", "expired")


def type_and_therapist(visitor: Visitor, visit: Visit) -> tuple[VisitType, Therapist]:
    """Return what a visit is and who treats. Raises HoldNotFound where either has left the clinic."""
    visit_type = visitor.clinic.visit_types.get(visit.visit_type)
    therapist = visitor.clinic.therapists_by_id.get(visit.therapist_id)
    if visit_type is None or therapist is None:
        raise HoldNotFound
    return visit_type, therapist


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
        holding = await _holding(request, visitor, connection, visit_type)
    return page(
        visitor,
        "times.html",
        here=times_url(visit_type, wish),
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
    nearest: Sequence[Slot] = refused.members.get("alternatives", ())
    days = [slot.starts_at.date() for slot in nearest]
    wish = Wish(who=who, day=lost.date() if lost.date() in days else next(iter(days), None))
    taken = lost if isinstance(refused, SlotTaken | HoldExpired) else None
    async with reading(pool) as connection:
        times = await find_times(connection, visitor.clinic, visit_type, wish, now=now, taken=taken)
    return page(
        visitor,
        "times.html",
        status=CONFLICT,
        here=times_url(visit_type, wish),
        visit_type=visit_type,
        times=times,
        typed=typed,
        refusal=_refusal(visitor, lost, lost_with, refused),
        holding=None,
    )


def details_page(
    visitor: Visitor,
    visit: Visit,
    own: OwnHold,
    *,
    expired: bool = False,
    typed: Typed | None = None,
    errors: dict[str, str] | None = None,
    cookies: Sequence[Cookie] = (),
) -> Response[str]:
    """Return the third step, with what was typed and what is wrong with it."""
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
        until=None if expired else dates.said_clock(visitor.clinic.local(own.expires_at), visitor.language),
        typed=typed or Typed(),
        errors=errors or {},
    )


def _refusal(
    visitor: Visitor, lost: datetime, lost_with: Therapist | None, refused: PlacementRefused
) -> tuple[str, str]:
    """Return what to say about a refusal: first the fact, then what follows from it."""
    if isinstance(refused, TooSoon):
        return visitor.say("toosoon"), ""
    if not isinstance(refused, SlotTaken | HoldExpired):
        return visitor.say("refused"), visitor.say("taken.then")
    key = "taken.with" if lost_with else "taken"
    name = lost_with.display_name if lost_with else ""
    time = dates.said_clock(lost, visitor.language)
    return visitor.say(key, time=time, name=name), visitor.say("taken.then")


async def _holding(
    request: PageRequest, visitor: Visitor, connection: Connection, visit_type: VisitType
) -> tuple[str, str] | None:
    """Return when and where the browser holds a time of this type already: whoever goes back can go on with it."""
    for own in own_holds(request):
        try:
            held = await find_hold(connection, visitor.clinic, own.id, own.token)
        except HoldNotFound:
            continue
        if held.visit.status == "held" and not held.expired and held.visit.visit_type == visit_type.code:
            return dates.when(visitor.clinic.local(held.visit.starts_at), visitor.language), hold_url(own)
    return None
