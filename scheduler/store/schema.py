"""Which revision the schema is at. Kept apart from Alembic, which is slow to import and only migrations need."""

from functools import cache
from pathlib import Path

from scheduler.store.connections import Connection

MIGRATIONS = Path(__file__).parents[2] / "migrations"


@cache
def newest_revision() -> str:
    """Return the newest revision that this release knows; files of revisions begin with their numbers."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


async def current_revision(connection: Connection) -> str | None:
    """Return the revision the database is at, or None for one that was never migrated."""
    if await connection.fetchval("select to_regclass('alembic_version')") is None:
        return None
    return await connection.fetchval("select version_num from alembic_version")
