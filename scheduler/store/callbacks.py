"""What a provider reported about its messages, and what a message of ours is after it.

``now`` is None in production, where the database's clock decides; tests pass the moment they want to try.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel
from scheduler.domain.messages import State
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class ReportedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of ours that a report is about."""

    clinic_id: UUID
    id: UUID
    state: State
    address: str


class Furthest(msgspec.Struct, frozen=True, kw_only=True):
    """The furthest of all reports about a message, and the provider's id that it is about."""

    provider_id: str
    status: str | None
    error_code: str | None


async def lock_reported(
    connection: Connection, clinic_ids: Sequence[UUID], channel: Channel, message_id: UUID
) -> ReportedMessage | None:
    """Return the message, at whichever of the clinics, and keep others from settling it; None where there is none."""
    row = await connection.fetchrow(
        """select clinic_id, id, state, address from messages
        where clinic_id = any($1::uuid[]) and id = $2 and channel = $3 for update""",
        list(clinic_ids),
        message_id,
        channel,
    )
    return to_struct(row, ReportedMessage) if row else None


async def note_report(
    connection: Connection,
    message: ReportedMessage,
    channel: Channel,
    *,
    provider_id: str,
    status: str,
    rank: int,
    error_code: str | None,
    now: datetime | None,
) -> bool:
    """Keep a report as it came, and the furthest of each provider's id; return False where it was kept before."""
    return await connection.fetchval(
        """with noted as (
            insert into provider_events (clinic_id, channel, provider_id, status, message_id, error_code, received_at)
            values ($1, $2, $3, $4, $5, $7, coalesce($8, now())) on conflict do nothing returning 1
        ), bound as (
            insert into provider_messages as known
                (clinic_id, channel, provider_id, message_id, status, rank, error_code, seen_at)
            select $1, $2, $3, $5, $4, $6, $7, coalesce($8, now()) from noted
            on conflict (clinic_id, channel, provider_id) do update
                set message_id = excluded.message_id, status = excluded.status, rank = excluded.rank,
                    error_code = excluded.error_code, seen_at = excluded.seen_at
                where known.rank < excluded.rank or known.message_id <> excluded.message_id
        )
        select exists (select 1 from noted)""",
        message.clinic_id,
        channel,
        provider_id,
        status,
        message.id,
        rank,
        error_code,
        now,
    )


async def furthest_report(connection: Connection, message: ReportedMessage) -> tuple[Furthest, int]:
    """Return the furthest of all that was reported about a message, and how many ids the provider has for it."""
    row = await connection.fetchrow(
        """select provider_id, status, error_code, count(*) over () as ids from provider_messages
        where clinic_id = $1 and message_id = $2 order by rank desc, provider_id limit 1""",
        message.clinic_id,
        message.id,
    )
    if row is None:
        raise LookupError("the report has just been written in this transaction")
    return Furthest(provider_id=row["provider_id"], status=row["status"], error_code=row["error_code"]), row["ids"]


async def set_reported(
    connection: Connection,
    message: ReportedMessage,
    *,
    state: State,
    provider_id: str,
    error_code: str | None,
    reason: str | None,
    now: datetime | None,
) -> None:
    """Write how far a message is. Whoever is sending it, or asking about it, decides nothing any more."""
    await connection.execute(
        """with reported as (
            update messages set state = $3, provider_id = $4, error_code = $5, reason = $6, lease_token = null,
                lease_until = null, next_check_at = null, sent_at = coalesce(sent_at, $7, now()),
                finished_at = coalesce($7, now())
            where clinic_id = $1 and id = $2 returning attempts
        )
        update message_attempts set outcome = 'accepted', provider_id = $4,
            finished_at = coalesce($7, clock_timestamp())
        from reported where clinic_id = $1 and message_id = $2 and number = attempts and outcome is null""",
        message.clinic_id,
        message.id,
        state,
        provider_id,
        error_code,
        reason,
        now,
    )


async def withdraw_substitutes(connection: Connection, message: ReportedMessage, reason: str) -> None:
    """Cancel what was to be sent in place of a message and has not left, and close the task about it."""
    await connection.execute(
        """with withdrawn as (
            update messages set state = 'cancelled', reason = $3, finished_at = now()
            where clinic_id = $1 and state = 'pending' and (resend_of = $2 or fallback_of = $2)
        )
        update desk_tasks set handled_at = now(), handled_by = 'system'
        where clinic_id = $1 and subject_id = $2 and kind = 'undeliverable' and handled_at is null""",
        message.clinic_id,
        message.id,
        reason,
    )
