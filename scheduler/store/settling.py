"""What became of attempts to send, as it is written down.

``now`` is None in production, where the database's clock decides; tests pass the moment they want to try.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel
from scheduler.domain.messages import State
from scheduler.store.connections import Connection
from scheduler.store.dispatch import ClaimedMessage
from scheduler.store.rows import to_struct


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an attempt's end was written, and whether the provider turns out to have the message twice."""

    settled: bool
    doubled: bool


async def settle_message(
    connection: Connection,
    message: ClaimedMessage,
    *,
    state: State,
    outcome: str,
    provider_id: str | None = None,
    http_status: int | None = None,
    error_code: str | None = None,
    reason: str | None = None,
    retry_after_seconds: float | None = None,
    check_after_seconds: float | None = None,
    now: datetime | None = None,
) -> Settled:
    """Write what became of an attempt, unless the lease was lost and somebody else now decides.

    ``retry_after_seconds`` goes with ``pending`` and ``check_after_seconds`` with ``unknown``.
    """
    row = await connection.fetchrow(
        """with settled as (
            update messages set state = $4, provider_id = coalesce($6, provider_id), error_code = $8, reason = $9,
                lease_token = null, lease_until = null,
                not_before = coalesce(coalesce($12, now()) + make_interval(secs => $10), not_before),
                next_check_at = case when $4 = 'unknown'
                    then coalesce($12, now()) + make_interval(secs => $11) end,
                sent_at = case when $4 = 'sent' then coalesce($12, now()) else sent_at end,
                finished_at = case when $4 not in ('pending', 'unknown') then coalesce($12, now()) end
            where clinic_id = $1 and id = $2 and lease_token = $3 returning attempts
        ), attempt as (
            update message_attempts set finished_at = coalesce($12, clock_timestamp()), outcome = $5,
                provider_id = $6, http_status = $7, error_code = $8, detail = $9
            from settled where clinic_id = $1 and message_id = $2 and number = settled.attempts
        ), bound as (
            insert into provider_messages (clinic_id, channel, provider_id, message_id)
            select $1, $13, $6, $2 from settled where $6 is not null on conflict do nothing
        )
        select exists (select 1 from settled) as settled, exists (
            select 1 from settled, provider_messages
            where clinic_id = $1 and message_id = $2 and provider_id <> $6) as doubled""",
        message.clinic_id,
        message.id,
        message.lease_token,
        state,
        outcome,
        provider_id,
        http_status,
        error_code,
        reason,
        retry_after_seconds,
        check_after_seconds,
        now,
        message.channel,
    )
    return _settled(row)


async def note_acceptance(
    connection: Connection,
    clinic_id: UUID,
    message_id: UUID,
    *,
    channel: Channel,
    provider_id: str,
    now: datetime | None = None,
) -> Settled:
    """Bind a provider's id to its message, which the provider therefore has: it is sent, wherever it was on its way.

    For whoever hears of it from elsewhere than the attempt that holds the lease: that attempt, or a resend that has
    not left, then decides nothing any more. What is sent already, or ended, stays as it is.
    """
    row = await connection.fetchrow(
        """with bound as (
            insert into provider_messages (clinic_id, channel, provider_id, message_id) values ($1, $3, $4, $2)
            on conflict do nothing
        ), accepted as (
            update messages set state = 'sent', provider_id = $4, error_code = null, reason = null,
                lease_token = null, lease_until = null, next_check_at = null,
                sent_at = coalesce($5, now()), finished_at = coalesce($5, now())
            where clinic_id = $1 and id = $2 and state in ('sending', 'unknown', 'pending') returning 1
        )
        select exists (select 1 from accepted) as settled, exists (
            select 1 from provider_messages
            where clinic_id = $1 and message_id = $2 and provider_id <> $4) as doubled""",
        clinic_id,
        message_id,
        channel,
        provider_id,
        now,
    )
    return _settled(row)


def _settled(row: object) -> Settled:
    if row is None:
        raise LookupError("a select without a table always returns a row")
    return to_struct(row, Settled)  # pyright: ignore[reportArgumentType]
