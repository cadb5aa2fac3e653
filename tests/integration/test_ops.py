"""The page of health: every number is the number of its rows, and what is wrong is said with what to do about it."""

import html
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import time_machine
from litestar import Litestar

from scheduler.channels.open import open_channels
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.services.breaker import rest
from scheduler.services.delivery import Post, send_due
from scheduler.services.ops import Ops, read_ops
from scheduler.services.planner import plan_ahead, plan_everywhere
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.ops import Listing
from tests.integration.requests import ASH, book, messages_of
from tests.integration.staffing import Screen, signed_in
from tests.integration.texting import Line

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TUESDAY = "2026-12-08T10:00:00-05:00"
BY_TEXT = ASH | {"email": None}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as moving:
        yield moving


@pytest.fixture
async def screen(app: Litestar, line: Line, clinic: Clinic, settings: Settings) -> AsyncIterator[Screen]:
    async with signed_in(app, line.pool, clinic, settings, name="Ana Morales") as screen:
        yield screen


async def ops_of(
    pool: Pool, clinic: Clinic, listing: Listing = "failed", *, hours: float = 24, now: datetime | None = None
) -> Ops:
    now = now or datetime.now(UTC)
    async with pool.acquire() as connection, connection.transaction():
        return await read_ops(
            connection, clinic, listing, since=now - timedelta(hours=hours), previewed=(), actor=SYSTEM, now=now
        )


@asynccontextmanager
async def sending_to(line: Line, twilio: str) -> AsyncGenerator[Post]:
    """Yield the line's outbox with a Twilio at another address."""
    settings = msgspec.structs.replace(line.post.settings, twilio_api_base_url=twilio)
    async with open_channels(settings) as channels:
        yield msgspec.structs.replace(line.post, channels=channels, settings=settings)


async def plan(pool: Pool, clinic: Clinic, now: datetime) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await plan_ahead(connection, clinic, now=now)


async def text_of(desk: httpx.AsyncClient, visit: dict[str, Any], kind: str = "booked") -> dict[str, Any]:
    return next(one for one in await messages_of(desk, visit) if (one["kind"], one["channel"]) == (kind, "sms"))


async def a_busy_day(line: Line, desk: httpx.AsyncClient, clinic: Clinic) -> None:
    """Let texts be delivered, lost, unanswered and waiting, somebody opt out, and reminders be forgotten."""
    for number, (day, end) in enumerate([(8, "delivered"), (9, "undelivered"), (10, ""), (11, "sent")]):
        person = BY_TEXT | {"given_name": f"P{number}", "phone": f"201 555 015{number}"}
        visit = (await book(desk, "follow-up", f"2026-12-{day:02}T10:00:00-05:00", patient=person)).json()
        await line.send()
        if end:
            sid, code = line.twilio.accepted[-1].sid, {"ErrorCode": "30007"} if end == "undelivered" else {}
            await line.twilio.report(line.url, (await text_of(desk, visit))["id"], sid, end, **code)
    await line.text("+12015550150", "STOP")
    await book(desk, "follow-up", "2026-12-14T10:00:00-05:00", patient=ASH)
    soon = (await book(desk, "follow-up", "2026-11-25T08:00:00-05:00", patient=BY_TEXT | {"given_name": "Soon"})).json()
    await line.pool.execute("delete from messages where visit_id = $1 and kind = 'reminder'", UUID(soon["id"]))
    await line.pool.execute(
        "update visits set booked_at = now() - interval '30 days', status_changed_at = now() - interval '30 days'"
    )
    await plan(line.pool, clinic, NOW - timedelta(days=9))


@pytest.mark.parametrize("hours", [24, 168])
async def test_every_number_is_the_number_of_its_rows(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic, hours: float
) -> None:
    await a_busy_day(line, desk, clinic)
    facts = (await ops_of(line.pool, clinic, hours=hours)).facts
    numbers: dict[Listing, int] = {
        "failed": facts.failed,
        "open": facts.open,
        "delivered": facts.arrived,
        "unreceipted": facts.unreceipted,
        "left": facts.arrived + facts.unreceipted,
        "waiting": facts.waiting,
        "opted_out": facts.opted_out,
        "unreminded": facts.unreminded,
    }
    for listing, number in numbers.items():
        assert len((await ops_of(line.pool, clinic, listing, hours=hours)).rows) == number, listing
    assert list(numbers.values()) == [1, 1, 1, 2, 3, 3, 1, 1]
    assert {*numbers, "reminders"} == {*get_args(Listing)}


async def test_visits_without_a_reminder_are_those_that_a_direct_query_finds(
    line: Line, screen: Screen, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    await a_busy_day(line, desk, clinic)
    direct = await line.pool.fetchval(
        """select count(*) from visits
        where status = 'booked' and starts_at between $1::timestamptz + interval '24 hours'
            and $1::timestamptz + interval '48 hours' and not exists (
                select from messages where visit_id = visits.id and kind = 'reminder' and state <> 'cancelled')""",
        NOW,
    )
    assert direct == 1
    page = (await screen.open("/staff/ops")).text
    assert re.search(rf">{direct}<span class=\"hidden\">: Booked visits without a reminder", page)
    rows = (await screen.open("/staff/ops?show=unreminded")).text
    assert "Soon S." in rows
    await plan(line.pool, clinic, NOW)
    after = (await screen.open("/staff/ops")).text
    assert '>0<span class="hidden">: Booked visits without a reminder' in after


async def test_no_page_has_a_phone_or_words_of_a_message(
    line: Line, screen: Screen, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    await a_busy_day(line, desk, clinic)
    await line.text("+12015550177", "My knee hurts")
    shown = 0
    for listing in get_args(Listing):
        for range_ in ("day", "week"):
            page = (await screen.open(f"/staff/ops?range={range_}&show={listing}")).text
            shown += page.count('<td role="cell" class="at">')
            assert re.findall(r"2015550\d{3}|5550\d{3}", re.sub(r"[\s().+-]", "", page)) == []
            assert "you are booked" not in page
            assert "knee" not in page
    assert shown > 10


async def test_the_planner_says_when_it_ran_and_one_that_fails_does_not(
    line: Line, clinic: Clinic, clock: time_machine.Traveller
) -> None:
    assert (await ops_of(line.pool, clinic)).levels["planner"] == "none"
    await plan_everywhere(line.pool, [clinic])
    assert (await ops_of(line.pool, clinic)).levels["planner"] == "ok"
    clock.shift(timedelta(seconds=121))
    await line.pool.execute("alter table messages rename to messages_away")
    try:
        with pytest.raises(Exception, match="messages"):
            await plan_everywhere(line.pool, [clinic])
    finally:
        await line.pool.execute("alter table messages_away rename to messages")
    late = await ops_of(line.pool, clinic, now=NOW + timedelta(seconds=121.5))
    assert late.levels["planner"] == "bad"
    await plan_everywhere(line.pool, [clinic])
    assert (await ops_of(line.pool, clinic, now=NOW + timedelta(seconds=122))).levels["planner"] == "ok"


async def test_a_late_job_is_red_and_says_whom_to_call(line: Line, screen: Screen, clinic: Clinic) -> None:
    await plan(line.pool, clinic, NOW - timedelta(minutes=3))
    page = (await screen.open("/staff/ops")).text
    [status] = re.findall(r'role="status">(.*?)</div>', page, re.DOTALL)
    assert "Reminders are late. Call tomorrow's first patients." in html.unescape(status)
    assert 'href="/staff/day/2026-11-24"' in status
    assert '<a class="gauge red" href="/staff/ops?show=reminders#rows"><b>9:57\u00a0AM</b>' in page


async def test_a_provider_that_does_not_answer_is_named_until_it_does(
    line: Line, screen: Screen, desk: httpx.AsyncClient, clinic: Clinic, clock: time_machine.Traveller
) -> None:
    await plan(line.pool, clinic, NOW + timedelta(minutes=5))
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    async with sending_to(line, "http://127.0.0.1:9") as post:
        for _ in range(3):
            await send_due(post, now=datetime.now(UTC))
            clock.shift(timedelta(minutes=1))
    page = (await screen.open("/staff/ops")).text
    assert "Texts have not left since 10:00\u00a0AM. Twilio could not be reached. We go on trying." in page
    await line.send(NOW + timedelta(minutes=10))
    clock.move_to(NOW + timedelta(minutes=6))
    page = (await screen.open("/staff/ops")).text
    assert "have not left" not in page


async def test_a_channel_that_rests_says_until_when_and_why(line: Line, screen: Screen, clinic: Clinic) -> None:
    await plan(line.pool, clinic, NOW)
    async with line.pool.acquire() as connection, connection.transaction():
        await rest(connection, clinic.id, "sms", reason="Twilio does not accept the account's credentials.", now=NOW)
    page = (await screen.open("/staff/ops")).text
    assert "Texts wait until 10:15\u00a0AM. Twilio does not accept the account&#39;s credentials." in page
    assert "Messages wait" in (await screen.open("/staff/messages")).text


async def test_receipts_that_stay_away_while_texts_leave_are_missed_after_half_an_hour(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.send()
    for minutes, level in ((29, "none"), (31, "bad")):
        assert (await ops_of(line.pool, clinic, now=NOW + timedelta(minutes=minutes))).levels["receipts"] == level
    await line.twilio.report(line.url, (await text_of(desk, visit))["id"], line.twilio.accepted[-1].sid, "sent")
    assert (await ops_of(line.pool, clinic, now=NOW + timedelta(hours=5))).levels["receipts"] == "ok"


async def test_a_clinic_sees_its_own(line: Line, desk: httpx.AsyncClient, clinic: Clinic) -> None:
    await a_busy_day(line, desk, clinic)
    other = msgspec.structs.replace(clinic, id=uuid4())
    facts = (await ops_of(line.pool, other)).facts
    assert (facts.arrived, facts.failed, facts.open, facts.waiting, facts.opted_out, facts.unreminded) == (0,) * 6
    for listing in get_args(Listing):
        assert not (await ops_of(line.pool, other, listing)).rows, listing


async def test_who_looked_at_whose_rows_is_noted(
    line: Line, screen: Screen, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    await a_busy_day(line, desk, clinic)
    # A page that asks again by itself is one look.
    for _ in range(3):
        await screen.open("/staff/ops", **{"X-Automatic": "true"})
    [row] = await line.pool.fetch("select actor, details from audit_events where action = 'ops.listed'")
    assert row["actor"].startswith("staff:")
    assert len(row["details"]["patients"]) == 1


async def test_what_was_seen_to_says_by_whom_and_has_no_button(
    line: Line, screen: Screen, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    await a_busy_day(line, desk, clinic)
    page = (await screen.open("/staff/ops")).text
    [off] = re.findall(r'action="(/staff/messages/failure/[^"]+)"', page)
    answer = await screen.send("/staff/ops?range=week", off, how="called")
    assert answer.headers["location"].startswith("/staff/ops?range=week&did=called&undo=failure%2F")
    page = (await screen.follow(answer)).text
    assert "Marked as called." in page
    assert "Seen to by A.M." in page
    assert re.findall(r'action="/staff/messages/[^"]+"', page) == [f'action="{off.replace("/off", "/back")}"']
    assert "Nothing needs you." in (await screen.open("/staff/ops?show=open")).text
