"""Time off beside a board: the form that notes one, and whom one affects, each with where they could go."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from scheduler.domain.clinics import Clinic
from scheduler.errors import NotFound
from scheduler.services.affected import AffectedVisit
from scheduler.services.availability import Slot
from scheduler.services.time_off import find_time_off
from scheduler.store.connections import Connection
from scheduler.web.staff import board_words as words
from scheduler.web.staff.board_looks import Screen
from scheduler.web.staff.booking_panel import read_at
from scheduler.web.staff.panels import Panel, slot_look
from scheduler.web.staff.people import person
from scheduler.web.staff.session import StaffMember
from scheduler.web.staff.views import day_view

_TYPED = ("who", "from_day", "from_time", "to_day", "to_time", "reason")

# So many of the open times for each affected visit have a button: with the same therapist, and with others.
_PROPOSALS = 2


def block_panel(
    screen: Screen,
    form: Mapping[str, str] | None = None,
    *,
    problems: Mapping[str, str] | None = None,
    affected: Sequence[AffectedVisit] | None = None,
) -> Panel:
    """Return the form that notes time off; ``affected`` is whom it would affect, once that was asked."""
    clinic, view = screen.clinic, screen.view
    typed = {name: (form or {}).get(name, "") for name in _TYPED}
    if form is None:
        starts = read_at(view.get("at"), clinic)
        ends = read_at(view.get("until"), clinic)
        day = starts.date() if starts else max(view.day, screen.today)
        typed |= {
            "who": view.get("block") if view.get("block") in clinic.therapists else "",
            "from_day": day.isoformat(),
            "from_time": f"{starts:%H:%M}" if starts else "",
            "to_day": day.isoformat(),
            "to_time": f"{ends:%H:%M}" if ends else "",
        }
    shows = {
        "typed": typed,
        "problems": problems or {},
        "therapists": [(each.code, each.display_name) for each in clinic.therapists.values()],
        "tried": affected is not None,
        "affected": [affected_look(each, screen) for each in affected or ()],
    }
    return Panel(name="block", title="Block time", shows=shows, keep=form is not None)


async def away_panel(connection: Connection, staff: StaffMember, screen: Screen) -> Panel:
    """Return an absence and whom it affects. Raises NotFound."""
    clinic, absence_id = screen.clinic, screen.view.id("away")
    therapist = clinic.therapists.get(screen.view.get("who"))
    if absence_id is None or therapist is None:
        raise NotFound
    absence, affected = await find_time_off(
        connection, clinic, therapist, absence_id, actor=staff.actor, now=screen.now
    )
    starts, ends = clinic.local(absence.starts_at), clinic.local(absence.ends_at)
    shows = {
        "id": absence.id,
        "code": therapist.code,
        "who": therapist.display_name,
        "when": stretch(starts, ends),
        "reason": absence.reason,
        "affected": [affected_look(each, screen) for each in affected],
    }
    return Panel(name="away", title="Time off", shows=shows)


def stretch(starts: datetime, ends: datetime) -> str:
    """As in "Tue, Dec 8, 2:00 to 5:00 PM", "Tue, Dec 8, all day" or "Tue, Dec 8 to Fri, Dec 11"."""
    last = (ends - timedelta(minutes=1)).date()
    midnight = time(0)
    if (starts.time(), ends.time()) == (midnight, midnight):
        first = words.short_day(starts.date())
        return f"{first}, all day" if last == starts.date() else f"{first} to {words.short_day(last)}"
    if starts.date() == ends.date():
        return f"{words.short_day(starts.date())}, {words.from_to(starts, ends)}"
    if last == starts.date():
        return f"{words.moment(starts)} to the end of the day"
    return f"{words.moment(starts)} to {words.moment(ends)}"


def _proposed(affected: AffectedVisit, clinic: Clinic) -> list[Slot]:
    own = clinic.therapist_code(affected.visit.therapist_id)
    same = [slot for slot in affected.alternatives if slot.therapist == own]
    others = [slot for slot in affected.alternatives if slot.therapist != own]
    return [*same[:_PROPOSALS], *others[:_PROPOSALS]]


def affected_look(affected: AffectedVisit, screen: Screen) -> dict[str, Any]:
    """Return an affected visit with a button for each of the first places that it could go to."""
    visit, clinic = affected.visit, screen.clinic
    starts = clinic.local(visit.starts_at)
    return {
        "visit": visit,
        "person": person(affected.patient, screen),
        "time": words.moment(starts),
        "kind": words.kind_name(clinic, visit.visit_type),
        "proposals": [slot_look(slot, clinic, starts.date()) for slot in _proposed(affected, clinic)],
        "choose": day_view(starts.date(), move=visit.id).here,
    }
