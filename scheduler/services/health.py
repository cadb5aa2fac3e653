"""Whether this installation can do its work: the checks behind /health/ready."""

import asyncpg
import msgspec

from scheduler.store.connections import Pool
from scheduler.store.heartbeats import fetch_health
from scheduler.store.planner import count_forgotten
from scheduler.store.schema import current_revision, newest_revision

HEARTBEAT_SECONDS = 60.0
OVERDUE_SECONDS = 300.0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold, whether it does, and in plain words what is wrong where it does not."""

    name: str
    ok: bool
    detail: str = ""


async def readiness(pool: Pool) -> list[Check]:
    """Return every check: on the database, its schema, the workers, what is long overdue, and what was forgotten."""
    try:
        async with pool.acquire(timeout=2) as connection:
            revision = await current_revision(connection)
            health = await fetch_health(connection) if revision else None
            forgotten = await count_forgotten(connection) if revision else 0
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return [Check(name="database", ok=False, detail="The database does not answer.")]
    checks = [
        Check(name="database", ok=True),
        Check(
            name="migrations",
            ok=revision == newest_revision(),
            detail="" if revision == newest_revision() else "The schema is not current: run `scheduler migrate`.",
        ),
    ]
    if health is None:
        return checks
    alive = health.heartbeat_age is not None and health.heartbeat_age <= HEARTBEAT_SECONDS
    overdue = health.oldest_overdue_age or 0.0
    return [
        *checks,
        Check(name="worker", ok=alive, detail="" if alive else "No worker has been heard of for a minute."),
        Check(
            name="messages",
            ok=overdue <= OVERDUE_SECONDS,
            detail="" if overdue <= OVERDUE_SECONDS else "A message has been due for more than five minutes.",
        ),
        Check(
            name="reminders",
            ok=not forgotten,
            detail=f"Visits 24 to 48 hours ahead of which nobody will be reminded: {forgotten}." if forgotten else "",
        ),
    ]
