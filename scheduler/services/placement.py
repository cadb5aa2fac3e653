"""The heart of every booking: hold the days still, check every rule, and write, or refuse with alternatives.

This is the transaction of DESIGN section 11 from its second step on. What comes before (the idempotency key) and
after (the commit) belongs to the caller, whose transaction this runs in.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.availability import Placement, calendar_bounds, check_booking_rules, overbook, place
from scheduler.domain.clinics import Clinic, Place, Therapist, VisitType
from scheduler.domain.times import Span, day_end, day_start, epoch_minute, instant_at
from scheduler.domain.visits import Visit
from scheduler.errors import PlacementRefused, SlotTaken
from scheduler.ids import new_id
from scheduler.services.availability import Slot, alternatives
from scheduler.store.availability import CalendarRows, calendar_of, fetch_calendar
from scheduler.store.connections import Connection
from scheduler.store.holds import expire_holds
from scheduler.store.locks import lock_days, release_days, try_lock_days
from scheduler.store.visits import Occupied, ResourceTaken

Written = TypeVar("Written")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants: a visit type at a start, perhaps with a certain therapist, room or patient.

    ``starts_at`` is in UTC, whatever zone it was said in. ``visit`` is the one that is to move or be booked, whose
    present place does not stand in its way; nor does what was squeezed into that place while it was its own, which it
    was until ``kept_until`` (None where it wants another). ``in_hours`` is whether it must be working time.
    ``bound_at`` is the moment whose notice and horizon bind the wish, None for staff, whom they do not bind.
    ``by_stranger`` is whether whoever asks has only said who the patient is.
    """

    visit_type: VisitType
    starts_at: datetime
    therapist: Therapist | None = None
    room: Place | None = None
    patient_id: UUID | None = None
    visit: Visit | None = None
    bound_at: datetime | None = None
    by_stranger: bool = False
    overbook: bool = False
    kept_until: datetime | None = None
    in_hours: bool = True

    def __post_init__(self) -> None:
        # In the clinic's zone a length would be added by the clock on the wall, which on two nights of the year is an
        # hour more or less than the visit takes.
        msgspec.structs.force_setattr(self, "starts_at", self.starts_at.astimezone(UTC))

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + self.visit_type.duration


async def placed(
    connection: Connection,
    clinic: Clinic,
    wish: Wish,
    *,
    now: datetime,
    write: Callable[[Placement], Awaitable[Written]],
) -> Written:
    """Find the wish a place and ``write`` it there, with the clinic's days locked until the transaction ends.

    Raises a PlacementRefused that carries alternatives; the locks are given back before those are looked for, so
    that losers of a race do not make each other wait.
    """
    try:
        return await _attempt(connection, clinic, wish, write)
    except asyncpg.DeadlockDetectedError:
        # The order of locks rules this out among our own transactions; somebody else's may still collide, once.
        await release_days(connection)
        await asyncio.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - jitter, not a secret
        refusal: PlacementRefused
        try:
            return await _attempt(connection, clinic, wish, write)
        except PlacementRefused as refused:
            refusal = refused
    except PlacementRefused as refused:
        refusal = refused
    await release_days(connection)
    refusal.members["alternatives"] = await _alternatives(connection, clinic, wish, refusal, now)
    if wish.bound_at is not None and refusal.members.get("conflict") == "patient":
        # A stranger must not learn from a form where somebody is at what time.
        refusal.members["conflict"] = "therapist"
    raise refusal


async def _alternatives(
    connection: Connection, clinic: Clinic, wish: Wish, refusal: PlacementRefused, now: datetime
) -> list[Slot]:
    """Return what whoever was refused could have instead, if they asked for it in the same way.

    A stranger is not told where the patient is by what is left out; of their other visits only the one that they have
    met counts, and that for the time asked for.
    """
    start = epoch_minute(wish.starts_at)
    met = wish.by_stranger and refusal.members.get("conflict") == "patient"
    is_move = wish.visit is not None and wish.visit.patient_id is not None
    return await alternatives(
        connection,
        clinic,
        wish.visit_type,
        start,
        now=now,
        therapist=wish.therapist,
        # The room of a hold was assigned; nobody asked for it.
        room=wish.room if wish.visit is None else None,
        patient_id=None if wish.by_stranger else wish.patient_id,
        elsewhere=[(start, start + wish.visit_type.duration_minutes)] if met else (),
        moving=wish.visit if is_move else None,
        staff=wish.bound_at is None,
    )


async def _attempt(
    connection: Connection, clinic: Clinic, wish: Wish, write: Callable[[Placement], Awaitable[Written]]
) -> Written:
    visit_type = wish.visit_type
    start = epoch_minute(wish.starts_at)
    span_start, span_end = calendar_bounds(visit_type, start, start + visit_type.duration_minutes)
    first_day = instant_at(span_start, clinic.zone).date()
    last_day = instant_at(span_end, clinic.zone).date()
    day = clinic.local(wish.starts_at).date()
    days = {first_day, day, last_day}
    # The whole local day is read, because the least loaded therapist is found by it.
    bounds = (min(span_start, day_start(day, clinic.zone)), max(span_end, day_end(day, clinic.zone)))
    if not await try_lock_days(connection, clinic.id, days):
        # Somebody is booking here at this moment. Whoever can see already that the place is gone does not queue.
        _choose(await _read(connection, clinic, wish, bounds), clinic, wish)
        await lock_days(connection, clinic.id, days)
    read = await _read(connection, clinic, wish, bounds)
    placement = _choose(read, clinic, wish)
    if read.has_lapsed_holds:
        await expire_holds(
            connection, clinic_id=clinic.id, starts=instant_at(span_start, UTC), ends=instant_at(span_end, UTC)
        )
    try:
        return await write(placement)
    except (ResourceTaken, asyncpg.ExclusionViolationError) as taken:
        raise SlotTaken from taken


async def _read(connection: Connection, clinic: Clinic, wish: Wish, bounds: Span) -> CalendarRows:
    return await fetch_calendar(
        connection,
        clinic,
        wish.visit_type,
        bounds,
        therapist_id=wish.therapist.id if wish.therapist else None,
        patient_id=wish.patient_id,
        without_visit=wish.visit.id if wish.visit else None,
        without_squeezed_until=wish.kept_until,
    )


def _choose(read: CalendarRows, clinic: Clinic, wish: Wish) -> Placement:
    """Check every rule on the calendar as it is, and return where the visit fits. Raises PlacementRefused."""
    visit_type, start = wish.visit_type, epoch_minute(wish.starts_at)
    calendar = calendar_of(read)
    room = wish.room.id if wish.room else None
    if wish.overbook and wish.therapist is not None:
        return overbook(calendar, visit_type, start, therapist=wish.therapist, room=room)
    if wish.bound_at is not None:
        check_booking_rules(visit_type, clinic, start, wish.bound_at)
    return place(calendar, clinic, visit_type, start, therapist=wish.therapist, room=room, in_hours=wish.in_hours)


def draft(
    wish: Wish,
    placement: Placement,
    *,
    status: Literal["held", "booked"],
    actor: Actor,
    now: datetime,
    overbook_reason: str | None = None,
) -> Visit:
    """Return the new visit that a wish becomes once it is placed; it is not written yet."""
    return Visit(
        id=new_id(),
        status=status,
        version=1,
        visit_type=wish.visit_type.code,
        therapist_id=placement.therapist,
        room_id=placement.room,
        equipment_ids=placement.equipment,
        patient_id=wish.patient_id,
        starts_at=wish.starts_at,
        ends_at=wish.ends_at,
        created_by=actor.name,
        created_at=now,
        booked_at=now if status == "booked" else None,
        cancel_reason=None,
        overbook_reason=overbook_reason,
        previous_status=None,
        status_changed_at=now,
    )


def occupied_by(wish: Wish, placement: Placement) -> list[Occupied]:
    """Return what a visit placed so keeps busy: its places with buffers, the patient for the visit's own time."""
    starts = wish.starts_at - wish.visit_type.buffer_before
    ends = wish.ends_at + wish.visit_type.buffer_after
    resources = [placement.therapist, *([placement.room] if placement.room else []), *placement.equipment]
    occupied = [Occupied(resource, starts, ends) for resource in resources]
    if wish.patient_id is not None:
        occupied.append(Occupied(wish.patient_id, wish.starts_at, wish.ends_at))
    return occupied
