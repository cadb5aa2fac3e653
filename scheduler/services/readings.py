"""Who looked at whose record: every read of a patient by a key or a person of the desk leaves a row (DESIGN, I8)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.store.audit import add_audit_event, add_reading
from scheduler.store.connections import Connection

# For how long what a page shows again is the same look at it.
WATCHED_FOR = timedelta(minutes=15)


async def note_reading(
    connection: Connection,
    clinic: Clinic,
    actor: Actor,
    action: str,
    patient_ids: UUID | Iterable[UUID],
    *,
    visit_id: UUID | None = None,
    **details: Any,
) -> None:
    """Note that somebody read the record of one patient, or a list in which these patients were.

    One patient's row is found by its column, a list's by ``patients`` in its details; a list with nobody in it told
    nothing and leaves no row. The action ends as ``is_reading`` knows them. ``details`` hold ids and codes, never a
    name, an address or what was searched for.
    """
    alone = patient_ids if isinstance(patient_ids, UUID) else None
    listed = [] if isinstance(patient_ids, UUID) else list(dict.fromkeys(patient_ids))
    if alone is None and not listed:
        return
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor.name,
        action=action,
        visit_id=visit_id,
        patient_id=alone,
        request_id=actor.request_id,
        details={"patients": listed, **details} if listed else details,
    )


async def note_watching(
    connection: Connection,
    clinic: Clinic,
    actor: Actor,
    action: str,
    patient_ids: UUID | Iterable[UUID],
    *,
    now: datetime,
    visit_id: UUID | None = None,
    **details: Any,
) -> None:
    """Note a reading by a page that keeps itself up to date: anew when it shows somebody new, or after a while."""
    alone = patient_ids if isinstance(patient_ids, UUID) else None
    listed = [] if isinstance(patient_ids, UUID) else list(dict.fromkeys(patient_ids))
    if alone is None and not listed:
        return
    await add_reading(
        connection, clinic.id, actor=actor.name, action=action, visit_id=visit_id, patient_id=alone,
        request_id=actor.request_id, details={"patients": listed, **details} if listed else details,
        since=now - WATCHED_FOR,
    )  # fmt: skip


def is_reading(action: str) -> bool:
    """Tell what was only looked at from what was done: readings end in ``read``, ``listed`` or ``exported``."""
    return action.endswith(("read", "listed", "exported"))
