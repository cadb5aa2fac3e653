"""What operators watch, however the database is."""

import asyncpg
import structlog

from scheduler.store.connections import Pool
from scheduler.store.metrics import Gauges, fetch_gauges

_log = structlog.get_logger(__name__)

# A scrape must not wait for a connection as long as a booking may.
ACQUIRE_SECONDS = 2.0


async def read_gauges(pool: Pool) -> Gauges | None:
    """Return the gauges, or None where the database is away or its schema is older than this release."""
    try:
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return await fetch_gauges(connection)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        _log.warning("metrics.without_database", problem=type(problem).__name__)
        return None
