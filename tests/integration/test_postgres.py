"""The embedded PostgreSQL starts on what it finds, stops when told, and outlives nobody."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from scheduler import postgres
from scheduler.errors import ConfigurationError
from scheduler.postgres.places import LONGEST_SOCKET_FOLDER, account_for, running_as
from scheduler.settings import Settings, load_settings

START_AND_WAIT = (
    "import sys, time; from pathlib import Path; from scheduler import postgres; "
    "server = postgres.start(Path(sys.argv[1])); print('ready', flush=True); time.sleep(600)"
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as somebody else")


@pytest.fixture(scope="module")
def parent() -> Iterator[Path]:
    """Yield a folder that every account may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="scheduler-embedded-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        yield path


@pytest.fixture(scope="module")
def data(parent: Path) -> Path:
    """Return a data folder that was used once, with a row in it."""
    folder = parent / "data"
    postgres.start(folder).stop()
    return folder


async def query(dsn: str, sql: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval(sql))
    finally:
        await connection.close()


def settings_of(data: Path) -> Settings:
    return load_settings({"SCHEDULER_DATA": str(data), "SECRET_KEY": "k" * 32})


def server_pid(data: Path) -> int:
    return int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def watcher_pid(data: Path) -> int:
    """Return the shell that waits for the starter of the folder's server to end."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0] == b"/bin/sh" and os.fsencode(data / "postgres") in words:
                return int(process.name)
    raise AssertionError("no watcher")


def refusal(data: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        postgres.start(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def killed_starter(data: Path) -> int:
    """Start the server from another process, kill that one, and return the server's process id."""
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(data)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
        pid = server_pid(data)
        starter.kill()
    return pid


async def test_data_stays_from_one_start_to_the_next(data: Path) -> None:
    server = postgres.start(data)
    await query(server.dsn(), "create table if not exists kept (at timestamptz)")
    await query(server.dsn(), "insert into kept values (now())")
    server.stop()
    assert not server.running
    server.stop()
    began = time.monotonic()
    again = postgres.start(data)
    took = time.monotonic() - began
    try:
        assert int(await query(again.dsn(), "select count(*) from kept")) >= 1
    finally:
        again.stop()
    assert took < 3, "a start on existing data takes a fraction of a second on a quiet machine"


async def test_the_server_is_safe_and_reachable_through_its_private_socket_alone(data: Path) -> None:
    server = postgres.start(data)
    try:
        assert (await query(server.dsn(), "select version()")).startswith("PostgreSQL 18.")
        assert await query(server.dsn(), "show listen_addresses") == ""
        assert await query(server.dsn(), "show fsync") == "on"
        assert await query(server.dsn(), "show synchronous_commit") == "on"
        assert await query(server.dsn(), "show server_encoding") == "UTF8"
        assert mode_of(data / "socket") == 0o700
        assert mode_of(data / "postgres") == 0o700
    finally:
        server.stop()


def test_a_folder_in_use_is_refused_while_its_server_goes_on(data: Path) -> None:
    server = postgres.start(data)
    try:
        assert "another `scheduler up` is running" in refusal(data)
        assert server.running
    finally:
        server.stop()


async def test_other_commands_find_the_running_server_and_miss_a_stopped_one(data: Path) -> None:
    server = postgres.start(data)
    try:
        found = postgres.attached(settings_of(data))
        assert await query(found.owner_url, "select current_database()") == "scheduler"
    finally:
        server.stop()
    with pytest.raises(ConfigurationError, match="no embedded PostgreSQL is running"):
        postgres.attached(settings_of(data))
    with pytest.raises(ConfigurationError, match="no embedded PostgreSQL is running"):
        postgres.attached(settings_of(data / "absent"))
    given = load_settings({"DATABASE_URL": "postgresql://db/scheduler", "SECRET_KEY": "k" * 32})
    assert postgres.attached(given) is given


def test_the_server_ends_by_itself_when_its_starter_is_killed(data: Path) -> None:
    killed_starter(data)
    assert within(5, lambda: not (data / "postgres" / "postmaster.pid").exists())
    with pytest.raises(ConfigurationError):
        postgres.attached(settings_of(data))


def test_a_start_right_after_a_kill_takes_over(data: Path) -> None:
    orphan = killed_starter(data)
    server = postgres.start(data)
    try:
        assert server_pid(data) != orphan
    finally:
        server.stop()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the watcher through /proc")
def test_an_orphan_whose_watcher_is_gone_too_is_stopped_by_the_next_start(data: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(data)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        os.kill(watcher_pid(data), signal.SIGKILL)
        orphan = server_pid(data)
        starter.kill()
    time.sleep(0.3)
    os.kill(orphan, 0)
    server = postgres.start(data)
    try:
        assert server_pid(data) != orphan
    finally:
        server.stop()


async def test_a_crashed_server_is_noticed_and_the_next_start_recovers(data: Path) -> None:
    server = postgres.start(data)
    await query(server.dsn(), "create table survives ()")
    os.kill(server_pid(data), signal.SIGKILL)
    assert within(5, lambda: not server.running)
    server.stop()
    assert (data / "postgres" / "postmaster.pid").exists()
    again = postgres.start(data)
    try:
        assert await query(again.dsn(), "select to_regclass('survives')") == "survives"
    finally:
        again.stop()


def test_what_a_crash_left_behind_does_not_stand_in_the_way_even_if_its_number_lives_on(data: Path) -> None:
    left = data / "postgres" / "postmaster.pid"
    left.write_text(f"{os.getpid()}\n{data}/postgres\n0\n5432\n{data}/socket\n\n0\nready   \n")
    server = postgres.start(data)
    server.stop()


def test_a_server_started_by_hand_is_left_alone(data: Path) -> None:
    account = account_for(data, data / "postgres")
    binary = postgres.find_binaries() / "postgres"
    command = [binary, "-D", data / "postgres", "-k", data / "socket", "-c", "listen_addresses="]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **running_as(account)) as by_hand:
        try:
            assert within(10, lambda: answers(data / "socket" / ".s.PGSQL.5432"))
            assert f"another PostgreSQL (process {by_hand.pid}) is running" in refusal(data)
            assert by_hand.poll() is None
        finally:
            by_hand.send_signal(signal.SIGINT)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_folder_of_another_release_is_named_and_left_alone(data: Path) -> None:
    version = data / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("17\n")
    try:
        assert "was made by PostgreSQL 17 and this is 18" in refusal(data)
    finally:
        version.write_text(ours)
    postgres.start(data).stop()


def test_a_server_that_does_not_come_up_says_why(data: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"did not start: .*shared_buffers.*postgres\.log"):
        postgres.start(data, options={"shared_buffers": "many"})
    postgres.start(data).stop()


def test_a_folder_that_cannot_be_used_is_one_sentence(parent: Path) -> None:
    (parent / "file").write_text("")
    assert refusal(parent / "file" / "data").startswith("SCHEDULER_DATA: ")


async def test_a_folder_too_deep_for_a_socket_gets_a_short_one_and_its_parents_are_made_passable(deep: Path) -> None:
    server = postgres.start(deep)
    try:
        assert await query(server.dsn(), "select 1") == "1"
        assert await query(postgres.attached(settings_of(deep)).owner_url, "select 1") == "1"
        folder = await query(server.dsn(), "show unix_socket_directories")
        assert mode_of(folder) == 0o700
        assert len(folder) < LONGEST_SOCKET_FOLDER
        assert mode_of(deep.parent) == (0o701 if os.geteuid() == 0 else 0o700)
    finally:
        server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def deep(parent: Path) -> Path:
    """Return a data folder far down, closed to others, in which an earlier start was killed half way."""
    deep = parent / ("a-long-name-" * 6) / ("and-longer-" * 6)
    (deep / "postgres.new").mkdir(parents=True)
    deep.parent.chmod(0o700)
    return deep


def mode_of(path: Path | str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


@as_root
def test_root_starts_the_server_as_somebody_else(data: Path) -> None:
    server = postgres.start(data)
    try:
        assert Path(f"/proc/{server_pid(data)}").stat().st_uid == (data / "postgres").stat().st_uid != 0
    finally:
        server.stop()
