"""Webhooks through a server on loopback: told when it is so, signed, tried again, and nobody else's business."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import time_machine
from litestar import Litestar
from standardwebhooks import WebhookVerificationError

from scheduler.channels import webhooks as channel
from scheduler.channels.open import open_channels
from scheduler.channels.texts import load_texts
from scheduler.channels.webhooks import open_webhook_client
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.domain.webhooks import Reach
from scheduler.ids import new_id
from scheduler.services import webhook_delivery
from scheduler.services.api_keys import SCOPES, create_api_key
from scheduler.services.delivery import Post, send_due
from scheduler.services.directory import Directory
from scheduler.services.doubts import settle_doubts
from scheduler.services.webhook_delivery import Courier, deliver_due
from scheduler.services.webhooks import announce_failed_message
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from scheduler.store.webhook_deliveries import claim_deliveries, forget_deliveries, return_lost_leases
from scheduler.worker.main import run as run_worker
from scheduler.worker.webhooks import dispatch_webhooks
from tests.acceptance.processes import until
from tests.integration.conftest import client_of, make_key
from tests.integration.requests import ASH, act, book, hold
from tests.simulators.certificates import make_certificate
from tests.simulators.receiver import BUSY, DROP, HANG, Receiver, Reply
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, TwilioSimulator, refusal

TEN = "2026-12-08T10:00:00-05:00"
EVERYTHING = ["visit.booked", "visit.changed", "visit.cancelled", "message.failed"]
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# Beyond any jitter of the longest wait.
LATER = timedelta(hours=27)


@pytest.fixture(autouse=True)
def monday() -> Any:
    """Let visits be booked on the days that the tests speak of; deliveries go by the database's clock."""
    with time_machine.travel("2026-11-23T10:00:00-05:00", tick=True):
        yield


@pytest.fixture
async def now(pool: Pool) -> datetime:
    return await pool.fetchval("select now()")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def courier(settings: Settings, pool: Pool) -> AsyncIterator[Courier]:
    async with open_webhook_client(Reach(loopback=True)) as client:
        yield Courier(pool=pool, client=client, settings=settings)


async def subscribe(desk: httpx.AsyncClient, url: str, events: list[str] | None = None, **more: Any) -> tuple[str, str]:
    """Subscribe and return the path of the webhook and its secret."""
    answer = await desk.post("/api/v1/webhooks", json={"url": url, "events": events or EVERYTHING, **more})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"], answer.json()["secret"]


async def deliver_all(courier: Courier, now: datetime) -> None:
    while await deliver_due(courier, now=now):
        pass


async def deliveries(desk: httpx.AsyncClient, webhook: str, **filters: str) -> list[dict[str, Any]]:
    answer = await desk.get(f"{webhook}/deliveries", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def delivery(desk: httpx.AsyncClient, webhook: str) -> dict[str, Any]:
    (only,) = await deliveries(desk, webhook)
    return only


async def test_what_happens_to_a_visit_is_told_in_ids_alone(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    _, secret = await subscribe(desk, receiver.url)
    visit = (await book(desk, "eval-run", TEN)).json()
    for action in ("confirm", "undo", "cancel"):
        answer = await act(desk, visit, action, **({"reason": "asked by phone"} if action == "cancel" else {}))
        visit = answer.json()
    await deliver_all(courier, now + MINUTE)
    told = sorted((one.verified(secret) for one in receiver.received), key=lambda event: event["data"]["version"])
    assert [event["type"] for event in told] == ["visit.booked", "visit.changed", "visit.changed", "visit.cancelled"]
    for number, event in enumerate(told):
        assert set(event) == {"type", "timestamp", "data"}
        assert event["timestamp"].endswith("Z")
        assert event["data"] == {
            "visit_id": visit["id"], "patient_id": visit["patient"]["id"], "version": number + 1
        }  # fmt: skip


async def test_a_move_is_a_change(desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime) -> None:
    await subscribe(desk, receiver.url, ["visit.changed"])
    visit = (await book(desk, "follow-up", TEN)).json()
    await act(desk, visit, "reschedule", starts_at="2026-12-09T10:00:00-05:00")
    await deliver_all(courier, now + MINUTE)
    assert [one.event["type"] for one in receiver.received] == ["visit.changed"]


async def test_holds_and_refused_bookings_tell_nothing(
    desk: httpx.AsyncClient, public: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime, pool: Pool
) -> None:
    await subscribe(desk, receiver.url)
    held = await hold(public, "eval-run", TEN)
    refused = await book(desk, "eval-run", TEN, therapist=held["therapist"])
    assert refused.status_code == 409
    await deliver_all(courier, now + MINUTE)
    assert receiver.received == []
    assert await pool.fetchval("select count(*) from webhook_deliveries") == 0


async def test_the_subscribers_of_one_event_are_told_the_same_id(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    _, first = await subscribe(desk, f"{receiver.url}/first")
    _, second = await subscribe(desk, f"{receiver.url}/second")
    await book(desk, "follow-up", TEN)
    await deliver_all(courier, now + MINUTE)
    told = {one.path: one for one in receiver.received}
    assert set(told) == {"/hooks/first", "/hooks/second"}
    assert told["/hooks/first"].id == told["/hooks/second"].id
    told["/hooks/first"].verified(first)
    told["/hooks/second"].verified(second)
    with pytest.raises(WebhookVerificationError):
        told["/hooks/second"].verified(first)


async def test_the_words_of_the_documentation_verify_a_delivery(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    defined: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], defined)
    _, secret = await subscribe(desk, receiver.url)
    await book(desk, "follow-up", TEN)
    await deliver_all(courier, now + MINUTE)
    (request,) = receiver.received
    # The receiver looks at its own clock, which is the attempt's.
    with time_machine.travel(int(request.headers["webhook-timestamp"])):
        assert defined["verified"](secret, request.headers, request.body)
        assert not defined["verified"](secret, request.headers, request.body + b" ")
        assert not defined["verified"]("whsec_" + "A" * 44, request.headers, request.body)
    with time_machine.travel(int(request.headers["webhook-timestamp"]) + 301):
        assert not defined["verified"](secret, request.headers, request.body)


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


async def test_a_message_that_failed_for_good_is_told_once(
    desk: httpx.AsyncClient, settings: Settings, courier: Courier, receiver: Receiver, pool: Pool, clinic: Clinic,
    now: datetime,
) -> None:  # fmt: skip
    webhook, _ = await subscribe(desk, receiver.url, ["message.failed"])
    async with TwilioSimulator() as twilio:
        sending = msgspec.structs.replace(
            settings, sms_channel="twilio", twilio_account_sid=ACCOUNT_SID, twilio_auth_token=AUTH_TOKEN,
            twilio_from=OUR_NUMBER, twilio_api_base_url=twilio.url,
        )  # fmt: skip
        async with open_channels(sending) as channels:
            post = Post(
                pool=pool, directory=Directory([clinic]), channels=channels, settings=sending,
                texts=load_texts(sending.scheduler_clinic.parent / "messages"),
            )  # fmt: skip
            refused = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
            twilio.faults.append(refusal(21610))
            await send_due(post, now=datetime.now(UTC) + MINUTE)
            wordless = (await book(desk, "follow-up", "2026-12-09T10:00:00-05:00", patient=ASH)).json()
            await pool.execute("update messages set template = 'gone' where visit_id = $1", wordless["id"])
            await send_due(post, now=datetime.now(UTC) + MINUTE)
            doubtful = (await book(desk, "follow-up", "2026-12-10T10:00:00-05:00", patient=ASH)).json()
            await pool.execute(
                """with doubted as (
                    update messages set state = 'unknown', attempts = 2, next_check_at = now(), expires_at = now(),
                        rendered = '{"subject": "", "text": ""}' where visit_id = $1 and kind = 'booked'
                        and channel = 'email' returning *
                )
                insert into message_attempts (clinic_id, message_id, number, started_at)
                select clinic_id, id, 1, now() - interval '1 day' from doubted""",
                doubtful["id"],
            )
            await settle_doubts(post)
    # Refused, without words in both channels, and in doubt for too long.
    assert len(await deliveries(desk, webhook)) == 4
    async with pool.acquire() as connection:
        # As when a provider's report comes after we gave up by ourselves.
        for row in await connection.fetch("select id from messages"):
            await announce_failed_message(connection, clinic.id, row["id"])
    await deliver_all(courier, now + MINUTE)
    failed = await pool.fetch("select id, visit_id, patient_id from messages where state in ('failed', 'dead')")
    assert {str(row["visit_id"]) for row in failed} == {refused["id"], wordless["id"], doubtful["id"]}
    told = [one.event["data"] for one in receiver.received]
    assert sorted(told, key=str) == sorted(
        (
            {"message_id": str(row["id"]), "visit_id": str(row["visit_id"]), "patient_id": str(row["patient_id"])}
            for row in failed
        ),
        key=str,
    )
    assert {one["type"] for one in await deliveries(desk, webhook)} == {"message.failed"}


async def test_a_subscription_is_made_read_changed_and_removed(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime, pool: Pool
) -> None:
    made = await desk.post(
        "/api/v1/webhooks",
        json={"url": receiver.url, "events": ["visit.booked", "visit.booked"], "description": "Billing"},
    )
    webhook, body = made.headers["Location"], made.json()
    assert body["webhook"]["events"] == ["visit.booked"]
    assert body["secret"].startswith("whsec_")
    assert (await desk.get(webhook)).json() == body["webhook"]
    assert (await desk.get("/api/v1/webhooks")).json() == {"items": [body["webhook"]], "next_cursor": None}
    changed = await desk.patch(webhook, json={"events": ["visit.cancelled"], "url": f"{receiver.url}/new"})
    assert changed.json() == body["webhook"] | {"events": ["visit.cancelled"], "url": f"{receiver.url}/new"}
    visit = (await book(desk, "follow-up", TEN)).json()
    await act(desk, visit, "cancel", reason="asked by phone")
    assert (await desk.delete(webhook)).status_code == 204
    await deliver_all(courier, now + MINUTE)
    assert receiver.received == []
    assert await pool.fetchval("select state from webhook_deliveries") == "cancelled"
    for request in (desk.get(webhook), desk.delete(webhook), desk.post(f"{webhook}/test"), desk.patch(webhook, json={}),
                    desk.get(f"{webhook}/deliveries"), desk.post(f"{webhook}/secret/rotate")):  # fmt: skip
        assert (await request).status_code == 404
    assert (await desk.get("/api/v1/webhooks")).json()["items"] == []
    traces = await pool.fetch("select * from audit_events where action like 'webhook%' order by id")
    assert [row["action"] for row in traces] == ["webhook.created", "webhook.changed", "webhook.removed"]
    assert {row["actor"] for row in traces} == {"key:front desk"}
    assert "127.0.0.1" not in str([row["details"] for row in traces])


async def test_while_paused_nothing_is_sent_and_nothing_new_is_kept(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    before = (await book(desk, "follow-up", TEN)).json()
    assert (await desk.patch(webhook, json={"paused": True})).json()["pause_reason"] == "It was paused by hand."
    await book(desk, "follow-up", "2026-12-09T10:00:00-05:00")
    await deliver_all(courier, now + MINUTE)
    assert receiver.received == []
    assert (await desk.patch(webhook, json={"paused": False})).json()["paused"] is False
    await deliver_all(courier, now + MINUTE)
    assert [one.event["data"]["visit_id"] for one in receiver.received] == [before["id"]]


async def test_after_a_rotation_both_secrets_sign_for_a_day(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, pool: Pool
) -> None:
    webhook, old = await subscribe(desk, receiver.url)
    rotated = (await desk.post(f"{webhook}/secret/rotate")).json()
    new = rotated["secret"]
    assert (rotated["webhook"]["generation"], new == old) == (2, False)
    now = datetime.now(UTC)
    await pool.execute("update webhooks set rotated_at = $1", now)
    for moment, valid in ((now + 23 * HOUR, (old, new)), (now + 25 * HOUR, (new,))):
        receiver.received.clear()
        await desk.post(f"{webhook}/test")
        await pool.execute("update webhook_deliveries set not_before = $1 where state = 'pending'", moment)
        await deliver_all(courier, moment)
        (request,) = receiver.received
        assert len(request.headers["webhook-signature"].split()) == len(valid)
        for secret in valid:
            request.verified(secret)
        if old not in valid:
            with pytest.raises(WebhookVerificationError):
                request.verified(old)


async def test_a_retry_of_a_subscription_tells_the_secret_again_though_it_is_kept_nowhere(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    desk.headers["Idempotency-Key"] = "subscribed-once"
    body = {"url": "https://example.com/hooks", "events": ["visit.booked"]}
    first, second = [await desk.post("/api/v1/webhooks", json=body) for _ in range(2)]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (second.status_code, second.json()) == (201, first.json())
    assert await pool.fetchval("select count(*) from webhooks") == 1
    secret = first.json()["secret"].removeprefix("whsec_")
    for table in ("webhooks", "idempotency_keys", "audit_events"):
        kept = await pool.fetch(f"select to_jsonb(it)::text as row from {table} as it")
        bodies = await pool.fetch("select convert_from(body, 'UTF8') as row from idempotency_keys")
        assert kept
        assert bodies
        assert all(secret not in row["row"] for row in [*kept, *bodies])


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/hooks", "url-not-https"),
        ("ftp://example.com/hooks", "url-not-https"),
        ("https://user:password@example.com/", "url-with-user"),
        ("https://example.com/#part", "url-with-fragment"),
        ("https://10.0.0.7/", "url-private"),
        ("https://169.254.169.254/latest", "url-private"),
        ("https://[fd00::1]/", "url-private"),
        ("https://[::ffff:10.0.0.7]/", "url-private"),
        ("https://127.1/", "url-invalid"),
        ("https://2130706433/", "url-invalid"),
        ("https://0x7f.0x0.0x0.0x1/", "url-invalid"),
        ("https:///hooks", "url-invalid"),
        ("https://example.com:0/", "url-invalid"),
        ("https://example.com:port/", "url-invalid"),
        ("https://[::1/", "url-invalid"),
        ("https://exämple.com/", "url-invalid"),
        ("https://example.com\\@10.0.0.7/", "url-invalid"),
        ("https://example.com/a b", "url-invalid"),
        ("", "url-invalid"),
    ],
)
async def test_an_address_that_may_not_be_told_is_refused_by_name(
    desk: httpx.AsyncClient, receiver: Receiver, url: str, code: str
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    made = await desk.post("/api/v1/webhooks", json={"url": url, "events": ["visit.booked"]})
    changed = await desk.patch(webhook, json={"url": url})
    for refused in (made, changed):
        assert refused.status_code == 422
        assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [("/url", code)]
    assert (await desk.get(webhook)).json()["url"] == receiver.url


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "https://example.com/", "events": []}, "/events"),
        ({"url": "https://example.com/", "events": ["webhook.test"]}, "/events/0"),
        ({"url": "https://example.com/", "events": ["visit.booked"], "secret": "mine"}, "/secret"),
        ({"events": ["visit.booked"]}, "/url"),
        ({"url": "https://example.com/" + "a" * 2000, "events": ["visit.booked"]}, "/url"),
    ],
)
async def test_a_subscription_that_makes_no_sense_is_refused_by_its_field(
    desk: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    refused = await desk.post("/api/v1/webhooks", json=body)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_lists_come_in_pages_newest_first(desk: httpx.AsyncClient) -> None:
    made = [(await subscribe(desk, f"https://example.com/{number}"))[0].rpartition("/")[2] for number in range(3)]
    first = (await desk.get("/api/v1/webhooks", params={"limit": 2})).json()
    second = (await desk.get("/api/v1/webhooks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
    path = f"/api/v1/webhooks/{made[0]}"
    tests = [(await desk.post(f"{path}/test")).json()["id"] for _ in range(3)]
    page = (await desk.get(f"{path}/deliveries", params={"limit": 2})).json()
    rest = await deliveries(desk, path, cursor=page["next_cursor"], status="pending")
    assert [one["id"] for one in page["items"] + rest] == tests[::-1]
    assert (await desk.get("/api/v1/webhooks", params={"cursor": "nonsense"})).status_code == 422


async def test_only_an_administrator_sees_or_changes_webhooks(
    app: Litestar, desk: httpx.AsyncClient, public: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    webhook, _ = await subscribe(desk, "https://example.com/hooks")
    every_other = [scope for scope in SCOPES if scope != "admin"]
    async with pool.acquire() as connection:
        _, key = await create_api_key(connection, clinic, "all but admin", every_other, actor=SYSTEM)
    async with client_of(app, Authorization=f"Bearer {key}") as other:
        for client, status in ((other, 403), (public, 401)):
            body = {"url": "https://example.com/", "events": ["visit.booked"]}
            for method, path, sent in (
                ("POST", "/api/v1/webhooks", body), ("GET", "/api/v1/webhooks", None), ("GET", webhook, None),
                ("PATCH", webhook, {}), ("DELETE", webhook, None), ("POST", f"{webhook}/secret/rotate", None),
                ("POST", f"{webhook}/test", None), ("GET", f"{webhook}/deliveries", None),
                ("POST", f"{webhook}/deliveries/{new_id()}/redeliver", None),
            ):  # fmt: skip
                answer = await client.request(method, path, json=sent)
                assert answer.status_code == status, (method, path)


async def test_another_clinic_neither_sees_a_webhook_nor_is_told_to_it(
    app: Litestar, desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, pool: Pool, clinic: Clinic,
    now: datetime,
) -> None:  # fmt: skip
    await pool.execute(
        "insert into clinics select $2, 'elsewhere', 1, timezone, settings from clinics where id = $1",
        clinic.id,
        new_id(),
    )
    async with pool.acquire() as connection:
        clinics = await load_clinics(connection)
    app.state.directory.replace(clinics)
    (elsewhere,) = [one for one in clinics if one.code == "elsewhere"]
    webhook, _ = await subscribe(desk, f"{receiver.url}/here")
    async with client_of(app, Authorization=f"Bearer {await make_key(pool, elsewhere, 'admin')}") as neighbour:
        theirs, _ = await subscribe(neighbour, f"{receiver.url}/elsewhere")
        await book(desk, "follow-up", TEN)
        await deliver_all(courier, now + MINUTE)
        assert [one.path for one in receiver.received] == ["/hooks/here"]
        assert await deliveries(neighbour, theirs) == []
        told = (await delivery(desk, webhook))["id"]
        for method, path in (
            ("GET", webhook), ("DELETE", webhook), ("POST", f"{webhook}/test"), ("GET", f"{webhook}/deliveries"),
            ("POST", f"{webhook}/secret/rotate"), ("POST", f"{webhook}/deliveries/{told}/redeliver"),
            ("POST", f"{theirs}/deliveries/{told}/redeliver"),
        ):  # fmt: skip
            assert (await neighbour.request(method, path)).status_code == 404, (method, path)
        assert (await neighbour.patch(webhook, json={"paused": True})).status_code == 404
    assert (await desk.get(webhook)).json()["paused"] is False


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
