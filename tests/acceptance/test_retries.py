"""A caller whose request was cut off asks again under the same Idempotency-Key, and is told what came of it."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from scheduler.store.connections import Pool
from tests.acceptance.processes import Started, running, until
from tests.simulators.database import CommitCutter


def visit(year: int) -> dict[str, Any]:
    return {
        "visit_type": "follow-up",
        "starts_at": f"{year}-03-02T10:00:00-05:00",
        "overbook": {"reason": "whatever the hours that day"},
        "therapist": "rivera",
        "patient": {
            "given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142", "email": "ash@example.com",
            "sms_consent": {"granted": True, "wording_version": "2026-11"},
        },
    }  # fmt: skip


async def book(web: Started, key: str, body: dict[str, Any]) -> tuple[int, str | None, dict[str, Any]]:
    """Return the status, whether it is a replay, and the body."""
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "one-visit-please"}
    async with (
        aiohttp.ClientSession(web.url) as session,
        session.post("/api/v1/visits", json=body, headers=headers) as answer,
    ):
        return answer.status, answer.headers.get("Idempotent-Replayed"), await answer.json()


async def test_kill_nine_between_commit_and_reply_is_told_by_the_next_process(
    pool: Pool, dsn: str, key: str, environment: dict[str, str], tmp_path: Path, next_year: int
) -> None:
    body = visit(next_year)
    async with (
        CommitCutter(dsn) as cutter,
        running("web", environment | {"DATABASE_URL": cutter.dsn}, tmp_path / "first.log", web=True) as first,
        running("web", environment, tmp_path / "second.log", web=True) as second,
    ):
        cutter.cut = "silent after the commit"
        asked = asyncio.create_task(book(first, key, body))

        async def committed() -> bool:
            assert not asked.done(), asked.result()
            return cutter.cuts == 1

        await until(committed, what="the booking's commit")
        await first.kill()
        with pytest.raises(aiohttp.ClientError):
            await asked
        status, replayed, told = await book(second, key, body)
    assert (status, replayed) == (201, "true"), told
    assert [str(row["id"]) for row in await pool.fetch("select id from visits")] == [told["id"]]
    planned = await pool.fetch("select template, channel, count(*) as times from messages group by 1, 2")
    assert {row["times"] for row in planned} == {1}
    assert {(row["template"], row["channel"]) for row in planned} >= {("booked", "sms"), ("booked", "email")}
