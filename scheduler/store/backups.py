"""What a backup is made from and judged by: a snapshot, the rows of every table, and what must hold between them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from scheduler.domain.visits import LIVE
from scheduler.store.connections import CONNECT_SECONDS, Connection, prepare

# Each counts what must not be. They look at rows alone and trust no constraint, for a restored one proves itself last.
_BROKEN_PROMISES = {
    "somebody or something is in two visits at once": """
        select count(*) from occupancy as one join occupancy as other
            on other.clinic_id = one.clinic_id and other.resource_id = one.resource_id
            and other.visit_id > one.visit_id and other.during && one.during
        where not one.overbooked and not other.overbooked""",
    "a visit to come does not keep its therapist or its patient busy": """
        select count(*) from visits cross join unnest(array[therapist_id, patient_id]) as resource
        where status in ('booked', 'confirmed', 'arrived') and ends_at > now() and not exists (
            select 1 from occupancy where occupancy.clinic_id = visits.clinic_id and visit_id = visits.id
                and resource_id = resource)""",
    "a visit that is off the calendar still keeps somebody or something busy": """
        select count(*) from occupancy join visits
            on visits.clinic_id = occupancy.clinic_id and visits.id = occupancy.visit_id
        where status <> all($1::text[])""",
    "a booked visit has no trace of its booking": """
        select count(*) from visits where booked_at is not null and not exists (
            select 1 from audit_events where audit_events.clinic_id = visits.clinic_id and visit_id = visits.id
                and action = 'visit.booked')""",
    "a message is about a visit or a patient of which there is no row": """
        select count(*) from messages
        where visit_id is not null and not exists (
                select 1 from visits where visits.clinic_id = messages.clinic_id and visits.id = visit_id)
            or patient_id is not null and not exists (
                select 1 from patients where patients.clinic_id = messages.clinic_id and patients.id = patient_id)""",
}


@asynccontextmanager
async def patient_connection(dsn: str) -> AsyncGenerator[Connection]:
    """Yield a connection whose statements may take as long as they need, for counting and copying everything."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings={"timezone": "UTC"})
    try:
        await prepare(connection)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncGenerator[str]:
    """Yield the name of what this transaction sees, which other sessions may look at as well while it lasts."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield await connection.fetchval("select pg_export_snapshot()")


async def count_rows(connection: Connection) -> dict[str, int]:
    """Return how many rows every table has, by name."""
    statement = await connection.fetchval(
        """select string_agg(format('select %L as name, count(*) as rows from public.%I', relname, relname),
            ' union all ' order by relname)
        from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition"""
    )
    rows = await connection.fetch(statement) if statement else []
    return {row["name"]: row["rows"] for row in rows}


async def broken_promises(connection: Connection) -> dict[str, int]:
    """Return what must not be and is, in words, and how often; empty where all is well."""
    counts = {
        words: await connection.fetchval(statement, *([list(LIVE)] if "$1" in statement else []))
        for words, statement in _BROKEN_PROMISES.items()
    }
    return {words: count for words, count in counts.items() if count}


async def server_major(connection: Connection) -> int:
    return int(await connection.fetchval("select current_setting('server_version_num')")) // 10_000


async def database_exists(connection: Connection, name: str) -> bool:
    return await connection.fetchval("select exists (select 1 from pg_database where datname = $1)", name)


async def make_database(connection: Connection, name: str) -> None:
    """Make an empty database, in UTF-8 whatever the server's own is. Raises InsufficientPrivilegeError."""
    await connection.execute(f"create database {_quoted(name)} template template0 encoding 'UTF8'")


async def drop_database(connection: Connection, name: str) -> None:
    await connection.execute(f"drop database if exists {_quoted(name)} with (force)")


async def rename_databases(connection: Connection, names: dict[str, str]) -> None:
    """Rename databases, all of them or none. Raises ObjectInUseError where somebody is connected to one."""
    async with connection.transaction():
        for old, new in names.items():
            await connection.execute(f"alter database {_quoted(old)} rename to {_quoted(new)}")


async def give_up_overdue(connection: Connection, reason: str) -> list[asyncpg.Record]:
    """Close what was waiting to be sent and is due by now; return its clinics and ids.

    Since a backup was taken its messages may have gone out, and nothing in it knows.
    """
    return await connection.fetch(
        """update messages set state = 'dead', reason = $1, finished_at = now()
        where state = 'pending' and not_before <= now() returning clinic_id, id""",
        reason,
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
