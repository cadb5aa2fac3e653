"""Messages that may have left: found, taken up to ask the provider about, and resolved.

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


class DoubtfulMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may have left, since the first attempt in doubt; ``age`` is of the last, in seconds.

    ``doubts`` counts the attempts of which nobody knows what became.
    """

    clinic_id: UUID
    id: UUID
    visit_id: UUID | None
    kind: str
    channel: Channel
    address: str
    rendered: dict[str, str]
    doubts: int
    expired: bool
    first_attempt_at: datetime
    age: float


async def doubt_lost_leases(connection: Connection, check_after_seconds: float, now: datetime | None = None) -> int:
    """Mark messages whose sender went silent: they may have left, so they are in doubt, never simply due again."""
    return await connection.fetchval(
        """with lost as (
            select clinic_id, id from messages where state = 'sending' and lease_until < coalesce($2, now())
            for update skip locked
        ), doubted as (
            update messages set state = 'unknown', lease_token = null, lease_until = null,
                next_check_at = coalesce($2, now()) + make_interval(secs => $1),
                reason = 'The sender stopped before it could say.'
            from lost where messages.clinic_id = lost.clinic_id and messages.id = lost.id returning 1
        )
        select count(*) from doubted""",
        check_after_seconds,
        now,
    )


async def take_doubtful(
    connection: Connection, *, limit: int, lease_seconds: float, now: datetime | None = None
) -> list[DoubtfulMessage]:
    """Take messages in doubt whose check is due, oldest first; nobody else checks them while the lease runs."""
    rows = await connection.fetch(
        """with due as (
            select clinic_id, id from messages where state = 'unknown' and next_check_at <= coalesce($3, now())
            order by next_check_at limit $1 for update skip locked
        ), taken as (
            update messages set next_check_at = coalesce($3, now()) + make_interval(secs => $2)
            from due where messages.clinic_id = due.clinic_id and messages.id = due.id returning messages.*
        )
        select taken.clinic_id, id, visit_id, kind, channel, address, rendered, doubts,
            expires_at <= coalesce($3, now()) as expired, first_attempt_at,
            extract(epoch from coalesce($3, now()) - last_attempt_at)::float8 as age
        from taken join lateral (
            select count(*) as doubts, min(started_at) as first_attempt_at, max(started_at) as last_attempt_at
            from message_attempts
            where message_attempts.clinic_id = taken.clinic_id and message_id = taken.id
                and coalesce(outcome, 'unknown') = 'unknown'
        ) as attempt on true""",
        limit,
        lease_seconds,
        now,
    )
    return [to_struct(row, DoubtfulMessage) for row in rows]


async def resolve_doubt(
    connection: Connection,
    message: DoubtfulMessage,
    *,
    state: State,
    provider_id: str | None = None,
    reason: str | None = None,
    check_after_seconds: float | None = None,
    now: datetime | None = None,
) -> bool:
    """Write what asking the provider brought: sent, not there (pending again), still unknown, or dead.

    Returns False where somebody else decided meanwhile. Raises UniqueViolationError where the provider's id is
    already bound to another message.
    """
    return await connection.fetchval(
        """with resolved as (
            update messages set state = $3, provider_id = coalesce($4, provider_id), reason = $5,
                next_check_at = case when $3 = 'unknown'
                    then coalesce($8, now()) + make_interval(secs => $6) end,
                sent_at = case when $3 = 'sent' then coalesce($8, now()) else sent_at end,
                finished_at = case when $3 not in ('pending', 'unknown') then coalesce($8, now()) end
            where clinic_id = $1 and id = $2 and state = 'unknown' returning 1
        ), bound as (
            insert into provider_messages (clinic_id, channel, provider_id, message_id)
            select $1, $7, $4, $2 from resolved where $4 is not null
        )
        select exists (select 1 from resolved)""",
        message.clinic_id,
        message.id,
        state,
        provider_id,
        reason,
        check_after_seconds,
        message.channel,
        now,
    )


async def unbound_ids(connection: Connection, clinic_id: UUID, channel: str, provider_ids: Sequence[str]) -> list[str]:
    """Return those of the provider's ids that no message of ours claims yet, in the order given."""
    bound = await connection.fetch(
        """select provider_id from provider_messages
        where clinic_id = $1 and channel = $2 and provider_id = any($3::text[])""",
        clinic_id,
        channel,
        list(provider_ids),
    )
    taken = {row["provider_id"] for row in bound}
    return [provider_id for provider_id in provider_ids if provider_id not in taken]
