"""The role that the service works as: it reads and writes rows, owns nothing, and cannot rewrite what is append-only.

Where the schema and the service have different roles, a hole in the service is no hole in its traces: the role of
DATABASE_URL may not drop, alter or truncate anything, and in the audit and the consents it may only add.
"""

import asyncpg

from scheduler.errors import ConfigurationError
from scheduler.migrate import ADVISORY_LOCK
from scheduler.store.connections import Connection

# What a table allows follows from the table: one whose trigger refuses changes takes additions alone, and which
# revision the schema is at is for migrations to write.
_GRANTS = """select string_agg(statement, '; ' order by place) from (
    select 0 as place, format('grant usage on schema public to %1$I', $1::text) as statement
    union all
    select 1, format('revoke all on all tables in schema public from %1$I', $1::text)
    union all
    select 2, format('grant %s on public.%I to %I', case
            when relname = 'alembic_version' then 'select'
            when exists (
                select 1 from pg_trigger where tgrelid = pg_class.oid and tgfoid = to_regproc('refuse_change')
            ) then 'select, insert'
            else 'select, insert, update, delete' end, relname, $1::text)
    from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
) as grants"""


async def admit_service(connection: Connection, role: str, password: str | None) -> None:
    """Let a role run the service in this database and no more, making it if there is none, in one transaction.

    A role that is there keeps its password. The connection is the owner's. Raises ConfigurationError where the owner
    may not make roles.
    """
    async with connection.transaction():
        # Two at once would trip over each other's grants.
        await connection.execute("select pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        await _make_role(connection, role, password)
        await connection.execute(await connection.fetchval(_GRANTS, role))


async def _make_role(connection: Connection, role: str, password: str | None) -> None:
    if await connection.fetchval("select exists (select 1 from pg_roles where rolname = $1)", role):
        return
    make = await connection.fetchval(
        "select format('create role %I login password %L', $1::text, $2::text)", role, password
    )
    try:
        async with connection.transaction():
            await connection.execute(make)
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        pass  # made for another database of this server at the same moment
    except asyncpg.InsufficientPrivilegeError as problem:
        raise ConfigurationError(
            f"DATABASE_OWNER_URL: its role may not make the role {role}; make it as an administrator "
            f"(create role {role} login password '...'), then run `scheduler migrate` again."
        ) from problem


async def may_rewrite_audit(connection: Connection) -> bool:
    """Return whether the role that is connected could change what is append-only, or take away what keeps it so."""
    return await connection.fetchval(
        """select pg_has_role(relowner, 'usage') or has_table_privilege(oid, 'update, delete, truncate, trigger')
        from pg_class where oid = 'audit_events'::regclass"""
    )
