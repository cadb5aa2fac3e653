"""The trace as an administrator reads it: by person, by patient and by date, the newest first."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.ids import first_id
from scheduler.store.audit import AUDIT_COLUMNS, OF_PATIENT, AuditEvent
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

Kind = Literal["changes", "looks", "sign-ins"]

# Rows are found by their ids, which begin with the moment at which they were made; by whose clock, differs a little.
_CLOCKS_DIFFER = timedelta(hours=1)

_KINDS: dict[Kind, str] = {
    "looks": "action ~ '(read|listed|exported)$'",
    "sign-ins": "action like 'staff.%'",
    "changes": "action !~ '(read|listed|exported)$' and action not like 'staff.%'",
}


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What of the trace is wanted: rows from an instant on and before another, of an actor, about a patient."""

    starts: datetime
    ends: datetime
    actor: str | None = None
    patient_id: UUID | None = None
    kind: Kind | None = None


async def fetch_starts(connection: Connection, clinic_id: UUID, visit_ids: list[UUID]) -> dict[UUID, datetime]:
    """Return when visits, or holds, begin, by id."""
    rows = await connection.fetch(
        "select id, starts_at from visits where clinic_id = $1 and id = any($2::uuid[])", clinic_id, visit_ids
    )
    return {row["id"]: row["starts_at"] for row in rows}


async def list_events(
    connection: Connection, clinic_id: UUID, wanted: AuditFilter, *, before: UUID | None, limit: int
) -> list[AuditEvent]:
    """Return what somebody did or saw, the newest first; ``before`` is the id of the last one already seen."""
    kind = f"and {_KINDS[wanted.kind]}" if wanted.kind else ""
    # Asked for only where it is wanted: the planner would otherwise look at every patient's rows. As an array, because
    # the planner could otherwise work it out again for each row of the time.
    patient = f"and id = any(array({OF_PATIENT.format(patient='$8')}))" if wanted.patient_id else "and $8::uuid is null"
    rows = await connection.fetch(
        f"""select {AUDIT_COLUMNS} from audit_events
        where clinic_id = $1 and id >= $2 and id < $3 and at >= $4 and at < $5
            and ($6::text is null or actor = $6) and ($7::uuid is null or id < $7) {kind} {patient}
        order by id desc limit $9""",
        clinic_id,
        first_id(wanted.starts - _CLOCKS_DIFFER),
        first_id(wanted.ends + _CLOCKS_DIFFER),
        wanted.starts,
        wanted.ends,
        wanted.actor,
        before,
        wanted.patient_id,
        limit,
    )
    return [to_struct(row, AuditEvent) for row in rows]
