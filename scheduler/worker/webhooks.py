"""The dispatcher of webhooks: beside that of the messages, so that neither ever waits for the other."""

import asyncio
from typing import Any

import structlog

from scheduler.services.webhook_delivery import AT_ONCE, Courier, claim_due, deliver

# What is under way gets so long when the worker stops. What does not make it goes again once its lease has run out.
FINISH_SECONDS = 2.0

_log = structlog.get_logger(__name__)


async def dispatch_webhooks(courier: Courier, wake: asyncio.Event, stop: asyncio.Event) -> None:
    """Deliver what is due whenever woken, many at once; each that ends makes room for what waits behind it."""
    under_way: set[asyncio.Task[None]] = set()

    def ended(task: asyncio.Task[None]) -> None:
        under_way.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            # Nothing is lost: its lease runs out and it goes again.
            _log.warning("webhook.failed", problem=type(problem).__name__)
        wake.set()

    while not stop.is_set():
        await wake.wait()
        wake.clear()
        if stop.is_set() or len(under_way) >= AT_ONCE:
            continue
        try:
            claimed = await claim_due(courier, limit=AT_ONCE - len(under_way))
        except Exception as problem:  # noqa: BLE001 - what could not be claimed stays due
            _log.warning("webhooks.failed", problem=type(problem).__name__)
            continue
        for delivery in claimed:
            task = asyncio.create_task(deliver(courier, delivery))
            under_way.add(task)
            task.add_done_callback(ended)
    await _finish(under_way)


async def _finish(under_way: set[asyncio.Task[None]]) -> None:
    if not under_way:
        return
    _, unfinished = await asyncio.wait(under_way, timeout=FINISH_SECONDS)
    for task in unfinished:
        task.cancel()
    results: list[Any] = await asyncio.gather(*unfinished, return_exceptions=True)
    if results:
        _log.info("webhooks.unfinished", count=len(results))
