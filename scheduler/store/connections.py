"""The pool of PostgreSQL connections, and what every connection of it is set to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import msgspec

from scheduler.errors import ConfigurationError
from scheduler.settings import Settings

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

# Without these and a limit for each command a half-open database hangs requests for more than a minute (DESIGN,
# database rules).
CONNECT_SECONDS = 5.0
ACQUIRE_SECONDS = 3.0


class Patience(NamedTuple):
    """How long a statement may take: for the server, which gives up first, and for us, in seconds.

    So a session stays usable, and one that has said nothing when our own limit strikes leads nowhere.
    """

    server: str
    client: float


# Somebody waits for what is asked here, and for no longer than the whole answer may take (web/application).
WEB = Patience("3s", 3.5)
# Nobody waits; commands and workers may count everything there is.
WORK = Patience("8s", 10.0)

SERVER_LIMITS = {
    "application_name": "scheduler",
    "timezone": "UTC",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "15s",
    # A session whose client's machine is gone keeps its place for a minute and not for hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


def _encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def prepare(connection: Connection) -> None:
    """Let jsonb columns go in and out as Python values; msgspec Structs are encoded as objects."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_json, decoder=msgspec.json.decode, format="text"
    )


async def _leave_as_it_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Save the round trip in which asyncpg would reset what a session was set to: nobody here sets anything.

    Settings and locks are the transaction's alone (``set local``, ``pg_advisory_xact_lock``), and LISTEN has a
    connection outside the pool. A transaction left open is rolled back before this is called.
    """


async def connect(settings: Settings, *, dsn: str | None = None) -> "asyncpg.Connection[asyncpg.Record]":
    """Open one connection outside the pool: for commands, and for LISTEN, which a pooled one may not keep."""
    connection = await asyncpg.connect(
        dsn or settings.database_url,
        timeout=CONNECT_SECONDS,
        command_timeout=WORK.client,
        server_settings=SERVER_LIMITS | {"statement_timeout": WORK.server},
        statement_cache_size=settings.database_statement_cache_size,
    )
    await prepare(connection)
    return connection


@asynccontextmanager
async def open_pool(settings: Settings, patience: Patience = WORK) -> AsyncGenerator[Pool]:
    """Open the pool, refuse a server that may lose what it acknowledged, and close the pool on leaving.

    Raises ConfigurationError, one sentence, where the server cannot be reached or is unsafe.
    """
    try:
        pool = await asyncpg.create_pool(
            settings.database_url,
            # A burst must not wait for connections to be made while it races.
            min_size=settings.database_pool_size,
            max_size=settings.database_pool_size,
            timeout=CONNECT_SECONDS,
            command_timeout=patience.client,
            server_settings=SERVER_LIMITS | {"statement_timeout": patience.server},
            statement_cache_size=settings.database_statement_cache_size,
            init=prepare,
            reset=_leave_as_it_is,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        raise ConfigurationError(
            f"DATABASE_URL: the database cannot be used ({type(problem).__name__}): is it running and reachable?"
        ) from problem
    try:
        await _refuse_unsafe(pool, settings)
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), timeout=3)
        except (OSError, TimeoutError, asyncpg.InterfaceError):
            # The server is slow to let go, or went first.
            pool.terminate()


async def _refuse_unsafe(pool: Pool, settings: Settings) -> None:
    # A server with either of these off has lost acknowledged bookings in a crash (DESIGN, database rules).
    if settings.database_allow_unsafe:
        return
    for name in ("fsync", "synchronous_commit"):
        if await pool.fetchval("select current_setting($1)", name) == "off":
            raise ConfigurationError(f"DATABASE_URL: the server runs with {name}=off and may lose bookings; turn it on")
