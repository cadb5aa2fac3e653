"""How fast texts leave, for how long a channel rests, and what becomes of everything that waits meanwhile."""

import asyncio
import random
import re
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import msgspec
import pytest

from scheduler.domain.clinics import Clinic
from scheduler.domain.sending import URGENT
from scheduler.services.delivery import Post, send_batch, send_due
from scheduler.store.connections import Pool
from tests.integration.bulk import add_reminders, add_visits
from tests.integration.requests import ASH, act, book
from tests.integration.sending import ask, send_all
from tests.simulators.twilio import BROKEN, BUSY, Fault, TwilioSimulator

# Any day in the future will do: nothing here goes by a real clock.
NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def at_two_a_second(post: Post) -> Post:
    return msgspec.structs.replace(post, settings=msgspec.structs.replace(post.settings, messages_per_second=2))


async def due(pool: Pool, clinic: Clinic, number: int, *, expires_at: datetime = TOMORROW) -> None:
    """Have so many reminders due now."""
    people = await add_visits(pool, clinic, number, starts_at=TOMORROW)
    await add_reminders(pool, clinic, people, not_before=NOW, expires_at=expires_at)


async def states(pool: Pool) -> Counter[str]:
    rows = await pool.fetch("select state, count(*) as number from messages group by state")
    return Counter({row["state"]: row["number"] for row in rows})


async def test_texts_leave_at_the_clinic_s_pace_however_many_workers_there_are(
    at_two_a_second: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    await due(at_two_a_second.pool, clinic, 9)
    for second, sent in enumerate([2, 4, 6, 8, 9]):
        moment = NOW + second * SECOND
        await asyncio.gather(*(send_due(at_two_a_second, now=moment) for _ in range(4)))
        assert len(twilio.accepted) == sent
        await asyncio.gather(*(send_due(at_two_a_second, now=moment + SECOND / 4) for _ in range(2)))
        assert len(twilio.accepted) == sent
    await send_all(at_two_a_second, NOW + MINUTE)
    assert len({text.to for text in twilio.accepted}) == 9


async def test_a_worker_knows_that_it_is_the_pace_that_holds_texts_back(at_two_a_second: Post, clinic: Clinic) -> None:
    await due(at_two_a_second.pool, clinic, 3)
    rounds = [await send_batch(at_two_a_second, channel="sms", now=NOW + wait * SECOND) for wait in (0, 0.1, 1, 2)]
    assert [(one.taken_up, one.paced) for one in rounds] == [(2, True), (0, True), (1, False), (0, False)]


async def test_a_clock_that_is_set_back_stops_nothing(
    at_two_a_second: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    await due(at_two_a_second.pool, clinic, 4)
    await send_due(at_two_a_second, now=NOW + timedelta(hours=1))
    await send_due(at_two_a_second, now=NOW)
    assert len(twilio.accepted) == 4


async def test_what_the_clinic_must_say_goes_before_a_long_line_of_reminders(
    at_two_a_second: Post, clinic: Clinic, twilio: TwilioSimulator, desk: httpx.AsyncClient
) -> None:
    await due(at_two_a_second.pool, clinic, 30)
    visit = (await book(desk, "follow-up", "2026-12-08T10:00:00-05:00", patient=ASH | {"email": None})).json()
    await act(desk, visit, "cancel", reason="closed", by="clinic")
    pool = at_two_a_second.pool
    await pool.execute("update messages set not_before = $1 where kind = 'cancelled_by_clinic'", NOW + SECOND)
    await send_due(at_two_a_second, now=NOW + 2 * SECOND)
    assert ["must cancel" in text.body for text in twilio.accepted] == [True, False]


async def test_what_the_clinic_must_say_goes_before_a_reminder_of_another_visit_to_the_same_phone(
    at_two_a_second: Post, clinic: Clinic, twilio: TwilioSimulator, desk: httpx.AsyncClient
) -> None:
    """In a long line the phone's own reminder would hold it up until its turn comes."""
    pool, visits = at_two_a_second.pool, ["2026-12-08T10:00:00-05:00", "2026-12-09T10:00:00-05:00"]
    kept, lost = [(await book(desk, "follow-up", at, patient=ASH | {"email": None})).json() for at in visits]
    await due(pool, clinic, 30)
    await pool.execute("update messages set not_before = $1 where visit_id = $2", NOW + SECOND, UUID(kept["id"]))
    await act(desk, lost, "cancel", reason="closed", by="clinic")
    await pool.execute("update messages set not_before = $1 where kind = 'cancelled_by_clinic'", NOW + 2 * SECOND)
    await send_due(at_two_a_second, now=NOW + 2 * SECOND)
    assert ["must cancel" in text.body for text in twilio.accepted] == [True, False]


DOWN = [Fault(then="drop"), BROKEN, BUSY]


@pytest.mark.timeout(180)
async def test_half_an_hour_without_twilio_loses_nothing_and_is_made_up_for_at_the_clinic_s_pace(
    post: Post, clinic: Clinic, twilio: TwilioSimulator
) -> None:
    """2,000 texts come due as Twilio goes away; 600 of them are of no use any more when it is back."""
    per_second, chance = 15, random.Random(4)
    post = msgspec.structs.replace(
        post,
        settings=msgspec.structs.replace(
            post.settings, messages_per_second=per_second, message_reconcile_seconds=(15, 45, 120, 300)
        ),
    )
    people = await add_visits(post.pool, clinic, 2000, starts_at=TOMORROW)
    back_at = NOW + timedelta(minutes=30)
    await add_reminders(post.pool, clinic, people[:600], not_before=NOW, expires_at=back_at - MINUTE)
    await add_reminders(post.pool, clinic, people[600:], not_before=NOW, expires_at=TOMORROW)
    moment = NOW
    while moment < back_at:
        twilio.faults.extend(chance.choices(DOWN, k=2 * per_second))
        twilio.list_faults.extend([BROKEN] * 10)
        await send_due(post, now=moment)
        await ask(post, moment)
        moment += timedelta(seconds=30)
    assert twilio.accepted == []
    down = await states(post.pool)
    # Nobody can be asked about the few in doubt, and some are of no use any more: a person must look at those.
    assert down.total() == 2000
    assert down["sent"] == down["failed"] == 0
    assert down["dead"] <= 60

    twilio.faults.clear()
    twilio.list_faults.clear()
    moment, busiest = back_at, 0
    while (under_way := await states(post.pool))["pending"] + under_way["unknown"]:
        before = len(twilio.accepted)
        await asyncio.gather(*(send_due(post, now=moment) for _ in range(2)))
        busiest = max(busiest, len(twilio.accepted) - before)
        if len(twilio.accepted) == before or not moment.second % 15:
            while await ask(post, moment):
                pass
        # Nothing leaves while the channel still rests.
        moment += SECOND if len(twilio.accepted) > before else 15 * SECOND
        assert moment < back_at + timedelta(minutes=30), under_way
    after = await states(post.pool)
    assert (after["sent"], after["expired"] + after["dead"]) == (1400, 600)
    assert busiest <= per_second
    sent = Counter(text.to for text in twilio.accepted)
    assert set(sent.values()) == {1}
    assert {one.phone for one in people[600:]} == set(sent)
    assert {row["reason"] for row in await post.pool.fetch("select reason from messages where state = 'expired'")} == {
        "Too late to be of use."
    }


async def test_the_index_of_urgent_messages_holds_every_kind_that_is_urgent(pool: Pool) -> None:
    condition = await pool.fetchval(
        "select pg_get_expr(indpred, indrelid) from pg_index where indexrelid = 'messages_urgent'::regclass"
    )
    assert set(re.findall(r"'(\w+)'::text", condition)) == {"pending", *URGENT}
