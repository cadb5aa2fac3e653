"""A channel that is misconfigured, or that nobody hears from, rests; and who may go past a message in doubt."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.services.delivery import Post
from scheduler.store.connections import Pool
from tests.integration.bulk import add_reminders, add_visits
from tests.integration.requests import ASH, JO, act, book
from tests.integration.sending import ask, send_all, states
from tests.simulators.smtp import SmtpSimulator
from tests.simulators.twilio import BROKEN, BROKEN_AFTERWARDS, Fault, TwilioSimulator, refusal

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SOON = NOW + MINUTE
TOMORROW = NOW + timedelta(days=1)
TEN = "2026-12-08T10:00:00-05:00"
BY_TEXT_ALONE = ASH | {"email": None}


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


async def due(pool: Pool, clinic: Clinic, number: int, *, beginning: int = 0) -> None:
    """Have so many reminders due now, of people after the first few."""
    people = await add_visits(pool, clinic, number, starts_at=TOMORROW, beginning=beginning)
    await add_reminders(pool, clinic, people, not_before=NOW, expires_at=TOMORROW)


async def rests(pool: Pool) -> list[tuple[str, datetime]]:
    return [(row["channel"], row["paused_until"]) for row in await pool.fetch("select * from channel_pauses")]


@pytest.mark.parametrize(
    ("code", "status"),
    [(20003, 401), (20003, 400), (99999, 401), (99999, 403), (21606, 400), (21611, 400), (30034, 400), (63038, 429)],
)
async def test_a_misconfigured_channel_rests_for_a_quarter_of_an_hour_and_says_so_once(
    post: Post, clinic: Clinic, twilio: TwilioSimulator, code: int, status: int
) -> None:
    await due(post.pool, clinic, 3)
    twilio.faults.append(refusal(code, status))
    with structlog.testing.capture_logs() as logs:
        await send_all(post, NOW)
        # Those that were under way arrived; whatever comes due now waits.
        await due(post.pool, clinic, 1, beginning=3)
        await send_all(post, NOW + timedelta(minutes=14, seconds=59))
        assert len(twilio.forms) == 3
        assert await rests(post.pool) == [("sms", NOW + timedelta(minutes=15))]
        await send_all(post, NOW + timedelta(minutes=15))
    assert len(twilio.accepted) == 4
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["channel.paused"]
    (task,) = await post.pool.fetch("select kind, reason from desk_tasks")
    assert task["kind"] == "channel-paused"
    assert task["reason"].startswith("Texts wait and are tried again every 15 minutes. ")


async def test_email_goes_on_while_texts_rest(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    await book(desk, "follow-up", TEN)
    twilio.faults.append(refusal(20003, 401))
    await send_all(post, SOON)
    await book(desk, "follow-up", "2026-12-09T10:00:00-05:00", patient=JO | {"email": "jo@example.com"})
    await send_all(post, SOON + MINUTE)
    assert len(smtp.received) == 2


async def test_what_is_of_no_use_any_more_is_closed_while_its_channel_rests(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    twilio.faults.append(refusal(20003, 401))
    await send_all(post, SOON)
    await post.pool.execute("update messages set not_before = $1, expires_at = $1 where kind = 'booked'", SOON)
    await send_all(post, SOON + MINUTE)
    assert (await states(desk, visit))["booked", "sms"] == "expired"


@pytest.mark.parametrize(("numbers", "rested"), [([9, 1, 9], False), ([9, 1, 10], True), ([5, 5], True)])
async def test_a_channel_of_which_ten_in_a_row_may_have_arrived_rests(
    post: Post, clinic: Clinic, twilio: TwilioSimulator, numbers: list[int], rested: bool
) -> None:
    moment, beginning = NOW, 0
    for number in numbers:
        twilio.faults.extend([BROKEN] * number if number > 1 else [])
        await due(post.pool, clinic, number, beginning=beginning)
        await send_all(post, moment)
        moment, beginning = moment + SECOND, beginning + number
    assert bool(await rests(post.pool)) == rested
    await due(post.pool, clinic, 1, beginning=beginning)
    await send_all(post, moment)
    assert len(twilio.accepted) == (1 in numbers) + (not rested)


async def test_one_number_that_cannot_be_reached_from_here_does_not_stop_everybody_s_texts(
    desk: httpx.AsyncClient, post: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    twilio.faults.append(refusal(21612))
    await send_all(post, SOON)
    assert (await states(desk, visit))["booked", "sms"] == "pending"
    again = SOON + timedelta(minutes=15)
    twilio.faults.append(refusal(21612))
    await send_all(post, again)
    assert (await states(desk, visit))["booked", "sms"] == "failed"
    await due(post.pool, clinic, 3)
    await send_all(post, again + SECOND)
    assert len(twilio.accepted) == 3


async def in_doubt(desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, fault: Fault) -> dict[str, Any]:
    """Book a visit whose confirmation may or may not have arrived."""
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    twilio.faults.append(fault)
    await send_all(post, SOON)
    assert (await states(desk, visit))["booked", "sms"] == "unknown"
    return visit


async def test_a_cancellation_by_the_clinic_goes_past_a_message_that_is_long_in_doubt(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = await in_doubt(desk, post, twilio, BROKEN_AFTERWARDS)
    await act(desk, visit, "cancel", reason="closed", by="clinic")
    await post.pool.execute("update messages set not_before = $1 where kind = 'cancelled_by_clinic'", NOW)
    await send_all(post, SOON + 19 * SECOND)
    assert len(twilio.accepted) == 1
    await send_all(post, SOON + 20 * SECOND)
    assert ["must cancel" in text.body for text in twilio.accepted] == [False, True]


async def test_nothing_else_goes_past_a_message_in_doubt(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = await in_doubt(desk, post, twilio, BROKEN_AFTERWARDS)
    await act(desk, visit, "cancel", reason="asked by phone")
    await send_all(post, SOON + timedelta(hours=1))
    assert len(twilio.accepted) == 1


async def test_a_message_in_doubt_that_was_passed_never_goes_again(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = await in_doubt(desk, post, twilio, BROKEN)
    await act(desk, visit, "cancel", reason="closed", by="clinic")
    await send_all(post, SOON + MINUTE)
    await ask(post, SOON + MINUTE)
    assert (await states(desk, visit))["booked", "sms"] == "pending"
    await send_all(post, SOON + 2 * MINUTE)
    assert (await states(desk, visit))["booked", "sms"] == "cancelled"
    assert ["must cancel" in text.body for text in twilio.accepted] == [True]


async def test_an_attempt_that_certainly_did_not_leave_is_made_as_long_as_it_is_of_use(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    for number in range(40):
        twilio.faults.append(refusal(20429, 429))
        await send_all(post, SOON + number * timedelta(minutes=6))
    await send_all(post, SOON + timedelta(minutes=240))
    assert (await states(desk, visit))["booked", "sms"] == "sent"
    assert len(twilio.forms) == 41
