"""A board as its template prints it: every column, card and gap with its classes and its words.

Places are classes (``t12 n9``), because the security policy lets no page carry styles; board.css has a rule for each.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.board_visits import BoardVisit
from scheduler.domain.boards import Board, Card, Column, Gap, Off
from scheduler.domain.clinics import Clinic
from scheduler.domain.lanes import ROW_MINUTES, Spot
from scheduler.web.staff import board_words as words
from scheduler.web.staff.views import View

# With fewer rows there is one line on a card, and with fewer than the second, two.
_TWO_LINES, _THREE_LINES = 6, 12


class ColumnLook(msgspec.Struct, frozen=True, kw_only=True):
    """A column as it is printed; ``items`` say which of the template's macros prints them."""

    key: str
    title: str
    credential: str
    counts: str
    address: str
    today: bool
    out: tuple[str, str] | None
    items: Sequence[dict[str, Any]]


class BoardLook(msgspec.Struct, frozen=True, kw_only=True):
    """A board as it is printed, ``now`` being the classes of the present moment's line and what it says."""

    columns: Sequence[ColumnLook]
    hours: Sequence[str]
    now: tuple[str, str] | None


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """Whose screen it is made for: at which clinic and moment, with which view, and whether names are hidden."""

    clinic: Clinic
    view: View
    now: datetime
    hide_names: bool
    may_book: bool

    @property
    def today(self) -> date:
        return self.clinic.local(self.now).date()


def look_at(board: Board, screen: Screen) -> BoardLook:
    """Return a board as the template prints it."""
    first, last = board.hours
    return BoardLook(
        columns=[_column(column, number, screen) for number, column in enumerate(board.columns, 1)],
        hours=[words.hour_name(hour) for hour in range(first, last)],
        now=_now(board, screen),
    )


def _column(column: Column, number: int, screen: Screen) -> ColumnLook:
    clinic, view = screen.clinic, screen.view
    therapist = clinic.therapists_by_id.get(column.therapist_id)
    week = bool(view.therapist)
    address = f"/staff/day/{column.day}" if week else f"/staff/week/{therapist.code}/{column.day}" if therapist else ""
    return ColumnLook(
        key=f"k{number}",
        title=words.short_day(column.day) if week else words.who(therapist),
        credential=therapist.credential if therapist and not week else "",
        counts=", ".join([words.counted(column.visits, "visit"), *([f"{column.open} open"] if column.open else [])]),
        address=address,
        today=column.day == screen.today,
        out=_out(column, screen),
        items=[_item(item, screen) for item in column.items],
    )


def _out(column: Column, screen: Screen) -> tuple[str, str] | None:
    """Return what the head of a column says of an absence, which cards may hide below, and where it leads."""
    offs = [item for item in column.items if isinstance(item, Off) and item.absence_id]
    return (words.off_words(offs[-1]), _away(offs[-1], column.therapist_id, screen)) if offs else None


def _away(off: Off, therapist_id: UUID, screen: Screen) -> str:
    therapist = screen.clinic.therapists_by_id.get(therapist_id)
    return screen.view.to(away=off.absence_id, who=therapist.code) if off.absence_id and therapist else ""


def _item(item: Card | Gap | Off, screen: Screen) -> dict[str, Any]:
    match item:
        case Card():
            return _card(item, screen)
        case Gap():
            return _gap(item, screen)
        case Off():
            css = f"rest rest-{item.kind}"
            return {"what": "off", "at": at(item.spot), "css": css, "words": words.off_words(item)}


def _card(card: Card, screen: Screen) -> dict[str, Any]:
    visit, spot, clinic = card.visit, card.spot, screen.clinic
    look = words.STATES[visit.status]
    starts, ends = clinic.local(visit.starts_at), clinic.local(visit.ends_at)
    lines = 1 if spot.rows < _TWO_LINES else 2 if spot.rows < _THREE_LINES else 3
    css = ["card", look.css, f"l{lines}", *(["new"] if visit.new else []), *(["stray"] if card.stray else [])]
    if visit.overbooked or spot.lanes > 1:
        css.append("tight")
    if visit.patient is None:
        until = f"Held until {words.clock(clinic.local(visit.held_until))}" if visit.held_until else ""
        return {"what": "hold", "at": at(spot), "css": " ".join(css), "words": look.word, "until": until}
    return {
        "what": "card",
        "at": at(spot),
        "css": " ".join(css),
        # The random end of the id: there may be two hundred cards, and each names the whole of it once already.
        "key": visit.id.hex[-12:],
        "address": screen.view.to(sel=visit.id),
        "current": visit.id in (screen.view.id("sel"), screen.view.id("move")),
        "name": visit.patient.shown_name(hidden=screen.hide_names),
        "look": look,
        "new": visit.new,
        "time": words.from_to(starts, ends),
        "week": bool(screen.view.therapist),
        "start": words.clock(starts),
        "kind": words.kind_name(clinic, visit.visit_type),
        "lines": lines,
        "sent": words.delivery_words(visit),
        "note": visit.note or "",
        "warning": "Outside hours" if card.stray else "Overbooked" if visit.overbooked else "",
    }


def _gap(gap: Gap, screen: Screen) -> dict[str, Any]:
    therapist = screen.clinic.therapists_by_id.get(gap.therapist_id)
    look = {"what": "gap", "at": at(gap.spot), "css": f"gap gap-{gap.kind}", "words": words.gap_words(gap)}
    if therapist is None or not screen.may_book:
        return {**look, "address": "", "to": ""}
    start = gap.starts_at.isoformat()
    offers = gap.kind == "open"
    until = gap.ends_at.isoformat()
    kept = {name: screen.view.get(name) for name in ("patient", "kind") if screen.view.get("new")}
    return {
        **look,
        "id": f"g-{therapist.code}-{int(gap.starts_at.timestamp() // 60)}",
        "address": screen.view.to(new=1, who=therapist.code, at=start, until=until, **kept) if offers else "",
        "to": f"{therapist.code} {start}" if gap.kind == "move" else "",
        "from": words.clock(gap.starts_at),
        "who": therapist.display_name,
    }


def at(spot: Spot) -> str:
    """Return the classes that put something in its place."""
    beside = f" of{min(spot.lanes, 4)} at{min(spot.lane, 3)}" if spot.lanes > 1 else ""
    return f"t{spot.row} n{spot.rows}{beside}"


def _now(board: Board, screen: Screen) -> tuple[str, str] | None:
    if board.now is None:
        return None
    row, rest = divmod(board.now, ROW_MINUTES)
    return f"t{row} u{rest}", words.clock(screen.clinic.local(screen.now), half=False)


def row_of(visit: BoardVisit, screen: Screen) -> dict[str, Any]:
    """Return a visit as a line of a list beside the board."""
    clinic = screen.clinic
    starts = clinic.local(visit.starts_at)
    therapist = clinic.therapists_by_id.get(visit.therapist_id)
    return {
        "name": visit.patient.shown_name(hidden=screen.hide_names) if visit.patient else "",
        "time": words.moment(starts) if screen.view.therapist else words.clock(starts),
        "who": words.who(therapist),
        "reason": visit.cancel_reason or "",
        "address": screen.view.to(sel=visit.id),
        "move": screen.view.to(move=visit.id),
        "look": words.STATES[visit.status],
    }


def glance(board: Board) -> list[tuple[str, int]]:
    """Return how many visits of a board are in which state, in the order in which a visit goes through them."""
    counted: dict[str, int] = {}
    order = ("booked", "confirmed", "arrived", "completed", "no_show")
    for status in order:
        number = sum(card.visit.status == status for card in board.cards)
        if number:
            counted[words.STATES[status].word] = number
    return list(counted.items())


def is_on(board: Board, visit_id: UUID) -> bool:
    return any(card.visit.id == visit_id for card in board.cards)
