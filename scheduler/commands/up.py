"""`scheduler up`: the whole service on one machine, started, watched and stopped together."""

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import click
import msgspec
import structlog

from scheduler import postgres
from scheduler.commands import clinics, migrations
from scheduler.commands.serve import PARENT_PIPE, refuse_taken_port
from scheduler.errors import ConfigurationError
from scheduler.services.staff_accounts import ensure_samples
from scheduler.settings import Settings, local_url
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import open_pool
from scheduler.store.units import unit_of_work
from scheduler.web.pages.preview import is_previewing

ROLES = ("web", "worker")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

READY_SECONDS = 30.0
POLL_SECONDS = 0.1

# What processes get to finish what they are at. With the database's own limit, all is down within five seconds.
FINISH_SECONDS = 2.5

# How long a process that died is left alone: twice as long each time, and as at first once one has lived for a while.
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LIVED_SECONDS = 60.0

WELCOME = """
The clinic is open.

  Booking page       {url}/book
{staff}  API documentation  {url}/docs
  Message previews   {url}/preview/messages

Stop with Ctrl-C.{kept}
"""

# Only where the database is the embedded one and nothing is sent to anybody.
STAFF = """  Front desk         {url}/staff
                     username desk (or admin for everything), password {password}
                     Sample accounts of this preview, without the code from a phone that every other account needs.
"""

logger = structlog.get_logger(__name__)


class _Database:
    """The embedded PostgreSQL, started again where it died."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.scheduler_data
        self._server = postgres.start(self._folder)
        self.dsn = self._server.dsn(role=postgres.SERVICE_ROLE)
        self.owner_dsn = self._server.dsn()

    def tend(self) -> None:
        if not self._server.running:
            logger.error("PostgreSQL ended by itself and is started again", log=self._server.log_path)
            self._server.stop()
            self._server = postgres.start(self._folder)

    def stop(self) -> None:
        self._server.stop()


class _Child:
    """A process of ours, started again where it died. It also ends when the pipe to us closes."""

    def __init__(self, role: str, settings: Settings, pipe: int) -> None:
        self._role = role
        self._pipe = pipe
        self._environment = {
            **os.environ,
            "DATABASE_URL": settings.database_url,
            # A process that serves has no use for the owner's address, and whoever breaks into it must not find it.
            "DATABASE_OWNER_URL": "",
            "SECRET_KEY": settings.secret_key,
            PARENT_PIPE: str(pipe),
        }
        self._delay = FIRST_DELAY
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._started = time.monotonic()
        self._again_at: float | None = None
        # A session of its own keeps a Ctrl-C on the terminal for us, who tell it to stop when its turn comes.
        return subprocess.Popen(
            [sys.executable, "-m", "scheduler", self._role],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            pass_fds=(self._pipe,),
            start_new_session=True,
        )

    def refuse_early_end(self) -> None:
        """Raise ConfigurationError where the process has ended already: then it cannot run here at all."""
        if self._process.poll() is not None:
            raise ConfigurationError(f"`scheduler {self._role}` could not start; it says why above.")

    def tend(self) -> None:
        if self._process.poll() is None:
            return
        now = time.monotonic()
        if self._again_at is None:
            self._delay = FIRST_DELAY if now - self._started > LIVED_SECONDS else min(2 * self._delay, LONGEST_DELAY)
            self._again_at = now + self._delay
            logger.error(
                "A process ended by itself and is started again",
                role=self._role,
                exit_code=self._process.returncode,
                seconds=self._delay,
            )
        if now >= self._again_at:
            self._process = self._start()

    def tell_to_stop(self) -> None:
        self._process.terminate()

    def wait(self, deadline: float) -> None:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.warning("A process did not stop in time and was cut off", role=self._role)
            self._process.kill()
            self._process.wait()


def run(settings: Settings) -> None:
    """Start everything and keep it running until SIGINT or SIGTERM. Raises ConfigurationError, one sentence."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    database: _Database | None = None
    children: list[_Child] = []
    try:
        if not settings.database_url:
            database = _Database(settings)
            settings = msgspec.structs.replace(
                settings, database_url=database.dsn, database_owner_url=database.owner_dsn
            )
        refuse_taken_port(settings)
        asyncio.run(migrations.migrate(settings))
        asyncio.run(clinics.apply(settings, dry_run=False))
        # Nobody writes into this pipe. Its other end closes when this process ends, even by SIGKILL.
        pipe, _ = os.pipe()
        for role in ROLES:
            children.append(_Child(role, settings, pipe))  # noqa: PERF401 - each is known at once, to be stopped
        _wait_until_live(settings, children)
        kept = f" The data stays in {settings.scheduler_data}." if database else ""
        samples = asyncio.run(_sample_accounts(settings)) if database and is_previewing(settings) else ""
        click.echo(WELCOME.format(url=settings.public_base_url, kept=kept, staff=samples))
        while True:
            time.sleep(POLL_SECONDS)
            for watched in (database, *children):
                if watched:
                    watched.tend()
    except KeyboardInterrupt:
        pass
    finally:
        # An impatient second Ctrl-C would leave something running.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        _stop(children)
        if database:
            database.stop()


async def _sample_accounts(settings: Settings) -> str:
    """Make the sample accounts of the first clinic and return what the welcome says about them."""
    async with open_pool(settings) as pool, unit_of_work(pool) as connection:
        clinic = (await load_clinics(connection))[0]
        password = await ensure_samples(connection, clinic, secret_key=settings.secret_key)
    return STAFF.format(url=settings.public_base_url, password=password or "as you changed it")


def _stop(children: Sequence[_Child]) -> None:
    for child in children:
        child.tell_to_stop()
    deadline = time.monotonic() + FINISH_SECONDS
    for child in children:
        child.wait(deadline)


def _wait_until_live(settings: Settings, children: Sequence[_Child]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _is_live(settings):
        for child in children:
            child.refuse_early_end()
        if time.monotonic() > deadline:
            raise ConfigurationError(f"`scheduler web` did not answer within {READY_SECONDS:.0f} seconds.")
        time.sleep(POLL_SECONDS)


def _is_live(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(urlsplit(local_url(settings.host, settings.port)).netloc, timeout=1)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
