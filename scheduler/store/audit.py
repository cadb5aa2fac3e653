"""The append-only trace of who did and saw what, written in the transaction it speaks of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.webhooks import Event
from scheduler.ids import first_id, new_id
from scheduler.store.connections import Connection
from scheduler.store.messages import WAKE_UP
from scheduler.store.rows import to_struct

_ADD = """insert into audit_events (clinic_id, id, actor, action, visit_id, patient_id, request_id, details)
    values ($1, $2, $3, $4, $5, $6, $7, $8)"""

_ADD_AND_ANNOUNCE = f"""with traced as ({_ADD}), announced as (
        insert into webhook_deliveries (clinic_id, webhook_id, id, type, data)
        select clinic_id, id, $2, $9, $10 from webhooks
        where clinic_id = $1 and $9 = any(events) and paused_at is null and removed_at is null
        returning 1
    )
    select pg_notify('{WAKE_UP}', '') from announced limit 1"""

AUDIT_COLUMNS = "id, at, actor, action, visit_id, patient_id, request_id, details"

# The ids of all rows about a patient: theirs, those of their visits, and lists that they were in; and so of the records
# that were merged into theirs, whose rows are never changed.
_RECORDS = "select id from patients where clinic_id = $1 and (id = {patient} or merged_into = {patient})"
OF_PATIENT = f"""select id from audit_events where clinic_id = $1 and patient_id in ({_RECORDS})
    union select id from audit_events where clinic_id = $1
        and visit_id in (select id from visits where clinic_id = $1 and patient_id = {{patient}})
    union select listing.id from ({_RECORDS}) as record join audit_events as listing
        on listing.clinic_id = $1 and details ? 'patients' and details -> 'patients' @> jsonb_build_array(record.id)"""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did or saw. ``details`` hold times, statuses, codes and ids."""

    id: UUID
    at: datetime
    actor: str
    action: str
    visit_id: UUID | None
    patient_id: UUID | None
    request_id: str | None
    details: dict[str, Any]


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
    announce: Event | None = None,
) -> None:
    """Append one event. ``details`` hold times, statuses and codes, never a name, an address or a token.

    What is to be announced is written in the same statement for every webhook that asked for it, under the same id.
    """
    row = (clinic_id, new_id(), actor, action, visit_id, patient_id, request_id, details or {})
    if announce is None:
        await connection.execute(_ADD, *row)
    else:
        await connection.execute(_ADD_AND_ANNOUNCE, *row, announce.type, announce.data)


async def add_reading(
    connection: Connection,
    clinic_id: UUID,
    *,
    actor: str,
    action: str,
    visit_id: UUID | None,
    patient_id: UUID | None,
    request_id: str | None,
    details: dict[str, Any],
    since: datetime,
) -> None:
    """Append that somebody saw something, unless they saw it since a moment already: of a list, the same patients.

    A screen that is left open reads anew whatever changes, and is one look at it all the same.
    """
    await connection.execute(
        """insert into audit_events (clinic_id, id, actor, action, visit_id, patient_id, request_id, details)
        select $1, $2, $3, $4, $5, $6, $7, $8 where not exists (
            select from audit_events
            where clinic_id = $1 and id > $9 and at > $10 and actor = $3 and action = $4
                and visit_id is not distinct from $5 and patient_id is not distinct from $6
                and coalesce(details -> 'patients', '[]') @> coalesce($8::jsonb -> 'patients', '[]'))""",
        clinic_id,
        new_id(),
        actor,
        action,
        visit_id,
        patient_id,
        request_id,
        details,
        # Ids begin with the moment they were made at, so that only the latest rows are looked at.
        first_id(since),
        since,
    )


async def list_visit_events(connection: Connection, clinic_id: UUID, visit_ids: Sequence[UUID]) -> list[AuditEvent]:
    """Return everything that was done to these visits, and who saw them, in the order it happened."""
    rows = await connection.fetch(
        f"""select {AUDIT_COLUMNS} from audit_events
        where clinic_id = $1 and visit_id = any($2::uuid[]) order by at, id""",
        clinic_id,
        list(visit_ids),
    )
    return [to_struct(row, AuditEvent) for row in rows]


async def list_patient_events(connection: Connection, clinic_id: UUID, patient_id: UUID) -> list[AuditEvent]:
    """Return everything that was done to a patient and their visits, and who saw them, in the order it happened.

    A list that they were in is one of these: ``details`` then name the others in it too.
    """
    rows = await connection.fetch(
        f"""select {AUDIT_COLUMNS} from audit_events
        where clinic_id = $1 and id = any(array({OF_PATIENT.format(patient="$2")}))
        order by at, id""",
        clinic_id,
        patient_id,
    )
    return [to_struct(row, AuditEvent) for row in rows]
