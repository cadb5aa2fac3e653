"""The schema goes up and down, in whole steps, and is ready to be spread over many machines by clinic."""

import asyncio
import importlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from scheduler import migrate
from scheduler.domain.patients import name_key
from scheduler.errors import ConfigurationError
from scheduler.ids import new_id
from scheduler.store.schema import current_revision, newest_revision
from tests.conftest import Databases

# Older ones refuse an exclusion constraint on a partitioned table.
PARTITIONED_EXCLUSION = 18

UPGRADE = "import sys; from scheduler.migrate import upgrade; upgrade(sys.argv[1])"


@pytest.fixture
async def empty(databases: Databases, worker_id: str) -> AsyncIterator[str]:
    """Yield the address of a database with nothing in it."""
    name = f"{worker_id}_empty"
    yield await databases.create(name)
    await databases.drop(name)


@pytest.fixture
async def connection(empty: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(empty)
    yield connection
    await connection.close()


async def shape(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[str]]:
    """Return every column, constraint, index, function and trigger there is, in words."""
    questions = {
        "columns": "select format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) "
        "from information_schema.columns where table_schema = 'public'",
        "constraints": "select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) "
        "from pg_constraint where connamespace = 'public'::regnamespace",
        "indexes": "select indexdef from pg_indexes where schemaname = 'public'",
        "functions": "select proname from pg_proc join pg_language l on l.oid = prolang "
        "where pronamespace = 'public'::regnamespace and lanname = 'plpgsql'",
        "triggers": "select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal",
    }
    return {name: sorted(row[0] for row in await connection.fetch(sql)) for name, sql in questions.items()}


async def test_the_schema_goes_up_down_and_up_again_to_the_same_shape(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    assert await current_revision(connection) is None
    migrate.upgrade(empty)
    assert await current_revision(connection) == newest_revision()
    first = await shape(connection)
    assert any("occupancy_without_overlap" in constraint for constraint in first["constraints"])
    migrate.downgrade(empty, "base")
    assert await current_revision(connection) is None
    left = await shape(connection)
    assert all("alembic_version" in line for lines in left.values() for line in lines), left
    migrate.upgrade(empty)
    assert await shape(connection) == first


async def test_an_upgrade_of_a_current_database_changes_nothing(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    migrate.upgrade(empty)
    before = await shape(connection)
    migrate.upgrade(empty)
    assert await shape(connection) == before


async def test_processes_that_migrate_at_once_queue_and_all_succeed(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", UPGRADE, empty, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in processes:
        _, complaints = await process.communicate()
        assert (process.returncode, complaints) == (0, b"")
    assert await current_revision(connection) == newest_revision()


async def test_a_migration_that_waits_for_another_holds_no_lock_timeout_against_it(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "100ms")
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({migrate.ADVISORY_LOCK})")
        waiting = asyncio.create_task(asyncio.to_thread(migrate.upgrade, empty))
        await asyncio.sleep(0.5)
        assert not waiting.done()
    await waiting
    assert await current_revision(connection) == newest_revision()


async def test_a_migration_that_cannot_have_a_table_gives_up_whole_and_says_so(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.upgrade(empty)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "100ms")
    async with connection.transaction():
        await connection.execute("lock table worker_heartbeats in access share mode")
        with pytest.raises(ConfigurationError, match="another program kept a table for more than 100ms"):
            await asyncio.to_thread(migrate.downgrade, empty, "base")
    assert await current_revision(connection) == newest_revision()


@pytest.mark.parametrize(
    ("address", "revision", "sentence"),
    [
        ("{absent}", "head", "DATABASE_URL: the database cannot be used"),
        ("postgresql://127.0.0.1:1/absent", "head", "DATABASE_URL: the database cannot be used"),
        ("{empty}", "9999", "The database cannot be migrated: .*9999"),
    ],
)
def test_what_cannot_be_migrated_is_one_sentence(
    address: str, revision: str, sentence: str, databases: Databases, empty: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        migrate.upgrade(address.format(absent=databases.dsn("absent"), empty=empty), revision)
    assert "\n" not in str(caught.value)


def partitioned_by_clinic(schema: str) -> str:
    """Return the SQL with every table that has a clinic_id split by it, in two."""

    def split(table: re.Match[str]) -> str:
        name, columns = table.group(1), table.group(2)
        if not re.search(r"^    clinic_id uuid", columns, re.MULTILINE):
            return table.group()
        parts = [
            f"create table {name}_{part} partition of {name} for values with (modulus 2, remainder {part});"
            for part in range(2)
        ]
        return "\n".join([f"create table {name} ({columns}) partition by hash (clinic_id);", *parts])

    return re.sub(r"^create table (\w+) \((.*?)^\);", split, schema, flags=re.MULTILINE | re.DOTALL)


def revisions() -> list[Any]:
    """Return the modules of all revisions, oldest first; each follows the one before."""
    names = sorted(path.stem for path in (migrate.MIGRATIONS / "versions").glob("[0-9]*.py"))
    modules = [importlib.import_module(f"migrations.versions.{name}") for name in names]
    assert [module.down_revision for module in modules] == [None, *(module.revision for module in modules[:-1])]
    assert modules[-1].revision == newest_revision()
    return modules


async def columns(connection: "asyncpg.Connection[asyncpg.Record]", *, partitions: bool) -> set[tuple[str, str]]:
    """Return every column of the split tables; or of their parts, under the names of the tables."""
    rows = await connection.fetch(
        "select regexp_replace(relname, case when relispartition then '_[01]$' else '$' end, ''), attname "
        "from pg_class join pg_attribute on attrelid = pg_class.oid where attnum > 0 and not attisdropped "
        "and relispartition = $1 and relkind = case when $1 then 'r' else 'p' end::\"char\"",
        partitions,
    )
    return {(row[0], row[1]) for row in rows}


async def test_the_whole_schema_loads_split_by_clinic_and_still_refuses_an_overlap(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    if connection.get_server_version().major < PARTITIONED_EXCLUSION:
        pytest.skip("exclusion constraints on partitioned tables need PostgreSQL 18")
    for revision in revisions():
        await connection.execute(partitioned_by_clinic(revision.UP))
    split = {row[0] for row in await connection.fetch("select partrelid::regclass::text from pg_partitioned_table")}
    tenant = {
        row[0]
        for row in await connection.fetch(
            "select c.relname from pg_attribute a join pg_class c on c.oid = attrelid "
            "where attname = 'clinic_id' and relkind in ('r', 'p') and not relispartition"
        )
    }
    assert split == tenant
    assert {"occupancy", "visits", "messages", "patients", "webhook_deliveries", "desk_tasks", "visit_links"} <= split
    assert await columns(connection, partitions=False) == await columns(connection, partitions=True)

    # The rows that occupancy refers to are beside the point.
    await connection.execute("set session_replication_role = replica")
    start = datetime(2027, 3, 15, 14, tzinfo=UTC)
    for clinic in map(UUID, (f"{number:032x}" for number in range(8))):
        await occupy(connection, clinic, start)
        await occupy(connection, clinic, start + timedelta(minutes=30))
        with pytest.raises(asyncpg.ExclusionViolationError):
            await occupy(connection, clinic, start + timedelta(minutes=15))
    used = await connection.fetch("select count(*) from occupancy group by tableoid")
    assert len(used) == 2, "the clinics must lie in both parts for this to mean anything"


async def occupy(connection: "asyncpg.Connection[asyncpg.Record]", clinic_id: UUID, starts_at: datetime) -> None:
    """Keep the clinic's only therapist busy for half an hour."""
    await connection.execute(
        "insert into occupancy (clinic_id, resource_id, visit_id, kind, during) values ($1, $1, $2, 'visit', $3)",
        clinic_id,
        new_id(),
        asyncpg.Range(starts_at, starts_at + timedelta(minutes=30)),
    )


# How names were compared before 0006: the letters that NFKD does not make plain stayed as they were.
CURLY, STRAIGHT, RAISED = "o\u2019neil\x1fpat", "o'neil\x1fpat", "o\u02bcneil\x1fpat"


@pytest.fixture
async def before_0006(empty: str, connection: "asyncpg.Connection[asyncpg.Record]") -> UUID:
    """Migrate to the schema before 0006 and return the id of the only clinic."""
    migrate.upgrade(empty, "0005")
    clinic_id = new_id()
    await connection.execute(
        "insert into clinics (id, code, position, timezone, settings) values ($1, 'a', 1, 'UTC', '{}')", clinic_id
    )
    return clinic_id


async def add_patient(
    connection: "asyncpg.Connection[asyncpg.Record]", clinic_id: UUID, key: str, phone: str = "+12015550142"
) -> UUID:
    patient_id = new_id()
    await connection.execute(
        "insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language) "
        "values ($1, $2, 'Pat', $3, $4, $5, 'en')",
        clinic_id,
        patient_id,
        key.partition("\x1f")[0],
        key,
        phone,
    )
    return patient_id


async def keys(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[UUID, str]:
    return {row["id"]: row["name_key"] for row in await connection.fetch("select id, name_key from patients")}


async def test_names_on_file_are_compared_as_new_ones_are(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]", before_0006: UUID
) -> None:
    names: dict[UUID, str] = {}
    for number, mark in enumerate("\u2018\u2019\u201b\u02bb\u02bc`\u2032\u2010\u2012\u2013\u2014\u2015\u2212'- "):
        family = f"o{mark}neil"
        names[await add_patient(connection, before_0006, f"{family}\x1fpat", f"+1201555{number:04}")] = family
    migrate.upgrade(empty, "0006")
    assert await keys(connection) == {patient_id: name_key(family, "Pat") for patient_id, family in names.items()}
    assert set((await keys(connection)).values()) == {"o'neil\x1fpat", "o-neil\x1fpat", "o neil\x1fpat"}


async def test_of_two_files_of_one_person_the_one_with_the_plain_key_keeps_it_and_neither_is_lost(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]", before_0006: UUID
) -> None:
    curly = await add_patient(connection, before_0006, CURLY)
    straight = await add_patient(connection, before_0006, STRAIGHT)
    elsewhere = await add_patient(connection, before_0006, CURLY, "+12015550143")
    migrate.upgrade(empty, "0006")
    assert await keys(connection) == {curly: CURLY, straight: STRAIGHT, elsewhere: STRAIGHT}


async def test_of_two_files_with_neither_key_plain_the_older_gets_it(
    empty: str, connection: "asyncpg.Connection[asyncpg.Record]", before_0006: UUID
) -> None:
    older = await add_patient(connection, before_0006, RAISED)
    newer = await add_patient(connection, before_0006, CURLY)
    migrate.upgrade(empty, "0006")
    assert await keys(connection) == {older: STRAIGHT, newer: CURLY}
    migrate.downgrade(empty, "0005")
    assert await keys(connection) == {older: STRAIGHT, newer: CURLY}
