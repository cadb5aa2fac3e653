"""Closures: dates on which the whole clinic works in certain windows only, or not at all.

``dry_run`` does all of a change and undoes it, so it tells exactly what would happen.
"""

from collections.abc import Sequence
from datetime import date, datetime

from scheduler.domain.actors import Actor
from scheduler.domain.clinic_changes import day_words
from scheduler.domain.clinic_files import DatedWindows
from scheduler.domain.clinics import Clinic
from scheduler.domain.times import Span, day_end, day_start
from scheduler.errors import NotFound
from scheduler.services.affected import AffectedVisit, affected_visits
from scheduler.services.schedule_changes import audit_change, changing, shown
from scheduler.store import hours as store
from scheduler.store.connections import Connection
from scheduler.store.hours import DatedRow


async def hours_on(connection: Connection, clinic: Clinic, day: date) -> list[Span]:
    """Return when the clinic is open on a date, as people read it: wall-clock minutes, less what a closure takes."""
    usual = clinic.settings.opening_hours[day.weekday()]
    found = await store.list_closures(connection, clinic.id, first_day=day, last_day=day, limit=1)
    if not found:
        return list(usual)
    both = [(max(one[0], other[0]), min(one[1], other[1])) for one in usual for other in found[0].plan.windows]
    return sorted(span for span in both if span[0] < span[1])


async def find_closure(
    connection: Connection, clinic: Clinic, day: date, *, actor: Actor, now: datetime
) -> tuple[DatedRow, Sequence[AffectedVisit]]:
    """Return the closure of a date and the visits outside working time on it. Raises NotFound."""
    row = await _in_force(connection, clinic, day)
    affected = await affected_visits(connection, clinic, _whole(clinic, day), now=now)
    return row, await shown(connection, clinic, actor, affected)


async def set_closure(
    connection: Connection, clinic: Clinic, plan: DatedWindows, *, dry_run: bool = False, actor: Actor, now: datetime
) -> tuple[DatedRow, Sequence[AffectedVisit]]:
    """Limit everybody to these windows on one date, whoever closed it before; without windows nobody works."""
    async with changing(connection, clinic, dry_run=dry_run):
        was = await store.list_closures(connection, clinic.id, first_day=plan.day, last_day=plan.day, limit=1)
        await store.save_closure(connection, clinic.id, plan, set_by="desk")
        row = await _in_force(connection, clinic, plan.day)
        affected = await affected_visits(connection, clinic, _whole(clinic, plan.day), now=now)
        await audit_change(
            connection, clinic, actor, "closure.set", affected, date=plan.day,
            before=day_words("closure", was[0].plan) if was else None, after=day_words("closure", row.plan),
        )  # fmt: skip
    return row, await shown(connection, clinic, actor, affected)


async def remove_closure(
    connection: Connection, clinic: Clinic, day: date, *, dry_run: bool = False, actor: Actor, now: datetime
) -> Sequence[AffectedVisit]:
    """Open a date again, which the clinic file then leaves open. Raises NotFound."""
    async with changing(connection, clinic, dry_run=dry_run):
        was = await _in_force(connection, clinic, day)
        await store.take_out_closure(connection, clinic.id, day)
        affected = await affected_visits(connection, clinic, _whole(clinic, day), now=now)
        await audit_change(
            connection, clinic, actor, "closure.removed", affected, date=day,
            before=day_words("closure", was.plan), after=None,
        )  # fmt: skip
    return await shown(connection, clinic, actor, affected)


async def _in_force(connection: Connection, clinic: Clinic, day: date) -> DatedRow:
    found = await store.list_closures(connection, clinic.id, first_day=day, last_day=day, limit=1)
    if not found:
        raise NotFound("There is no closure on that date.")
    return found[0]


def _whole(clinic: Clinic, day: date) -> Span:
    return day_start(day, clinic.zone), day_end(day, clinic.zone)
