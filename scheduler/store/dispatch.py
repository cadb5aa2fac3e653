"""The outbox as it is sent: messages claimed, settled, and in doubt.

``now`` is None in production, where the database's clock decides; tests pass the moment they want to try.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Language
from scheduler.domain.messages import State
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class ClaimedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this process may send until its lease runs out; ``lease_token`` proves it.

    ``retries`` counts the attempts that certainly did not leave.
    """

    clinic_id: UUID
    id: UUID
    template: str
    channel: Channel
    language: Language
    address: str
    variables: dict[str, str]
    not_before: datetime
    expires_at: datetime
    retries: int
    lease_token: UUID


class DoubtfulMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may have left, since the first attempt in doubt; ``age`` is of the last, in seconds."""

    clinic_id: UUID
    id: UUID
    channel: Channel
    address: str
    rendered: dict[str, str]
    attempts: int
    expired: bool
    first_attempt_at: datetime
    age: float


async def claim_messages(
    connection: Connection, *, limit: int, lease_seconds: float, now: datetime | None
) -> tuple[list[ClaimedMessage], int]:
    """Take up at most ``limit`` due messages: return those to send and how many were taken up in all.

    The caller must commit before a byte leaves.

    A message waits while an earlier one to the same address is due, being sent or in doubt, so that a reminder
    never overtakes a cancellation. What is no longer true, wanted or useful is closed with its reason instead.
    """
    rows = await connection.fetch(
        """with due as (
            select clinic_id, id from messages as due
            where state = 'pending' and not_before <= coalesce($3, now()) and not exists (
                select 1 from messages as earlier
                where earlier.clinic_id = due.clinic_id and earlier.address = due.address and earlier.id < due.id
                    and (earlier.state in ('sending', 'unknown')
                         or earlier.state = 'pending' and earlier.not_before <= coalesce($3, now())))
            order by not_before, id limit $1 for update skip locked
        ), judged as (
            select messages.clinic_id, messages.id, case
                when messages.expires_at <= coalesce($3, now()) then 'expired'
                when case when messages.kind like 'cancelled%' then visits.status <> 'cancelled'
                     else visits.status not in ('booked', 'confirmed')
                        or visits.starts_at <> (messages.variables ->> 'starts_at')::timestamptz end then 'cancelled'
                when messages.channel = 'sms' and not coalesce((
                    select granted from consents
                    where consents.clinic_id = messages.clinic_id and consents.patient_id = messages.patient_id
                        and consents.channel = 'sms' order by recorded_at desc, consents.id desc limit 1), false)
                    then 'suppressed'
                else 'sending' end as verdict
            from due join messages using (clinic_id, id)
            join visits on visits.clinic_id = messages.clinic_id and visits.id = messages.visit_id
        ), claimed as (
            update messages set state = verdict,
                attempts = attempts + (verdict = 'sending')::int,
                lease_token = case when verdict = 'sending' then gen_random_uuid() end,
                lease_until = case when verdict = 'sending' then now() + make_interval(secs => $2) end,
                finished_at = case when verdict <> 'sending' then now() end,
                reason = case verdict
                    when 'expired' then 'Too late to be of use.'
                    when 'cancelled' then 'The visit is no longer as this message says.'
                    when 'suppressed' then 'The patient has not agreed to texts.' end
            from judged where messages.clinic_id = judged.clinic_id and messages.id = judged.id
            returning messages.*
        ), attempted as (
            insert into message_attempts (clinic_id, message_id, number)
            select clinic_id, id, attempts from claimed where state = 'sending'
        )
        select clinic_id, id, state, template, channel, language, address, variables, not_before, expires_at,
            lease_token,
            (select count(*) from message_attempts where message_attempts.clinic_id = claimed.clinic_id
                and message_id = claimed.id and outcome = 'retry') as retries
        from claimed order by not_before, id""",
        limit,
        lease_seconds,
        now,
    )
    return [to_struct(row, ClaimedMessage) for row in rows if row["state"] == "sending"], len(rows)


async def record_rendered(connection: Connection, rendered: Sequence[tuple[UUID, UUID, dict[str, str]]]) -> None:
    """Keep what is about to leave: (clinic, message, text and subject) each."""
    await connection.executemany("update messages set rendered = $3 where clinic_id = $1 and id = $2", rendered)


async def defer_message(connection: Connection, message: ClaimedMessage, until: datetime) -> None:
    """Give a claimed message back, unsent and uncounted, until a later moment."""
    await connection.execute(
        """with given_back as (
            update messages set state = 'pending', not_before = $4, attempts = attempts - 1, lease_token = null,
                lease_until = null
            where clinic_id = $1 and id = $2 and lease_token = $3 returning attempts + 1 as number
        )
        delete from message_attempts using given_back
        where clinic_id = $1 and message_id = $2 and message_attempts.number = given_back.number""",
        message.clinic_id,
        message.id,
        message.lease_token,
        until,
    )


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
) -> bool:
    """Write what became of an attempt; return False where the lease was lost and somebody else now decides.

    ``retry_after_seconds`` goes with ``pending`` and ``check_after_seconds`` with ``unknown``.
    """
    return await connection.fetchval(
        """with settled as (
            update messages set state = $4, provider_id = coalesce($6, provider_id), error_code = $8, reason = $9,
                lease_token = null, lease_until = null,
                not_before = coalesce(coalesce($12, now()) + make_interval(secs => $10), not_before),
                next_check_at = case when $4 = 'unknown' then now() + make_interval(secs => $11) end,
                finished_at = case when $4 not in ('pending', 'unknown') then coalesce($12, now()) end
            where clinic_id = $1 and id = $2 and lease_token = $3 returning attempts
        ), attempt as (
            update message_attempts set finished_at = clock_timestamp(), outcome = $5, provider_id = $6,
                http_status = $7, error_code = $8, detail = $9
            from settled where clinic_id = $1 and message_id = $2 and number = settled.attempts
        ), bound as (
            insert into provider_messages (clinic_id, channel, provider_id, message_id)
            select $1, $13, $6, $2 from settled where $6 is not null on conflict do nothing
        )
        select exists (select 1 from settled)""",
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


async def doubt_lost_leases(connection: Connection, check_after_seconds: float) -> int:
    """Mark messages whose sender went silent: they may have left, so they are in doubt, never simply due again."""
    return await connection.fetchval(
        """with lost as (
            select clinic_id, id from messages where state = 'sending' and lease_until < now()
            for update skip locked
        ), doubted as (
            update messages set state = 'unknown', lease_token = null, lease_until = null,
                next_check_at = now() + make_interval(secs => $1), reason = 'The sender stopped before it could say.'
            from lost where messages.clinic_id = lost.clinic_id and messages.id = lost.id returning 1
        )
        select count(*) from doubted""",
        check_after_seconds,
    )


async def take_doubtful(connection: Connection, *, limit: int, lease_seconds: float) -> list[DoubtfulMessage]:
    """Take messages in doubt whose check is due, oldest first; nobody else checks them while the lease runs."""
    rows = await connection.fetch(
        """with due as (
            select clinic_id, id from messages where state = 'unknown' and next_check_at <= now()
            order by next_check_at limit $1 for update skip locked
        ), taken as (
            update messages set next_check_at = now() + make_interval(secs => $2)
            from due where messages.clinic_id = due.clinic_id and messages.id = due.id returning messages.*
        )
        select taken.clinic_id, id, channel, address, rendered, attempts, expires_at <= now() as expired,
            first_attempt_at,
            extract(epoch from now() - last_attempt_at)::float8 as age
        from taken join lateral (
            select min(started_at) as first_attempt_at, max(started_at) as last_attempt_at from message_attempts
            where message_attempts.clinic_id = taken.clinic_id and message_id = taken.id
                and coalesce(outcome, 'unknown') = 'unknown'
        ) as attempt on true""",
        limit,
        lease_seconds,
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
) -> None:
    """Write what asking the provider brought: sent, not there (pending again), still unknown, or dead.

    Raises UniqueViolationError where the provider's id is already bound to another message.
    """
    await connection.execute(
        """with resolved as (
            update messages set state = $3, provider_id = coalesce($4, provider_id), reason = $5,
                next_check_at = case when $3 = 'unknown' then now() + make_interval(secs => $6) end,
                finished_at = case when $3 not in ('pending', 'unknown') then now() end
            where clinic_id = $1 and id = $2 and state = 'unknown' returning 1
        )
        insert into provider_messages (clinic_id, channel, provider_id, message_id)
        select $1, $7, $4, $2 from resolved where $4 is not null""",
        message.clinic_id,
        message.id,
        state,
        provider_id,
        reason,
        check_after_seconds,
        message.channel,
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
