"""Signs of life of the workers, and what the health check reads of the database."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What readiness depends on; ages are seconds by the database's clock, None where there is nothing to age.

    A message that waits for an earlier one to the same address is not overdue by itself.
    """

    heartbeat_age: float | None
    oldest_overdue_age: float | None


async def beat(connection: Connection, worker_id: UUID) -> None:
    """Say that a worker lives; workers silent for a day are forgotten."""
    await connection.execute(
        """with forgotten as (delete from worker_heartbeats where beat_at < now() - interval '1 day')
        insert into worker_heartbeats (worker_id) values ($1)
        on conflict (worker_id) do update set beat_at = now()""",
        worker_id,
    )


async def leave(connection: Connection, worker_id: UUID) -> None:
    """Say that a worker stopped as it should."""
    await connection.execute("delete from worker_heartbeats where worker_id = $1", worker_id)


async def fetch_health(connection: Connection, now: datetime | None = None) -> Health:
    """Return how fresh the freshest heartbeat is, and how long the oldest due message has waited."""
    row = await connection.fetchrow(
        """select
            extract(epoch from now() - (select max(beat_at) from worker_heartbeats))::float8 as heartbeat_age,
            extract(epoch from coalesce($1, now()) - (
                select min(not_before) from messages as due
                where state = 'pending' and not_before <= coalesce($1, now()) and not exists (
                    select 1 from messages as earlier
                    where earlier.clinic_id = due.clinic_id and earlier.address = due.address
                        and earlier.id < due.id and earlier.state in ('sending', 'unknown'))
            ))::float8 as oldest_overdue_age""",
        now,
    )
    if row is None:
        raise LookupError("a select without a table always returns a row")
    return to_struct(row, Health)
