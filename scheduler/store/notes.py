"""A line on a visit for the desk. The latest is shown; those before it stay, as nothing of a visit is forgotten."""

from uuid import UUID

import msgspec

from scheduler.ids import new_id
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody of the desk wrote, and who."""

    text: str
    created_by: str


async def fetch_note(connection: Connection, clinic_id: UUID, visit_id: UUID) -> Note | None:
    row = await connection.fetchrow(
        """select text, created_by from visit_notes where clinic_id = $1 and visit_id = $2 and removed_at is null
        order by id desc limit 1""",
        clinic_id,
        visit_id,
    )
    return to_struct(row, Note) if row else None


async def remove_notes(connection: Connection, clinic_id: UUID, visit_id: UUID, *, by: str) -> bool:
    """Take every note off a visit; return whether there was one."""
    return await connection.fetchval(
        """with removed as (
            update visit_notes set removed_by = $3, removed_at = now()
            where clinic_id = $1 and visit_id = $2 and removed_at is null returning 1
        )
        select exists (select from removed)""",
        clinic_id,
        visit_id,
        by,
    )


async def add_note(connection: Connection, clinic_id: UUID, visit_id: UUID, text: str, *, by: str) -> None:
    await connection.execute(
        "insert into visit_notes (clinic_id, id, visit_id, text, created_by) values ($1, $2, $3, $4, $5)",
        clinic_id,
        new_id(),
        visit_id,
        text,
        by,
    )
