"""Everything that goes wrong, as a table. A fault lasts for as long as it is entered; leaving it is its end.

Each yields the web processes that it silences, which are not to blame meanwhile for what they do not answer. What is
the database's, the network's or a provider's trouble silences none: it is theirs to answer all the same.
"""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
import asyncpg

from chaos.proxy import Loss
from chaos.world import LEASE_SECONDS, WEBS, WORKERS, World

Silenced = tuple[str, ...]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SLOW_CLIENTS = 40
CROWD = 80


class Fault(NamedTuple):
    """How to enter it, and for how many seconds, at least and at most. ``needs`` is what this machine must have."""

    enter: Callable[[World, random.Random], AbstractAsyncContextManager[Silenced]]
    seconds: tuple[float, float]
    needs: Callable[[World], bool] = bool


def kill(*names: str) -> Callable[[World, random.Random], AbstractAsyncContextManager[Silenced]]:
    """Kill one of these processes, as a power cut would; it is started again by whoever watches it."""

    @asynccontextmanager
    async def enter(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
        name = chance.choice(names)
        world.processes[name].send(signal.SIGKILL)
        yield (name,) if name in WEBS else ()

    return enter


@asynccontextmanager
async def kill_postgres(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Kill the database, all of it, or one session of it, upon which it throws out all others and recovers."""
    pids = world.database.pids
    for pid in pids if chance.random() < 0.6 else pids[-1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    yield ()


@asynccontextmanager
async def kill_everything(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Pull the plug: the database, both web processes and both workers at one moment."""
    del chance
    for pid in world.database.pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in world.processes.values():
        process.send(signal.SIGKILL)
    yield WEBS


def freeze(*names: str) -> Callable[[World, random.Random], AbstractAsyncContextManager[Silenced]]:
    """Stop one of these processes where it stands, and let it go on as if nothing had been."""

    @asynccontextmanager
    async def enter(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
        name = chance.choice(names)
        world.processes[name].send(signal.SIGSTOP)
        try:
            yield (name,) if name in WEBS else ()
        finally:
            world.processes[name].send(signal.SIGCONT)

    return enter


def lose_commits(loss: Loss) -> Callable[[World, random.Random], AbstractAsyncContextManager[Silenced]]:
    """Lose some COMMITs on their way to the database, or the answers to them."""

    @asynccontextmanager
    async def enter(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
        for way in world.ways_to_database.values():
            way.lose += list[Loss]([loss]) * chance.randint(1, 5)
        yield ()
        for way in world.ways_to_database.values():
            way.heal()

    return enter


@asynccontextmanager
async def lose_answers(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Lose some answers on their way to the clients, who cannot know whether they were heard."""
    for way in world.ways_in.values():
        way.lose += list[Loss](["answer"]) * chance.randint(3, 8)
    yield ()
    for way in world.ways_in.values():
        way.heal()


@asynccontextmanager
async def reset_clients(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Cut every client's connection, again and again."""
    for _ in range(chance.randint(2, 4)):
        for way in world.ways_in.values():
            way.reset()
        await asyncio.sleep(0.3)
    yield ()


@asynccontextmanager
async def slow_database(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Let every word to and from the database take its time."""
    for way in world.ways_to_database.values():
        way.delay = chance.uniform(0.02, 0.08)
    yield ()
    for way in world.ways_to_database.values():
        way.heal()


@asynccontextmanager
async def cable_out(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Pull the cable of one process to the database, or all of them; put it back later."""
    names = [*world.ways_to_database] if chance.random() < 0.5 else [chance.choice([*world.ways_to_database])]
    for name in names:
        world.ways_to_database[name].hold()
    yield ()
    for name in names:
        world.ways_to_database[name].heal()


@asynccontextmanager
async def half_open(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Let every connection of a process to the database lead nowhere from now on; new ones work."""
    world.ways_to_database[chance.choice([*world.ways_to_database])].deafen()
    yield ()


@asynccontextmanager
async def reset_database(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Cut every connection to the database, and let nobody in for a while."""
    del chance
    for way in world.ways_to_database.values():
        way.refusing = True
        way.reset()
    yield ()
    for way in world.ways_to_database.values():
        way.heal()


@asynccontextmanager
async def lock_tables(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Have somebody by hand lock a table that every booking needs, so that the pools run dry."""
    table = chance.choice(["occupancy", "visits", "idempotency_keys", "messages"])
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        connection = await asyncpg.connect(world.database.dsn(world.name), timeout=3)
        try:
            await connection.execute(f"begin; set local lock_timeout = '3s'; lock table {table}", timeout=5)
            yield ()
            return
        finally:
            connection.terminate()
    yield ()


@asynccontextmanager
async def crowd(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Have many look at once, more than there are connections to the database."""
    del chance

    today = datetime.now(UTC).date()
    later = today + timedelta(days=60)

    async def look(session: aiohttp.ClientSession, url: str) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.get(f"{url}/api/v1/slots?visit_type=eval-run&from={today}&to={later}") as response:
                await response.read()

    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=8), connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        looks = [asyncio.create_task(look(session, url)) for url in world.webs.values() for _ in range(CROWD)]
        yield ()
        await asyncio.gather(*looks)


def ill_provider(channel: str, *faults: str) -> Callable[[World, random.Random], AbstractAsyncContextManager[Silenced]]:
    """Let Twilio or the mail server go wrong in one of these ways, with most of what it is given."""

    @asynccontextmanager
    async def enter(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
        world.command(**{channel: {chance.choice(faults): chance.uniform(0.4, 0.9)}})
        yield ()
        world.command()

    return enter


@asynccontextmanager
async def providers_away(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Let neither provider be reached, or cut what is under way to them."""
    del chance
    for way in (world.way_to_twilio, world.way_to_mail):
        way.refusing = True
        way.reset()
    yield ()
    for way in (world.way_to_twilio, world.way_to_mail):
        way.heal()


@asynccontextmanager
async def disk_full(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Leave not a byte on the database's disk."""
    del chance
    filler = world.database.folder / "filler"
    space = os.statvfs(world.database.folder)
    with filler.open("wb") as file, contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize)
    try:
        yield ()
    finally:
        filler.unlink()


@asynccontextmanager
async def skew_clocks(world: World, chance: random.Random) -> AsyncGenerator[Silenced]:
    """Start a web process and a worker again with clocks that are some minutes wrong, one fast and one slow."""
    minutes = chance.choice([-3, 3])
    wrong = {WEBS[1]: minutes, WORKERS[1]: -minutes}
    for name, offset in wrong.items():
        world.processes[name].extra = {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{offset:+}m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"
        }  # fmt: skip
        world.processes[name].send(signal.SIGKILL)
    try:
        yield (WEBS[1],)
    finally:
        for name in wrong:
            world.processes[name].extra = {}
            world.processes[name].send(signal.SIGKILL)


def has_faketime(world: World) -> bool:
    """Return whether clocks can be made wrong here."""
    del world
    return FAKETIME.exists()


def on_small_disk(world: World) -> bool:
    """Return whether the database lies on a file system of its own, which may be filled."""
    return os.path.ismount(world.database.folder.parent) or os.path.ismount(world.database.folder)


FAULTS: dict[str, Fault] = {
    "kill-web": Fault(kill(*WEBS), (0.5, 1.0)),
    "kill-worker": Fault(kill(*WORKERS), (0.5, 1.0)),
    "kill-postgres": Fault(kill_postgres, (0.5, 1.0)),
    "kill-everything": Fault(kill_everything, (0.5, 1.0)),
    "freeze-worker": Fault(freeze(*WORKERS), (LEASE_SECONDS + 1.0, LEASE_SECONDS + 2.0)),
    "freeze-web": Fault(freeze(*WEBS), (1.0, 3.0)),
    "lose-commit-answers": Fault(lose_commits("answer"), (1.0, 2.0)),
    "lose-commits": Fault(lose_commits("question"), (1.0, 2.0)),
    "lose-answers": Fault(lose_answers, (1.0, 2.0)),
    "reset-clients": Fault(reset_clients, (0.1, 0.5)),
    "slow-database": Fault(slow_database, (2.0, 3.0)),
    "cable-out": Fault(cable_out, (2.0, 4.0)),
    "half-open": Fault(half_open, (1.0, 2.0)),
    "reset-database": Fault(reset_database, (0.5, 2.0)),
    "locked-tables": Fault(lock_tables, (2.0, 4.0)),
    "crowd": Fault(crowd, (0.5, 1.0)),
    "twilio-refuses": Fault(ill_provider("texts", "busy", "broken"), (2.0, 3.0)),
    "twilio-accepts-then-drops": Fault(ill_provider("texts", "drop-afterwards", "broken-afterwards"), (2.0, 3.0)),
    "twilio-hangs": Fault(ill_provider("texts", "hang", "hang-afterwards"), (2.0, 3.0)),
    "mail-drops-after-the-dot": Fault(ill_provider("mails", "drop-afterwards", "hang-afterwards"), (2.0, 3.0)),
    "mail-refuses": Fault(ill_provider("mails", "busy", "drop"), (2.0, 3.0)),
    "providers-away": Fault(providers_away, (1.0, 3.0)),
    "disk-full": Fault(disk_full, (1.5, 3.0), on_small_disk),
    "skewed-clocks": Fault(skew_clocks, (3.0, 4.0), has_faketime),
}
