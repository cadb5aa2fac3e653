"""Web and worker killed in the middle of a burst: no visit is without its messages, and no message is lost."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from scheduler.store.connections import Pool
from tests.acceptance.processes import Started, free_port, start, until
from tests.acceptance.providers import logged, provider
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER

VISITS = 60
KILLS = 4


@pytest.mark.timeout(120)
async def test_kill_nine_in_the_middle_of_a_burst_loses_nothing(
    pool: Pool, key: str, environment: dict[str, str], tmp_path: Path
) -> None:
    texts_log, mail_log = tmp_path / "texts.jsonl", tmp_path / "mail.jsonl"
    async with provider("twilio_process", texts_log) as twilio_port, provider("smtp", mail_log) as smtp_port:
        environment |= {
            "SMS_CHANNEL": "twilio",
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM": OUR_NUMBER,
            "TWILIO_API_BASE_URL": f"http://127.0.0.1:{twilio_port}",
            "EMAIL_CHANNEL": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            "SMTP_TLS": "none",
            "MESSAGE_LEASE_SECONDS": "5",
            "MESSAGE_RECONCILE_SECONDS": "1,3,8",
            # At one a second, as usual, the texts alone would take a minute.
            "MESSAGES_PER_SECOND": "20",
        }
        port = free_port()
        processes = {
            "web": await start("web", environment, tmp_path / "web.log", port=port),
            "worker": await start("worker", environment, tmp_path / "worker.log"),
        }
        url = processes["web"].url
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
                killer = asyncio.create_task(kill_now_and_then(processes, environment, tmp_path, port))
                told = await asyncio.gather(*(book_until_told(session, url, key, number) for number in range(VISITS)))
                await killer
                await until(lambda: nothing_is_under_way(pool), seconds=60, what="every message to be settled")
        finally:
            for started in processes.values():
                await started.kill()

    booked = {row["id"]: row for row in await pool.fetch("select id, starts_at from visits where status = 'booked'")}
    assert {str(visit) for visit in booked} == set(told), "what callers were told and what is stored differ"
    assert len(booked) == VISITS
    planned = await pool.fetch("select visit_id, template, channel from messages where kind = 'booked'")
    assert {(row["visit_id"], row["channel"]) for row in planned} == {
        (visit, channel) for visit in booked for channel in ("sms", "email")
    }
    reminded = await pool.fetch("select visit_id, count(*) as planned from messages where kind = 'reminder' group by 1")
    assert {row["visit_id"] for row in reminded} == set(booked)
    texts, mails = logged(texts_log), logged(mail_log)
    assert len({text["To"] for text in texts}) == len(texts) == VISITS, "a text was lost or sent twice"
    # An email may come twice where a kill struck after the server had it; the same Message-ID hides the double.
    assert len({mail["message_id"] for mail in mails}) == VISITS


async def book_until_told(session: aiohttp.ClientSession, url: str, key: str, number: int) -> str:
    """Book one visit, asking again under the same Idempotency-Key until there is an answer; return its id."""
    await asyncio.sleep(number * 0.08)
    body = {
        "visit_type": "follow-up",
        "starts_at": f"{datetime.now(UTC).date() + timedelta(days=60 + number)}T10:00:00-05:00",
        "therapist": "rivera",
        "patient": {
            "given_name": "Runner",
            "family_name": "Sample",
            "phone": f"201 555 01{number:02}",
            "email": f"runner-{number}@example.com",
            "sms_consent": {"granted": True, "wording_version": "2026-11"},
        },
        "overbook": {"reason": "one visit a day, whatever the hours"},
    }
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"visit-{number}"}
    for _ in range(200):
        try:
            async with session.post(f"{url}/api/v1/visits", json=body, headers=headers) as response:
                answer = await response.json()
                if response.status == 201:
                    return answer["id"]
                assert response.status in (409, 503), answer
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(f"visit {number} was never answered for")


async def kill_now_and_then(
    processes: dict[str, Started], environment: dict[str, str], tmp_path: Path, port: int
) -> None:
    chance = random.Random(7)
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.6, 1.2))
        await processes["worker"].kill()
        processes["worker"] = await start("worker", environment, tmp_path / "worker.log")
        await asyncio.sleep(chance.uniform(0.2, 0.6))
        await processes["web"].kill()
        processes["web"] = await start("web", environment, tmp_path / "web.log", port=port)


async def nothing_is_under_way(pool: Pool) -> bool:
    return not await pool.fetchval(
        """select count(*) from messages
        where state in ('sending', 'unknown') or state = 'pending' and kind = 'booked'"""
    )
