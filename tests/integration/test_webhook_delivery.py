"""Deliveries through a server on loopback: tried again, under the same id, and not for ever."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from scheduler.channels import webhooks as channel
from scheduler.channels.webhooks import open_webhook_client
from scheduler.domain.webhooks import Reach
from scheduler.services import webhook_delivery
from scheduler.services.webhook_delivery import Courier, deliver_due
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.webhook_deliveries import claim_deliveries, forget_deliveries, return_lost_leases
from scheduler.worker.main import run as run_worker
from scheduler.worker.webhooks import dispatch_webhooks
from tests.acceptance.processes import until
from tests.integration.requests import TEN, act, book
from tests.integration.telling import HOUR, MINUTE, deliver_all, deliveries, delivery, subscribe
from tests.simulators.certificates import make_certificate
from tests.simulators.receiver import BUSY, DROP, HANG, Receiver, Reply

pytestmark = pytest.mark.usefixtures("monday")

SECOND = timedelta(seconds=1)


# Beyond any jitter of the longest wait.
LATER = timedelta(hours=27)


async def test_a_receiver_that_fails_is_tried_again_under_the_same_id_and_not_before_its_time(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    webhook, secret = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    receiver.replies.extend([BUSY, DROP])
    await deliver_all(courier, now + SECOND)
    first = await delivery(desk, webhook)
    assert (first["state"], first["attempts"], first["response_status"]) == ("pending", 1, 503)
    assert first["reason"] == "The receiver answered 503: it cannot take it at the moment."
    await deliver_all(courier, now + 5 * SECOND)
    assert len(receiver.received) == 1
    await deliver_all(courier, now + 7 * SECOND)
    second = await delivery(desk, webhook)
    assert (second["attempts"], second["response_status"]) == (2, None)
    assert second["reason"] == "The receiver broke off before it answered."
    await deliver_all(courier, now + 4 * MINUTE)
    assert len(receiver.received) == 2
    await deliver_all(courier, now + 6 * MINUTE)
    last = await delivery(desk, webhook)
    assert (last["state"], last["response_status"], last["reason"]) == ("delivered", 204, None)
    assert last["next_attempt_at"] is None
    assert {one.id for one in receiver.received} == {last["id"]}
    assert len({one.body for one in receiver.received}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.received}) == 3
    for one in receiver.received:
        one.verified(secret)


async def test_a_receiver_says_when_to_come_back_within_bounds(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    moment = now + SECOND
    for asked, least, most in (("3600", HOUR, HOUR), ("1", 4 * MINUTE, 6 * MINUTE), ("9999999", 24 * HOUR, 24 * HOUR)):
        receiver.replies.append(Reply(status=429, headers={"Retry-After": asked}))
        await deliver_all(courier, moment)
        again = datetime.fromisoformat((await delivery(desk, webhook))["next_attempt_at"])
        assert least <= again - moment <= most
        moment = again


async def test_a_delivery_is_given_up_after_three_days_and_can_be_sent_again_by_hand(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    receiver.usually = Reply(status=404)
    moment = now
    while (one := await delivery(desk, webhook))["state"] == "pending":
        await deliver_all(courier, moment)
        moment += MINUTE if moment < now + HOUR else HOUR
    assert (one["state"], one["attempts"]) == ("dead", 10)
    assert timedelta(days=2.8) < moment - now < timedelta(days=4)
    await deliver_all(courier, moment + LATER)
    assert len(receiver.received) == 10
    receiver.usually = Reply()
    again = await desk.post(f"{webhook}/deliveries/{one['id']}/redeliver")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (202, "pending", 0)
    await deliver_all(courier, now + MINUTE)
    assert (await delivery(desk, webhook))["state"] == "delivered"
    assert receiver.received[-1].id == one["id"]


async def test_a_receiver_that_is_gone_is_told_nothing_more(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    receiver.replies.append(Reply(status=410))
    await deliver_all(courier, now + MINUTE)
    await book(desk, "follow-up", "2026-12-09T10:00:00-05:00")
    await deliver_all(courier, now + LATER)
    assert len(receiver.received) == 1
    assert (await delivery(desk, webhook))["state"] == "dead"
    shown = (await desk.get(webhook)).json()
    assert (shown["paused"], shown["pause_reason"]) == (True, "The receiver answered 410: it wants no more.")
    for path in ("test", f"deliveries/{(await delivery(desk, webhook))['id']}/redeliver"):
        refused = await desk.post(f"{webhook}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook-paused")


async def test_a_redirect_is_not_followed(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    receiver.replies.append(Reply(status=307, headers={"Location": f"{receiver.url}/elsewhere"}))
    await deliver_all(courier, now + MINUTE)
    assert [one.path for one in receiver.received] == ["/hooks"]
    assert "redirect, which is not followed" in (await delivery(desk, webhook))["reason"]


async def test_a_receiver_that_never_answers_is_given_up_on_in_time(
    desk: httpx.AsyncClient, settings: Settings, pool: Pool, receiver: Receiver, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(channel, "ATTEMPT_SECONDS", 0.3)
    webhook, _ = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    receiver.replies.append(HANG)
    async with open_webhook_client(Reach(loopback=True)) as client, asyncio.timeout(3):
        await deliver_due(Courier(pool=pool, client=client, settings=settings), now=now + MINUTE)
    one = await delivery(desk, webhook)
    assert (one["state"], one["response_status"]) == ("pending", None)
    assert one["reason"].startswith("The receiver did not answer within")


async def test_the_head_of_an_answer_is_enough(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime, pool: Pool
) -> None:
    # By name, because a cookie of a bare address is not kept anyway.
    webhook, _ = await subscribe(desk, receiver.url.replace("127.0.0.1", "localhost"))
    await book(desk, "follow-up", TEN)
    secrets = b"Ash Sample " * 100_000
    receiver.replies.append(Reply(status=200, body=secrets, headers={"Set-Cookie": "session=1; Path=/"}))
    await deliver_all(courier, now + MINUTE)
    await desk.post(f"{webhook}/test")
    await deliver_all(courier, now + MINUTE)
    assert [one["state"] for one in await deliveries(desk, webhook)] == ["delivered"] * 2
    assert "cookie" not in receiver.received[1].headers
    kept = await pool.fetchval("select string_agg(webhook_deliveries::text, ' ') from webhook_deliveries")
    assert "Ash" not in kept


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    desk: httpx.AsyncClient, courier: Courier, now: datetime, tmp_path: Path
) -> None:
    server = await asyncio.start_server(
        lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=make_certificate(tmp_path).context
    )
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        webhook, _ = await subscribe(desk, url)
        await book(desk, "follow-up", TEN)
        await deliver_all(courier, now + MINUTE)
    assert (await delivery(desk, webhook))["reason"] == "The receiver's certificate is not one to trust."


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_whatever_a_name_leads_to_is_judged_when_the_connection_is_made(host: str, receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    async with open_webhook_client(Reach()) as client:
        answer = await client.post(url, b"{}", {}, now=datetime.now(UTC))
    assert answer.status is None
    assert "not on the internet" in answer.reason
    assert receiver.received == []


async def test_many_workers_at_once_deliver_each_event_once(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    for _ in range(12):
        assert (await desk.post(f"{webhook}/test")).status_code == 202
    receiver.usually = Reply(seconds=0.05)
    while any(await asyncio.gather(*(deliver_due(courier, now=now + MINUTE) for _ in range(5)))):
        pass
    assert len(receiver.received) == len({one.id for one in receiver.received}) == 12


async def test_two_claims_at_one_moment_take_different_deliveries(desk: httpx.AsyncClient, pool: Pool) -> None:
    webhook, _ = await subscribe(desk, "https://example.com/hooks")
    for _ in range(6):
        await desk.post(f"{webhook}/test")
    async with pool.acquire() as first, pool.acquire() as second, first.transaction(), second.transaction():
        claims = [
            await claim_deliveries(connection, limit=3, at_once=3, lease_seconds=60, now=None)
            for connection in (first, second)
        ]
    assert [len(claim) for claim in claims] == [3, 3]
    assert len({one.id for claim in claims for one in claim}) == 6


async def test_a_slow_receiver_holds_up_nobody_else(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, pool: Pool
) -> None:
    wake, stop = asyncio.Event(), asyncio.Event()
    async with Receiver(HANG) as slow:
        hanging, _ = await subscribe(desk, slow.url)
        quick, _ = await subscribe(desk, receiver.url)
        for _ in range(webhook_delivery.AT_ONCE + 5):
            await desk.post(f"{hanging}/test")
        for _ in range(10):
            await desk.post(f"{quick}/test")
        dispatcher = asyncio.create_task(dispatch_webhooks(courier, wake, stop))
        wake.set()

        async def all_arrived() -> bool:
            return len(receiver.received) == 10

        await until(all_arrived, seconds=5)
        assert len(slow.received) == webhook_delivery.AT_ONCE_EACH
        stop.set()
        wake.set()
        # Those that hang are cut off, and go again once their leases have run out.
        await asyncio.wait_for(dispatcher, timeout=4)
        states = await pool.fetch("select state, count(*) from webhook_deliveries group by 1")
    assert dict(map(tuple, states)) == {
        "delivered": 10, "sending": webhook_delivery.AT_ONCE_EACH, "pending": webhook_delivery.AT_ONCE + 1
    }  # fmt: skip


async def test_what_a_sender_took_up_and_never_settled_goes_again_under_the_same_id(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime, pool: Pool
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    (claimed,) = await webhook_delivery.claim_due(courier, now=now + MINUTE)
    async with pool.acquire() as connection:
        await return_lost_leases(connection)
        assert (await delivery(desk, webhook))["state"] == "sending"
        await pool.execute("update webhook_deliveries set lease_until = now() - interval '1 second'")
        await return_lost_leases(connection)
    await deliver_all(courier, now + MINUTE)
    # The first sender was not dead, only slow: what it says now changes nothing.
    receiver.replies.append(Reply(status=410))
    await webhook_delivery.deliver(courier, claimed, now=now + MINUTE)
    assert [one.id for one in receiver.received] == [str(claimed.id)] * 2
    assert (await delivery(desk, webhook))["state"] == "delivered"
    assert (await desk.get(webhook)).json()["paused"] is False


async def test_a_running_worker_tells_at_once_and_stops_cleanly(
    desk: httpx.AsyncClient, settings: Settings, receiver: Receiver, pool: Pool
) -> None:
    _, secret = await subscribe(desk, receiver.url, ["visit.changed"])
    visit = (await book(desk, "follow-up", TEN)).json()
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(settings, stop))
    await until(lambda: pool.fetchval("select count(*) from worker_heartbeats"))
    await asyncio.sleep(0.5)
    # This plans no message, whose own wake-up would do as well.
    assert (await act(desk, visit, "confirm")).status_code == 200

    async def arrived() -> bool:
        return bool(receiver.received)

    # Well before the next look that the worker takes by itself.
    await until(arrived, seconds=2)
    stop.set()
    await asyncio.wait_for(worker, timeout=5)
    assert receiver.received[0].verified(secret)["type"] == "visit.changed"


async def test_deliveries_are_kept_for_thirty_days(desk: httpx.AsyncClient, pool: Pool) -> None:
    kept, _ = await subscribe(desk, "https://example.com/kept")
    gone, _ = await subscribe(desk, "https://example.com/gone")
    for webhook in (kept, gone):
        await desk.post(f"{webhook}/test")
        await desk.post(f"{webhook}/test")
    await desk.delete(gone)
    async with pool.acquire() as connection:
        await forget_deliveries(connection)
        assert await pool.fetchval("select count(*) from webhook_deliveries") == 4
        old = (await deliveries(desk, kept))[0]["id"]
        await pool.execute("update webhook_deliveries set created_at = now() - interval '31 days' where id = $1", old)
        await pool.execute(
            """update webhook_deliveries set created_at = now() - interval '31 days' where state = 'cancelled'"""
        )
        await pool.execute("update webhooks set removed_at = now() - interval '31 days' where removed_at is not null")
        for _ in range(2):
            await forget_deliveries(connection)
    assert len(await deliveries(desk, kept)) == 1
    assert await pool.fetchval("select count(*) from webhooks") == 1
