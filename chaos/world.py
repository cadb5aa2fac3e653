"""The real thing: its processes, the proxies between them, and whoever starts again what died.

clients ──▶ proxy ──▶ web-1, web-2 ──▶ proxy ──▶ PostgreSQL
                      worker-1, worker-2 ──▶ proxy ──▶ PostgreSQL, Twilio, mail server
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path

from chaos.proxy import Proxy, Streams
from scheduler import postgres
from tests.acceptance.processes import ROOT, free_port
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER

WEBS, WORKERS = ("web-1", "web-2"), ("worker-1", "worker-2")
SECRET_KEY = "a secret that is long enough for chaos"  # noqa: S105 - of a clinic that lives for half a minute

# A supervisor starts again what died, as compose or systemd would.
RESTART_SECONDS = 0.3

LEASE_SECONDS = 5


class Process:
    """A process of ours by name, which is started again wherever it ends without being told to."""

    def __init__(self, name: str, program: str, log: Path, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        self.starts = 0
        self.prefix: list[str] = []
        self.extra: dict[str, str] = {}
        self._program, self._environment = program, dict(environment)
        self._wanted = True
        self._task = asyncio.create_task(self._keep())
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    def send(self, number: signal.Signals) -> None:
        if pid := self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def stop(self) -> None:
        self._wanted = False
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._process:
            await self._process.wait()

    async def _keep(self) -> None:
        while self._wanted:
            with self.log.open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", *self._program.split(), cwd=ROOT, stdout=output, stderr=output,
                    env={"PATH": os.environ["PATH"], **self._environment, **self.extra},
                )  # fmt: skip
            self.starts += 1
            await self._process.wait()
            await asyncio.sleep(RESTART_SECONDS)


class Database:
    """The embedded PostgreSQL, started again where it died; ``options`` are PostgreSQL's settings."""

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        self.folder = folder
        self.starts = 0
        self._options = options
        self._start()
        self._task = asyncio.create_task(self._keep())

    def _start(self) -> None:
        self.server = postgres.start(self.folder, options=self._options)
        self.starts += 1

    def dsn(self, database: str) -> str:
        return self.server.dsn(database)

    @property
    def pids(self) -> list[int]:
        """The postmaster and its children."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            first = int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])
            return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
        return []

    async def connect(self) -> Streams:
        return await asyncio.open_unix_connection(str(self.folder / "socket" / ".s.PGSQL.5432"))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if not self.server.running:
                self.server.stop()
                with contextlib.suppress(Exception):
                    await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self.server.stop)


class World:
    """Everything that runs for one seed.

    ``program`` is ``scheduler``, or something wrong in its place; ``callback_loss`` is how much of what Twilio reports
    never comes, from 0 to 1.
    """

    def __init__(
        self, database: Database, name: str, folder: Path, *, seed: int, callback_loss: float, program: str
    ) -> None:
        self.database, self.name, self.folder, self.seed = database, name, folder, seed
        self._callback_loss = callback_loss
        self._program = program
        self.processes: dict[str, Process] = {}
        self.ways_in: dict[str, Proxy] = {}
        self.ways_to_database: dict[str, Proxy] = {}
        self.ports: dict[str, int] = {}
        # When a web process is not to blame for what it does not answer, by name: stretches of the monotonic clock.
        self.excused: dict[str, list[tuple[float, float]]] = {web: [] for web in WEBS}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator["World"]:
        """Run everything until left; whatever happens, nothing of it stays."""
        async with contextlib.AsyncExitStack() as stack:
            twilio, mail = free_port(), free_port()
            self._providers = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chaos.providers", "--twilio-port", str(twilio), "--smtp-port", str(mail),
                "--folder", str(self.folder), "--seed", str(self.seed),
                "--callback-loss", str(self._callback_loss), cwd=ROOT,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=(self.folder / "providers.log").open("wb"),
            )  # fmt: skip
            stack.push_async_callback(self._stop_providers)
            assert self._providers.stdout is not None
            if not await asyncio.wait_for(self._providers.stdout.readline(), timeout=60):
                raise RuntimeError(f"the providers ended by themselves; see {self.folder / 'providers.log'}")
            self.way_to_twilio = await stack.enter_async_context(Proxy(_to(twilio), b"POST "))
            self.way_to_mail = await stack.enter_async_context(Proxy(_to(mail), b"DATA"))
            self.ports = ports = {web: free_port() for web in WEBS}
            for web in WEBS:
                self.ways_in[web] = await stack.enter_async_context(Proxy(_to(ports[web]), b"POST /api"))
            for process in (*WEBS, *WORKERS):
                way = await stack.enter_async_context(Proxy(self.database.connect, b"COMMIT"))
                self.ways_to_database[process] = way
                self.processes[process] = self._make(process, way, ports.get(process))
                stack.push_async_callback(self.processes[process].stop)
            yield self

    @property
    def webs(self) -> dict[str, str]:
        return {web: f"http://127.0.0.1:{way.port}" for web, way in self.ways_in.items()}

    @property
    def public_url(self) -> str:
        return self.webs[WEBS[0]]

    def excuse(self, webs: tuple[str, ...], began: float, slack: float) -> None:
        """Let a web process be to blame for nothing from a moment until some seconds after now."""
        for web in webs:
            self.excused[web].append((began, time.monotonic() + slack))

    def command(self, **commands: Mapping[str, float]) -> None:
        """Tell the providers how often to go wrong from now on, by the names of their faults."""
        assert self._providers.stdin is not None
        self._providers.stdin.write(json.dumps(commands).encode() + b"\n")

    async def _stop_providers(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._providers.kill()
        await self._providers.wait()

    def _make(self, name: str, way: Proxy, port: int | None) -> Process:
        role = name.partition("-")[0]
        environment = {
            "DATABASE_URL": f"postgresql://{postgres.SERVICE_ROLE}@127.0.0.1:{way.port}/{self.name}",
            "DATABASE_ALLOW_UNSAFE": "true",
            "DATABASE_POOL_SIZE": "5",
            "SCHEDULER_DATA": str(self.folder),
            "SCHEDULER_CLINIC": str(ROOT / "config" / "clinic.toml"),
            "SECRET_KEY": SECRET_KEY,
            "PUBLIC_BASE_URL": self.public_url,
            "SMS_CHANNEL": "twilio",
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM": OUR_NUMBER,
            "TWILIO_API_BASE_URL": f"http://127.0.0.1:{self.way_to_twilio.port}",
            "EMAIL_CHANNEL": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.way_to_mail.port),
            "SMTP_TLS": "none",
            "MESSAGE_LEASE_SECONDS": str(LEASE_SECONDS),
            "MESSAGE_RECONCILE_SECONDS": "1,2,4",
            "MESSAGES_PER_SECOND": "100",
            "LOG_FORMAT": "json",
            **({"PORT": str(port)} if port else {}),
        }
        return Process(name, f"{self._program} {role}", self.folder / f"{name}.log", environment)


def _to(port: int) -> Callable[[], Awaitable[Streams]]:
    return lambda: asyncio.open_connection("127.0.0.1", port)
