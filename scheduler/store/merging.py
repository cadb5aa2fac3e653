"""Two records of one patient made one: each statement moves one kind of thing from the one to the other."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from scheduler.domain.visits import Visit
from scheduler.ids import new_id
from scheduler.store.connections import Connection
from scheduler.store.locks import lock_clinic
from scheduler.store.rows import to_struct
from scheduler.store.visits import VISIT_COLUMNS

# Whatever has a patient_id and moves with it. Consents and traces are never changed: consents are copied, and traces
# of a merged record are found with those of the patient. A test knows all tables that speak of a patient.
MOVED = ("visits", "messages", "inbound_messages", "desk_tasks")


async def try_lock_records(connection: Connection, clinic_id: UUID, patient_ids: Sequence[UUID]) -> bool:
    """Hold two records, their visits, and all booking at the clinic still, or return False, holding nothing.

    The clinic comes first, as everywhere; a booking may have a record and wait for the clinic, so nobody waits here for
    a row.
    """
    try:
        async with connection.transaction():
            await lock_clinic(connection, clinic_id, exclusive=True)
            await connection.execute(
                "select from patients where clinic_id = $1 and id = any($2::uuid[]) for update nowait",
                clinic_id,
                list(patient_ids),
            )
            await connection.execute(
                "select from visits where clinic_id = $1 and patient_id = any($2::uuid[]) for no key update nowait",
                clinic_id,
                list(patient_ids),
            )
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def list_clashes(connection: Connection, clinic_id: UUID, one: UUID, other: UUID) -> list[Visit]:
    """Return the visits of two patients that keep both busy at once, which one patient cannot be, in order of start."""
    rows = await connection.fetch(
        f"""select {VISIT_COLUMNS} from visits where clinic_id = $1 and id in (
            select unnest(array[mine.visit_id, theirs.visit_id]) from occupancy as mine join occupancy as theirs
                on theirs.clinic_id = $1 and theirs.resource_id = $3 and theirs.during && mine.during
                    and not theirs.overbooked
            where mine.clinic_id = $1 and mine.resource_id = $2 and not mine.overbooked)
        order by starts_at, id""",
        clinic_id,
        one,
        other,
    )
    return [to_struct(row, Visit) for row in rows]


async def move_occupancy(connection: Connection, clinic_id: UUID, gone: UUID, kept: UUID) -> None:
    """Let one patient be where the other was to be. Raises ExclusionViolationError where both are at once."""
    await connection.execute(
        "update occupancy set resource_id = $3 where clinic_id = $1 and resource_id = $2", clinic_id, gone, kept
    )


async def move_rows(connection: Connection, clinic_id: UUID, table: str, gone: UUID, kept: UUID) -> int:
    """Give the rows of one of ``MOVED`` to another patient; return how many."""
    if table not in MOVED:
        raise ValueError(table)
    return await connection.fetchval(
        f"""with moved as (
            update {table} set patient_id = $3 where clinic_id = $1 and patient_id = $2 returning 1
        )
        select count(*) from moved""",
        clinic_id,
        gone,
        kept,
    )


async def list_visit_ids(connection: Connection, clinic_id: UUID, patient_id: UUID) -> list[UUID]:
    rows = await connection.fetch(
        "select id from visits where clinic_id = $1 and patient_id = $2 order by starts_at, id", clinic_id, patient_id
    )
    return [row["id"] for row in rows]


async def copy_consents(connection: Connection, clinic_id: UUID, gone: UUID, kept: UUID) -> int:
    """Write down for one patient what the other said, with the same proof and at the same time; return how much."""
    said = await connection.fetch(
        "select id from consents where clinic_id = $1 and patient_id = $2 order by recorded_at, id", clinic_id, gone
    )
    await connection.execute(
        """insert into consents (clinic_id, id, patient_id, channel, scope, granted, address, language, wording_version,
            method, actor, recorded_at, client_address, user_agent)
        select clinic_id, copies.new_id, $2, channel, scope, granted, address, language, wording_version, method, actor,
            recorded_at, client_address, user_agent
        from consents join unnest($3::uuid[], $4::uuid[]) as copies (old_id, new_id) on id = old_id
        where clinic_id = $1""",
        clinic_id,
        kept,
        [row["id"] for row in said],
        [new_id() for _ in said],
    )
    return len(said)


async def mark_merged(connection: Connection, clinic_id: UUID, gone: UUID, kept: UUID) -> None:
    """Let a record lead to another one, and whatever was merged into it before."""
    await connection.execute(
        """update patients set merged_into = $3, updated_at = now()
        where clinic_id = $1 and (id = $2 or merged_into = $2)""",
        clinic_id,
        gone,
        kept,
    )


async def free_alias(connection: Connection, clinic_id: UUID, patient_id: UUID, phone: str, key: str) -> None:
    """Let a patient have the name and phone of a record that was merged into theirs."""
    await connection.execute(
        r"""update patients set name_key = name_key || E'\x1f' || id
        where clinic_id = $1 and merged_into = $2 and phone = $3 and name_key = $4""",
        clinic_id,
        patient_id,
        phone,
        key,
    )
