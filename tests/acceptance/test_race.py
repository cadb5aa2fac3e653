"""A hundred clients want one slot at once, over HTTP, from two web processes."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from scheduler.store.connections import Pool
from tests.acceptance.processes import Started, running

CLIENTS = 100

# However busy the machine that runs the tests, nobody waits longer. The figure that is printed is far below it.
LONGEST_SECONDS = 5.0


async def race(
    session: aiohttp.ClientSession, webs: list[Started], bodies: list[dict[str, Any]], key: str
) -> list[tuple[int, dict[str, Any], float]]:
    async def one(number: int) -> tuple[int, dict[str, Any], float]:
        began = time.perf_counter()
        async with session.post(
            f"{webs[number % len(webs)].url}/api/v1/visits",
            json=bodies[number],
            headers={"Authorization": f"Bearer {key}"},
        ) as response:
            return response.status, await response.json(), time.perf_counter() - began

    return await asyncio.gather(*(one(number) for number in range(len(bodies))))


@pytest.mark.parametrize("spread", [0, 15], ids=["equal starts", "overlapping starts"])
async def test_one_wins_and_ninety_nine_are_offered_other_times(
    pool: Pool, key: str, environment: dict[str, str], tmp_path: Path, spread: int
) -> None:
    before = await pool.fetchval("select deadlocks from pg_stat_database where datname = current_database()")
    day = await pool.fetchval("select to_char(date_trunc('week', now()) + interval '5 weeks 1 day', 'YYYY-MM-DD')")
    async with (
        running("web", environment, tmp_path / "web-1.log", web=True) as first,
        running("web", environment, tmp_path / "web-2.log", web=True) as second,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        async with session.get(
            f"{first.url}/api/v1/slots",
            params={"visit_type": "eval-run", "therapist": "rivera", "from": day, "to": f"{day}T23:00:00-05:00"},
        ) as response:
            slots = [slot["starts_at"] for slot in (await response.json())["items"]]
        assert len(slots) > 3
        # An hour's evaluation that begins a quarter of an hour later overlaps all the same.
        starts = [slots[0], slots[1]] if spread else [slots[0]]
        bodies = [
            {
                "visit_type": "eval-run",
                "therapist": "rivera",
                "starts_at": starts[number % len(starts)],
                "patient": {
                    "given_name": "Runner",
                    "family_name": f"Number {number}",
                    "phone": f"201 555 01{number:02}",
                },
            }
            for number in range(CLIENTS)
        ]
        answers = await race(session, [first, second], bodies, key)
    assert Counter(status for status, _, _ in answers) == {201: 1, 409: CLIENTS - 1}
    winner = next(body for status, body, _ in answers if status == 201)
    for status, body, _ in answers:
        if status == 409:
            assert body["code"] == "slot-taken"
            assert body["conflict"] in ("therapist", "room", "equipment")
            assert 1 <= len(body["alternatives"]) <= 5
            taken = {"starts_at": winner["starts_at"], "therapist": "rivera"}
            assert taken not in [{name: slot[name] for name in taken} for slot in body["alternatives"]]
    assert await pool.fetchval("select count(*) from visits") == 1
    assert await pool.fetchval("select count(*) from patients") == 1
    await pool.execute("select pg_stat_clear_snapshot()")
    after = await pool.fetchval("select deadlocks from pg_stat_database where datname = current_database()")
    assert after == before
    seconds = sorted(took for _, _, took in answers)
    print(f"{CLIENTS} clients, one slot: p50 {seconds[CLIENTS // 2]:.3f} s, p99 {seconds[-2]:.3f} s")  # noqa: T201
    assert seconds[-1] < LONGEST_SECONDS
