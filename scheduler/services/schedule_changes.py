"""What every change of the schedule has in common: it holds bookings still, leaves a trace, and drops no visit."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.services.affected import AffectedVisit
from scheduler.services.readings import note_reading
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.locks import lock_clinic


@asynccontextmanager
async def changing(connection: Connection, clinic: Clinic, *, dry_run: bool) -> AsyncGenerator[None]:
    """Have the clinic to oneself while its schedule changes; undo the change on leaving if it is a dry run.

    Bookings wait until the transaction ends. One that came first is in the calendar and is reported if it is
    affected; one that comes after is judged by the schedule as it is then.
    """
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        await lock_clinic(connection, clinic.id, exclusive=True)
        yield
    except BaseException:
        if not connection.is_closed():
            await savepoint.rollback()
        raise
    await (savepoint.rollback() if dry_run else savepoint.commit())


async def audit_change(
    connection: Connection,
    clinic: Clinic,
    actor: Actor,
    action: str,
    affected: Sequence[AffectedVisit],
    **details: Any,
) -> None:
    """Append what became of the schedule, with the ids of the visits that it no longer covers.

    ``details`` have codes and times ``before`` and ``after``; reasons stay out of them, because they are people's own.
    """
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor.name,
        action=action,
        request_id=actor.request_id,
        details={**details, "affected_visits": [each.visit.id for each in affected]},
    )


async def shown(
    connection: Connection, clinic: Clinic, actor: Actor, affected: Sequence[AffectedVisit]
) -> Sequence[AffectedVisit]:
    """Note that somebody was shown whose visits are affected, a dry run included; return them."""
    await note_reading(connection, clinic, actor, "visits.affected_listed", [each.patient.id for each in affected])
    return affected
