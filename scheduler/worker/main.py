"""The worker process: APScheduler ticks and the dispatchers that they and NOTIFY wake.

APScheduler owns ticks and nothing else. What is due is rows, which any number of workers may claim side by side.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from scheduler.channels.open import open_channels
from scheduler.channels.texts import load_texts
from scheduler.channels.webhooks import open_webhook_client
from scheduler.domain.clinics import Channel
from scheduler.ids import new_id
from scheduler.services.delivery import Post, send_batch
from scheduler.services.digests import mail_staff
from scheduler.services.directory import keep_fresh, open_directory
from scheduler.services.doubts import settle_doubts
from scheduler.services.links import link_visits
from scheduler.services.planner import PLAN_SECONDS, plan_everywhere
from scheduler.services.webhook_delivery import Courier
from scheduler.services.webhooks import reach_of
from scheduler.settings import Settings
from scheduler.store.clinics import APPLIED
from scheduler.store.connections import Pool, open_pool
from scheduler.store.heartbeats import beat, leave
from scheduler.store.holds import expire_holds
from scheduler.store.idempotency import purge_answers
from scheduler.store.job_runs import PLANNER
from scheduler.store.limits import forget_limits
from scheduler.store.listening import listen
from scheduler.store.messages import WAKE_UP
from scheduler.store.phone_codes import forget_codes
from scheduler.store.staff import forget_old_tries
from scheduler.store.staff_sessions import forget_sessions
from scheduler.store.units import reading
from scheduler.store.visits import forget_past
from scheduler.store.webhook_deliveries import forget_deliveries, return_lost_leases
from scheduler.worker.webhooks import dispatch_webhooks

_log = structlog.get_logger(__name__)

# Polling is the floor under NOTIFY, which is lost while nobody listens.
DISPATCH_SECONDS = 5

# While one batch of texts waits for the provider, another is claimed, as by two workers. A mail server is spared that.
_DISPATCHED: tuple[Channel, ...] = ("sms", "sms", "email")
DOUBT_SECONDS = 5
EXPIRE_SECONDS = 15
HEARTBEAT_SECONDS = 10
LINK_SECONDS = 60
STAFF_SECONDS = 60
PURGE_SECONDS = 3600


async def run(settings: Settings, stop: asyncio.Event, *, texts_directory: Path | None = None) -> None:
    """Work until ``stop`` is set, then finish what has been claimed and leave."""
    texts = load_texts(texts_directory or settings.scheduler_clinic.parent / "messages")
    async with (
        open_pool(settings) as pool,
        open_channels(settings) as channels,
        open_webhook_client(reach_of(settings)) as webhook_client,
    ):
        directory = await open_directory(pool)
        post = Post(pool=pool, directory=directory, channels=channels, texts=texts, settings=settings)
        courier = Courier(pool=pool, client=webhook_client, settings=settings)
        wakes = wake_texts, wake_emails, wake_webhooks = asyncio.Event(), asyncio.Event(), asyncio.Event()
        of_channel = {"sms": wake_texts, "email": wake_emails}
        dispatchers = [
            # Each by itself, so that a provider that is slow holds up its own messages alone.
            *(asyncio.create_task(_dispatch(post, channel, of_channel[channel], stop)) for channel in _DISPATCHED),
            asyncio.create_task(dispatch_webhooks(courier, wake_webhooks, stop)),
        ]
        applied = asyncio.Event()
        beside = [
            asyncio.create_task(listen(settings, {WAKE_UP: lambda _: _set(wakes), APPLIED: lambda _: applied.set()})),
            asyncio.create_task(keep_fresh(directory, pool, applied)),
        ]
        worker_id = new_id()
        running: set[asyncio.Task[Any]] = set()
        scheduler = _ticks(
            running,
            [
                (DISPATCH_SECONDS, "dispatch", _wakes(wakes)),
                (DOUBT_SECONDS, "settle-doubts", lambda: settle_doubts(post)),
                (DOUBT_SECONDS, "return-webhooks", lambda: _with(pool, return_lost_leases)),
                (EXPIRE_SECONDS, "expire-holds", lambda: _with(pool, expire_holds)),
                (
                    LINK_SECONDS,
                    "link-visits",
                    lambda: _with(
                        pool,
                        lambda connection: link_visits(connection, directory.clinics, secret_key=settings.secret_key),
                    ),
                ),
                (PLAN_SECONDS, PLANNER, lambda: plan_everywhere(pool, directory.clinics)),
                (STAFF_SECONDS, "mail-staff", lambda: mail_staff(pool, directory.clinics, settings)),
                (HEARTBEAT_SECONDS, "heartbeat", lambda: _with(pool, lambda connection: beat(connection, worker_id))),
                (PURGE_SECONDS, "forget-answers", lambda: _with(pool, purge_answers)),
                (PURGE_SECONDS, "forget-limits", lambda: _with(pool, forget_limits)),
                (PURGE_SECONDS, "forget-codes", lambda: _with(pool, forget_codes)),
                (PURGE_SECONDS, "forget-past", lambda: _with(pool, forget_past)),
                (PURGE_SECONDS, "forget-webhooks", lambda: _with(pool, forget_deliveries)),
                (PURGE_SECONDS, "forget-sessions", lambda: _with(pool, forget_sessions)),
                (PURGE_SECONDS, "forget-tries", lambda: _with(pool, forget_old_tries)),
            ],
        )
        await _with(pool, lambda connection: beat(connection, worker_id))
        scheduler.start()
        # What a stop has missed is caught up with at once, and not only after the first minute.
        scheduler.modify_job(PLANNER, next_run_time=datetime.now(UTC))  # pyright: ignore[reportUnknownMemberType]
        _set(wakes)
        _log.info("worker.started")
        await stop.wait()
        # The scheduler's own shutdown would cancel running ticks; they are let finish instead.
        scheduler.remove_all_jobs()  # pyright: ignore[reportUnknownMemberType]
        scheduler.shutdown(wait=False)
        _set(wakes)
        for task in beside:
            task.cancel()
        await asyncio.gather(*dispatchers, *beside, *running, return_exceptions=True)
        # Where the database went first, the heartbeat grows old by itself.
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await _with(pool, lambda connection: leave(connection, worker_id))
        _log.info("worker.stopped")


def _ticks(
    running: set[asyncio.Task[Any]], ticks: list[tuple[int, str, Callable[[], Coroutine[Any, Any, Any]]]]
) -> AsyncIOScheduler:
    scheduler = AsyncIOScheduler(
        timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
    )
    for seconds, name, action in ticks:
        scheduler.add_job(  # pyright: ignore[reportUnknownMemberType]
            _tick, "interval", seconds=seconds, id=name, args=[running, name, action]
        )
    return scheduler


async def _tick(running: set[asyncio.Task[Any]], name: str, action: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run one tick; a failure is logged and the next tick tries again."""
    task = asyncio.create_task(action())
    running.add(task)
    task.add_done_callback(running.discard)
    try:
        await asyncio.shield(task)
    except Exception as problem:  # noqa: BLE001 - a tick must never end the worker
        _log.warning("tick.failed", tick=name, problem=type(problem).__name__)


async def _dispatch(post: Post, channel: Channel, wake: asyncio.Event, stop: asyncio.Event) -> None:
    """Send while there is something due; then wait for NOTIFY or the next tick. Stops between batches."""
    while not stop.is_set():
        await wake.wait()
        wake.clear()
        try:
            while not stop.is_set():
                batch = await send_batch(post, channel=channel)
                if batch.paced:
                    await asyncio.sleep(1 / post.settings.messages_per_second)
                elif not batch.taken_up:
                    break
        except Exception as problem:  # noqa: BLE001 - the outbox keeps what could not be sent
            _log.warning("dispatch.failed", channel=channel, problem=type(problem).__name__)


def _wakes(wakes: Sequence[asyncio.Event]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def action() -> None:
        _set(wakes)

    return action


def _set(wakes: Sequence[asyncio.Event]) -> None:
    for wake in wakes:
        wake.set()


async def _with(pool: Pool, action: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    async with reading(pool) as connection:
        return await action(connection)
