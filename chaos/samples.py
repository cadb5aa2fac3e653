"""What the processes use up, looked at once a second: memory, files, and connections to the database."""

import asyncio
import contextlib
import re
import time
from pathlib import Path

import aiohttp
import asyncpg
import msgspec

from chaos.world import WEBS, World


class Sample(msgspec.Struct, kw_only=True):
    """One look. ``memory`` is resident megabytes and ``files`` are open descriptors, by process.

    ``runnable`` is how many threads of the whole machine wanted a processor at that moment.
    """

    at: float
    memory: dict[str, float] = {}
    files: dict[str, int] = {}
    connections: int | None = None
    runnable: int = 0


def visitors(port: int) -> int:
    """Return how many connections others keep to a port of this machine; they let go of them by themselves."""
    ours = f"0100007F:{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(line[1] == ours and line[3] == "01" for line in lines)


class Watch:
    """Samples of one world, and how long this very process was kept from looking: nobody else ran either then."""

    def __init__(self, world: World) -> None:
        self.samples: list[Sample] = []
        self.stalls: list[tuple[float, float]] = []
        self.metrics: list[str] = []
        self._world = world

    async def run(self) -> None:
        while True:
            self.samples.append(await self.look())
            await asyncio.sleep(1)

    async def feel(self) -> None:
        """Note each time that the machine gave us no turn for a while."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            late = time.monotonic() - before - 0.05
            if late > 0.2:
                self.stalls.append((before, late))

    async def look(self) -> Sample:
        runnable = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
        sample = Sample(at=time.monotonic(), memory={}, files={}, runnable=runnable)
        for name, process in self._world.processes.items():
            with contextlib.suppress(OSError, AttributeError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                found = re.search(r"VmRSS:\s+(\d+) kB", status)
                sample.memory[name] = int(found[1]) / 1024 if found else 0.0
                files = len([*Path(f"/proc/{process.pid}/fd").iterdir()])
                sample.files[name] = files - visitors(self._world.ports.get(name, 0))
        sample.connections = await self._connections()
        return sample

    async def _connections(self) -> int | None:
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self._world.database.dsn("postgres"), timeout=1)
            try:
                return await connection.fetchval(
                    "select count(*) from pg_stat_activity where datname = $1", self._world.name, timeout=1
                )
            finally:
                connection.terminate()
        return None

    async def read_metrics(self) -> dict[str, float]:
        """Return the tasks of each web process's loop by its own word, and keep all it says."""
        tasks: dict[str, float] = {}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            for web in WEBS:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self._world.webs[web]}/metrics") as response:
                        self.metrics.append(text := await response.text())
                        if found := re.search(r"^scheduler_event_loop_tasks (\S+)$", text, re.MULTILINE):
                            tasks[web] = float(found[1])
        return tasks
