"""Where everything is measured: a PostgreSQL of our own, databases full of workload W, and real processes on them.

The server is the embedded one with the settings of production, so what is acknowledged is on the disk.
"""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date, datetime
from functools import partial
from itertools import count
from pathlib import Path

import asyncpg
import msgspec

from benchmarks import workload
from benchmarks.filling import add_visits
from scheduler import postgres
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.migrate import upgrade
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import Settings, load_settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Connection, connect
from tests.acceptance.processes import Started, free_port, start, until

ROOT = Path(__file__).parent.parent

# A hundred clients of pgbench at once, and our own processes beside them.
OPTIONS = {"max_connections": "200"}


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic with workload W in a database of its own, and a key of its front desk."""

    therapists: int
    first_day: date
    key: str
    settings: Settings
    environment: dict[str, str]

    @property
    def dsn(self) -> str:
        return self.settings.database_url


class Stage:
    """Makes sites, each a copy of one that was filled once, and starts processes on them."""

    def __init__(self, folder: Path, server: postgres.EmbeddedServer) -> None:
        self.folder = folder
        self._server = server
        self._filled: dict[int, Site] = {}
        self._numbers = count(1)

    async def site(self, therapists: int) -> Site:
        """Return a clinic of so many therapists in a fresh database."""
        if therapists not in self._filled:
            self._filled[therapists] = await self._fill(therapists)
        return await self.copy(self._filled[therapists])

    async def copy(self, site: Site) -> Site:
        """Return a site in a fresh database that is like this one's, to which nobody may be connected."""
        database = f"copy_{next(self._numbers)}"
        like = site.dsn.partition("?")[0].rpartition("/")[2]
        await self.tell(f"create database {database} template {like} strategy file_copy")
        return self._located(site, database)

    async def clear(self) -> None:
        """Drop every copy, so that none of them is written to disk while something else is measured."""
        for number in range(next(self._numbers)):
            await self.tell(f"drop database if exists copy_{number} with (force)")
        await self.tell("checkpoint")

    async def drop(self, site: Site) -> None:
        await self.tell(f"drop database {site.dsn.partition('?')[0].rpartition('/')[2]} with (force)")

    async def tell(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server.dsn("postgres"))
        await connection.execute(statement)
        await connection.close()

    async def _fill(self, therapists: int) -> Site:
        database = f"workload_{therapists}"
        await self.tell(f"create database {database}")
        upgrade(self._server.dsn(database))
        clinic_file = self.folder / database / "clinic.toml"
        clinic_file.parent.mkdir()
        clinic_file.write_text(workload.clinic_file(therapists))
        shutil.copytree(ROOT / "config" / "messages", clinic_file.parent / "messages")
        environment = {
            "DATABASE_URL": self._server.dsn(database),
            "SCHEDULER_DATA": str(self.folder),
            "SCHEDULER_CLINIC": str(clinic_file),
            "SECRET_KEY": secrets.token_urlsafe(32),
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "warning",
            # Every request of a load is from another client, as a proxy would say.
            "TRUSTED_PROXIES": "127.0.0.0/8",
        }
        site = Site(
            therapists=therapists,
            first_day=workload.first_monday(datetime.now(workload.ZONE).date()),
            key="",
            settings=load_settings(environment),
            environment=environment,
        )
        async with connected(site) as connection, connection.transaction():
            await apply_files(connection, read_files(clinic_file))
            (clinic,) = await load_clinics(connection)
            _, key = await create_api_key(connection, clinic, "front desk", ["admin"], actor=SYSTEM)
        async with filling(site) as connection:
            await add_visits(connection, clinic, workload.booked_visits(therapists, site.first_day))
        return msgspec.structs.replace(site, key=key)

    def _located(self, site: Site, database: str) -> Site:
        dsn = self._server.dsn(database)
        return msgspec.structs.replace(
            site,
            settings=msgspec.structs.replace(site.settings, database_url=dsn),
            environment=site.environment | {"DATABASE_URL": dsn},
        )


@asynccontextmanager
async def open_stage() -> AsyncGenerator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="scheduler-benchmarks-"))
    folder.chmod(0o711)
    try:
        server = await asyncio.to_thread(postgres.start, folder / "data", options=OPTIONS)
        try:
            yield Stage(folder, server)
        finally:
            await asyncio.to_thread(server.stop)
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def connected(site: Site) -> AsyncGenerator[Connection]:
    """Yield a connection as the service has them."""
    connection = await connect(site.settings)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def filling(site: Site) -> AsyncGenerator[Connection]:
    """Yield a connection for very many rows: nobody is told of each, and it may take long. Then look at them all."""
    connection = await asyncpg.connect(site.dsn, server_settings={"session_replication_role": "replica"})
    # COPY takes binary values alone, and PostgreSQL puts a number before those of this type.
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_encode_jsonb, decoder=lambda data: data
    )
    try:
        yield connection
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()


def _encode_jsonb(value: object) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


async def clinic_of(site: Site) -> Clinic:
    async with connected(site) as connection:
        (clinic,) = await load_clinics(connection)
        return clinic


@asynccontextmanager
async def web(site: Site) -> AsyncGenerator[Started]:
    """Run ``scheduler web`` until it is no longer needed."""
    async with _running(site, "scheduler", "web") as started:
        yield started


@asynccontextmanager
async def bare(site: Site, answer: bytes) -> AsyncGenerator[Started]:
    """Run the bare handler, which answers with these bytes."""
    file = _folder(site) / "answer.json"
    file.write_bytes(answer)
    async with _running(site, "benchmarks.bare", str(file)) as started:
        yield started


@asynccontextmanager
async def provider(site: Site, seconds: float) -> AsyncGenerator[Started]:
    """Run a Twilio that answers after so many seconds."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.provider", str(seconds), cwd=ROOT, env=environment
    )
    started = Started(process, _folder(site), f"http://127.0.0.1:{port}")
    try:
        await until(partial(_listens, port), what="the provider to answer")
        yield started
    finally:
        await started.kill()


class Watched(msgspec.Struct, frozen=True):
    """What was seen of a worker: for how long its loop was blocked at most, and the most memory that it has had."""

    longest_block_ms: float
    memory_mb: float


class Watching:
    """A worker under watch; what was seen is known once it has stopped."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def result(self) -> Watched:
        return msgspec.json.decode(self._file.read_bytes(), type=Watched)


@asynccontextmanager
async def watched_worker(site: Site) -> AsyncGenerator[Watching]:
    """Run a worker until it is no longer needed, and watch it."""
    file = _folder(site) / f"watched-{secrets.token_hex(4)}.json"
    started = await start(str(file), site.environment, _folder(site) / "worker.log", program="benchmarks.watched")
    try:
        yield Watching(file)
    finally:
        await started.stop()


def _folder(site: Site) -> Path:
    return Path(site.environment["SCHEDULER_DATA"])


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def _running(site: Site, program: str, command: str) -> AsyncGenerator[Started]:
    log = _folder(site) / f"{program}.log"
    started = await start(command, site.environment, log, port=free_port(), program=program)
    try:
        yield started
    finally:
        await started.stop()
