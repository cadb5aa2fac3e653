"""A day on paper: a page for each therapist, with a box to tick beside each visit."""

from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from scheduler.domain.boards import Card, Column
from scheduler.services.boards import read_day
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.staff import board_words as words
from scheduler.web.staff.board_looks import Screen
from scheduler.web.staff.board_page import FromPool, screen_of
from scheduler.web.staff.render import staff_page, stylesheet_with
from scheduler.web.staff.session import FromStaff
from scheduler.web.staff.views import day_view, read_day_of
from scheduler.web.static import versioned

_STYLESHEET = stylesheet_with("list.css")
_SCRIPT = versioned("list.js")

# Whoever is in one of these has come.
_CAME = ("arrived", "completed")


@get("/day/{day:str}/list")
async def show_list(staff: FromStaff, pool: FromPool, now: FromNow, day: FromPath[str]) -> Response[str]:
    """Show a day as lists to be printed; who has nobody that day needs no page."""
    view = day_view(read_day_of(day))
    screen = screen_of(staff, view, now)
    async with unit_of_work(pool) as connection:
        read = await read_day(connection, staff.clinic, view.day, actor=staff.actor, now=now)
    sheets = [_sheet(column, screen) for column in read.board.columns]
    return staff_page(
        staff,
        "staff/list.html",
        title=f"List, {words.long_day(view.day)}",
        section="day",
        staff_stylesheet=_STYLESHEET,
        script=_SCRIPT,
        heading=words.long_day(view.day),
        back=view.path,
        at=words.clock(staff.clinic.local(now)),
        sheets=[sheet for sheet in sheets if sheet["rows"]],
    )


def _sheet(column: Column, screen: Screen) -> dict[str, Any]:
    therapist = screen.clinic.therapists_by_id.get(column.therapist_id)
    cards = [item for item in column.items if isinstance(item, Card) and item.visit.patient]
    return {
        "who": words.who(therapist),
        "credential": therapist.credential if therapist else "",
        "visits": words.counted(column.visits, "visit"),
        "rows": [_row(card, screen) for card in sorted(cards, key=lambda card: card.visit.starts_at)],
    }


def _row(card: Card, screen: Screen) -> dict[str, Any]:
    visit, clinic = card.visit, screen.clinic
    sent = words.delivery_words(visit)
    return {
        "time": words.from_to(clinic.local(visit.starts_at), clinic.local(visit.ends_at)),
        "name": visit.patient.shown_name(hidden=screen.hide_names) if visit.patient else "",
        "kind": words.kind_name(clinic, visit.visit_type),
        "state": words.STATES[visit.status].word,
        "came": visit.status in _CAME,
        # Of a message only what somebody should do something about.
        "remarks": [text for text in (sent[0] if sent and sent[2] else "", visit.note) if text],
    }


LIST_PAGES = [show_list]
