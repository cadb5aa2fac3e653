"""Subscriptions of other software: made, changed, tried out and removed. One use case a function."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.webhooks import TEST, DeliveryState, EventType, Reach, read_url, secret_of, written_secret
from scheduler.errors import InvalidRequest, NotFound, WebhookPaused
from scheduler.ids import new_id
from scheduler.settings import Settings
from scheduler.settings.forms import host_of, is_loopback
from scheduler.store import webhook_deliveries, webhooks
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.webhook_deliveries import Delivery
from scheduler.store.webhooks import Webhook

PAUSED_BY_HAND = "It was paused by hand."


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; None leaves a thing as it is."""

    url: str | None = None
    events: list[EventType] | None = None
    description: str | None = None
    paused: bool | None = None


def reach_of(settings: Settings) -> Reach:
    """Return where webhooks may lead: to this machine too while the service is tried out there and nowhere else."""
    return Reach(private=settings.webhooks_allow_private, loopback=is_loopback(host_of(settings.public_base_url)))


def secret_for(settings: Settings, clinic: Clinic, webhook_id: UUID, generation: int) -> str:
    """Return a webhook's secret as its receiver is told it."""
    return written_secret(secret_of(settings.secret_key, clinic.id, webhook_id, generation))


async def subscribe(
    connection: Connection,
    clinic: Clinic,
    *,
    url: str,
    events: list[EventType],
    description: str,
    reach: Reach,
    actor: Actor,
) -> Webhook:
    """Tell an address of these events from now on. Raises InvalidRequest for an address that may not be told."""
    _check_url(url, reach)
    webhook = await webhooks.add_webhook(
        connection, clinic.id, new_id(), url=url, events=_once_each(events), description=description,
        created_by=actor.name,
    )  # fmt: skip
    await _audit(connection, clinic, actor, "webhook.created", webhook.id, events=webhook.events)
    return webhook


async def list_webhooks(
    connection: Connection, clinic: Clinic, *, after: UUID | None, limit: int
) -> tuple[list[Webhook], bool]:
    """Return at most ``limit`` subscriptions, newest first, and whether more follow."""
    found = await webhooks.list_webhooks(connection, clinic.id, after=after, limit=limit + 1)
    return found[:limit], len(found) > limit


async def find_webhook(
    connection: Connection, clinic: Clinic, webhook_id: UUID, *, for_update: bool = False
) -> Webhook:
    """Return a subscription. Raises NotFound."""
    webhook = await webhooks.fetch_webhook(connection, clinic.id, webhook_id, for_update=for_update)
    if webhook is None:
        raise NotFound("There is no such webhook.")
    return webhook


async def change(
    connection: Connection,
    clinic: Clinic,
    webhook_id: UUID,
    wanted: WebhookChange,
    *,
    reach: Reach,
    actor: Actor,
    now: datetime,
) -> Webhook:
    """Change a subscription. Raises NotFound or InvalidRequest.

    While it is paused nothing is sent and nothing new is kept for it; what was due before waits.
    """
    webhook = await find_webhook(connection, clinic, webhook_id, for_update=True)
    if wanted.url is not None:
        _check_url(wanted.url, reach)
    changes: dict[str, Any] = {
        "url": wanted.url,
        "events": _once_each(wanted.events) if wanted.events is not None else None,
        "description": wanted.description,
    }
    changed = msgspec.structs.replace(
        webhook, **{name: value for name, value in changes.items() if value is not None}, **_pause(webhook, wanted, now)
    )
    names = [name for name in webhook.__struct_fields__ if getattr(webhook, name) != getattr(changed, name)]
    if names:
        await webhooks.save_webhook(connection, clinic.id, changed)
        # The address itself stays out of the trace: it may hold what only its owner should know.
        await _audit(
            connection, clinic, actor, "webhook.changed", webhook_id,
            changed=names, events=changed.events, paused=changed.paused_at is not None,
        )  # fmt: skip
    return changed


def _pause(webhook: Webhook, wanted: WebhookChange, now: datetime) -> dict[str, Any]:
    if wanted.paused is None or wanted.paused == (webhook.paused_at is not None):
        return {}
    return (
        {"paused_at": now, "pause_reason": PAUSED_BY_HAND}
        if wanted.paused
        else {"paused_at": None, "pause_reason": None}
    )


async def rotate(connection: Connection, clinic: Clinic, webhook_id: UUID, *, actor: Actor, now: datetime) -> Webhook:
    """Go on to a new secret; the one before signs as well for a day. Raises NotFound."""
    webhook = await webhooks.rotate_secret(connection, clinic.id, webhook_id, now)
    if webhook is None:
        raise NotFound("There is no such webhook.")
    await _audit(connection, clinic, actor, "webhook.secret-rotated", webhook_id, generation=webhook.generation)
    return webhook


async def unsubscribe(connection: Connection, clinic: Clinic, webhook_id: UUID, *, actor: Actor) -> None:
    """Remove a subscription; what it was still to be told is cancelled. Raises NotFound."""
    if not await webhooks.remove_webhook(connection, clinic.id, webhook_id):
        raise NotFound("There is no such webhook.")
    await _audit(connection, clinic, actor, "webhook.removed", webhook_id)


async def send_test(connection: Connection, clinic: Clinic, webhook_id: UUID, *, actor: Actor) -> Delivery:
    """Send an event that means nothing. Raises NotFound, or WebhookPaused where it would only wait."""
    await _going(connection, clinic, webhook_id)
    delivery = await webhook_deliveries.add_delivery(
        connection, clinic.id, webhook_id, new_id(), TEST, {"webhook_id": webhook_id}
    )
    await _audit(connection, clinic, actor, "webhook.tested", webhook_id, delivery=delivery.id)
    return delivery


async def list_deliveries(
    connection: Connection,
    clinic: Clinic,
    webhook_id: UUID,
    *,
    state: DeliveryState | None,
    after: UUID | None,
    limit: int,
) -> tuple[list[Delivery], bool]:
    """Return at most ``limit`` deliveries, newest first, and whether more follow. Raises NotFound."""
    await find_webhook(connection, clinic, webhook_id)
    found = await webhook_deliveries.list_deliveries(
        connection, clinic.id, webhook_id, state=state, after=after, limit=limit + 1
    )
    return found[:limit], len(found) > limit


async def redeliver(
    connection: Connection, clinic: Clinic, webhook_id: UUID, delivery_id: UUID, *, actor: Actor
) -> Delivery:
    """Send a delivery again from the start, under the same id. Raises NotFound or WebhookPaused.

    One that is being sent at this moment is answered as it is.
    """
    await _going(connection, clinic, webhook_id)
    again = await webhook_deliveries.redeliver(connection, clinic.id, webhook_id, delivery_id)
    found = again or await webhook_deliveries.fetch_delivery(connection, clinic.id, webhook_id, delivery_id)
    if found is None:
        raise NotFound("There is no such delivery; they are kept for thirty days.")
    await _audit(connection, clinic, actor, "webhook.redelivered", webhook_id, delivery=delivery_id)
    return found


async def announce_failed_message(connection: Connection, clinic_id: UUID, message_id: UUID) -> None:
    """Tell whoever asked for it that a message failed for good; nobody where it did not, or not yet.

    For whoever settles a message, in the transaction that settles it.
    """
    await webhook_deliveries.announce_failed_message(connection, clinic_id, message_id, new_id())


async def _going(connection: Connection, clinic: Clinic, webhook_id: UUID) -> None:
    webhook = await find_webhook(connection, clinic, webhook_id, for_update=True)
    if webhook.pause_reason is not None:
        raise WebhookPaused(webhook.pause_reason)


def _check_url(url: str, reach: Reach) -> None:
    if problem := read_url(url, reach):
        raise InvalidRequest(problem)


def _once_each(events: list[EventType]) -> list[EventType]:
    return list(dict.fromkeys(events))


async def _audit(
    connection: Connection, clinic: Clinic, actor: Actor, action: str, webhook_id: UUID, **details: Any
) -> None:
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor.name,
        action=action,
        request_id=actor.request_id,
        details={"webhook": webhook_id, **details},
    )
