"""The drill: a backup is made while the clinic works, proven, and put in the place of what was lost."""

import asyncio
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from scheduler.commands import backups as commands
from scheduler.errors import ConfigurationError
from scheduler.postgres import tools
from scheduler.services.backups import back_up, manifest_path, restore
from scheduler.store.backups import broken_promises, count_rows
from scheduler.store.connections import Connection
from tests.conftest import Databases
from tests.integration.requests import ASH, JO, act, book

SECRET = "k" * 32


def tuesday(weeks: int, time: str = "10:00") -> str:
    """Return a moment of the Tuesday so many weeks ahead, an hour later in the clinic while it has summer time."""
    today = datetime.now(UTC).date()
    return f"{today + timedelta(days=1 - today.weekday(), weeks=weeks)}T{time}:00-05:00"


@asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def elsewhere(databases: Databases, worker_id: str) -> AsyncIterator[str]:
    """Yield the address of a database that does not exist, as on a new machine; what becomes of it goes afterwards."""
    dsn = databases.dsn(f"{worker_id}_elsewhere")
    yield dsn
    async with connected(databases.server) as connection:
        like = f"{urlsplit(dsn).path[1:]}%"
        for row in await connection.fetch("select datname from pg_database where datname like $1", like):
            await connection.execute(f'drop database "{row["datname"]}" with (force)')


async def refusal(work: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await work  # pyright: ignore[reportGeneralTypeIssues]
    return str(caught.value)


async def test_the_drill_everything_comes_back_as_it_was_at_the_moment_of_the_backup(
    desk: httpx.AsyncClient, dsn: str, elsewhere: str, tmp_path: Path
) -> None:
    booked = (await book(desk, "eval-run", tuesday(6))).json()
    moved = (await book(desk, "follow-up", tuesday(6, "11:15"), patient=JO)).json()
    assert (await act(desk, moved, "reschedule", starts_at=tuesday(7, "11:15"))).status_code == 200
    file = tmp_path / "clinic.dump"
    meanwhile = [book(desk, "follow-up", tuesday(weeks, "14:00"), patient=JO) for weeks in range(8, 13)]
    manifest, answers = await asyncio.gather(back_up(dsn, file, secret_key=SECRET), asyncio.gather(*meanwhile))
    assert [answer.status_code for answer in answers] == [201] * 5, "nothing stops for a backup"

    done = await restore(elsewhere, file)
    assert (done.kept_as, done.manifest) == (None, manifest)
    async with connected(elsewhere) as connection:
        rows = await count_rows(connection)
        assert await broken_promises(connection) == {}
        visits = await connection.fetch("select id::text, version, status from visits order by created_at limit 2")
    assert [tuple(row) for row in visits] == [(booked["id"], 1, "booked"), (moved["id"], 2, "booked")]
    assert {name: rows[name] for name in rows if name != "desk_tasks"} == {
        name: manifest.rows[name] for name in manifest.rows if name != "desk_tasks"
    }
    async with connected(dsn) as connection:
        assert not await connection.fetchval(
            "select count(*) from pg_database where datname like 'scheduler_restoring_%'"
        )
    for path in (file, manifest_path(file)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, "patients' names are for nobody else to read"


async def test_what_was_there_is_kept_and_gives_way_only_if_told_and_when_nobody_is_at_it(
    desk: httpx.AsyncClient, dsn: str, elsewhere: str, tmp_path: Path
) -> None:
    await book(desk, "eval-run", tuesday(6))
    first, second = tmp_path / "first.dump", tmp_path / "second.dump"
    await back_up(dsn, first, secret_key=SECRET)
    await restore(elsewhere, first)
    assert "--replace" in await refusal(restore(elsewhere, first))
    await book(desk, "follow-up", tuesday(7), patient=JO)
    await back_up(dsn, second, secret_key=SECRET)
    async with connected(elsewhere) as somebody:
        said = await refusal(restore(elsewhere, second, replace=True))
        assert said.startswith("Somebody is connected to the database")
        assert await somebody.fetchval("select count(*) from visits") == 1, "and nothing has changed"
    done = await restore(elsewhere, second, replace=True)
    async with connected(elsewhere) as connection:
        assert await connection.fetchval("select count(*) from visits") == 2
    assert done.kept_as
    async with connected(urlsplit(elsewhere)._replace(path=f"/{done.kept_as}").geturl()) as connection:
        assert await connection.fetchval("select count(*) from visits") == 1


async def test_nothing_that_was_due_meanwhile_is_sent_a_second_time_and_the_desk_has_a_task_for_it(
    desk: httpx.AsyncClient, dsn: str, elsewhere: str, tmp_path: Path
) -> None:
    await book(desk, "eval-run", tuesday(6), patient=ASH)
    await back_up(dsn, tmp_path / "clinic.dump", secret_key=SECRET)
    done = await restore(elsewhere, tmp_path / "clinic.dump")
    async with connected(elsewhere) as connection:
        due = await connection.fetchval("select count(*) from messages where state = 'pending' and not_before <= now()")
        closed = await connection.fetch("select kind, reason from messages where state = 'dead'")
        tasks = await connection.fetchval("select count(*) from desk_tasks where kind = 'undeliverable'")
        to_come = await connection.fetchval(
            "select count(*) from messages where kind = 'reminder' and state = 'pending'"
        )
    # At night the text waits for the morning, and is still to come.
    assert (due, done.given_up, tasks) == (0, len(closed), len(closed))
    assert {row["kind"] for row in closed} == {"booked"}
    assert all("may have gone out" in row["reason"] for row in closed)
    assert to_come >= 2


@pytest.mark.parametrize("harm", ["cut short", "one byte", "no manifest", "another manifest", "no file"])
async def test_a_file_that_is_not_what_was_written_is_refused(
    harm: str, desk: httpx.AsyncClient, dsn: str, elsewhere: str, tmp_path: Path
) -> None:
    await book(desk, "eval-run", tuesday(6))
    file = tmp_path / "clinic.dump"
    await back_up(dsn, file, secret_key=SECRET)
    content = file.read_bytes()
    match harm:
        case "cut short":
            file.write_bytes(content[: len(content) // 2])
        case "one byte":
            middle = len(content) // 2
            file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "no manifest":
            manifest_path(file).unlink()
        case "another manifest":
            manifest_path(file).write_text("{}")
        case _:
            file.unlink()
    assert str(file) in await refusal(restore(elsewhere, file))
    assert "does not exist" in str(await database_error(elsewhere))


async def database_error(dsn: str) -> Exception:
    with pytest.raises(asyncpg.InvalidCatalogNameError) as caught:
        await asyncpg.connect(dsn)
    return caught.value


async def test_a_backup_that_does_not_hold_together_is_not_made(
    desk: httpx.AsyncClient, databases: Databases, worker_id: str, dsn: str, tmp_path: Path
) -> None:
    await book(desk, "eval-run", tuesday(6))
    whole = tmp_path / "whole.dump"
    await back_up(dsn, whole, secret_key=SECRET)
    broken = databases.dsn(f"{worker_id}_broken")
    await restore(broken, whole)
    try:
        async with connected(broken) as connection:
            await connection.execute("delete from occupancy where resource_id = (select therapist_id from visits)")
        said = await refusal(back_up(broken, tmp_path / "broken.dump", secret_key=SECRET))
        assert said == (
            "What was restored does not hold together: "
            "a visit to come does not keep its therapist or its patient busy (1)."
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["whole.dump", "whole.dump.json"]
    finally:
        await databases.drop(f"{worker_id}_broken")


async def test_each_promise_that_is_broken_is_found(
    desk: httpx.AsyncClient, elsewhere: str, dsn: str, tmp_path: Path
) -> None:
    visit = (await book(desk, "eval-run", tuesday(6))).json()
    await act(desk, (await book(desk, "eval", tuesday(7), patient=JO)).json(), "cancel", reason="asked by phone")
    await back_up(dsn, tmp_path / "clinic.dump", secret_key=SECRET)
    await restore(elsewhere, tmp_path / "clinic.dump")
    twice = f"""alter table occupancy drop constraint occupancy_without_overlap;
        insert into occupancy (clinic_id, resource_id, visit_id, kind, during)
        select occupancy.clinic_id, resource_id, visits.id, 'visit', during from occupancy join visits
            on visits.id <> occupancy.visit_id where occupancy.visit_id = '{visit["id"]}' limit 1"""
    async with connected(elsewhere) as connection:
        assert await broken_promises(connection) == {}
        await connection.execute("set session_replication_role = replica")
        await connection.execute(twice)
        await connection.execute("delete from audit_events")
        await connection.execute("delete from patients")
        found = await broken_promises(connection)
    assert set(found) == {
        "somebody or something is in two visits at once",
        "a visit that is off the calendar still keeps somebody or something busy",
        "a booked visit has no trace of its booking",
        "a message is about a visit or a patient of which there is no row",
    }


async def test_a_file_that_is_there_is_never_written_over(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "clinic.dump"
    file.write_text("last week's")
    assert "exists already" in await refusal(back_up(dsn, file, secret_key=SECRET))
    assert file.read_text() == "last week's"


async def test_a_folder_that_is_not_there_is_one_sentence(dsn: str, tmp_path: Path) -> None:
    said = await refusal(back_up(dsn, tmp_path / "absent" / "clinic.dump", secret_key=SECRET))
    assert "absent" in said or "pg_dump failed" in said


async def test_an_older_schema_is_brought_up_and_a_newer_one_refused(
    desk: httpx.AsyncClient, dsn: str, elsewhere: str, tmp_path: Path
) -> None:
    await book(desk, "eval-run", tuesday(6))
    file = tmp_path / "clinic.dump"
    await back_up(dsn, file, secret_key=SECRET)
    manifest = manifest_path(file).read_text()
    revision = manifest.partition('"revision": "')[2][:4]
    manifest_path(file).write_text(manifest.replace(f'"revision": "{revision}"', '"revision": "9999"'))
    assert "newer release" in await refusal(restore(elsewhere, file))


async def test_a_password_is_no_word_of_a_command(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []
    start = asyncio.create_subprocess_exec

    async def note(*arguments: object, **more: object) -> asyncio.subprocess.Process:
        words.extend(map(str, arguments))
        return await start(*arguments, **more)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", note)
    parts = urlsplit(dsn)
    secret = parts._replace(netloc=f"{parts.username}:open-sesame@{parts.netloc.rpartition('@')[2]}").geturl()
    said = await refusal(tools.dump(secret, tmp_path / "x.dump", snapshot="00000000-00000000-1", major=15))
    assert said.startswith("pg_dump failed: ")
    assert any(word.startswith("--dbname=postgresql://") for word in words)
    assert "open-sesame" not in " ".join(words) + said


def test_programs_older_than_the_server_are_no_use() -> None:
    with pytest.raises(ConfigurationError, match="pg_dump of PostgreSQL 99 or newer is needed"):
        tools._tool("pg_dump", 99)
    assert tools._major_of(tools._tool("pg_restore", 15)) >= 15


@pytest.mark.usefixtures("elsewhere")
async def test_the_commands_say_what_was_done(
    desk: httpx.AsyncClient, databases: Databases, worker_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await book(desk, "eval-run", tuesday(6))
    file = tmp_path / "clinic.dump"
    await commands.back_up(databases.settings(worker_id), file, check=True)
    said = capsys.readouterr().out
    assert f"{file}: 1 patients, 1 visits, " in said
    assert "every promise holds" in said
    await commands.restore(databases.settings(f"{worker_id}_elsewhere"), file, replace=False)
    assert "Restored 1 patients, 1 visits, " in capsys.readouterr().out
    async with connected(databases.service_dsn(f"{worker_id}_elsewhere")) as connection:
        assert await connection.fetchval("select count(*) from visits") == 1, "the service may use it at once"
