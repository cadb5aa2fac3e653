"""What the worker's ticks keep in order, and what they leave alone."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import time_machine

from scheduler.store.connections import Pool
from scheduler.store.holds import expire_holds
from scheduler.store.idempotency import purge_answers
from scheduler.store.visits import forget_past
from tests.integration.requests import book, hold

START = "2026-12-08T10:00:00-05:00"


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel("2026-11-23T10:00:00-05:00", tick=True):
        yield


async def test_holds_that_ran_out_end_and_others_stay(public: httpx.AsyncClient, pool: Pool) -> None:
    first = await hold(public, "eval-run", START)
    second = await hold(public, "eval-run", "2026-12-09T10:00:00-05:00")
    await pool.execute("update occupancy set expires_at = now() - interval '1 s' where visit_id = $1", first["id"])
    async with pool.acquire() as connection:
        assert await expire_holds(connection) == 1
        assert await expire_holds(connection) == 0
    statuses = {str(row["id"]): row["status"] for row in await pool.fetch("select id, status from visits")}
    assert statuses == {first["id"]: "expired", second["id"]: "held"}
    assert {str(row["visit_id"]) for row in await pool.fetch("select visit_id from occupancy")} == {second["id"]}


async def test_a_hold_that_is_being_booked_at_this_moment_is_left_to_its_holder(
    public: httpx.AsyncClient, pool: Pool
) -> None:
    held = await hold(public, "eval-run", START)
    await pool.execute("update occupancy set expires_at = now() - interval '1 s'")
    async with pool.acquire() as booking, pool.acquire() as tick, booking.transaction():
        await booking.execute("select 1 from visits where id = $1 for update", held["id"])
        assert await expire_holds(tick) == 0


async def test_what_is_long_past_leaves_the_calendar_and_nothing_else_does(
    desk: httpx.AsyncClient, public: httpx.AsyncClient, pool: Pool
) -> None:
    visit = (await book(desk, "follow-up", START)).json()
    abandoned = await hold(public, "eval-run", "2026-12-09T10:00:00-05:00")
    async with pool.acquire() as connection:
        await expire_holds(connection)
        await forget_past(connection, now=datetime.now(UTC))
        assert await pool.fetchval("select count(*) from occupancy where visit_id = $1", visit["id"]) == 3
        await pool.execute(
            "update occupancy set during = tstzrange(lower(during) - interval '9 y', upper(during) - interval '9 y')"
        )
        await pool.execute("update occupancy set expires_at = now() where kind = 'hold'")
        await expire_holds(connection)
        await pool.execute("update visits set created_at = '2020-01-01' where id = $1", abandoned["id"])
        await forget_past(connection, now=datetime.now(UTC))
    assert await pool.fetchval("select count(*) from occupancy") == 0
    assert [str(row["id"]) for row in await pool.fetch("select id from visits")] == [visit["id"]]


async def test_answers_are_kept_for_a_day(desk: httpx.AsyncClient, pool: Pool) -> None:
    desk.headers["Idempotency-Key"] = "kept"
    await book(desk, "follow-up", START)
    async with pool.acquire() as connection:
        await purge_answers(connection)
        assert await pool.fetchval("select count(*) from idempotency_keys") == 1
        await pool.execute("update idempotency_keys set created_at = now() - interval '24 hours'")
        await purge_answers(connection)
    assert await pool.fetchval("select count(*) from idempotency_keys") == 0


async def test_traces_and_consents_cannot_be_rewritten(desk: httpx.AsyncClient, pool: Pool) -> None:
    await book(desk, "follow-up", START)
    for table in ("audit_events", "consents"):
        for statement in (f"update {table} set actor = 'nobody'", f"delete from {table}"):
            with pytest.raises(Exception, match="append-only"):
                await pool.execute(statement)
