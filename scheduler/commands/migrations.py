"""`scheduler migrate`: the schema of this release, and the rights of the role that the service works as."""

from urllib.parse import unquote, urlsplit

from scheduler.migrate import downgrade, upgrade
from scheduler.settings import Settings
from scheduler.store.connections import connect
from scheduler.store.roles import admit_service


async def migrate(settings: Settings, revision: str = "head", *, down: bool = False) -> None:
    """Bring the schema to a revision as its owner, and let the role of DATABASE_URL use it where that is another.

    Raises ConfigurationError; the schema has not changed then.
    """
    (downgrade if down else upgrade)(settings.owner_url, revision)
    if not down:
        await admit(settings)


async def admit(settings: Settings, *, dsn: str | None = None) -> None:
    """Give the role of DATABASE_URL what the service needs, in the owner's database or another one of the server."""
    service, owner = urlsplit(settings.database_url), urlsplit(settings.owner_url)
    if service.username is None or service.username == owner.username:
        return
    password = unquote(service.password) if service.password else None
    connection = await connect(settings, dsn=dsn or settings.owner_url)
    try:
        await admit_service(connection, unquote(service.username), password)
    finally:
        await connection.close()
