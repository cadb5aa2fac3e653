"""Time off: an absence of a therapist. A visit inside it is reported, never dropped.

``dry_run`` does all of a change and undoes it, so it tells exactly what would happen.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.times import Span, epoch_minute, instant_at
from scheduler.errors import NotFound
from scheduler.ids import new_id
from scheduler.services.affected import AffectedVisit, affected_visits
from scheduler.services.schedule_changes import audit_change, changing, shown
from scheduler.store import time_off as store
from scheduler.store.connections import Connection
from scheduler.store.time_off import TimeOff


async def find_time_off(
    connection: Connection, clinic: Clinic, therapist: Therapist, absence_id: UUID, *, actor: Actor, now: datetime
) -> tuple[TimeOff, Sequence[AffectedVisit]]:
    """Return an absence and the visits that are still inside it. Raises NotFound."""
    absence = await _known(connection, clinic, therapist, absence_id)
    affected = await affected_visits(connection, clinic, _span(absence), therapist_id=therapist.id, now=now)
    return absence, await shown(connection, clinic, actor, affected)


async def add_time_off(
    connection: Connection,
    clinic: Clinic,
    therapist: Therapist,
    span: Span,
    *,
    reason: str,
    dry_run: bool = False,
    actor: Actor,
    now: datetime,
) -> tuple[TimeOff, Sequence[AffectedVisit]]:
    """Note that a therapist is away for a span of epoch minutes; it may overlap other absences."""
    absence = TimeOff(
        id=new_id(),
        therapist_id=therapist.id,
        starts_at=instant_at(span[0], clinic.zone).astimezone(UTC),
        ends_at=instant_at(span[1], clinic.zone).astimezone(UTC),
        reason=reason,
        created_by=actor.name,
        created_at=now,
    )
    async with changing(connection, clinic, dry_run=dry_run):
        await store.add_time_off(connection, clinic.id, absence)
        affected = await affected_visits(connection, clinic, span, therapist_id=therapist.id, now=now)
        await audit_change(
            connection, clinic, actor, "time-off.added", affected, therapist=therapist.code, time_off_id=absence.id,
            before=None, after=_times(absence),
        )  # fmt: skip
    return absence, await shown(connection, clinic, actor, affected)


async def remove_time_off(
    connection: Connection,
    clinic: Clinic,
    therapist: Therapist,
    absence_id: UUID,
    *,
    dry_run: bool = False,
    actor: Actor,
    now: datetime,
) -> Sequence[AffectedVisit]:
    """Forget an absence; return the visits that are outside working time there all the same. Raises NotFound."""
    async with changing(connection, clinic, dry_run=dry_run):
        absence = await _known(connection, clinic, therapist, absence_id)
        await store.remove_time_off(connection, clinic.id, absence_id)
        affected = await affected_visits(connection, clinic, _span(absence), therapist_id=therapist.id, now=now)
        await audit_change(
            connection, clinic, actor, "time-off.removed", affected, therapist=therapist.code, time_off_id=absence_id,
            before=_times(absence), after=None,
        )  # fmt: skip
    return await shown(connection, clinic, actor, affected)


async def _known(connection: Connection, clinic: Clinic, therapist: Therapist, absence_id: UUID) -> TimeOff:
    absence = await store.fetch_time_off(connection, clinic.id, therapist.id, absence_id)
    if absence is None:
        raise NotFound("There is no such time off.")
    return absence


def _span(absence: TimeOff) -> Span:
    return epoch_minute(absence.starts_at), -(-int(absence.ends_at.timestamp()) // 60)


def _times(absence: TimeOff) -> dict[str, datetime]:
    return {"from": absence.starts_at, "to": absence.ends_at}
