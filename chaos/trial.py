"""One seed from beginning to end: a world is started, loaded, broken as planned, let come to rest, and read."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from chaos import slow
from chaos.clients import Clients
from chaos.faults import FAULTS
from chaos.journal import Journal
from chaos.plan import Step
from chaos.records import Records, Recovery, read_lines, read_rows, read_visit_types
from chaos.samples import Watch
from chaos.world import World

PATIENTS, DESKS = 5, 3

# Both must be far behind what is promised, so that a breach is seen and not waited out.
RECOVERY_PATIENCE = 20.0
SETTLE_PATIENCE = 60.0
LAST_TRIES = 20.0

# Those who were silenced get so long to be back before they are to blame again.
SLACK = 5.0

# A hold that ran out is ended by a tick of the workers, every fifteen seconds.
HOLDS_SECONDS = 20.0


class Trial:
    """What happens in one world. Its folder keeps every record, for whoever wants to know more."""

    def __init__(self, world: World, *, key: str, steps: Sequence[Step], folder: Path) -> None:
        self.world, self.steps, self.folder = world, steps, folder
        self.journal = Journal(folder / "journal.jsonl")
        self.watch = Watch(world)
        self.clients = Clients(self.journal, world.webs, key=key, public_url=world.public_url, seed=world.seed)
        self._key = key
        self._recoveries: list[Recovery] = []
        self._slow: list[float | None] = []

    async def run(self) -> Records:
        """Do it all and return the records."""
        began = time.monotonic()
        if (opened := await self._until_open(90)) is None:
            raise RuntimeError(f"the clinic does not open; see {self.folder}")
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(warm(session, url) for url in self.world.webs.values()))
        tasks_before, before = await self.watch.read_metrics(), await self.watch.look()
        beside = [asyncio.create_task(self.watch.run()), asyncio.create_task(self.watch.feel())]
        load = asyncio.create_task(self.clients.run(patients=PATIENTS, desks=DESKS))
        drip = asyncio.create_task(slow.dribble(self.world))
        try:
            calm = await self._suffer_nothing()
            for number, step in enumerate(self.steps):
                await asyncio.sleep(0.5)
                await self._suffer(step, random.Random(f"{self.world.seed}/{number}"))
            self.clients.stop.set()
            await asyncio.wait((load,), timeout=LAST_TRIES)
            self.journal.closed = True
            await load
            unsettled = await self._settle()
            self._slow = await drip
        finally:
            for task in (*beside, load, drip):
                task.cancel()
            await asyncio.gather(*beside, load, return_exceptions=True)
        self.journal.write()
        tasks_after, after = await self.watch.read_metrics(), await self.watch.look()
        return Records(
            asks=self.journal.asks, markers=self.journal.markers, complaints=self.journal.complaints,
            rows=await read_rows(self.world.database.dsn(self.world.name)),
            texts=read_lines(self.folder / "texts.jsonl"), mails=read_lines(self.folder / "mails.jsonl"),
            logs={path.stem: path.read_text(errors="replace") for path in self.folder.glob("*-*.log")},
            metrics=self.watch.metrics, excused=self.world.excused, stalls=self.watch.stalls,
            recoveries=self._recoveries, calm=calm, slow=self._slow, before=before, after=after,
            tasks_before=tasks_before, tasks_after=tasks_after, peaks=self._peaks(), start_seconds=opened - began,
            runnable=self._runnable(), unsettled=unsettled, visit_types=read_visit_types(),
        )  # fmt: skip

    async def _suffer_nothing(self) -> float | None:
        """Return how long recovery takes from nothing at all: what this machine and the load make of it."""
        await asyncio.sleep(0.5)
        began = time.monotonic()
        opened = await self._until_open(RECOVERY_PATIENCE)
        return opened - began if opened else None

    async def _suffer(self, step: Step, chance: random.Random) -> None:
        """Let the faults of a step come together and go together, and see how soon it is well again."""
        began, silenced = time.monotonic(), list[str]()
        async with contextlib.AsyncExitStack() as stack:
            for name in step.faults:
                silenced += await stack.enter_async_context(FAULTS[name].enter(self.world, chance))
            await asyncio.sleep(step.seconds)
        ended = time.monotonic()
        well = await self._until_open(RECOVERY_PATIENCE)
        self._recoveries.append(Recovery(step.faults, well - ended if well else None))
        self.world.excuse(tuple(dict.fromkeys(silenced)), began, SLACK - (time.monotonic() - ended))
        await asyncio.sleep(step.pause)

    async def _until_open(self, seconds: float) -> float | None:
        """Return the moment at which every web process holds a time and lets it go again, None if that never comes."""
        deadline = time.monotonic() + seconds
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
            waiting = set(self.world.webs)
            while waiting and time.monotonic() < deadline:
                for web in sorted(waiting):
                    if await is_open(session, self.world.webs[web]):
                        waiting.discard(web)
                await asyncio.sleep(0.05)
        return None if waiting else time.monotonic()

    async def _settle(self) -> int:
        """Wait until nothing is under way any more; return how much still is when patience ends."""
        dsn = self.world.database.dsn(self.world.name)
        deadline = time.monotonic() + SETTLE_PATIENCE
        under_way, forgotten = -1, False
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(dsn, timeout=3)
                try:
                    if not forgotten:
                        # Whoever still holds a time has left the page long ago.
                        await connection.execute("update occupancy set expires_at = now() where kind = 'hold'")
                        forgotten = True
                    # A channel that was in doubt too often rests for a quarter of an hour: it is over.
                    await connection.execute("update channel_pauses set paused_until = now()")
                    under_way = await connection.fetchval(_UNDER_WAY)
                finally:
                    await connection.close()
            if under_way == 0:
                break
            await asyncio.sleep(0.25)
        return under_way

    def _runnable(self) -> float:
        looks = [sample.runnable for sample in self.watch.samples]
        return sum(looks) / max(1, len(looks))

    def _peaks(self) -> dict[str, float]:
        peaks: dict[str, float] = {"connections": max((s.connections or 0 for s in self.watch.samples), default=0)}
        for kind in ("web", "worker"):
            found = [mb for s in self.watch.samples for name, mb in s.memory.items() if name.startswith(kind)]
            peaks[f"{kind} MB"] = max(found, default=0.0)
        return peaks


_UNDER_WAY = """select
    (select count(*) from messages where state in ('sending', 'unknown') or state = 'pending' and not_before <= now())
    + (select count(*) from visits where status = 'held')"""


async def is_open(session: aiohttp.ClientSession, url: str) -> bool:
    """Return whether a web process reads the calendar and writes to it."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        # On days that no client looks at.
        today = datetime.now(UTC).date()
        days = {"from": str(today + timedelta(days=25)), "to": str(today + timedelta(days=32)), "limit": "100"}
        async with session.get(f"{url}/api/v1/slots", params={"visit_type": "follow-up", **days}) as response:
            slots: list[dict[str, Any]] = (await response.json())["items"] if response.status == 200 else []
        for slot in slots[-1:]:
            wants = {"visit_type": "follow-up", "starts_at": slot["starts_at"]}
            async with session.post(f"{url}/api/v1/holds", json=wants) as response:
                if response.status == 201:
                    held = await response.json()
                    async with session.delete(
                        f"{url}/api/v1/holds/{held['id']}", headers={"Hold-Token": held["token"]}
                    ):
                        return True
                return response.status == 409  # somebody was faster, and it says so
    return False


async def warm(session: aiohttp.ClientSession, url: str) -> None:
    """Let a process load what it only loads once, before its baseline is taken."""
    for path in ("/book", "/health/ready", "/api/v1/clinic", "/api/v1/slots?visit_type=eval-run"):
        for _ in range(10):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url + path, timeout=aiohttp.ClientTimeout(total=10)) as response:
                    await response.read()
