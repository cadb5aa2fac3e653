"""The role that the service works as: enough for everything it does, and not enough to cover up any of it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from scheduler.commands import migrations
from scheduler.errors import ConfigurationError
from scheduler.store.connections import Connection
from scheduler.store.roles import admit_service, may_rewrite_audit
from tests.conftest import Databases


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def service(service_dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(service_dsn)
    yield connection
    await connection.close()


async def test_it_owns_nothing_and_is_nobody_special(service: Connection) -> None:
    owned = await service.fetchval("select count(*) from pg_class where relowner = current_user::regrole")
    powers = "rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls"
    assert owned == 0
    assert not await service.fetchval(f"select {powers} from pg_roles where rolname = current_user")
    assert not await may_rewrite_audit(service)


async def test_the_owner_could_rewrite_the_audit_and_is_recognised_by_it(owner: Connection) -> None:
    assert await may_rewrite_audit(owner)


@pytest.mark.parametrize(
    "statement",
    [
        "drop table audit_events",
        "truncate audit_events",
        "update audit_events set actor = 'nobody'",
        "delete from audit_events",
        "delete from consents",
        "update consents set granted = true",
        "alter table audit_events disable trigger audit_events_append_only",
        "drop trigger audit_events_append_only on audit_events",
        "create or replace function refuse_change() returns trigger language plpgsql as 'begin return null; end'",
        "alter table occupancy drop constraint occupancy_without_overlap",
        "set session_replication_role = replica",
        "update alembic_version set version_num = '0001'",
        "create table public.mine ()",
        "drop database postgres",
        "create role another superuser",
        "set role postgres",
        "copy visits to program 'cat'",
        "truncate visits cascade",
    ],
)
async def test_it_cannot(service: Connection, statement: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)):
        await service.execute(statement)


async def test_every_table_that_only_grows_grows_by_it_and_every_other_is_its_to_write(owner: Connection) -> None:
    rights = """select relname, exists (
            select 1 from pg_trigger join pg_proc on pg_proc.oid = tgfoid
            where tgrelid = pg_class.oid and proname = 'refuse_change') as grows,
        has_table_privilege($1, pg_class.oid, 'select') and has_table_privilege($1, pg_class.oid, 'insert') as adds,
        has_table_privilege($1, pg_class.oid, 'update') or has_table_privilege($1, pg_class.oid, 'delete') as rewrites
    from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'alembic_version'"""
    role = await owner.fetchval("select rolname from pg_roles where rolname like 'scheduler\\_test\\_%\\_service'")
    tables = await owner.fetch(rights, role)
    assert {row["relname"] for row in tables if row["grows"]} >= {"audit_events", "consents"}
    assert len(tables) > 20
    for row in tables:
        assert (row["adds"], row["rewrites"]) == (True, not row["grows"]), row["relname"]


async def test_migrating_again_leaves_its_rights_as_they_are(databases: Databases) -> None:
    await databases.create("again", template="template")
    try:
        await migrations.migrate(databases.settings("again"))
        connection = await asyncpg.connect(databases.service_dsn("again"))
        assert await connection.fetchval("select count(*) from visits") == 0
        assert await connection.fetchval("select version_num from alembic_version")
        await connection.close()
    finally:
        await databases.drop("again")


async def test_an_owner_who_may_not_make_roles_is_told_what_to_do(service: Connection) -> None:
    with pytest.raises(ConfigurationError, match="may not make the role newcomer; make it as an administrator"):
        await admit_service(service, "newcomer", "a password")
