"""The unit of work: one transaction, whose outcome is known even where the server's answer to COMMIT is lost."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from scheduler.store.connections import ACQUIRE_SECONDS, Connection, Pool

# What a connection that breaks in the middle of COMMIT is seen as.
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    # The library lost count of what a connection is at, which one that was cut at a bad moment does to it.
    asyncpg.InternalClientError,
)

# After these nobody knows what a connection is at, or whether it leads anywhere: it is not asked, and not used again.
_UNSURE = (*_LOST, asyncio.CancelledError)


@asynccontextmanager
async def reading(pool: Pool) -> AsyncGenerator[Connection]:
    """Yield a connection for statements that stand alone: reads, and writes of one statement."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        try:
            yield connection
        except _UNSURE as problem:
            _drop(pool, connection, problem)
            raise


@asynccontextmanager
async def unit_of_work(
    pool: Pool, *, before: Callable[[Connection], Awaitable[None]] | None = None
) -> AsyncGenerator[Connection]:
    """Yield a connection inside a transaction that commits on leaving and rolls back on any error.

    ``before`` may ask something first, on the same connection and outside the transaction; where it raises, none is
    begun.

    Where the acknowledgement of COMMIT is lost the server is asked what became of the transaction: in every such
    case that was measured it had happened, and telling the caller that it had not would book them twice.
    """
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        transaction, begun = connection.transaction(), False
        try:
            if before is not None:
                await before(connection)
            await transaction.start()
            begun = True
            yield connection
        except _UNSURE as problem:
            # The server rolls back what nobody commits, as soon as it notices that nobody is there.
            _drop(pool, connection, problem)
            raise
        except BaseException:
            # Where the connection is lost so is what was to be undone, and the caller has trouble of their own.
            try:
                if begun:
                    await transaction.rollback()
            except _LOST as problem:
                _drop(pool, connection, problem)
            raise
        number = None
        try:
            number = await connection.fetchval("select pg_current_xact_id_if_assigned()::text")
            await transaction.commit()
        except _UNSURE as problem:
            _drop(pool, connection, problem)
            lost = problem
        else:
            return
    # Not before the connection is given back: where all of them are lost at once, nobody could ask on another.
    if number is None or isinstance(lost, asyncio.CancelledError) or not await _has_committed(pool, number):
        raise lost


def _drop(pool: Pool, connection: Connection, problem: BaseException) -> None:
    # One that has ended by itself is the pool's again already.
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()
    if isinstance(problem, TimeoutError):
        # The server would have given up before. Where one line leads nowhere, so do those that wait to be used, most
        # likely; the library's own way to be rid of them says goodbye to each first, and waits for the answer.
        for holder in pool._holders:  # noqa: SLF001 # pyright: ignore
            if holder.is_idle():  # pyright: ignore
                holder.terminate()  # pyright: ignore


async def _has_committed(pool: Pool, number: str) -> bool:
    for pause in (0.0, 0.1, 0.4, 1.0):
        await asyncio.sleep(pause)
        try:
            async with pool.acquire(timeout=1) as connection:
                status = await connection.fetchval("select pg_xact_status($1::text::xid8)", number, timeout=1)
        except (*_LOST, asyncpg.PostgresError):
            continue
        if status in ("committed", "aborted"):
            return status == "committed"
    return False
