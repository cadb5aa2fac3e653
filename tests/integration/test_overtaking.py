"""400 visits are cancelled or moved while their reminders are on their way: no reminder comes after the news.

Four dispatchers over a real database and a Twilio to which each text takes its own time; some meet 429, some are in
doubt for a while. The control is the same race without the clause that keeps one address in order.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import structlog

from scheduler.channels.open import open_channels
from scheduler.channels.texts import load_texts
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.services.availability import list_slots
from scheduler.services.delivery import Post, send_batch
from scheduler.services.directory import Directory
from scheduler.services.doubts import settle_doubts
from scheduler.services.visits import cancel, reschedule
from scheduler.settings import Settings
from scheduler.store import dispatch
from scheduler.store.connections import Connection, Pool, open_pool
from scheduler.store.units import reading, unit_of_work
from tests.integration.bulk import Someone, add_reminders, add_visits
from tests.simulators.twilio import BROKEN_AFTERWARDS, BUSY, TwilioSimulator

RACES = 400
DISPATCHERS = 4
AT_ONCE = 8
# Between a reminder's moment and the change, and on the way to Twilio: so long at most, in seconds.
HEAD_START, LATENCY = 0.1, 0.2

NEWS = ("is canceled as you asked", "we must cancel", "your visit moved to")


@pytest.fixture
async def post(sending: Settings, clinic: Clinic, twilio: TwilioSimulator) -> AsyncIterator[Post]:
    """Yield what sends at any hour, as fast as it can, through a Twilio that is sometimes busy or silent."""
    twilio.latency, twilio.chances = LATENCY, [(BUSY, 0.05), (BROKEN_AFTERWARDS, 0.05)]
    settings = msgspec.structs.replace(
        sending, database_pool_size=24, messages_per_second=1000, message_reconcile_seconds=(1, 3)
    )
    awake = msgspec.structs.replace(clinic, settings=msgspec.structs.replace(clinic.settings, text_window=(0, 1440)))
    texts = load_texts(settings.scheduler_clinic.parent / "messages")
    async with open_pool(settings) as pool, open_channels(settings) as channels:
        yield Post(pool=pool, directory=Directory([awake]), channels=channels, texts=texts, settings=settings)


async def race(post: Post, twilio: TwilioSimulator) -> list[str]:
    """Let every visit be cancelled or moved as its reminder leaves; return the phones that were reminded too late."""
    (clinic,) = post.directory.clinics
    now, chance, at_once = datetime.now(UTC), random.Random(11), asyncio.Semaphore(AT_ONCE)
    people = await add_visits(post.pool, clinic, RACES, starts_at=now + timedelta(hours=24))
    places = iter(await free_places(post, clinic))

    async def run(number: int, someone: Someone) -> None:
        async with at_once:
            due_at = datetime.now(UTC)
            await add_reminders(post.pool, clinic, [someone], not_before=due_at, expires_at=now + timedelta(hours=12))
            # Half of the changes come around the moment at which the reminder is taken up, half while it travels.
            if number // 2 % 2:
                await taken_up(post.pool, someone)
            await asyncio.sleep(chance.uniform(0, HEAD_START))
            async with unit_of_work(post.pool) as connection:
                await change(connection, clinic, someone, number, places)

    done = asyncio.Event()
    with structlog.testing.capture_logs():
        dispatchers = [asyncio.create_task(dispatch_until(post, done)) for _ in range(DISPATCHERS)]
        dispatchers.append(asyncio.create_task(doubt_until(post, done)))
        try:
            await asyncio.gather(*(run(number, someone) for number, someone in enumerate(people)))
            async with asyncio.timeout(60):
                while await under_way(post.pool):  # noqa: ASYNC110 - it happens in the dispatchers
                    await asyncio.sleep(0.1)
        finally:
            done.set()
            await asyncio.gather(*dispatchers)
    told = Counter(text.to for text in twilio.accepted if is_news(text.body))
    assert told == Counter(someone.phone for someone in people), "each hears the news, once"
    return [
        text.to
        for number, text in enumerate(twilio.accepted)
        if not is_news(text.body)
        and any(before.to == text.to and is_news(before.body) for before in twilio.accepted[:number])
    ]


async def taken_up(pool: Pool, someone: Someone) -> None:
    """Wait until a dispatcher has begun to send the reminder."""
    waiting = "select state = 'pending' from messages where visit_id = $1 and kind = 'reminder'"
    async with asyncio.timeout(10):
        while await pool.fetchval(waiting, someone.visit_id):  # noqa: ASYNC110 - a dispatcher writes it
            await asyncio.sleep(0.005)


async def change(
    connection: Connection, clinic: Clinic, someone: Someone, number: int, places: Iterator[datetime]
) -> None:
    """Move every second visit, and let its patient or the clinic cancel every other."""
    now = datetime.now(UTC)
    if number % 2:
        await reschedule(
            connection, clinic, someone.visit_id, next(places), version=1, anybody=True, actor=SYSTEM, now=now
        )
    else:
        by = "clinic" if number % 8 < 4 else "patient"
        await cancel(
            connection, clinic, someone.visit_id, version=1, reason="asked by phone", by=by, actor=SYSTEM, now=now
        )


async def free_places(post: Post, clinic: Clinic) -> list[datetime]:
    """Return starts of follow-ups from next week on, as often as there are therapists free, none overlapping."""
    first = int((datetime.now(UTC) + timedelta(days=7)).timestamp() // 60)
    async with reading(post.pool) as connection:
        found = await list_slots(
            connection, clinic, clinic.visit_types["follow-up"], within=(first, first + 42 * 24 * 60),
            now=datetime.now(UTC), staff=True,
        )  # fmt: skip
    starts = [slot.starts_at for slot in found.items if not slot.starts_at.minute]
    assert len(starts) > RACES // 2
    return starts


def is_news(body: str) -> bool:
    return any(words in body for words in NEWS)


async def dispatch_until(post: Post, done: asyncio.Event) -> None:
    while not done.is_set():
        if not (await send_batch(post, channel="sms")).taken_up:
            await asyncio.sleep(0.005)


async def doubt_until(post: Post, done: asyncio.Event) -> None:
    while not done.is_set():
        await settle_doubts(post)
        await asyncio.sleep(0.2)


async def under_way(pool: Pool) -> bool:
    return await pool.fetchval(
        """select exists (select 1 from messages where state in ('sending', 'unknown')
            or state = 'pending' and (not_before <= now() or kind <> 'reminder'))"""
    )


async def changed_in_flight(pool: Pool) -> int:
    """Return how many visits were changed while their reminder was on its way to Twilio."""
    return await pool.fetchval(
        """select count(distinct visits.id) from visits join messages on visit_id = visits.id and kind = 'reminder'
        join message_attempts on message_id = messages.id
        where started_at < status_changed_at and status_changed_at < coalesce(message_attempts.finished_at, now())
            and messages.state = 'sent'"""
    )


@pytest.mark.timeout(120)
async def test_no_reminder_comes_after_the_news_in_four_hundred_races(post: Post, twilio: TwilioSimulator) -> None:
    late = await race(post, twilio)
    close = await changed_in_flight(post.pool)
    print(f"{len(twilio.accepted) - RACES} reminders left, {close} visits changed meanwhile, {len(late)} overtaken")  # noqa: T201
    assert late == []
    assert close > RACES / 10, "the races were not close"
    assert len(twilio.accepted) > RACES * 1.1, "reminders left as well"


@pytest.mark.timeout(120)
async def test_without_order_reminders_overtake_the_news(
    post: Post, twilio: TwilioSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the one clause, some patients are reminded of a visit after they heard that it is off."""
    monkeypatch.setattr(dispatch, "_IS_NEXT", "$7::interval is not null")
    late = await race(post, twilio)
    print(f"{len(twilio.accepted) - RACES} reminders left, {len(late)} overtaken")  # noqa: T201
    assert late, "the races were not close"
