"""The board as a page: a day of everybody or a week of one therapist, with one panel beside it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import Response
from litestar.di import NamedDependency

from scheduler.domain.actors import Actor
from scheduler.domain.boards import week_of
from scheduler.errors import NotFound
from scheduler.services.boards import Places, find_places, read_day, read_week
from scheduler.services.visit_cards import read_card
from scheduler.store.connections import Connection, Pool
from scheduler.store.units import unit_of_work
from scheduler.web.staff import board_words as words
from scheduler.web.staff.away_panels import away_panel, block_panel
from scheduler.web.staff.board_looks import Screen, glance, look_at, row_of
from scheduler.web.staff.booking_panel import new_panel
from scheduler.web.staff.inbox_looks import look_at as look_at_item
from scheduler.web.staff.messages import undo_address
from scheduler.web.staff.panels import Panel, find_panel, move_panel, visit_panel
from scheduler.web.staff.render import staff_page, stylesheet_with
from scheduler.web.staff.session import StaffMember
from scheduler.web.staff.views import View, day_view, read_view
from scheduler.web.static import versioned

FromPool = NamedDependency[Pool]

_STYLESHEET = stylesheet_with("board.css")
_SCRIPT = versioned("vendor/htmx.min.js", "vendor/hx-sse.min.js", "board.js")

_NOT_THERE = "That is not on file any more."


def view_of(form: Mapping[str, str], staff: StaffMember, now: datetime) -> View:
    """Return the board from which a form was sent, today's where it does not say."""
    try:
        view = read_view(form.get("here", ""))
    except NotFound:
        return day_view(staff.clinic.local(now).date())
    return view if view.therapist in ("", *staff.clinic.therapists) else day_view(view.day)


def screen_of(staff: StaffMember, view: View, now: datetime) -> Screen:
    """Return for whom a board is made."""
    return Screen(
        clinic=staff.clinic, view=view, now=now, hide_names=staff.hide_names, may_book=staff.is_any("desk", "admin")
    )


async def board_page(
    staff: StaffMember,
    pool: Pool,
    view: View,
    *,
    now: datetime,
    panel: Panel | None = None,
    form: Mapping[str, str] | None = None,
    alert: str = "",
    show: str = "",
    status: int = 200,
) -> Response[str]:
    """Return a board with the panel that its address asks for, or another one; ``form`` is what was refused in it.

    ``alert`` says why, and ``show`` is where to look at what is meant.
    """
    screen = screen_of(staff, view, now)
    async with unit_of_work(pool) as connection:
        moving = None
        try:
            moving = await _moving(connection, screen, staff.actor)
            panel = panel or await _panel(connection, staff, screen, moving, form)
        except NotFound:
            alert = alert or _NOT_THERE
        # The panel comes first: whoever opens a visit has seen it, and the board says so at once.
        if view.therapist:
            therapist = staff.clinic.therapists[view.therapist]
            read = await read_week(connection, staff.clinic, therapist, view.day, actor=staff.actor, now=now)
        else:
            read = await read_day(connection, staff.clinic, view.day, moving=moving, actor=staff.actor, now=now)
    return staff_page(
        # A form that is posted from here comes back here, whatever address it answers at.
        msgspec.structs.replace(staff, here=view.here),
        "staff/board.html",
        title=" | ".join([*([panel.title] if panel else []), _heading(screen)]),
        section="day",
        status=status,
        view=view,
        screen=screen,
        heading=_heading(screen),
        look=look_at(read.board, screen),
        panel=panel,
        cancelled=[row_of(visit, screen) for visit in read.cancelled],
        strays=[row_of(card.visit, screen) for card in read.board.cards if card.stray],
        glance=glance(read.board),
        messages=read.messages,
        failures=[look_at_item(item, staff, now) for item in (read.messages.failures if read.messages else ())],
        days=_days(screen),
        at=words.clock(staff.clinic.local(now)),
        alert=alert,
        show=show,
        did=words.DID.get(view.get("did"), ""),
        undo=undo_address(view.asked) if view.get("did") in words.UNDOABLE else "",
        watch=f"/staff/live/{view.day}" + ("?week=1" if view.therapist else ""),
        states=words.STATES,
        actions=words.ACTIONS,
        staff_stylesheet=_STYLESHEET,
        script=_SCRIPT,
    )


async def _moving(connection: Connection, screen: Screen, actor: Actor) -> Places | None:
    """Return the visit on the move, if there is one, and where it fits on the day that is shown. Raises NotFound."""
    visit_id = screen.view.id("move")
    if visit_id is None or not screen.may_book:
        return None
    card = await read_card(connection, screen.clinic, visit_id, actor=actor, now=screen.now)
    if "reschedule" not in card.actions:
        return None
    return await find_places(connection, screen.clinic, card.booked, screen.view.day, now=screen.now)


async def _panel(
    connection: Connection,
    staff: StaffMember,
    screen: Screen,
    moving: Places | None,
    form: Mapping[str, str] | None,
) -> Panel | None:
    view = screen.view
    if moving is not None:
        return await move_panel(connection, screen, moving, form=form)
    if view.get("find"):
        return await find_panel(connection, screen)
    if view.get("new") and screen.may_book:
        return await new_panel(connection, staff, screen, form)
    if view.get("block") and screen.may_book:
        return block_panel(screen, form)
    if view.id("away"):
        return await away_panel(connection, staff, screen)
    if view.id("sel"):
        return await visit_panel(connection, staff, screen, form)
    return None


def _heading(screen: Screen) -> str:
    view = screen.view
    if view.therapist:
        therapist = screen.clinic.therapists[view.therapist]
        return f"{therapist.display_name}, week of {words.short_day(week_of(view.day)[0])}"
    return words.long_day(view.day)


def _days(screen: Screen) -> dict[str, Any]:
    """Return where the arrows of the board lead, and its first date and last."""
    view = screen.view
    first = week_of(view.day)[0] if view.therapist else view.day
    step = timedelta(days=7 if view.therapist else 1)
    return {
        "first": first,
        "before": view.on(view.day - step),
        "after": view.on(view.day + step),
        "today": view.on(screen.today),
        "is_today": first <= screen.today < first + step,
        "step": "week" if view.therapist else "day",
    }
