"""Messages through a Twilio and an SMTP server on loopback: each once, at its moment, and not after a change."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine

from scheduler.services.delivery import Post, send_due
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.worker.main import run as run_worker
from tests.acceptance.processes import until
from tests.integration.requests import ASH, JO, act, book, messages_of
from tests.integration.sending import ask, send_all, states
from tests.simulators.smtp import DROP_AFTERWARDS as DROP_MAIL_AFTERWARDS
from tests.simulators.smtp import SmtpSimulator
from tests.simulators.smtp import refusal as smtp_refusal
from tests.simulators.twilio import (
    BROKEN,
    BROKEN_AFTERWARDS,
    BUSY,
    DROP_AFTERWARDS,
    TwilioSimulator,
    refusal,
)

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TEN = "2026-12-08T10:00:00-05:00"
VISIT_AT = datetime.fromisoformat(TEN)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SOON = NOW + MINUTE


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


async def test_a_booking_is_confirmed_by_exactly_one_text_and_one_email(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    await book(desk, "eval-run", TEN)
    await send_all(post, SOON)
    await send_all(post, NOW + timedelta(hours=1))
    (text,) = twilio.accepted
    assert text.to == "+12015550142"
    assert "you are booked Tue Dec 8 10:00 AM" in text.body
    (email,) = smtp.received
    assert email.recipients == ("ash@example.com",)
    assert email.message["Subject"] == "Your appointment on Tuesday, December 8"
    assert "10:00\u00a0AM (Eastern Time)" in email.message.get_body(("plain",)).get_content()  # pyright: ignore


async def test_nothing_that_leaves_tells_why_the_patient_comes(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    await book(desk, "eval-run", TEN)
    await send_all(post, SOON)
    await send_all(post, VISIT_AT - timedelta(hours=23))
    for words in [text.body for text in twilio.accepted] + [mail.raw.decode() for mail in smtp.received]:
        for secret in ("hip", "pain", "running", "evaluation", "treadmill", "Ash", "Sample"):
            assert secret not in words.replace("100 Sample Plaza", "").split("shoes you run in")[0]


async def test_a_reminder_goes_at_its_moment_and_not_a_second_before(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    await book(desk, "follow-up", TEN, patient=ASH | {"email": None})
    await send_all(post, SOON)
    assert len(twilio.accepted) == 1
    due = VISIT_AT - timedelta(hours=24)
    await send_all(post, due - SECOND)
    assert len(twilio.accepted) == 1
    await send_all(post, due)
    await send_all(post, due + timedelta(hours=2))
    assert len(twilio.accepted) == 2
    assert "visit tomorrow, Tue Dec 8 10:00 AM" in twilio.accepted[1].body


async def test_a_reminder_that_comes_late_does_not_say_tomorrow(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, pool: Pool
) -> None:
    await book(desk, "follow-up", "2026-12-08T14:00:00-05:00", patient=ASH | {"email": None})
    await send_all(post, SOON)
    await pool.execute("update messages set expires_at = $1", VISIT_AT)
    await send_all(post, datetime.fromisoformat("2026-12-08T09:30:00-05:00"))
    assert "tomorrow" not in twilio.accepted[1].body
    assert "visit today, Tue Dec 8 2:00 PM" in twilio.accepted[1].body


async def test_no_reminder_goes_after_a_cancellation(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    await send_all(post, SOON)
    await act(desk, visit, "cancel", reason="the therapist is ill", by="clinic")
    await send_all(post, NOW + timedelta(minutes=3))
    await send_all(post, VISIT_AT - timedelta(hours=1))
    assert [("must cancel" in text.body) for text in twilio.accepted] == [False, True]
    assert len(smtp.received) == 2


async def test_after_a_move_only_the_new_time_is_reminded_of(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    await send_all(post, SOON)
    moved = await act(desk, visit, "reschedule", starts_at="2026-12-10T11:00:00-05:00")
    assert moved.status_code == 200
    await send_all(post, NOW + timedelta(minutes=3))
    await send_all(post, VISIT_AT - timedelta(hours=20))
    await send_all(post, datetime.fromisoformat("2026-12-09T11:00:00-05:00"))
    bodies = [text.body for text in twilio.accepted]
    assert len(bodies) == 3
    assert "moved to Thu Dec 10 11:00 AM (was Tue Dec 8 10:00 AM)" in bodies[1]
    assert "visit tomorrow, Thu Dec 10 11:00 AM" in bodies[2]


async def test_spanish_patients_are_written_to_in_spanish(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    await book(desk, "follow-up", TEN, patient=ASH | {"language": "es"})
    await send_all(post, SOON)
    assert "su cita es el mar 8 dic 10:00 AM" in twilio.accepted[0].body
    assert "8 de diciembre" in smtp.received[0].message["Subject"]


async def test_many_workers_at_once_send_each_message_once(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    for number in range(12):
        patient = JO | {"phone": f"201 555 01{number + 10}", "sms_consent": ASH["sms_consent"]}
        hour, therapist = 8 + number // 4, ("rivera", "okafor", "chen", "patel")[number % 4]
        answer = await book(
            desk, "follow-up", f"2026-12-08T{hour:02}:00:00-05:00", patient=patient, overbook={"reason": "test"},
            therapist=await known(desk, therapist),
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
    await asyncio.gather(*(send_due(post, now=(NOW + MINUTE).astimezone(UTC)) for _ in range(5)))
    await send_all(post, SOON)
    assert len(twilio.accepted) == 12
    assert len({text.to for text in twilio.accepted}) == 12


async def known(desk: httpx.AsyncClient, therapist: str) -> str:
    """Return the code if the sample clinic has it, else its first therapist's."""
    codes = [one["code"] for one in (await desk.get("/api/v1/therapists")).json()["items"]]
    return therapist if therapist in codes else codes[0]


async def test_a_text_waits_for_the_morning(desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator) -> None:
    night = datetime.fromisoformat("2026-11-23T22:15:00-05:00")
    with time_machine.travel(night, tick=True):
        await book(desk, "follow-up", TEN)
    await send_all(post, night + MINUTE)
    assert twilio.accepted == []
    await send_all(post, datetime.fromisoformat("2026-11-24T08:59:59-05:00"))
    assert twilio.accepted == []
    await send_all(post, datetime.fromisoformat("2026-11-24T09:00:00-05:00"))
    assert len(twilio.accepted) == 1


async def test_a_text_that_came_due_while_nobody_worked_still_waits_for_the_morning(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, pool: Pool
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    await send_all(post, datetime.fromisoformat("2026-11-23T23:00:00-05:00"))
    assert twilio.accepted == []
    assert (await states(desk, visit))[("booked", "sms")] == "pending"
    assert await pool.fetchval("select max(attempts) from messages") == 0
    assert await pool.fetchval("select count(*) from message_attempts") == 0
    await send_all(post, datetime.fromisoformat("2026-11-24T09:00:00-05:00"))
    assert len(twilio.accepted) == 1


async def test_nobody_is_texted_after_they_withdrew(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    withdrawn = ASH | {"email": None, "sms_consent": {"granted": False, "wording_version": "2026-11"}}
    await book(desk, "follow-up", "2026-12-09T10:00:00-05:00", patient=withdrawn)
    await send_all(post, SOON)
    await send_all(post, VISIT_AT - timedelta(hours=20))
    assert twilio.accepted == []
    assert set((await states(desk, visit)).values()) == {"suppressed"}


async def test_what_certainly_did_not_leave_is_tried_again_later(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    twilio.faults.append(BUSY)
    await send_all(post, SOON)
    assert (await states(desk, visit))[("booked", "sms")] == "pending"
    assert twilio.accepted == []
    await send_all(post, NOW + timedelta(minutes=10))
    assert len(twilio.accepted) == 1


async def test_what_may_have_left_is_asked_for_and_never_sent_twice(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, pool: Pool
) -> None:
    for fault in (BROKEN_AFTERWARDS, DROP_AFTERWARDS):
        twilio.accepted.clear()
        await pool.execute("delete from occupancy")
        visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
        twilio.faults.append(fault)
        await send_all(post, SOON)
        assert (await states(desk, visit))[("booked", "sms")] == "unknown"
        await send_all(post, NOW + timedelta(minutes=10))
        assert len(twilio.accepted) == 1
        assert await ask(post, NOW + MINUTE) == 0
        assert await ask(post, NOW + MINUTE + SECOND) == 1
        assert (await states(desk, visit))[("booked", "sms")] == "sent"
        await send_all(post, NOW + timedelta(minutes=20))
        assert len(twilio.accepted) == 1


async def test_what_the_provider_shows_no_trace_of_goes_again(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    twilio.faults.append(BROKEN)
    await send_all(post, SOON)
    await ask(post, NOW + MINUTE + SECOND)
    assert (await states(desk, visit))[("booked", "sms")] == "unknown"
    await ask(post, NOW + MINUTE + 2 * SECOND)
    assert (await states(desk, visit))[("booked", "sms")] == "pending"
    await send_all(post, NOW + timedelta(minutes=10))
    assert len(twilio.accepted) == 1
    assert (await states(desk, visit))[("booked", "sms")] == "sent"


async def test_a_sender_that_died_leaves_doubt_and_not_a_second_message(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, pool: Pool
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    await send_all(post, SOON)
    # As if the process had been killed between the provider's answer and our writing it down.
    await pool.execute("delete from provider_messages")
    lease_ends = NOW + MINUTE + timedelta(seconds=60)
    await pool.execute(
        """update messages set state = 'sending', lease_token = gen_random_uuid(), provider_id = null,
            lease_until = $1 where template = 'booked'""",
        lease_ends,
    )
    await pool.execute("update message_attempts set outcome = null, finished_at = null")
    await ask(post, lease_ends)
    assert (await states(desk, visit))[("booked", "sms")] == "sending"
    await ask(post, lease_ends + SECOND)
    assert (await states(desk, visit))[("booked", "sms")] == "unknown"
    await ask(post, lease_ends + 2 * SECOND)
    assert (await states(desk, visit))[("booked", "sms")] == "sent"
    assert len(twilio.accepted) == 1


async def test_a_reminder_never_overtakes_the_message_before_it(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    twilio.faults.append(BROKEN_AFTERWARDS)
    await send_all(post, SOON)
    await act(desk, visit, "cancel", reason="asked by phone")
    await send_all(post, NOW + timedelta(minutes=3))
    assert len(twilio.accepted) == 1
    await ask(post, NOW + timedelta(minutes=4))
    await send_all(post, NOW + timedelta(minutes=5))
    assert ["canceled" in text.body for text in twilio.accepted] == [False, True]


async def test_a_refused_text_says_why_in_plain_words(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    twilio.faults.append(refusal(21610))
    await send_all(post, SOON)
    (message,) = [one for one in await messages_of(desk, visit) if one["template"] == "booked"]
    assert (message["state"], message["error_code"]) == ("failed", "21610")
    assert message["reason"]
    shown = (await desk.get(f"/api/v1/messages/{message['id']}")).json()
    assert [(one["outcome"], one["http_status"]) for one in shown["attempts"]] == [("refused", 400)]


async def test_a_refused_mailbox_is_not_written_to_again(
    desk: httpx.AsyncClient, post: Post, smtp: SmtpSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    smtp.faults["rcpt"].append(smtp_refusal("550 5.1.1 no such user"))
    await send_all(post, SOON)
    await send_all(post, NOW + timedelta(hours=1))
    assert (await states(desk, visit))[("booked", "email")] == "failed"
    assert smtp.received == []


async def test_a_running_worker_sends_at_once_and_stops_cleanly(
    desk: httpx.AsyncClient, sending: Settings, twilio: TwilioSimulator, smtp: SmtpSimulator, pool: Pool
) -> None:
    # A worker goes by the database's clock, so this test does, and texts may go at any hour.
    await pool.execute("""update clinics set settings = jsonb_set(settings, '{text_window}', '[0, 1440]')""")
    stop = asyncio.Event()
    today = await pool.fetchval("select now()")
    with time_machine.travel(today, tick=True):
        worker = asyncio.create_task(run_worker(sending, stop))
        try:
            await until(lambda: pool.fetchval("select count(*) from worker_heartbeats"))
            assert (await desk.get("/health/ready")).status_code == 200
            week = [f"{today + timedelta(days=days):%Y-%m-%dT00:00:00Z}" for days in (7, 14)]
            asked = {"visit_type": "follow-up", "from": week[0], "to": week[1]}
            slots = (await desk.get("/api/v1/slots", params=asked)).json()["items"]
            answer = await book(desk, "follow-up", slots[0]["starts_at"])
            assert answer.status_code == 201, answer.text
            # The application planned it for the hours it knows.
            await pool.execute("update messages set not_before = now() where kind = 'booked'")
            await pool.execute("select pg_notify('messages', '')")
            await until(lambda: both_arrived(twilio, smtp))
        finally:
            stop.set()
            await asyncio.wait_for(worker, timeout=5)
    assert await pool.fetchval("select count(*) from worker_heartbeats") == 0
    assert len(twilio.accepted) == len(smtp.received) == 1


async def both_arrived(twilio: TwilioSimulator, smtp: SmtpSimulator) -> bool:
    return bool(twilio.accepted and smtp.received)


async def test_a_booking_is_not_announced_after_its_cancellation(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    twilio.faults.append(BUSY)
    first = asyncio.create_task(send_due(post, now=(NOW + MINUTE).astimezone(UTC)))
    await first
    # As if the cancellation had come while the text was on its way: it could not be voided any more.
    await act(desk, visit, "cancel", reason="asked by phone")
    await post.pool.execute("update messages set state = 'pending' where template = 'booked'")
    await send_all(post, NOW + timedelta(minutes=20))
    assert ["canceled" in text.body for text in twilio.accepted] == [True]
    assert (await states(desk, visit))[("booked", "sms")] == "cancelled"


async def test_an_undone_confirmation_does_not_remind_twice(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    confirmed = (await act(desk, visit, "confirm")).json()
    back = await act(desk, confirmed, "undo")
    assert back.status_code == 200
    await send_all(post, VISIT_AT - timedelta(hours=71))
    await send_all(post, VISIT_AT - timedelta(hours=23))
    assert len(twilio.accepted) == 2
    assert len(smtp.received) == 2


async def test_an_email_in_doubt_goes_once_more_and_then_to_a_person(
    desk: httpx.AsyncClient, post: Post, smtp: SmtpSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"sms_consent": None})).json()
    for number in range(6):
        smtp.faults["message"].append(DROP_MAIL_AFTERWARDS)
        await send_all(post, NOW + timedelta(minutes=10 * (number + 1)))
        await ask(post, NOW + timedelta(minutes=10 * (number + 1) + 1))
    assert len(smtp.received) == 2
    assert len({mail.message["Message-ID"] for mail in smtp.received}) == 1
    assert (await states(desk, visit))[("booked", "email")] == "dead"


async def test_a_provider_that_does_not_answer_is_asked_again_before_anything_is_resent(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    twilio.faults.append(BROKEN_AFTERWARDS)
    await send_all(post, SOON)
    twilio.list_faults.extend([BROKEN, BROKEN])
    for number in range(3):
        await ask(post, NOW + timedelta(minutes=10 * number + 5))
        await send_all(post, NOW + timedelta(minutes=10 * (number + 1)))
    assert len(twilio.accepted) == 1
    assert (await states(desk, visit))[("booked", "sms")] == "sent"


async def test_a_message_without_words_does_not_stop_the_others(
    desk: httpx.AsyncClient, post: Post, smtp: SmtpSimulator, pool: Pool
) -> None:
    lost = (await book(desk, "follow-up", TEN, patient=ASH | {"sms_consent": None})).json()
    await pool.execute("update messages set template = 'gone' where kind = 'booked'")
    await book(desk, "follow-up", "2026-12-09T10:00:00-05:00", patient=JO | {"email": "jo@example.com"})
    await send_all(post, SOON)
    assert [mail.recipients for mail in smtp.received] == [("jo@example.com",)]
    assert (await states(desk, lost))[("gone", "email")] == "dead"


async def test_a_channel_that_is_paused_uses_up_no_tries(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | {"email": None})).json()
    for number in range(14):
        twilio.faults.append(refusal(20003, 401))
        await send_all(post, NOW + timedelta(minutes=20 * number + 1))
    twilio.faults.append(BUSY)
    await send_all(post, NOW + timedelta(minutes=300))
    assert (await states(desk, visit))[("booked", "sms")] == "pending"
    await send_all(post, NOW + timedelta(minutes=320))
    assert len(twilio.accepted) == 1
