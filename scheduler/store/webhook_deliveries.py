"""What webhooks are told: written with the change itself, claimed like messages, and settled after every attempt.

``now`` is None in production, where the database's clock decides; tests pass the moment they want to try.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.webhooks import DeliveryState
from scheduler.store.connections import Connection
from scheduler.store.messages import WAKE_UP
from scheduler.store.rows import to_struct

# What a subscriber was told, and whether it arrived, is kept so long for looking at.
KEPT_DAYS = 30


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one subscriber. ``not_before`` is the next attempt's moment while it is pending."""

    id: UUID
    type: str
    data: dict[str, Any]
    state: DeliveryState
    attempts: int
    not_before: datetime
    response_status: int | None
    reason: str | None
    created_at: datetime
    finished_at: datetime | None


class ClaimedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process may attempt until its lease runs out; ``lease_token`` proves it.

    ``attempts`` has this one in it.
    """

    clinic_id: UUID
    webhook_id: UUID
    id: UUID
    type: str
    data: dict[str, Any]
    created_at: datetime
    attempts: int
    lease_token: UUID
    url: str
    generation: int
    rotated_at: datetime | None


_COLUMNS = "id, type, data, state, attempts, not_before, response_status, reason, created_at, finished_at"


async def announce_failed_message(connection: Connection, clinic_id: UUID, message_id: UUID, event_id: UUID) -> None:
    """Write what subscribers are told of a message that failed for good; nothing where it did not, or they know."""
    await connection.execute(
        f"""with announced as (
            insert into webhook_deliveries (clinic_id, webhook_id, id, type, data)
            select webhooks.clinic_id, webhooks.id, $3, 'message.failed', jsonb_build_object(
                'message_id', messages.id, 'visit_id', messages.visit_id, 'patient_id', messages.patient_id)
            from messages join webhooks using (clinic_id)
            where messages.clinic_id = $1 and messages.id = $2 and messages.state in ('failed', 'dead', 'undelivered')
                and 'message.failed' = any(webhooks.events) and paused_at is null and removed_at is null
                and not exists (
                    select 1 from webhook_deliveries as told
                    where told.clinic_id = webhooks.clinic_id and told.webhook_id = webhooks.id
                        and told.type = 'message.failed' and told.data ->> 'message_id' = messages.id::text)
            returning 1
        )
        select pg_notify('{WAKE_UP}', '') from announced limit 1""",
        clinic_id,
        message_id,
        event_id,
    )


async def add_delivery(
    connection: Connection, clinic_id: UUID, webhook_id: UUID, delivery_id: UUID, event_type: str, data: dict[str, Any]
) -> Delivery:
    """Write something for one subscriber alone, and wake the dispatcher when the transaction commits."""
    row = await connection.fetchrow(
        f"""with added as (
            insert into webhook_deliveries (clinic_id, webhook_id, id, type, data) values ($1, $2, $3, $4, $5)
            returning *
        )
        select {_COLUMNS} from added, pg_notify('{WAKE_UP}', '')""",
        clinic_id,
        webhook_id,
        delivery_id,
        event_type,
        data,
    )
    if row is None:
        raise LookupError("an insert without a condition always returns its row")
    return to_struct(row, Delivery)


async def list_deliveries(
    connection: Connection,
    clinic_id: UUID,
    webhook_id: UUID,
    *,
    state: DeliveryState | None,
    after: UUID | None,
    limit: int,
) -> list[Delivery]:
    """Return what a subscriber was or will be told, newest first; ``after`` is the id of the last one already seen."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from webhook_deliveries
        where clinic_id = $1 and webhook_id = $2 and ($3::text is null or state = $3) and ($4::uuid is null or id < $4)
        order by id desc limit $5""",
        clinic_id,
        webhook_id,
        state,
        after,
        limit,
    )
    return [to_struct(row, Delivery) for row in rows]


async def redeliver(connection: Connection, clinic_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery | None:
    """Make a delivery due at once, with all its attempts before it; None where there is none, or it is being sent."""
    row = await connection.fetchrow(
        f"""with again as (
            update webhook_deliveries set state = 'pending', attempts = 0, not_before = now(), finished_at = null,
                reason = 'It is sent again as somebody asked.'
            where clinic_id = $1 and webhook_id = $2 and id = $3 and state <> 'sending' returning *
        )
        select {_COLUMNS} from again, pg_notify('{WAKE_UP}', '')""",
        clinic_id,
        webhook_id,
        delivery_id,
    )
    return to_struct(row, Delivery) if row else None


async def fetch_delivery(
    connection: Connection, clinic_id: UUID, webhook_id: UUID, delivery_id: UUID
) -> Delivery | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from webhook_deliveries where clinic_id = $1 and webhook_id = $2 and id = $3",
        clinic_id,
        webhook_id,
        delivery_id,
    )
    return to_struct(row, Delivery) if row else None


async def claim_deliveries(
    connection: Connection, *, limit: int, at_once: int, lease_seconds: float, now: datetime | None
) -> list[ClaimedDelivery]:
    """Take at most ``limit`` due deliveries, oldest first. The caller must commit before a byte leaves.

    Of each webhook about ``at_once`` are under way at a time, so that a slow receiver leaves room for the others.
    """
    rows = await connection.fetch(
        """with due as (
            select due.* from webhooks cross join lateral (
                select clinic_id, webhook_id, id, not_before from webhook_deliveries
                where webhook_deliveries.clinic_id = webhooks.clinic_id and webhook_id = webhooks.id
                    and state = 'pending' and not_before <= coalesce($4, now())
                order by not_before, id
                limit greatest(0, $2 - (
                    select count(*) from webhook_deliveries as busy
                    where busy.clinic_id = webhooks.clinic_id and busy.webhook_id = webhooks.id
                        and busy.state = 'sending'))
                for update skip locked
            ) as due
            where webhooks.paused_at is null and webhooks.removed_at is null
            order by due.not_before, due.id limit $1
        ), claimed as (
            update webhook_deliveries as delivery set state = 'sending', attempts = attempts + 1,
                lease_token = gen_random_uuid(), lease_until = now() + make_interval(secs => $3)
            from due where delivery.clinic_id = due.clinic_id and delivery.webhook_id = due.webhook_id
                and delivery.id = due.id
            returning delivery.*
        )
        select claimed.clinic_id, webhook_id, claimed.id, type, data, claimed.created_at, attempts, lease_token,
            url, generation, rotated_at
        from claimed join webhooks on webhooks.clinic_id = claimed.clinic_id and webhooks.id = claimed.webhook_id
        order by claimed.created_at, claimed.id""",
        limit,
        at_once,
        lease_seconds,
        now,
    )
    return [to_struct(row, ClaimedDelivery) for row in rows]


async def settle_delivery(
    connection: Connection,
    delivery: ClaimedDelivery,
    *,
    state: DeliveryState,
    response_status: int | None,
    reason: str | None,
    retry_after_seconds: float | None = None,
    pause_reason: str | None = None,
    now: datetime | None = None,
) -> bool:
    """Write what became of an attempt; return False where the lease was lost and somebody else now decides.

    ``retry_after_seconds`` goes with ``pending``. ``pause_reason`` pauses the webhook as well. What was to be tried
    again for a webhook that was removed meanwhile is cancelled.
    """
    return await connection.fetchval(
        """with decided as (
            select case when $5 = 'pending' and removed_at is not null then 'cancelled' else $5 end as state
            from webhooks where clinic_id = $1 and id = $2
        ), settled as (
            update webhook_deliveries set state = decided.state, response_status = $6, reason = $7,
                lease_token = null, lease_until = null,
                not_before = coalesce(coalesce($10, now()) + make_interval(secs => $8), not_before),
                finished_at = case when decided.state <> 'pending' then coalesce($10, now()) end
            from decided where clinic_id = $1 and webhook_id = $2 and id = $3 and lease_token = $4 returning 1
        ), paused as (
            update webhooks set paused_at = coalesce($10, now()), pause_reason = $9
            from settled where clinic_id = $1 and id = $2 and $9::text is not null and paused_at is null
        )
        select exists (select 1 from settled)""",
        delivery.clinic_id,
        delivery.webhook_id,
        delivery.id,
        delivery.lease_token,
        state,
        response_status,
        reason,
        retry_after_seconds,
        pause_reason,
        now,
    )


async def return_lost_leases(connection: Connection) -> None:
    """Make due again what a sender took up and never settled.

    It may have arrived. Receivers know a second time by its id, which is the same.
    """
    await connection.execute(
        """with lost as (
            select clinic_id, webhook_id, id from webhook_deliveries where state = 'sending' and lease_until < now()
            for update skip locked
        )
        update webhook_deliveries as delivery set state = 'pending', lease_token = null, lease_until = null,
            not_before = now(), reason = 'The sender stopped before it could say.'
        from lost where delivery.clinic_id = lost.clinic_id and delivery.webhook_id = lost.webhook_id
            and delivery.id = lost.id"""
    )


async def forget_deliveries(connection: Connection) -> None:
    """Forget what is older than thirty days, and removed webhooks that nothing is kept of any more."""
    await connection.execute(
        f"""with forgotten as (
            delete from webhook_deliveries
            where created_at < now() - make_interval(days => {KEPT_DAYS}) and state <> 'sending'
        )
        delete from webhooks where removed_at < now() - make_interval(days => {KEPT_DAYS}) and not exists (
            select 1 from webhook_deliveries where webhook_deliveries.clinic_id = webhooks.clinic_id
                and webhook_id = webhooks.id)"""
    )
