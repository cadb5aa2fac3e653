"""What a person at the desk should see to. One open task of a kind for one subject."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.ids import new_id
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

_COLUMNS = """id, kind, visit_id, patient_id, message_id, inbound_id, reason, created_at, handled_at is null as open,
    handled_at, handled_by"""


class DeskTask(msgspec.Struct, frozen=True, kw_only=True):
    """Something to see to: ``kind`` is one of ``TASK_KINDS``, ``reason`` says in plain words why.

    The ids are of what it is about, where it is about such a thing.
    """

    id: UUID
    kind: str
    visit_id: UUID | None
    patient_id: UUID | None
    message_id: UUID | None
    inbound_id: UUID | None
    reason: str
    created_at: datetime
    open: bool
    handled_at: datetime | None
    handled_by: str | None


async def add_task(
    connection: Connection,
    clinic_id: UUID,
    *,
    kind: str,
    subject_id: UUID,
    visit_id: UUID | None,
    patient_id: UUID | None,
    message_id: UUID | None,
    inbound_id: UUID | None,
    reason: str,
    now: datetime | None,
) -> UUID | None:
    """Write a task and return its id, or None where one of this kind is open for this subject already."""
    return await connection.fetchval(
        """insert into desk_tasks
            (clinic_id, id, kind, subject_id, visit_id, patient_id, message_id, inbound_id, reason, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now()))
        on conflict (clinic_id, kind, subject_id) where handled_at is null do nothing returning id""",
        clinic_id,
        new_id(),
        kind,
        subject_id,
        visit_id,
        patient_id,
        message_id,
        inbound_id,
        reason,
        now,
    )


async def list_tasks(
    connection: Connection, clinic_id: UUID, *, is_open: bool | None, kind: str | None, after: UUID | None, limit: int
) -> list[DeskTask]:
    """Return tasks, newest first; ``after`` is the id of the last one already seen."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from desk_tasks
        where clinic_id = $1 and ($2::boolean is null or $2 = (handled_at is null))
            and ($3::text is null or kind = $3)
            and ($4::uuid is null or (created_at, id) < (
                select created_at, id from desk_tasks where clinic_id = $1 and id = $4))
        order by created_at desc, id desc limit $5""",
        clinic_id,
        is_open,
        kind,
        after,
        limit,
    )
    return [to_struct(row, DeskTask) for row in rows]


async def fetch_task(connection: Connection, clinic_id: UUID, task_id: UUID) -> DeskTask | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from desk_tasks where clinic_id = $1 and id = $2", clinic_id, task_id
    )
    return to_struct(row, DeskTask) if row else None


async def close_undeliverable(connection: Connection, clinic_id: UUID, message_id: UUID, by: str) -> None:
    """Close the task about a message that did not arrive: whoever saw to the message has seen to it."""
    await connection.execute(
        """update desk_tasks set handled_at = now(), handled_by = $3
        where clinic_id = $1 and kind = 'undeliverable' and subject_id = $2 and handled_at is null""",
        clinic_id,
        message_id,
        by,
    )


async def mark_task_handled(connection: Connection, clinic_id: UUID, task_id: UUID, by: str) -> bool:
    """Note that a person saw to a task; return False where somebody had before."""
    return await connection.fetchval(
        """with handled as (
            update desk_tasks set handled_at = now(), handled_by = $3
            where clinic_id = $1 and id = $2 and handled_at is null returning 1
        )
        select exists (select 1 from handled)""",
        clinic_id,
        task_id,
        by,
    )
