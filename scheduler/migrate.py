"""The database's schema, brought from one revision to another by Alembic in this process.

A whole run is one transaction: it happens or it does not. Runs queue behind an advisory lock, so any number of
processes may start at once. Revisions live in ``migrations/versions`` and hold plain SQL for ``run_sql``.

Alembic and SQLAlchemy are imported where they are used: every other command starts half a second sooner.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import asyncpg

from scheduler.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

# Any number will do, as long as it is the same in every release.
ADVISORY_LOCK = 7_291_177_100

# Whoever waits for a migration waits no longer than this for each table it needs; then it gives up and changes nothing.
LOCK_TIMEOUT = "5s"
CONNECT_SECONDS = 5.0

# Alembic keeps the migration under way in a module of its own, so there is one at a time in a process.
_alone = threading.Lock()


def upgrade(dsn: str, revision: str = "head") -> None:
    """Bring the database up to the revision. Raises ConfigurationError where that cannot be done; nothing has changed.

    May be called with or without a running event loop; it blocks until done.
    """
    _run(dsn, "upgrade", revision)


def downgrade(dsn: str, revision: str) -> None:
    """Bring the database down to the revision, ``base`` for an empty one. Raises and blocks as ``upgrade`` does."""
    _run(dsn, "downgrade", revision)


def run_sql(sql: str) -> None:
    """Run any number of statements of plain SQL inside a revision, in the migration's transaction."""
    from alembic import op
    from sqlalchemy import text
    from sqlalchemy.util import await_only

    bind = op.get_bind()
    # SQLAlchemy begins its transaction at its first statement, and the driver below it knows nothing of that.
    bind.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
    await_only(bind.connection.driver_connection.execute(sql))  # pyright: ignore[reportOptionalMemberAccess]


def _run(dsn: str, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    with _alone, ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _migrate(dsn, direction, revision)).result()


async def _connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=0)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        raise ConfigurationError(
            f"DATABASE_URL: the database cannot be used ({type(problem).__name__}): is it running and reachable?"
        ) from problem


async def _migrate(dsn: str, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    def migrate(connection: "Connection") -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        {"upgrade": command.upgrade, "downgrade": command.downgrade}[direction](config, revision)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: _connect(dsn), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            # Before any timeout: others may take as long as they need.
            await connection.execute(text(f"select pg_advisory_xact_lock({ADVISORY_LOCK})"))
            await connection.run_sync(migrate)
    except CommandError as problem:
        raise ConfigurationError(f"The database cannot be migrated: {problem}.") from problem
    except asyncpg.LockNotAvailableError as problem:
        raise ConfigurationError(
            f"The database was not migrated: another program kept a table for more than {LOCK_TIMEOUT}; try again."
        ) from problem
    finally:
        await engine.dispose()
