"""`make chaos`: seeds, one after the other, or a control that must fail.

python -m chaos [--seeds 8] [--first 1] [--seconds 25] [--seed 17 ...] [--control NAME|all] [--keep FOLDER]
"""

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import asyncpg

from chaos.controls import CONTROLS, Control
from chaos.faults import FAULTS
from chaos.plan import Step, seeds_of, steps_of
from chaos.report import Verdict, judged, tell_all, tell_control, tell_seed
from chaos.trial import Trial
from chaos.world import SECRET_KEY, Database, World
from scheduler import postgres
from scheduler.commands import migrations
from scheduler.domain.actors import SYSTEM
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import load_settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import connect
from tests.acceptance.processes import ROOT

TEMPLATE = "chaos_template"
DISK_MEGABYTES = 700

# What of a seed's seconds is load; the rest is for coming to rest.
LOAD = 0.6

# One dice is luck.
CONTROL_SEEDS = 2

# Clients of this machine are one client, and nobody waits for the morning here.
SETTINGS = """update clinics set settings = settings || '{
    "text_window": [0, 1440],
    "limits": {"reads_per_minute": 1000000, "changes_per_minute": 1000000, "holds_at_once": 1000000},
    "text_limits": {"per_day": 1000, "per_week": 1000, "frequent_per_day": 1000, "frequent_per_week": 1000}
}'"""


class How(NamedTuple):
    """Where a seed's records go, how many seconds it lasts, and whether it is judged by how long things took."""

    folder: Path
    seconds: float
    times: bool


async def main() -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="how many")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, nargs="*", default=[], help="just these, for a control as well")
    parser.add_argument("--seconds", type=float, default=25.0, help="of load and of coming to rest, for each seed")
    parser.add_argument("--control", choices=[*CONTROLS, "all"], help="make the service wrong; it must be found")
    parser.add_argument("--keep", type=Path, help="keep all records of each seed in this folder")
    parser.add_argument("--without-times", action="store_true", help="judge no bounds: others use the machine as well")
    asked = parser.parse_args()
    stop_when_told()
    with clean_folder(asked.keep) as folder, small_disk() as disk:
        how = How(folder, asked.seconds, times=not asked.without_times)
        if asked.control:
            names = [*CONTROLS] if asked.control == "all" else [asked.control]
            seeds = asked.seed or range(asked.first, asked.first + CONTROL_SEEDS)
            found = [await control(name, CONTROLS[name], seeds, disk, how) for name in names]
            return int(not all(found))
        verdicts: list[Verdict] = []
        seeds = asked.seed or seeds_of(asked.seeds, asked.first)
        # Who stops it in the middle of the night wants to know what came of it until then.
        with contextlib.suppress(asyncio.CancelledError):
            async with database(disk) as (server, key):
                for seed in seeds:
                    verdict = await one_seed(server, key, seed, how)
                    verdicts.append(verdict)
    tell_all(verdicts)
    return int(len(verdicts) < len(seeds) or any(verdict.broken for verdict in verdicts))


def stop_when_told() -> None:
    """Let everything that was started end with this, when somebody wants it to."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def one_seed(server: Database, key: str, seed: int, how: How) -> Verdict:
    began = time.monotonic()
    loss = random.Random(f"callbacks/{seed}").choice([0.0, 0.1, 0.5, 1.0])
    async with world(server, seed, how.folder, callback_loss=loss) as there:
        possible = [name for name, fault in FAULTS.items() if fault.needs(there)]
        verdict = await tried(there, key, steps_of(seed, possible, how.seconds * LOAD), how)
    tell_seed(verdict, time.monotonic() - began)
    return verdict


async def control(name: str, wrong: Control, seeds: Iterable[int], disk: Path, how: How) -> bool:
    """Return whether a control was found out with every seed, and say how."""
    program = f"chaos.saboteur {wrong.wrong}" if wrong.wrong else "scheduler"
    caught: list[bool] = []
    async with database(disk, dict(wrong.options), wrong.sql) as (server, key):
        for seed in seeds:
            # Callbacks would make good most of what a naive worker does wrong.
            async with world(server, seed, how.folder, callback_loss=1.0, program=program) as there:
                for way in there.ways_to_database.values():
                    way.delay = wrong.latency
                verdict = await tried(there, key, wrong.steps(how.seconds * LOAD), how)
            caught.append(tell_control(name, wrong.found, verdict))
    return all(caught)


async def tried(there: World, key: str, steps: list[Step], how: How) -> Verdict:
    trial = Trial(there, key=key, steps=steps, folder=there.folder)
    return judged(there.seed, steps, await trial.run(), times=how.times)


@contextlib.asynccontextmanager
async def world(
    server: Database, seed: int, folder: Path, *, callback_loss: float, program: str = "scheduler"
) -> AsyncGenerator[World]:
    """Yield a running world with a database of its own."""
    name, place = f"chaos_{seed}", folder / f"seed-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    await tell(server, f"create database {name} template {TEMPLATE}")
    try:
        made = World(server, name, place, seed=seed, callback_loss=callback_loss, program=program)
        async with made.running() as there:
            yield there
    finally:
        await tell(server, f"drop database if exists {name} with (force)")


@contextlib.asynccontextmanager
async def database(
    disk: Path, options: Mapping[str, str] | None = None, sql: str = ""
) -> AsyncGenerator[tuple[Database, str]]:
    """Yield a server with a template database that holds the sample clinic, and a key of its desk."""
    data = disk / "data"
    shutil.rmtree(data, ignore_errors=True)
    server = Database(data, options or {})
    try:
        await tell(server, f"create database {TEMPLATE}")
        settings = load_settings({
            "DATABASE_URL": server.server.dsn(TEMPLATE, role=postgres.SERVICE_ROLE),
            "DATABASE_OWNER_URL": server.dsn(TEMPLATE), "DATABASE_ALLOW_UNSAFE": "true", "SECRET_KEY": SECRET_KEY,
        })  # fmt: skip
        await migrations.migrate(settings)
        connection = await connect(settings, dsn=server.dsn(TEMPLATE))
        await apply_files(connection, read_files(ROOT / "config" / "clinic.toml"))
        await connection.execute(SETTINGS + (f"; {sql}" if sql else ""))
        (clinic,) = await load_clinics(connection)
        _, key = await create_api_key(connection, clinic, "front desk", ["admin"], actor=SYSTEM)
        await connection.close()
        yield server, key
    finally:
        await server.stop()


async def tell(server: Database, statement: str) -> None:
    """Have the server do something about whole databases; it may have to come back first."""
    for _ in range(100):
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            connection = await asyncpg.connect(server.dsn("postgres"), timeout=5)
            try:
                await connection.execute(statement, timeout=30)
            finally:
                await connection.close()
            return
        await asyncio.sleep(0.2)
    raise RuntimeError("the database does not come back")


@contextlib.contextmanager
def clean_folder(keep: Path | None) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="chaos-records-") as folder:
        yield keep or Path(folder)


@contextlib.contextmanager
def small_disk() -> Generator[Path]:
    """Yield a folder for the database: on a small file system of its own where we may make one, so that it can fill."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-disk-"))
    folder.chmod(0o711)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=711", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        sys.exit(asyncio.run(main()))
    sys.exit(1)
