"""When the answer to COMMIT is lost, callers are told what really happened."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import time_machine

from scheduler.app import create_app
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.settings import Settings
from scheduler.store.connections import Pool, open_pool
from scheduler.store.heartbeats import beat
from scheduler.store.units import unit_of_work
from tests.integration.conftest import client_of, make_key, running
from tests.integration.requests import book
from tests.simulators.database import CommitCutter

START = "2027-01-12T10:00:00-05:00"


@pytest.fixture(autouse=True)
def november() -> Any:
    with time_machine.travel("2026-11-23T10:00:00-05:00", tick=True):
        yield


@pytest.fixture
async def cutter(dsn: str) -> AsyncIterator[CommitCutter]:
    async with CommitCutter(dsn) as proxy:
        yield proxy


@pytest.fixture
def far_settings(settings: Settings, cutter: CommitCutter) -> Settings:
    return msgspec.structs.replace(settings, database_url=cutter.dsn)


async def test_a_commit_that_happened_is_a_success_though_its_answer_was_lost(
    pool: Pool, cutter: CommitCutter, far_settings: Settings
) -> None:
    worker = new_id()
    async with open_pool(far_settings) as far:
        cutter.cut = "after the commit"
        async with unit_of_work(far) as connection:
            await beat(connection, worker)
    assert cutter.cuts == 1
    assert await pool.fetchval("select count(*) from worker_heartbeats where worker_id = $1", worker) == 1


async def test_a_commit_that_never_reached_the_server_is_a_failure(
    pool: Pool, cutter: CommitCutter, far_settings: Settings
) -> None:
    worker = new_id()
    async with open_pool(far_settings) as far:
        cutter.cut = "before the commit"
        with pytest.raises(Exception, match="connection"):
            async with unit_of_work(far) as connection:
                await beat(connection, worker)
    assert cutter.cuts == 1
    assert await pool.fetchval("select count(*) from worker_heartbeats where worker_id = $1", worker) == 0


async def test_a_booking_whose_commit_was_cut_is_told_truly_and_made_once(
    pool: Pool, clinic: Clinic, cutter: CommitCutter, far_settings: Settings
) -> None:
    key = await make_key(pool, clinic, "admin")
    async with (
        running(create_app(far_settings)) as app,
        client_of(app, Authorization=f"Bearer {key}") as desk,
    ):
        # The first request notes the key's use, so that the next COMMIT is the booking's.
        assert (await desk.get("/api/v1/visits")).status_code == 200
        cutter.cut = "after the commit"
        happened = await book(desk, "follow-up", START)
        cutter.cut = "before the commit"
        failed = await book(desk, "follow-up", "2027-01-13T10:00:00-05:00")
        again = await book(desk, "follow-up", "2027-01-13T10:00:00-05:00")
    assert cutter.cuts == 2
    assert happened.status_code == 201
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "1")
    assert again.status_code == 201
    stored = {str(row["id"]) for row in await pool.fetch("select id from visits")}
    assert stored == {happened.json()["id"], again.json()["id"]}
