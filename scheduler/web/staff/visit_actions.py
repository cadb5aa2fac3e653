"""Everything that the desk does to a visit: one form each, with the version that was seen.

Whoever was slower is told who was faster and when; nothing is changed then, and what they typed is still there.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.params import FromPath

from scheduler.domain.visits import Action
from scheduler.errors import Forbidden, InvalidRequest, NotFound, PlacementRefused, VersionMismatch, WrongStatus
from scheduler.services import visits as services
from scheduler.services.notes import write_note
from scheduler.services.visit_cards import Change, last_change
from scheduler.store.booked_visits import BookedVisit
from scheduler.store.connections import Connection, Pool
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.staff import board_words as words
from scheduler.web.staff.board_page import FromPool, board_page, view_of
from scheduler.web.staff.booking_panel import refused
from scheduler.web.staff.new_visits import read_to
from scheduler.web.staff.panels import CANCEL_REASONS, FOR_ALL
from scheduler.web.staff.session import FromStaff, StaffMember, roles
from scheduler.web.staff.views import View, day_view

_CONFLICT, _INVALID = 409, 422

_LONGEST_VERSION = 9
_LONGEST_REASON = 200

# The steps that are one press of a button, by the word in their address.
_STEPS: dict[str, Action] = {"confirm": "confirm", "arrive": "arrive", "complete": "complete", "no_show": "no_show"}

# What the trace says where a step was done, so that a form that was sent twice is known again.
_TRACES = {"no_show": "visit.no_show", "arrive": "visit.arrived", "complete": "visit.completed",
           "confirm": "visit.confirmed", "cancel": "visit.cancelled", "undo": "visit.undone",
           "reschedule": "visit.rescheduled"}  # fmt: skip

# Why a visit cannot go back to where it was, where nobody else is there.
_NO_WAY_BACK = {
    "outside-hours": "The therapist does not work then any more.",
    "not-qualified": "The therapist does not do this visit any more.",
}

_Change = Callable[[Connection, int], Awaitable[BookedVisit]]


class _Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A form about a visit: who sent it, from which board, and what it says."""

    staff: StaffMember
    pool: Pool
    now: datetime
    visit_id: UUID
    form: Mapping[str, str]
    view: View

    @property
    def version(self) -> int:
        text = self.form.get("version", "")
        return int(text) if text.isdecimal() and text.isascii() and len(text) <= _LONGEST_VERSION else 0


async def _at(request: PageRequest, staff: StaffMember, pool: Pool, now: datetime, visit_id: UUID) -> _Desk:
    form = await read_form(request)
    return _Desk(staff=staff, pool=pool, now=now, visit_id=visit_id, form=form, view=view_of(form, staff, now))


@post("/visits/{visit_id:uuid}/{step:str}", status_code=200)
async def take_step(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, visit_id: FromPath[UUID], step: FromPath[str]
) -> Response[Any]:
    """Confirm, check in, mark as done or as a no-show."""
    action = _STEPS.get(step)
    if action is None:
        raise NotFound
    if action not in FOR_ALL and not staff.is_any("desk", "admin"):
        raise Forbidden("Your account may not do that.")
    desk = await _at(request, staff, pool, now, visit_id)

    async def change(connection: Connection, version: int) -> BookedVisit:
        return await services.change_status(
            connection, staff.clinic, visit_id, action, version=version, actor=staff.actor, now=now
        )

    return await _change(desk, action, change)


@post("/visits/{visit_id:uuid}/undo", status_code=200)
async def undo(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, visit_id: FromPath[UUID]
) -> Response[Any]:
    """Take the last step back."""
    desk = await _at(request, staff, pool, now, visit_id)

    async def change(connection: Connection, version: int) -> BookedVisit:
        return await services.undo(connection, staff.clinic, visit_id, version=version, actor=staff.actor, now=now)

    return await _change(desk, "undo", change)


@post("/visits/{visit_id:uuid}/cancel", status_code=200, guards=[roles("desk", "admin")])
async def cancel(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, visit_id: FromPath[UUID]
) -> Response[Any]:
    """Cancel, with a reason from the list and a few words if somebody types any."""
    desk = await _at(request, staff, pool, now, visit_id)
    label, by = CANCEL_REASONS.get(desk.form.get("why", ""), CANCEL_REASONS["patient"])
    said = " ".join(desk.form.get("reason", "").split())[:_LONGEST_REASON]

    async def change(connection: Connection, version: int) -> BookedVisit:
        return await services.cancel(
            connection, staff.clinic, visit_id, version=version, reason=f"{label}: {said}" if said else label,
            by="patient" if by == "patient" else "clinic", notify="notify" in desk.form, actor=staff.actor, now=now,
        )  # fmt: skip

    return await _change(desk, "cancel", change)


@post("/visits/{visit_id:uuid}/move", status_code=200, guards=[roles("desk", "admin")])
async def move(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, visit_id: FromPath[UUID]
) -> Response[Any]:
    """Move to where a button said. The old time is kept until the new one is taken."""
    desk = await _at(request, staff, pool, now, visit_id)
    to = read_to(desk.form.get("to", ""), staff.clinic)
    if to is None:
        return await _answer(desk, "Choose a time on the schedule or from the list. Nothing changed.", _INVALID)
    therapist, starts_at = to

    async def change(connection: Connection, version: int) -> BookedVisit:
        return await services.reschedule(
            connection, staff.clinic, visit_id, starts_at, version=version, therapist=therapist,
            notify="notify" in desk.form, actor=staff.actor, now=now,
        )  # fmt: skip

    try:
        return await _change(desk, "reschedule", change)
    except PlacementRefused as refusal:
        why = refused(refusal, staff.clinic, therapist, starts_at)
        return await _answer(desk, f"{why.words} Nothing changed: the visit is where it was.", _CONFLICT)


@post("/visits/{visit_id:uuid}/note", status_code=200)
async def note(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, visit_id: FromPath[UUID]
) -> Response[Any]:
    """Put a note on a visit, or take it off."""
    desk = await _at(request, staff, pool, now, visit_id)
    try:
        async with unit_of_work(pool) as connection:
            await write_note(connection, staff.clinic, visit_id, desk.form.get("note", ""), actor=staff.actor)
    except InvalidRequest as problem:
        return await _answer(desk, f"{problem.members['errors'][0]['detail']}. Nothing changed.", _INVALID)
    return see_other(desk.view.to(sel=visit_id, did="note"))


async def _change(desk: _Desk, did: str, change: _Change) -> Response[Any]:
    """Do what a form asks and go back to the board; or show the visit as it is now, and who was faster.

    A form that was sent twice is done once. Raises PlacementRefused.
    """
    try:
        async with unit_of_work(desk.pool) as connection:
            done = await change(connection, desk.version)
    except VersionMismatch:
        async with reading(desk.pool) as connection:
            faster = await last_change(connection, desk.staff.clinic, desk.visit_id, version=desk.version)
        if faster is not None and _is_twice(desk, faster, did):
            return see_other(desk.view.to(sel=desk.visit_id, did=did))
        alert, day = _was_faster(desk, faster)
        return await _answer(desk, alert, _CONFLICT, show=day_view(day, sel=desk.visit_id).here)
    except WrongStatus as problem:
        return await _answer(desk, f"{problem.detail} Nothing changed.", _CONFLICT)
    except PlacementRefused as refusal:
        if did == "undo":
            why = _NO_WAY_BACK.get(refusal.code, "Somebody else has that time now.")
            return await _answer(desk, f"{why} Nothing changed.", _CONFLICT)
        raise
    day = desk.staff.clinic.local(done.visit.starts_at).date()
    view = desk.view if desk.view.therapist or day == desk.view.day else day_view(day)
    return see_other(view.to(sel=desk.visit_id, did=did))


def _is_twice(desk: _Desk, faster: Change, did: str) -> bool:
    """Whether the change that came first was made by this very form, whose button somebody pressed twice."""
    event = faster.event
    next_version = event.details.get("version") == desk.version + 1
    return event.actor == desk.staff.actor.name and event.action == _TRACES[did] and next_version


def _was_faster(desk: _Desk, faster: Change | None) -> tuple[str, date]:
    """As in "This visit was moved to 2:15 PM by A.M. at 9:37 AM. Nothing changed.", and the date on which it is now."""
    shown = desk.view.day
    if faster is None:
        return "This visit has changed meanwhile. Nothing changed.", shown
    clinic, event = desk.staff.clinic, faster.event
    at = clinic.local(event.at)
    what = words.CHANGES.get(event.action, "changed")
    if event.action == "visit.rescheduled":
        moved = clinic.local(datetime.fromisoformat(event.details["to"]["starts_at"]))
        day = "" if moved.date() == shown else f"{words.short_day(moved.date())}, "
        what, shown = f"moved to {day}{words.clock(moved)}", moved.date()
    today = at.date() == clinic.local(desk.now).date()
    when = words.clock(at) if today else f"{words.clock(at)} on {words.short_day(at.date())}"
    return f"This visit was {what} by {faster.by} at {when}. Nothing changed.", shown


async def _answer(desk: _Desk, alert: str, status: int, *, show: str = "") -> Response[str]:
    """Show the board with the visit as it is now and what was typed, and say why nothing was done.

    ``show`` is where the visit is now.
    """
    asked = {"sel": str(desk.visit_id)}
    if desk.form.get("do"):
        asked["do"] = desk.form["do"]
    if desk.view.get("move") and status != _CONFLICT:
        asked = {"move": str(desk.visit_id)}
    view = msgspec.structs.replace(desk.view, asked=asked)
    return await board_page(
        desk.staff, desk.pool, view, now=desk.now, form=desk.form, alert=alert, show=show, status=status
    )


VISIT_PAGES = [take_step, undo, cancel, move, note]
