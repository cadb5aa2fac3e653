"""What webhooks are told: what happens to visits and messages, in ids alone, and signed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import time_machine
from standardwebhooks import WebhookVerificationError

from scheduler.channels.open import open_channels
from scheduler.channels.texts import load_texts
from scheduler.domain.clinics import Clinic
from scheduler.services.delivery import Post, send_due
from scheduler.services.directory import Directory
from scheduler.services.doubts import settle_doubts
from scheduler.services.webhook_delivery import Courier
from scheduler.services.webhooks import announce_failed_message
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.requests import ASH, TEN, act, book, hold
from tests.integration.telling import HOUR, MINUTE, deliver_all, deliveries, subscribe
from tests.simulators.receiver import Receiver
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, TwilioSimulator, refusal

pytestmark = pytest.mark.usefixtures("monday")


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
