"""What callers send about webhooks, and what they are answered."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic
from scheduler.domain.webhooks import DeliveryState, EventType
from scheduler.store.webhook_deliveries import Delivery
from scheduler.store.webhooks import Webhook

_Url = Annotated[str, msgspec.Meta(max_length=2000, examples=["https://example.com/webhooks"])]
_Events = Annotated[list[EventType], msgspec.Meta(min_length=1, max_length=20, examples=[["visit.booked"]])]
_Description = Annotated[str, msgspec.Meta(max_length=200, examples=["Billing"])]


class WebhookBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whom to tell of what. The address is https; http is for this machine alone."""

    url: _Url
    events: _Events
    description: _Description = ""


class WebhookChangeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be different; what is left out stays. While paused nothing is sent and nothing new is kept."""

    url: _Url | None = None
    events: _Events | None = None
    description: _Description | None = None
    paused: bool | None = None


class WebhookAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription, without its secret. ``generation`` counts the secrets it has had."""

    id: UUID
    url: str
    events: list[EventType]
    description: str
    paused: bool
    pause_reason: str | None
    generation: int
    created_by: str
    created_at: datetime


class WebhookWithSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription and the secret that signs for it, told now and not again: asking for a new one rotates it."""

    webhook: WebhookAnswer
    secret: str


class WebhookPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of subscriptions; ``next_cursor`` leads to the next one, null on the last."""

    items: list[WebhookAnswer]
    next_cursor: str | None


class DeliveryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one webhook: how far it is, what the receiver last answered, and why it is not delivered.

    ``id`` is the header webhook-id. ``next_attempt_at`` is null once nothing more will be tried.
    """

    id: UUID
    type: str
    data: dict[str, Any]
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    response_status: int | None
    reason: str | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of deliveries; ``next_cursor`` leads to the next one, null on the last."""

    items: list[DeliveryAnswer]
    next_cursor: str | None


def webhook_answer(clinic: Clinic, webhook: Webhook) -> WebhookAnswer:
    """Return a subscription as the API tells it, without its secret."""
    return WebhookAnswer(
        id=webhook.id,
        url=webhook.url,
        events=webhook.events,
        description=webhook.description,
        paused=webhook.paused_at is not None,
        pause_reason=webhook.pause_reason,
        generation=webhook.generation,
        created_by=webhook.created_by,
        created_at=clinic.local(webhook.created_at),
    )


def delivery_answer(clinic: Clinic, delivery: Delivery) -> DeliveryAnswer:
    """Return a delivery as the API tells it."""
    return DeliveryAnswer(
        id=delivery.id,
        type=delivery.type,
        data=delivery.data,
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=clinic.local(delivery.not_before) if delivery.state == "pending" else None,
        response_status=delivery.response_status,
        reason=delivery.reason,
        created_at=clinic.local(delivery.created_at),
        finished_at=clinic.local(delivery.finished_at) if delivery.finished_at else None,
    )
