"""The append-only trace of who did and saw what, written in the transaction it speaks of."""

from typing import Any
from uuid import UUID

from scheduler.ids import new_id
from scheduler.store.connections import Connection


async def add_audit_event(
    connection: Connection,
    clinic_id: UUID,
    *,
    actor: str,
    action: str,
    visit_id: UUID | None = None,
    patient_id: UUID | None = None,
    request_id: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Append one event. ``details`` hold times, statuses and codes, never a name, an address or a token."""
    await connection.execute(
        """insert into audit_events (clinic_id, id, actor, action, visit_id, patient_id, request_id, details)
        values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        clinic_id,
        new_id(),
        actor,
        action,
        visit_id,
        patient_id,
        request_id,
        details or {},
    )
