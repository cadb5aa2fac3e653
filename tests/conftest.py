"""One PostgreSQL for the whole run, one migrated database for each process of the run, empty again after each test.

The server is DATABASE_URL's, whose role must be a superuser, or an embedded one, which goes when the run ends.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from hypothesis import settings as hypothesis_settings

from scheduler import postgres
from scheduler.commands.migrations import migrate
from scheduler.settings import Settings, load_settings
from scheduler.store.connections import Pool, open_pool

# For `make nightly`: what `make test` tries a hundred times is tried two thousand times.
hypothesis_settings.register_profile("nightly", max_examples=2000)

# A test's data need not survive a crash, and these make a commit ten times as fast.
UNSAFE_AND_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

# Tests that open many connections may run beside each other.
ROOM = {"max_connections": "200"}


class Databases(msgspec.Struct, frozen=True):
    """Databases of this run on one server. Their names begin with ``prefix``; the template is migrated.

    ``service`` is the role that owns nothing, as which the service runs in production.
    """

    server: str
    prefix: str

    @property
    def service(self) -> str:
        return f"{self.prefix}_service"

    def dsn(self, name: str) -> str:
        return urlsplit(self.server)._replace(path=f"/{self.prefix}_{name}").geturl()

    def service_dsn(self, name: str) -> str:
        host = urlsplit(self.server).netloc.rpartition("@")[2]
        return urlsplit(self.dsn(name))._replace(netloc=f"{self.service}:{self.service}@{host}").geturl()

    def settings(self, name: str) -> Settings:
        urls = {"DATABASE_URL": self.service_dsn(name), "DATABASE_OWNER_URL": self.dsn(name)}
        return load_settings({**urls, "DATABASE_ALLOW_UNSAFE": "true", "SECRET_KEY": "k" * 32})

    async def create(self, name: str, *, template: str | None = None) -> str:
        """Make a database, empty or like another one of this run, and return its address."""
        like = f"{self.prefix}_{template}" if template else "template1"
        await self._tell(f"create database {self.prefix}_{name} template {like}")
        return self.dsn(name)

    async def drop(self, name: str) -> None:
        await self._tell(f"drop database if exists {self.prefix}_{name} with (force)")

    async def drop_service(self) -> None:
        await self._tell(f"drop role if exists {self.service}")

    async def _tell(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server)
        await connection.execute(statement)
        await connection.close()


class Server:
    """The server of this run, and the template that every process copies."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="scheduler-tests-"))
        self._folder.chmod(0o711)
        self._embedded = (
            None if os.environ.get("DATABASE_URL") else postgres.start(self._folder, options=UNSAFE_AND_FAST | ROOM)
        )
        server = self._embedded.dsn("postgres") if self._embedded else os.environ["DATABASE_URL"]
        self.databases = Databases(server, f"scheduler_test_{secrets.token_hex(4)}")
        asyncio.run(self.databases.create("template"))
        asyncio.run(migrate(self.databases.settings("template")))

    def stop(self) -> None:
        asyncio.run(self.databases.drop("template"))
        asyncio.run(self.databases.drop_service())
        if self._embedded:
            self._embedded.stop()
        shutil.rmtree(self._folder)


_SERVER = pytest.StashKey[Server]()


def _databases(config: pytest.Config) -> Databases:
    if worker_input := getattr(config, "workerinput", None):
        return msgspec.convert(worker_input["databases"], Databases)
    if _SERVER not in config.stash:
        config.stash[_SERVER] = Server()
    return config.stash[_SERVER].databases


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the server before the first process of a parallel run, which is told where it is."""
    node.workerinput["databases"] = msgspec.to_builtins(_databases(node.config))


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(_SERVER, None):
        server.stop()


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    return _databases(request.config)


@pytest.fixture(scope="session")
async def dsn(databases: Databases, worker_id: str) -> AsyncIterator[str]:
    """Yield the address of this process's own migrated database."""
    yield await databases.create(worker_id, template="template")
    await databases.drop(worker_id)


@pytest.fixture(scope="session")
def service_dsn(databases: Databases, dsn: str, worker_id: str) -> str:
    """Return the address of the same database for the role that the service has in production."""
    assert dsn == databases.dsn(worker_id)
    return databases.service_dsn(worker_id)


@pytest.fixture(scope="session")
async def pool(dsn: str) -> AsyncIterator[Pool]:
    settings = {"DATABASE_URL": dsn, "DATABASE_ALLOW_UNSAFE": "true", "SECRET_KEY": "k" * 32}
    async with open_pool(load_settings(settings)) as pool:
        yield pool


@pytest.fixture(autouse=True)
def clean(request: pytest.FixtureRequest) -> None:
    """Empty the database after every test that used it; set up first, so it comes last."""
    if "dsn" in request.fixturenames:
        request.getfixturevalue("emptied")


@pytest.fixture(scope="session")
async def emptying(dsn: str) -> AsyncIterator[tuple["asyncpg.Connection[asyncpg.Record]", str]]:
    """Yield a connection on which no trigger and no foreign key objects, and what empties every table."""
    connection = await asyncpg.connect(
        dsn, server_settings={"session_replication_role": "replica", "lock_timeout": "5s"}
    )
    tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    names = [row["tablename"] for row in tables if row["tablename"] != "alembic_version"]
    yield connection, ";".join(f'delete from "{name}"' for name in names)
    await connection.close()


@pytest.fixture
async def emptied(emptying: tuple["asyncpg.Connection[asyncpg.Record]", str]) -> AsyncIterator[None]:
    yield
    connection, statements = emptying
    await connection.execute(statements)


@pytest.fixture(autouse=True)
def ids_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ids begin at this test's own time: those of a process only rise, also after a test that was in the future."""
    monkeypatch.setattr("scheduler.ids._last", 0)
