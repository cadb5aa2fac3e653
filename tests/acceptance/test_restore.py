"""The worst day: every process of the clinic is killed in the middle of its work, and it opens again from a backup."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.processes import Started, free_port, start, until
from tests.acceptance.test_up import children, run

# Who works at once, and how far they must have come.
CLIENTS, VISITS = 4, 40

# What must be afterwards as it was told.
SAME = ("id", "status", "version", "starts_at", "therapist", "room")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder that every account may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="scheduler-restore-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


async def open_clinic(data: Path, secret: str, log: Path) -> Started:
    up = await start("up", {"SCHEDULER_DATA": str(data), "SECRET_KEY": secret}, log, port=free_port())

    async def welcomes() -> bool:
        return "The clinic is open." in log.read_text()

    await until(welcomes, what="the welcome")
    return up


async def work_without_end(url: str, key: str, number: int, told: dict[str, dict[str, Any]]) -> None:
    """Book one visit after the other, cancel every third, and note what was last acknowledged of each.

    It ends when nobody answers any more. What is asked and not answered then is in doubt, and not noted.
    """
    headers = {"Authorization": f"Bearer {key}"}
    first = datetime.now(UTC).date() + timedelta(days=60 + 20 * number)
    weeks = {"visit_type": "follow-up", "from": str(first), "to": str(first + timedelta(days=20))}
    limit = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(headers=headers, timeout=limit, raise_for_status=_end_where_it_is_away) as session:
        while True:
            async with session.get(f"{url}/api/v1/slots", params=weeks) as response:
                slots: list[dict[str, Any]] = (await response.json())["items"]
            for count, slot in enumerate(slots[::5]):
                body = {
                    "visit_type": "follow-up",
                    "starts_at": slot["starts_at"],
                    "therapist": slot["therapist"],
                    "patient": {"given_name": "Runner", "family_name": f"Sample {number} {count}",
                                "phone": f"201 555 01{count % 100:02}"},
                }  # fmt: skip
                async with session.post(f"{url}/api/v1/visits", json=body) as response:
                    visit = await response.json()
                    if response.status != 201:
                        continue
                told[visit["id"]] = visit
                if count % 3 == 0:
                    del told[visit["id"]]
                    version = {"If-Match": f'"{visit["version"]}"'}
                    address = f"{url}/api/v1/visits/{visit['id']}/cancel"
                    async with session.post(address, json={"reason": "ill"}, headers=version) as response:
                        assert response.status == 200
                        told[visit["id"]] = await response.json()


async def _end_where_it_is_away(answer: aiohttp.ClientResponse) -> None:
    """Take it for nobody's answer where the service could still say that its database is gone."""
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.raise_for_status()


async def kill_everything(up: Started, data: Path) -> None:
    """End all of it as a power cut would: the database first, so that nobody has time to tell it anything."""
    postgres = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
    below = Path(f"/proc/{postgres}/task/{postgres}/children").read_text().split()
    everything = (postgres, *map(int, below), *children(up.process.pid).values(), up.process.pid)
    for process_id in everything:
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    await up.process.wait()
    # PostgreSQL takes its lock file for a live server's while the dead one is not yet buried, as after no power cut.
    await until(lambda: asyncio.sleep(0, not any(map(exists, everything))), what="the dead to be buried")


def exists(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


@pytest.mark.timeout(180)
async def test_every_visit_that_was_acknowledged_comes_back_after_a_kill_of_everything(
    folder: Path, tmp_path: Path
) -> None:
    data, again, secret = folder / "data", folder / "again", "a secret of more than thirty-two letters"
    told: dict[str, dict[str, Any]] = {}
    environment = {"SCHEDULER_DATA": str(data), "SECRET_KEY": secret}
    up = await open_clinic(data, secret, tmp_path / "first.log")
    code, written = await run("api-key", "create", "desk", "--scope", "admin", **environment)
    assert code == 0, written
    key = next(line for line in written.splitlines() if line.startswith("tbs_"))
    load = [asyncio.create_task(work_without_end(up.url, key, number, told)) for number in range(CLIENTS)]
    await until(lambda: asyncio.sleep(0, len(told) >= VISITS), what="so many visits")
    assert not any(one.done() for one in load), "until then everybody is answered"
    await kill_everything(up, data)
    for ended in await asyncio.gather(*load, return_exceptions=True):
        assert isinstance(ended, aiohttp.ClientError | TimeoutError), ended

    file = folder / "clinic.dump"
    code, written = await run("backup", str(file), **environment)
    assert code == 0, written
    elsewhere = {"SCHEDULER_DATA": str(again), "SECRET_KEY": secret}
    code, written = await run("restore", str(file), **elsewhere)
    assert code == 0, written
    assert "SECRET_KEY" not in written

    up = await open_clinic(again, secret, tmp_path / "second.log")
    try:
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for visit_id, acknowledged in told.items():
                async with session.get(f"{up.url}/api/v1/visits/{visit_id}") as response:
                    visit = await response.json()
                assert [visit.get(name) for name in SAME] == [acknowledged[name] for name in SAME]
        code, written = await run("restore", str(file), "--replace", **elsewhere)
        assert (code, written.splitlines()[-1]) == (
            2,
            "scheduler: Somebody is connected to the database: stop every web and worker, then restore.",
        )
        assert await up.stop() == 0
    finally:
        await up.kill()
    assert {visit["status"] for visit in told.values()} == {"booked", "cancelled"}
