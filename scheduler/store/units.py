"""The unit of work: one transaction, whose outcome is known even where the server's answer to COMMIT is lost."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from scheduler.store.connections import ACQUIRE_SECONDS, Connection, Pool

# What a connection that breaks in the middle of COMMIT is seen as.
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)


@asynccontextmanager
async def reading(pool: Pool) -> AsyncGenerator[Connection]:
    """Yield a connection for statements that stand alone: reads, and writes of one statement."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        yield connection


@asynccontextmanager
async def unit_of_work(pool: Pool) -> AsyncGenerator[Connection]:
    """Yield a connection inside a transaction that commits on leaving and rolls back on any error.

    Where the acknowledgement of COMMIT is lost the server is asked what became of the transaction: in every such
    case that was measured it had happened, and telling the caller that it had not would book them twice.
    """
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield connection
        except BaseException:
            if not connection.is_closed():
                await transaction.rollback()
            raise
        number = await connection.fetchval("select pg_current_xact_id_if_assigned()::text")
        try:
            await transaction.commit()
        except _LOST:
            if number is None or not await _has_committed(pool, number):
                raise


async def _has_committed(pool: Pool, number: str) -> bool:
    for pause in (0.0, 0.1, 0.4, 1.0):
        await asyncio.sleep(pause)
        try:
            status = await pool.fetchval("select pg_xact_status($1::text::xid8)", number, timeout=1)
        except (*_LOST, asyncpg.PostgresError):
            continue
        if status in ("committed", "aborted"):
            return status == "committed"
    return False
