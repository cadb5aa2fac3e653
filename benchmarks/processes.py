"""Processes: what they take in memory, how soon they are there, and what a second one brings."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import aiohttp

from benchmarks.bookings import BOOKINGS, bookers, with_wishes
from benchmarks.load import LoadFailed, drive
from benchmarks.memory import memory_of
from benchmarks.samples import Pair, Samples, alternate
from benchmarks.slots import Looks, one_therapist
from benchmarks.stage import ROOT, Stage, web
from tests.acceptance.processes import Started, free_port

_REQUESTS = 100_000
_PARTS = 5
_SECONDS = 2


async def measure_memory(stage: Stage, _repeats: int) -> list[Pair]:
    """W1: the memory of a web process after each fifth of 100,000 requests."""
    site = await stage.site(20)
    looks = Looks(one_therapist(site))
    seen: list[float] = []
    async with web(site) as process:
        for _ in range(_PARTS):
            await _ask(process.url, looks, _REQUESTS // _PARTS)
            seen.append(memory_of(process.process.pid))
    return [Pair(Samples(seen)), Pair(Samples([seen[-1]]), Samples([seen[0]]))]


async def measure_start(_stage: Stage, repeats: int) -> list[Pair]:
    """W2: `make run` on data that is there, from the command to the first answer."""
    with tempfile.TemporaryDirectory(prefix="scheduler-benchmarks-") as folder:
        Path(folder).chmod(0o711)
        await _run(Path(folder))
        return [Pair(Samples([await _run(Path(folder)) for _ in range(repeats)]))]


async def measure_two(stage: Stage, repeats: int) -> list[Pair]:
    """The slots and the bookings of W3."""
    site, wishes = await with_wishes(stage, BOOKINGS)
    looks = Looks(one_therapist(site))
    async with web(site) as first, web(site) as second:
        for process in (first, second):
            await drive(process.url, looks.more(), connections=16, seconds=1)
        both, one = partial(looks_rate, [first, second], looks), partial(looks_rate, [first], looks)
        slots = await alternate(repeats, both, one)
    async with bookers(stage, site, wishes, processes=2) as both, bookers(stage, site, wishes) as one:
        return [slots, await alternate(repeats, both, one)]


async def looks_rate(processes: Sequence[Started], looks: Looks, *, connections: int = 16) -> float:
    """Return requests per second over so many connections, shared between processes; each has one at least."""
    share = max(1, connections // len(processes))
    answered = await asyncio.gather(
        *(drive(each.url, looks.more(), connections=share, seconds=_SECONDS) for each in processes)
    )
    return sum(each.per_second for each in answered)


async def _ask(url: str, looks: Looks, number: int) -> None:
    asked = 0
    while asked < number:
        asked += (await drive(url, looks.more(), connections=16, seconds=_SECONDS)).answers


async def _run(folder: Path) -> float:
    """Return the seconds from `make run` to the first answer, and stop it again."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "SCHEDULER_DATA": str(folder)}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "make", "run", cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while not await _answers(session, port):
                if process.returncode is not None:
                    raise LoadFailed(f"make run ended with {process.returncode}")
                await asyncio.sleep(0.01)
        return time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def _answers(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/book") as response:
            return response.status == 200  # noqa: PLR2004
    except aiohttp.ClientError:
        return False
