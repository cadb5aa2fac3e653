"""What is open beside a board: a visit, a visit on the move, and times that fit a wish. One function, one panel."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from scheduler.domain.board_visits import DeskAction
from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.visits import UNDO_FOR
from scheduler.services.availability import Slot
from scheduler.services.boards import Places, other_days
from scheduler.services.openings import SlotWish, find_openings
from scheduler.services.visit_cards import VisitCard, read_card
from scheduler.store.connections import Connection
from scheduler.web.staff import board_words as words
from scheduler.web.staff.board_looks import Screen
from scheduler.web.staff.message_words import trail_lines
from scheduler.web.staff.people import person
from scheduler.web.staff.session import StaffMember
from scheduler.web.staff.views import day_view

# In this order a card offers what can be done; the first of those that can is what the desk does next.
_NEXT: tuple[DeskAction, ...] = ("arrive", "complete", "confirm", "undo")
_OTHERS: tuple[DeskAction, ...] = ("confirm", "reschedule", "cancel", "no_show", "undo")

# What a therapist does to their own day; everything else is the desk's.
FOR_ALL: frozenset[DeskAction] = frozenset({"arrive", "complete", "undo"})

# Nobody plans further, and no visit may be booked further.
_FURTHEST = timedelta(days=2 * 365)

SLOTS_FOUND = 3
SLOTS_MORE = 12

# What the desk may give as why a visit is off; the second says who wanted it so.
CANCEL_REASONS: dict[str, tuple[str, str]] = {
    "patient": ("The patient called it off", "patient"),
    "therapist": ("The therapist is away", "clinic"),
    "weather": ("Weather or the building", "clinic"),
    "mistake": ("Booked by mistake", "clinic"),
}


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """A panel: its template below ``staff/``, what it is called in titles, and what it shows.

    ``keep`` is set where it holds what somebody typed and was refused: a board that keeps itself up to date leaves it.
    """

    name: str
    title: str
    shows: dict[str, Any]
    keep: bool = False


async def visit_panel(
    connection: Connection, staff: StaffMember, screen: Screen, form: Mapping[str, str] | None = None
) -> Panel:
    """Return the card of the visit that is selected, with the form that was asked for. Raises NotFound."""
    view, clinic = screen.view, screen.clinic
    visit_id = view.id("sel")
    assert visit_id is not None  # noqa: S101 - only a view that has one comes here
    card = await read_card(connection, clinic, visit_id, actor=staff.actor, now=screen.now)
    may = frozenset(card.actions if screen.may_book else card.actions & FOR_ALL)
    visit = card.booked.visit
    first = next((action for action in _NEXT if action in may), None)
    shows = {
        "visit": visit,
        "look": words.STATES[visit.status],
        "person": person(card.booked.patient, screen),
        "first": first,
        "others": [action for action in _OTHERS if action in may and action != first],
        "undo_until": words.clock(clinic.local(visit.status_changed_at + UNDO_FOR)) if "undo" in may else "",
        "note": card.note,
        "noted_by": card.names[card.note.created_by] if card.note else "",
        "do": view.get("do") if screen.may_book or view.get("do") == "note" else "",
        "reasons": {key: label for key, (label, _) in CANCEL_REASONS.items()},
        "typed": {name: (form or {}).get(name, "") for name in ("why", "reason", "note")},
        "notify": form is None or "notify" in form,
        "refused": form is not None,
        "trail": card.trail,
        "trail_lines": trail_lines(card.trail, clinic, screen.now),
        **_facts(card, screen),
    }
    return Panel(name="visit", title="A visit", shows=shows, keep=form is not None)


def _facts(card: VisitCard, screen: Screen) -> dict[str, Any]:
    clinic, visit = screen.clinic, card.booked.visit
    starts, ends = clinic.local(visit.starts_at), clinic.local(visit.ends_at)
    visit_type = clinic.visit_types.get(visit.visit_type)
    places = [clinic.rooms_by_id.get(visit.room_id) if visit.room_id else None]
    places += [clinic.equipment_by_id.get(device) for device in visit.equipment_ids]
    booked = clinic.local(visit.booked_at or visit.created_at)
    by = card.names[visit.created_by]
    return {
        "when": words.from_to(starts, ends),
        "day": "" if starts.date() == screen.view.day else words.long_day(starts.date()),
        "day_address": day_view(starts.date(), sel=visit.id).here,
        "who": words.who(clinic.therapists_by_id.get(visit.therapist_id)),
        "kind": visit_type.names["en"] if visit_type else visit.visit_type,
        "places": ", ".join(place.display_name for place in places if place),
        "booked": f"Booked by {by}, {words.relative_day(booked.date(), screen.today)}",
    }


async def move_panel(
    connection: Connection, screen: Screen, places: Places, *, form: Mapping[str, str] | None = None
) -> Panel:
    """Return the panel of a visit on the move: where it is, and where it could go besides the gaps of the board."""
    clinic, day = screen.clinic, screen.view.day
    visit = places.booked.visit
    starts, ends = clinic.local(visit.starts_at), clinic.local(visit.ends_at)
    later = await other_days(connection, clinic, places.booked, day, now=screen.now)
    shows = {
        "visit": visit,
        "person": person(places.booked.patient, screen),
        "was": f"{words.short_day(starts.date())}, {words.from_to(starts, ends)}",
        "who": words.who(clinic.therapists_by_id.get(visit.therapist_id)),
        "kind": words.kind_name(clinic, visit.visit_type),
        "today": [slot_look(slot, clinic, day) for slot in _spread(places.slots)],
        "day": words.long_day(day),
        "later": [slot_look(slot, clinic) for slot in later],
        "back": day_view(starts.date(), sel=visit.id).here,
        "notify": form is None or "notify" in form,
    }
    return Panel(name="move", title="Move a visit", shows=shows, keep=form is not None)


def _spread(slots: Sequence[Slot]) -> list[Slot]:
    """Return the slots of a day, each therapist's on the hour and the half only, or all where there are few."""
    few = 12
    half = [slot for slot in slots if slot.starts_at.minute % 30 == 0]
    return list(slots) if len(slots) <= few else half


def slot_look(slot: Slot, clinic: Clinic, day: date | None = None, *, kind: str = "") -> dict[str, str]:
    """Return an open time as a list shows it; on a day that is known already without the date."""
    therapist = clinic.therapists[slot.therapist]
    start = slot.starts_at
    return {
        "time": words.clock(start) if start.date() == day else words.moment(start),
        "who": therapist.display_name,
        "to": f"{slot.therapist} {start.isoformat()}",
        "address": day_view(start.date(), new=1, who=slot.therapist, at=start.isoformat(), kind=kind).here,
    }


async def find_panel(connection: Connection, screen: Screen) -> Panel:
    """Return the form of a wish, and the next open times that fit it."""
    clinic, view = screen.clinic, screen.view
    visit_type = clinic.visit_types.get(view.get("kind"))
    therapist = clinic.therapists.get(view.get("who"))
    first_day = read_date(view.get("from"), screen) or max(view.day, screen.today)
    found: list[Slot] = []
    limit = SLOTS_MORE if view.get("find") == "more" else SLOTS_FOUND
    if visit_type is not None:
        wish = SlotWish(
            visit_type=visit_type,
            first_day=first_day,
            therapist=therapist,
            starts_from=_minute(view.get("after"), 0),
            starts_before=_minute(view.get("before"), 24 * 60),
        )
        found = await find_openings(connection, clinic, wish, limit=limit, now=screen.now)
    kind = visit_type.code if visit_type else ""
    shows = {
        "kinds": kinds(clinic, None),
        "kind": kind,
        "therapists": [(each.code, each.display_name) for each in clinic.therapists.values()],
        "who": therapist.code if therapist else "",
        "first_day": first_day.isoformat(),
        "after": view.get("after"),
        "before": view.get("before"),
        "asked": visit_type is not None,
        "found": [slot_look(slot, clinic, kind=kind) for slot in found],
        "more": view.but(find="more") if len(found) == limit and limit == SLOTS_FOUND else "",
    }
    return Panel(name="find", title="Find a time", shows=shows)


def kinds(clinic: Clinic, therapist: Therapist | None) -> list[tuple[str, str]]:
    """Return the kinds of visits, of one therapist or of all, as a list to choose from has them."""
    return [
        (each.code, f"{each.names['en']}, {words.length(each.duration_minutes)}")
        for each in clinic.visit_types.values()
        if therapist is None or therapist.may_perform(each)
    ]


def read_date(text: str, screen: Screen) -> date | None:
    """Return the date that somebody typed, or None where it is none or years away."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if abs(day - screen.today) <= _FURTHEST else None


def _minute(text: str, otherwise: int) -> int:
    """Return the minute of the day that "16:00" is, or another where it says none."""
    try:
        moment = datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - a time of day has no zone
    except ValueError:
        return otherwise
    return moment.hour * 60 + moment.minute
