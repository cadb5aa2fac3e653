"""What is looked at once more as a text leaves: whose phone rings when, how often, and whether it can be reached."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
import time_machine

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.messages import PlannedMessage
from scheduler.ids import new_id
from scheduler.services.delivery import Post
from scheduler.store.connections import Pool
from scheduler.store.messages import add_messages
from scheduler.store.patients import add_consent, fetch_patient
from scheduler.store.settling import note_acceptance
from tests.integration.requests import ASH, act, book, messages_of
from tests.integration.sending import send_all, states
from tests.simulators.smtp import SmtpSimulator
from tests.simulators.twilio import TwilioSimulator, refusal

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
SOON = NOW + timedelta(minutes=1)
LATER = NOW + timedelta(minutes=30)
TEN = "2026-12-08T10:00:00-05:00"
VISIT_AT = datetime.fromisoformat(TEN)
TOMORROW = "2026-11-24T09:30:00-05:00"

BY_TEXT_ALONE = ASH | {"email": None}
IN_CALIFORNIA = BY_TEXT_ALONE | {"phone": "310 555 0142"}
DIALLED = "+12015550142"


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


async def reason_of(desk: httpx.AsyncClient, visit: dict[str, Any], template: str, channel: str = "sms") -> str:
    (reason,) = [
        one["reason"]
        for one in await messages_of(desk, visit)
        if (one["template"], one["channel"]) == (template, channel)
    ]
    return reason


async def tasks(pool: Pool) -> list[tuple[str, str]]:
    return [(row["kind"], row["reason"]) for row in await pool.fetch("select kind, reason from desk_tasks order by id")]


async def consent(pool: Pool, clinic: Clinic, scope: Any, *, granted: bool = True, channel: Channel = "sms") -> None:
    """Let the one patient on file say something."""
    async with pool.acquire() as connection:
        patient = await fetch_patient(connection, clinic.id, await connection.fetchval("select id from patients"))
        assert patient is not None
        await add_consent(
            connection, clinic.id, patient, channel=channel, granted=granted, scope=scope, wording_version="2026-11",
            method="phone", actor=Actor(name="front desk"),
        )  # fmt: skip


async def test_nobody_s_phone_rings_before_nine_where_they_are(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    await book(desk, "follow-up", TEN, patient=IN_CALIFORNIA)
    await post.pool.execute("update messages set not_before = $1 where kind = 'booked'", NOW)
    await send_all(post, datetime.fromisoformat("2026-11-23T11:59:59-05:00"))
    assert twilio.accepted == []
    await send_all(post, datetime.fromisoformat("2026-11-23T12:00:00-05:00"))
    assert len(twilio.accepted) == 1


async def test_what_would_come_too_late_once_a_phone_may_ring_is_dropped_with_a_reason(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=IN_CALIFORNIA)).json()
    await post.pool.execute(
        "update messages set not_before = $1, expires_at = $2 where kind = 'booked'", NOW, NOW + timedelta(hours=2)
    )
    await send_all(post, SOON)
    assert (await states(desk, visit))["booked", "sms"] == "expired"
    assert await reason_of(desk, visit, "booked") == (
        "Too late to be of use once texts may go again where the patient is."
    )
    assert twilio.accepted == []


async def test_the_second_notice_of_a_day_goes_by_email(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    await book(desk, "follow-up", TEN)
    await send_all(post, SOON)
    second = (await book(desk, "follow-up", "2026-12-10T10:00:00-05:00")).json()
    await send_all(post, LATER)
    assert len(twilio.accepted) == 1
    assert (await states(desk, second))["booked", "sms"] == "suppressed"
    assert "as many texts as it may" in await reason_of(desk, second, "booked")
    assert len(smtp.received) == 2


async def test_a_notice_that_no_email_can_bring_goes_all_the_same(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)
    await book(desk, "follow-up", "2026-12-10T10:00:00-05:00", patient=BY_TEXT_ALONE)
    await send_all(post, SOON)
    assert len(twilio.accepted) == 2


async def reminded_three_times(desk: httpx.AsyncClient, post: Post) -> dict[str, Any]:
    """Let a patient come on four days of a week and be reminded of the first three; return the fourth visit."""
    visits: list[dict[str, Any]] = []
    for day in (7, 8, 9, 10):
        answer = await book(desk, "follow-up", f"2026-12-{day:02}T10:00:00-05:00")
        visits.append(answer.json())
    await post.pool.execute("update messages set state = 'cancelled' where kind = 'booked'")
    for day in (6, 7, 8, 9):
        await send_all(post, datetime.fromisoformat(f"2026-12-{day:02}T10:00:00-05:00"))
    return visits[-1]


async def test_the_fourth_reminder_of_a_week_goes_by_email(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    fourth = await reminded_three_times(desk, post)
    assert len(twilio.accepted) == 3
    assert (await states(desk, fourth))["reminder_24h", "sms"] == "suppressed"
    assert (await states(desk, fourth))["reminder_24h", "email"] == "sent"
    assert smtp.received[-1].message["Subject"] == "Your appointment on Thursday, December 10"


async def test_who_agreed_to_more_texts_gets_them(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, clinic: Clinic
) -> None:
    await book(desk, "follow-up", "2026-11-30T10:00:00-05:00")
    await consent(post.pool, clinic, "frequent")
    await reminded_three_times(desk, post)
    assert len(twilio.accepted) == 4


async def test_a_week_later_there_is_room_again(desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator) -> None:
    await reminded_three_times(desk, post)
    await book(desk, "follow-up", "2026-12-14T10:15:00-05:00")
    await post.pool.execute("update messages set state = 'cancelled' where kind = 'booked' and state = 'pending'")
    await send_all(post, datetime.fromisoformat("2026-12-13T10:15:00-05:00"))
    assert len(twilio.accepted) == 4


async def test_a_cancellation_by_the_clinic_is_neither_held_back_nor_counted(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    await send_all(post, SOON)
    await act(desk, visit, "cancel", reason="the therapist is ill", by="clinic")
    await send_all(post, LATER)
    assert ["must cancel" in text.body for text in twilio.accepted] == [False, True]
    await book(desk, "follow-up", "2026-12-10T10:00:00-05:00")
    await send_all(post, NOW + timedelta(days=1))
    assert len(twilio.accepted) == 3


async def reply(pool: Pool, clinic: Clinic, *, asked_at: datetime | None, now: datetime) -> UUID:
    """Answer a text, or nothing at all."""
    inbound = new_id()
    async with pool.acquire() as connection, connection.transaction():
        if asked_at is not None:
            await connection.execute(
                """insert into inbound_messages (clinic_id, id, provider_id, sender, recipient, body, received_at)
                values ($1, $2, $3, $4, '+12015550100', 'huh', $5)""",
                clinic.id, inbound, f"SM{inbound}", DIALLED, asked_at,
            )  # fmt: skip
        planned = PlannedMessage(
            visit_id=None, patient_id=None, visit_version=0, kind="reply", template="unknown_reply", channel="sms",
            lead_minutes=0, language="en", address=DIALLED, variables={}, not_before=now,
            expires_at=now + timedelta(hours=1), dedupe_key=f"reply:{inbound}",
        )  # fmt: skip
        await add_messages(connection, clinic.id, [planned])
    return inbound


async def test_an_answer_goes_at_night_and_over_every_limit_to_somebody_who_is_not_even_on_file(
    post: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    night = datetime.fromisoformat("2026-11-23T23:30:00-05:00")
    for _ in range(4):
        await reply(post.pool, clinic, asked_at=night, now=night)
    await send_all(post, night + timedelta(seconds=5))
    assert [text.to for text in twilio.accepted] == [DIALLED] * 4


@pytest.mark.parametrize("asked_at", [None, NOW - timedelta(hours=25)])
async def test_nobody_is_answered_who_did_not_write(
    post: Post, clinic: Clinic, twilio: TwilioSimulator, asked_at: datetime | None
) -> None:
    await reply(post.pool, clinic, asked_at=asked_at, now=NOW)
    await send_all(post, SOON)
    assert twilio.accepted == []
    assert await post.pool.fetchval("select state from messages where kind = 'reply'") == "suppressed"


async def test_nobody_is_answered_after_they_said_stop(
    desk: httpx.AsyncClient, post: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    await book(desk, "follow-up", TEN)
    await consent(post.pool, clinic, "visits", granted=False)
    await reply(post.pool, clinic, asked_at=NOW, now=NOW)
    await send_all(post, SOON)
    assert twilio.accepted == []


async def test_a_text_of_two_segments_does_not_leave_and_the_desk_hears_why(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    words = {**post.texts.languages["en"]["sms"]}
    words["booked"] = msgspec.structs.replace(words["booked"], text="{clinic}: " + "words " * 30)
    texts = {**post.texts.languages, "en": {**post.texts.languages["en"], "sms": words}}
    long_winded = msgspec.structs.replace(post, texts=msgspec.structs.replace(post.texts, languages=texts))
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    await send_all(long_winded, SOON)
    assert twilio.accepted == []
    assert (await states(desk, visit))["booked", "sms"] == "dead"
    reason = "Its text booked is longer than one segment; shorten it."
    assert await tasks(post.pool) == [("undeliverable", reason)]


@pytest.mark.parametrize("code", [21211, 21614, 21635, 30005, 30006])
async def test_a_number_that_takes_no_texts_is_not_tried_again_and_email_brings_what_it_would_have(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator, code: int
) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    twilio.faults.append(refusal(code))
    await send_all(post, SOON)
    await send_all(post, VISIT_AT - timedelta(hours=24))
    assert (len(twilio.forms), twilio.accepted) == (1, [])
    shown = await states(desk, visit)
    assert (shown["booked", "sms"], shown["reminder_24h", "sms"]) == ("failed", "suppressed")
    assert await reason_of(desk, visit, "reminder_24h") == "This number was found not to take texts."
    assert (shown["booked", "email"], shown["reminder_24h", "email"]) == ("sent", "sent")
    assert len(smtp.received) == 2
    assert await post.pool.fetchval("select count(*) from messages where fallback_of is not null") == 1


async def test_who_agrees_anew_to_texts_to_a_number_is_tried_there_again(
    desk: httpx.AsyncClient, post: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    await book(desk, "follow-up", TEN)
    twilio.faults.append(refusal(30005))
    await send_all(post, SOON)
    await consent(post.pool, clinic, "visits")
    await send_all(post, VISIT_AT - timedelta(hours=24))
    assert len(twilio.accepted) == 1


async def test_an_opt_out_that_only_twilio_knew_of_is_put_on_record(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    twilio.opted_out.add(DIALLED)
    await send_all(post, SOON)
    await send_all(post, VISIT_AT - timedelta(hours=24))
    assert (len(twilio.forms), twilio.accepted) == (1, [])
    said = await post.pool.fetch(
        "select granted, method, address from consents where channel = 'sms' order by recorded_at"
    )
    assert [tuple(row) for row in said] == [(True, "api", DIALLED), (False, "provider", DIALLED)]
    assert "sms" not in {channel for (_, channel), state in (await states(desk, visit)).items() if state == "sent"}


async def test_a_patient_who_is_due_within_a_day_and_whom_nothing_reaches_must_be_called(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TOMORROW, patient=BY_TEXT_ALONE)).json()
    twilio.faults.append(refusal(21614))
    await send_all(post, SOON)
    assert await tasks(post.pool) == [("undeliverable", "This number cannot receive texts.")]
    await act(desk, visit, "reschedule", starts_at="2026-11-24T11:00:00-05:00")
    await send_all(post, LATER)
    assert [kind for kind, _ in await tasks(post.pool)] == ["undeliverable"] * 2


async def test_an_email_that_stands_in_is_sent_once_however_often_the_text_fails(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    await send_all(post, SOON)
    reminder_at = VISIT_AT - timedelta(hours=24)
    await send_all(post, VISIT_AT - timedelta(hours=72))
    for minutes in (0, 10):
        twilio.faults.append(refusal(30007))
        await send_all(post, reminder_at + timedelta(minutes=minutes))
        (failed,) = [
            one["id"] for one in await messages_of(desk, visit) if (one["template"], one["state"])
            == ("reminder_24h", "failed") and one["channel"] == "sms" and one["handled_at"] is None
        ]  # fmt: skip
        with time_machine.travel(reminder_at + timedelta(minutes=minutes + 1)):
            assert (await desk.post(f"/api/v1/messages/{failed}/resend")).status_code == 201
    await send_all(post, reminder_at + timedelta(minutes=20))
    emails = [one["template"] for one in await messages_of(desk, visit) if one["channel"] == "email"]
    assert sorted(emails) == ["booked", "reminder_24h", "reminder_72h"]
    assert len(smtp.received) == 3


async def test_an_answer_that_comes_after_the_lease_ran_out_still_counts(
    desk: httpx.AsyncClient, post: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    message = await post.pool.fetchval("select id from messages where template = 'booked'")
    # The sender was slow; its message is thought lost, and is about to go again, when Twilio's answer comes.
    await post.pool.execute("update messages set attempts = 1 where id = $1", message)
    async with post.pool.acquire() as connection:
        noted = await note_acceptance(connection, clinic.id, message, channel="sms", provider_id="SM1", now=NOW)
        assert (noted.settled, noted.doubled) == (True, False)
    await send_all(post, SOON)
    assert twilio.accepted == []
    assert (await states(desk, visit))["booked", "sms"] == "sent"
    async with post.pool.acquire() as connection:
        noted = await note_acceptance(connection, clinic.id, message, channel="sms", provider_id="SM2", now=NOW)
    assert (noted.settled, noted.doubled) == (False, True)
