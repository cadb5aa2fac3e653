"""Weekly hours and overrides of therapists, as the front desk sets them.

``dry_run`` does all of a change and undoes it, so it tells exactly what would happen.
"""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.affected import day_stretch
from scheduler.domain.calendars import TherapistCalendar, WeeklyWindow
from scheduler.domain.clinic_changes import day_words, weekly_words
from scheduler.domain.clinic_files import DatedWindows
from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.times import DAY, day_end, day_start, epoch_minute
from scheduler.errors import NotFound
from scheduler.services.affected import AffectedVisit, affected_visits, load_hours
from scheduler.services.schedule_changes import audit_change, changing, shown
from scheduler.store import hours as store
from scheduler.store.connections import Connection
from scheduler.store.hours import DatedRow, SetBy

# How far ahead visits are looked at when the hours of every week change.
_YEAR = 366 * DAY


class WeeklyHours(msgspec.Struct, frozen=True, kw_only=True):
    """A therapist's weekly windows, in the order of the week, and who set them."""

    windows: Sequence[WeeklyWindow]
    set_by: SetBy


async def find_hours(connection: Connection, clinic: Clinic, therapist: Therapist) -> WeeklyHours:
    """Return a therapist's weekly hours. Raises NotFound."""
    set_by = await store.fetch_hours_set_by(connection, clinic.id, therapist.id)
    if set_by is None:
        raise NotFound("There is no such therapist.")
    windows = await store.fetch_windows(connection, clinic.id)
    return WeeklyHours(windows=windows.get(therapist.id, ()), set_by=set_by)


async def set_hours(
    connection: Connection,
    clinic: Clinic,
    therapist: Therapist,
    windows: Sequence[WeeklyWindow],
    *,
    dry_run: bool = False,
    actor: Actor,
    now: datetime,
) -> tuple[WeeklyHours, Sequence[AffectedVisit]]:
    """Replace a therapist's weekly hours; from now on the clinic file leaves them alone.

    Affected are visits of the coming year that lay inside working time before and do not any more.
    """
    stretch = (epoch_minute(now), epoch_minute(now) + _YEAR)
    async with changing(connection, clinic, dry_run=dry_run):
        was = await find_hours(connection, clinic, therapist)
        before = await load_hours(connection, clinic, stretch, [therapist.id])
        await store.replace_windows(connection, clinic.id, therapist.id, list(dict.fromkeys(windows)))
        hours = await find_hours(connection, clinic, therapist)
        affected = await affected_visits(connection, clinic, stretch, therapist_id=therapist.id, before=before, now=now)
        await audit_change(
            connection, clinic, actor, "hours.set", affected, therapist=therapist.code,
            before=[weekly_words(window) for window in was.windows],
            after=[weekly_words(window) for window in hours.windows],
        )  # fmt: skip
    return hours, await shown(connection, clinic, actor, affected)


async def find_override(
    connection: Connection, clinic: Clinic, therapist: Therapist, day: date, *, actor: Actor, now: datetime
) -> tuple[DatedRow, Sequence[AffectedVisit]]:
    """Return a therapist's override of a date and the visits outside working time around it. Raises NotFound."""
    row = await _in_force(connection, clinic, therapist, day)
    hours = await _hours_on(connection, clinic, therapist, day)
    usual = msgspec.structs.replace(hours, overrides={})
    affected = await _affected_on(connection, clinic, therapist, day, usual, now)
    return row, await shown(connection, clinic, actor, affected)


async def set_override(
    connection: Connection,
    clinic: Clinic,
    therapist: Therapist,
    plan: DatedWindows,
    *,
    dry_run: bool = False,
    actor: Actor,
    now: datetime,
) -> tuple[DatedRow, Sequence[AffectedVisit]]:
    """Replace a therapist's windows of one date, whoever set them; without windows they are off."""
    async with changing(connection, clinic, dry_run=dry_run):
        was = await store.list_overrides(
            connection, clinic.id, therapist.id, first_day=plan.day, last_day=plan.day, limit=1
        )
        before = await _hours_on(connection, clinic, therapist, plan.day)
        await store.save_override(connection, clinic.id, therapist.id, plan, set_by="desk")
        row = await _in_force(connection, clinic, therapist, plan.day)
        affected = await _affected_on(connection, clinic, therapist, plan.day, before, now)
        await audit_change(
            connection, clinic, actor, "override.set", affected, therapist=therapist.code, date=plan.day,
            before=day_words("override", was[0].plan) if was else None, after=day_words("override", row.plan),
        )  # fmt: skip
    return row, await shown(connection, clinic, actor, affected)


async def remove_override(
    connection: Connection,
    clinic: Clinic,
    therapist: Therapist,
    day: date,
    *,
    dry_run: bool = False,
    actor: Actor,
    now: datetime,
) -> Sequence[AffectedVisit]:
    """Return a date to the weekly hours, to which the clinic file then leaves it. Raises NotFound."""
    async with changing(connection, clinic, dry_run=dry_run):
        was = await _in_force(connection, clinic, therapist, day)
        before = await _hours_on(connection, clinic, therapist, day)
        await store.take_out_override(connection, clinic.id, therapist.id, day)
        affected = await _affected_on(connection, clinic, therapist, day, before, now)
        await audit_change(
            connection, clinic, actor, "override.removed", affected, therapist=therapist.code, date=day,
            before=day_words("override", was.plan), after=None,
        )  # fmt: skip
    return await shown(connection, clinic, actor, affected)


async def _in_force(connection: Connection, clinic: Clinic, therapist: Therapist, day: date) -> DatedRow:
    found = await store.list_overrides(connection, clinic.id, therapist.id, first_day=day, last_day=day, limit=1)
    if not found:
        raise NotFound("There is no override on that date.")
    return found[0]


async def _hours_on(connection: Connection, clinic: Clinic, therapist: Therapist, day: date) -> TherapistCalendar:
    stretch = day_start(day, clinic.zone), day_end(day, clinic.zone)
    return (await load_hours(connection, clinic, stretch, [therapist.id])).therapists[0]


async def _affected_on(
    connection: Connection, clinic: Clinic, therapist: Therapist, day: date, before: TherapistCalendar, now: datetime
) -> list[AffectedVisit]:
    """Return what lies outside working time on a date, or past its midnight where its windows run or ran there."""
    after = await _hours_on(connection, clinic, therapist, day)
    stretch = day_stretch(day, clinic.zone, before, after)
    return await affected_visits(connection, clinic, stretch, therapist_id=therapist.id, now=now)
