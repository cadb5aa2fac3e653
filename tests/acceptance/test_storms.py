"""Everything goes wrong at once, and every text arrives once.

300 reminders are due; of two workers one is killed about once a second; of what is sent 5 % meets 429, 6 % fails before
Twilio has it and 13 % after. ``make test`` tries one seed each with Twilio's callbacks and without, and with a worker
as most are written, as a control; ``make storms`` tries five. The times of the protocol are compressed: a lease of 6
seconds instead of 60, and 12 seconds instead of 5 minutes until what left no trace goes again. The list lags by one.
"""

import asyncio
import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.acceptance.processes import Started, free_port, start, until
from tests.acceptance.providers import logged, provider
from tests.integration.bulk import add_reminders, add_visits
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER

TEXTS = 300
KILLS = 14
SEEDS = range(1, int(os.environ.get("STORMS", "1")) + 1)

FAULTS = ["busy=0.05", "broken=0.03", "drop=0.03", "broken-afterwards=0.06", "drop-afterwards=0.06",
          "hang-afterwards=0.01"]  # fmt: skip
CALLBACKS = ["--callbacks", "sent", "delivered", "--callback-delay", "0.3", "--callback-repeats", "0.1", "--shuffled"]

COMPRESSED = {"MESSAGE_LEASE_SECONDS": "6", "MESSAGE_RECONCILE_SECONDS": "1,4,12", "MESSAGES_PER_SECOND": "20"}

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("key")]


class Aftermath(msgspec.Struct, frozen=True, kw_only=True):
    """How often each phone got its text, what we believe of the messages, and how the storm was."""

    arrived: Counter[str]
    states: Counter[str]
    attempts: int
    kills: int

    @property
    def lost(self) -> int:
        return TEXTS - len(self.arrived)

    @property
    def doubled(self) -> int:
        return self.arrived.total() - len(self.arrived)


async def storm(
    pool: Pool, environment: dict[str, str], folder: Path, *, seed: int, callbacks: bool, program: str = "scheduler"
) -> Aftermath:
    """Have 300 reminders sent while workers die and Twilio fails, and return what became of them."""
    async with pool.acquire() as connection:
        (clinic,) = await load_clinics(connection)
    now = datetime.now(UTC)
    people = await add_visits(pool, clinic, TEXTS, starts_at=now + timedelta(hours=24))
    await add_reminders(pool, clinic, people, not_before=now, expires_at=now + timedelta(hours=12))
    log, web_port = folder / "texts.jsonl", free_port()
    weather = ["--seed", str(seed), "--list-lag", "1", "--latency", "0.05", "--chance", *FAULTS]
    async with provider("twilio_process", log, *weather, *(CALLBACKS if callbacks else [])) as port:
        environment |= COMPRESSED | {
            "SMS_CHANNEL": "twilio", "TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM": OUR_NUMBER, "TWILIO_API_BASE_URL": f"http://127.0.0.1:{port}",
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{web_port}",
        }  # fmt: skip
        web = await start("web", environment, folder / "web.log", port=web_port) if callbacks else None
        workers = Workers(environment, folder, program)
        try:
            await workers.start()
            await workers.die_now_and_then(random.Random(seed))
            await until(lambda: everything_is_settled(pool), seconds=180, what="every text to be settled")
        finally:
            for started in filter(None, (*workers.running, web)):
                await started.kill()
    rows = await pool.fetch("select state, count(*) as number, sum(attempts) as attempts from messages group by state")
    return Aftermath(
        arrived=Counter(text["To"] for text in logged(log)),
        states=Counter({row["state"]: row["number"] for row in rows}),
        attempts=sum(row["attempts"] for row in rows),
        kills=workers.kills,
    )


class Workers:
    """Two workers, of which now and then one is killed while it is at work and another takes its place."""

    def __init__(self, environment: dict[str, str], folder: Path, program: str) -> None:
        self.kills = 0
        self.running: list[Started] = []
        self._environment, self._folder, self._program = environment, folder, program

    async def start(self) -> None:
        for _ in range(2):
            await self._start_one()

    async def _start_one(self) -> None:
        log = self._folder / f"worker-{self.kills}-{len(self.running)}.log"
        self.running.append(await start("worker", self._environment, log, program=self._program))

    async def die_now_and_then(self, chance: random.Random) -> None:
        """Kill the older one about once a second, or as soon as it works where the machine is slow."""
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.7, 1.3))
            oldest = self.running[0]
            await until(lambda one=oldest: is_at_work(one), seconds=60, what="a worker to begin")
            await self.running.pop(0).kill()
            self.kills += 1
            await self._start_one()


async def is_at_work(worker: Started) -> bool:
    said = worker.log.read_text()
    assert worker.process.returncode is None, f"it ended by itself: {said}"
    return "worker.started" in said


async def everything_is_settled(pool: Pool) -> bool:
    return not await pool.fetchval("select count(*) from messages where state in ('pending', 'sending', 'unknown')")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("callbacks", [True, False], ids=["with-callbacks", "without-callbacks"])
async def test_every_text_arrives_once_whatever_dies_and_fails(
    pool: Pool, environment: dict[str, str], tmp_path: Path, *, callbacks: bool, seed: int
) -> None:
    after = await storm(pool, environment, tmp_path, seed=seed, callbacks=callbacks)
    print(f"seed {seed}, callbacks {callbacks}: {after.kills} kills, {after.attempts} attempts, {after.states}")  # noqa: T201
    assert (after.lost, after.doubled) == (0, 0)
    assert after.states.keys() <= {"sent", "delivered"}, "what arrived is known to have arrived"
    assert after.attempts > TEXTS * 1.05, "the weather was too fine to prove anything"
    doubled = "select count(*) from (select 1 from provider_messages group by message_id having count(*) > 1) as twice"
    assert await pool.fetchval(doubled) == 0


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_worker_that_takes_silence_for_failure_texts_people_twice(
    pool: Pool, environment: dict[str, str], tmp_path: Path, seed: int
) -> None:
    """The control: where this one doubles nothing, the storm is none."""
    naive = "tests.acceptance.naive_worker"
    after = await storm(pool, environment, tmp_path, seed=seed, callbacks=False, program=naive)
    print(f"seed {seed}, naive: {after.kills} kills, {after.attempts} attempts, {after.doubled} doubled")  # noqa: T201
    assert after.lost == 0
    assert after.doubled > 10
