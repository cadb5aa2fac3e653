"""A real server keeps what its OpenAPI document promises, whatever schemathesis thinks of sending."""

import asyncio
import json
import os
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from scheduler.domain.clinics import Limits
from scheduler.store.connections import Pool
from tests.acceptance.processes import ROOT, Started, running

# A quarter of that on two idle processors.
SECONDS = 200


DAY = timedelta(days=1)
ASH = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142", "email": "ash@example.com"}

# What a run must get through to, or it has seen nothing but refusals.
REACHED_BY_ANYBODY = {"createHold", "listSlots", "countSlotsByDay"}
REACHED_BY_KEY = {
    *REACHED_BY_ANYBODY, "bookVisit", "getVisit", "rescheduleVisit", "confirmVisit", "cancelVisit", "getVisitHistory",
    "getPatient", "changePatient", "exportPatient", "getMessage", "listMessages", "setHours", "addTimeOff",
    "createWebhook",
}  # fmt: skip
# Limits are tried elsewhere.
PLENTY = dict.fromkeys(Limits.__struct_fields__, 1000)


async def world(web: Started, key: str | None, first: date) -> dict[str, list[str]]:
    """Return values that mean something to the sample clinic, by the name of the field or parameter.

    By key there are visits to work on as well, with their patient and messages.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    query = {"visit_type": "eval-run", "from": first.isoformat(), "to": (first + 40 * DAY).isoformat()}
    async with aiohttp.ClientSession(web.url, headers=headers) as session:
        # One a day is booked beforehand; there is one treadmill, so the others are hours later.
        by_day: dict[str, list[dict[str, str]]] = {}
        for slot in (await ask(session, "GET", "/api/v1/slots", params=query))["items"]:
            by_day.setdefault(slot["starts_at"][:10], []).append(slot)
        slots = [found[0] for found in by_day.values()]
        known = {
            "starts_at": [slot["starts_at"] for found in by_day.values() for slot in found[len(found) // 2 :: 9]],
            "visit_type": ["eval-run"],
            "therapist": [slots[0]["therapist"]],
            "code": [slots[0]["therapist"]],
            "room": ["eval-1"],
            "day": [(first + (60 + number) * DAY).isoformat() for number in range(28)],
            "date": [(first + 60 * DAY).isoformat()],
            "phone": ["201 555 0142", "201 555 0143", "201 555 0144"],
            "email": ["ash@example.com"],
            "birth_date": ["1990-04-02"],
            "language": ["en", "es"],
            "kind": ["reminder_24h", "booked"],
            "url": ["https://example.com/webhooks"],
        }
        if key:
            visits = [
                await ask(session, "POST", "/api/v1/visits", json={
                    "visit_type": "eval-run", "starts_at": slot["starts_at"], "patient": ASH,
                }) for slot in slots
            ]  # fmt: skip
            messages = await ask(session, "GET", "/api/v1/messages")
            known["visit_id"] = [visit["id"] for visit in visits]
            known["patient_id"] = [visits[0]["patient"]["id"]]
            known["message_id"] = [message["id"] for message in messages["items"]]
    return known


async def ask(session: aiohttp.ClientSession, method: str, path: str, **more: Any) -> Any:
    async with session.request(method, path, **more) as answer:
        assert answer.status < 300, await answer.text()
        return await answer.json()


async def schemathesis(web: Started, known: dict[str, list[str]], *arguments: str) -> tuple[int, str]:
    """Let schemathesis loose on a server; return its exit code and what it found."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", ROOT / "tests" / "schemathesis.toml"),
        *("run", f"{web.url}/schema/openapi.json", "--checks", "all", "--no-color", "--continue-on-failure"),
        *arguments,
        cwd=web.log.parent,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(web.log.parent),
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.acceptance.schemathesis_hooks",
            "SCHEMATHESIS_WORLD": json.dumps(known),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), timeout=SECONDS)
    return process.returncode or 0, output.decode()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without"])
async def test_schemathesis_finds_nothing(
    environment: dict[str, str], tmp_path: Path, pool: Pool, key: str, next_year: int, *, with_key: bool
) -> None:
    await pool.execute("update clinics set settings = jsonb_set(settings, '{limits}', $1)", PLENTY)
    async with (
        running("worker", environment, tmp_path / "worker.log"),
        running("web", environment, tmp_path / "web.log", web=True) as web,
    ):
        if with_key:
            known = await world(web, key, date(next_year, 3, 1))
            code, found = await schemathesis(web, known, "--header", f"Authorization: Bearer {key}")
        else:
            # The public books no further ahead than some weeks.
            known = await world(web, None, datetime.now(UTC).date() + 3 * DAY)
            code, found = await schemathesis(web, known, "--include-tag", "Offer", "--include-tag", "Holds")
        assert code == 0, found
        async with aiohttp.ClientSession(web.url) as session, session.get("/metrics") as answer:
            metrics = await answer.text()
    reached = set(re.findall(r'_count{operation="(\w+)",status="2xx"}', metrics))
    assert reached >= (REACHED_BY_KEY if with_key else REACHED_BY_ANYBODY), sorted(reached)
    failed = set(re.findall(r'_count{operation="(\w+)",status="5xx"}', metrics))
    assert failed <= {"getReadiness"}
    assert "request.failed" not in web.log.read_text()
