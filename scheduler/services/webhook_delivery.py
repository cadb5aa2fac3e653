"""Telling webhooks what they asked for: at least once, in any order, signed, and tried again for three days.

The protocol is that of the messages, but for what is done in doubt: whatever may have arrived is sent again, because a
receiver can tell a second time by its id, and a person with a telephone cannot.
"""

import asyncio
import random
from datetime import UTC, datetime

import msgspec
import structlog

from scheduler.channels.webhooks import WebhookClient
from scheduler.domain.webhooks import DeliveryState, body_of, generations, headers_of, next_wait, secret_of
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.units import reading
from scheduler.store.webhook_deliveries import ClaimedDelivery, claim_deliveries, settle_delivery

# How many deliveries a worker has under way: in all, and to one webhook. A receiver that hangs holds up its own.
AT_ONCE = 24
AT_ONCE_EACH = 4

_GONE = 410

_log = structlog.get_logger(__name__)


class Courier(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that telling webhooks needs, put together once a process."""

    pool: Pool
    client: WebhookClient
    settings: Settings


async def claim_due(courier: Courier, *, limit: int = AT_ONCE, now: datetime | None = None) -> list[ClaimedDelivery]:
    """Take up due deliveries; that they are taken is committed before this returns, and so before a byte leaves."""
    async with reading(courier.pool) as connection:
        return await claim_deliveries(
            connection,
            limit=limit,
            at_once=AT_ONCE_EACH,
            lease_seconds=courier.settings.message_lease_seconds,
            now=now,
        )


async def deliver_due(courier: Courier, *, now: datetime | None = None) -> int:
    """Take up one batch of due deliveries, attempt each, and return how many there were."""
    claimed = await claim_due(courier, now=now)
    await asyncio.gather(*(deliver(courier, delivery, now=now) for delivery in claimed))
    return len(claimed)


async def deliver(courier: Courier, delivery: ClaimedDelivery, *, now: datetime | None = None) -> None:
    """Attempt one delivery and write what came of it."""
    moment = now or datetime.now(UTC)
    body = body_of(delivery.type, delivery.created_at.astimezone(UTC), delivery.data)
    secrets = [
        secret_of(courier.settings.secret_key, delivery.clinic_id, delivery.webhook_id, generation)
        for generation in generations(delivery.generation, delivery.rotated_at, moment)
    ]
    answer = await courier.client.post(delivery.url, body, headers_of(delivery.id, moment, body, secrets), now=moment)
    gone = answer.status == _GONE
    wait = next_wait(delivery.attempts, answer.retry_after, random.random())  # noqa: S311 - jitter, not a secret
    state: DeliveryState = "delivered" if answer.accepted else "dead" if gone or wait is None else "pending"
    async with reading(courier.pool) as connection:
        settled = await settle_delivery(
            connection,
            delivery,
            state=state,
            response_status=answer.status,
            reason=answer.reason or None,
            retry_after_seconds=wait.total_seconds() if wait and state == "pending" else None,
            pause_reason="The receiver answered 410: it wants no more." if gone else None,
            now=now,
        )
    _log.info(
        "webhook.attempted",
        webhook_id=str(delivery.webhook_id),
        delivery_id=str(delivery.id),
        type=delivery.type,
        attempts=delivery.attempts,
        status=answer.status,
        state=state if settled else "decided elsewhere",
    )
