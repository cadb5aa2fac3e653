"""Subscriptions to what happens at a clinic. A removed one stays as a row until its deliveries are forgotten."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.webhooks import EventType
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription. ``generation`` counts its secrets; it is paused where ``paused_at`` is set."""

    id: UUID
    url: str
    events: list[EventType]
    description: str
    generation: int
    rotated_at: datetime | None
    paused_at: datetime | None
    pause_reason: str | None
    created_by: str
    created_at: datetime


_COLUMNS = """id, url, events, description, generation, rotated_at, paused_at, pause_reason, created_by, created_at"""


async def add_webhook(
    connection: Connection,
    clinic_id: UUID,
    webhook_id: UUID,
    *,
    url: str,
    events: list[EventType],
    description: str,
    created_by: str,
) -> Webhook:
    row = await connection.fetchrow(
        f"""insert into webhooks (clinic_id, id, url, events, description, created_by)
        values ($1, $2, $3, $4, $5, $6) returning {_COLUMNS}""",
        clinic_id,
        webhook_id,
        url,
        events,
        description,
        created_by,
    )
    if row is None:
        raise LookupError("an insert without a condition always returns its row")
    return to_struct(row, Webhook)


async def fetch_webhook(
    connection: Connection, clinic_id: UUID, webhook_id: UUID, *, for_update: bool = False
) -> Webhook | None:
    row = await connection.fetchrow(
        f"""select {_COLUMNS} from webhooks where clinic_id = $1 and id = $2 and removed_at is null
        {"for no key update" if for_update else ""}""",
        clinic_id,
        webhook_id,
    )
    return to_struct(row, Webhook) if row else None


async def list_webhooks(connection: Connection, clinic_id: UUID, *, after: UUID | None, limit: int) -> list[Webhook]:
    """Return subscriptions, newest first; ``after`` is the id of the last one already seen."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from webhooks
        where clinic_id = $1 and removed_at is null and ($2::uuid is null or id < $2) order by id desc limit $3""",
        clinic_id,
        after,
        limit,
    )
    return [to_struct(row, Webhook) for row in rows]


async def save_webhook(connection: Connection, clinic_id: UUID, webhook: Webhook) -> None:
    """Write what may change of a subscription, its secret's generation aside."""
    await connection.execute(
        """update webhooks set url = $3, events = $4, description = $5, paused_at = $6, pause_reason = $7
        where clinic_id = $1 and id = $2""",
        clinic_id,
        webhook.id,
        webhook.url,
        webhook.events,
        webhook.description,
        webhook.paused_at,
        webhook.pause_reason,
    )


async def rotate_secret(connection: Connection, clinic_id: UUID, webhook_id: UUID, now: datetime) -> Webhook | None:
    """Go on to the next secret; return None where there is no such subscription."""
    row = await connection.fetchrow(
        f"""update webhooks set generation = generation + 1, rotated_at = $3
        where clinic_id = $1 and id = $2 and removed_at is null returning {_COLUMNS}""",
        clinic_id,
        webhook_id,
        now,
    )
    return to_struct(row, Webhook) if row else None


async def remove_webhook(connection: Connection, clinic_id: UUID, webhook_id: UUID) -> bool:
    """Remove a subscription and cancel what it was still to be told; return False where there is none."""
    return await connection.fetchval(
        """with removed as (
            update webhooks set removed_at = now() where clinic_id = $1 and id = $2 and removed_at is null returning 1
        ), cancelled as (
            update webhook_deliveries set state = 'cancelled', reason = 'The webhook was removed.', finished_at = now()
            from removed where clinic_id = $1 and webhook_id = $2 and state = 'pending'
        )
        select exists (select 1 from removed)""",
        clinic_id,
        webhook_id,
    )
