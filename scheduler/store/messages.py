"""The outbox as it is written and read: messages planned, voided and looked at."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel
from scheduler.domain.messages import Message, PlannedMessage, State
from scheduler.ids import new_id
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

# The channel of NOTIFY on which the dispatcher listens.
WAKE_UP = "messages"

_COLUMNS = """id, visit_id, patient_id, kind, template, channel, lead_minutes, language, variables, not_before,
    expires_at, state, attempts, provider_id, error_code, reason, rendered, created_at, finished_at, handled_at,
    handled_by, resend_of"""

# What failed for good and nobody has seen to yet: somebody should call the patient.
_NEEDS_ATTENTION = "(state in ('failed', 'dead', 'undelivered') and handled_at is null)"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at sending a message, as the front desk may read it."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    http_status: int | None
    error_code: str | None
    detail: str | None


async def add_messages(connection: Connection, clinic_id: UUID, planned: Sequence[PlannedMessage]) -> list[UUID]:
    """Write planned messages to the outbox and wake the dispatcher when the transaction commits.

    What is planned already is left as it is. Returns the id of each, which it has unless it was planned already.
    """
    if not planned:
        return []
    ids = [new_id() for _ in planned]
    rows = [{"id": each, **msgspec.to_builtins(message)} for each, message in zip(ids, planned, strict=True)]
    await connection.execute(
        f"""with added as (
            insert into messages (clinic_id, id, visit_id, patient_id, visit_version, kind, template, channel,
                lead_minutes, language, address, variables, dedupe_key, not_before, expires_at)
            select $1, id, visit_id, patient_id, visit_version, kind, template, channel,
                lead_minutes, language, address, variables, dedupe_key, not_before, expires_at
            from jsonb_populate_recordset(null::messages, $2)
            on conflict (clinic_id, dedupe_key) where state <> 'cancelled' do nothing
            returning 1
        )
        select pg_notify('{WAKE_UP}', '') from added limit 1""",
        clinic_id,
        rows,
    )
    return ids


async def add_resent(connection: Connection, clinic_id: UUID, planned: PlannedMessage, of: UUID) -> UUID | None:
    """Write a message that repeats another one and wake the dispatcher; return its id.

    Returns None where that message was repeated before: each is repeated once, and the repetition again once.
    """
    key = f"{planned.dedupe_key}:again:{of}"
    return await _add_one(connection, clinic_id, planned, dedupe_key=key, resend_of=of, fallback_of=None)


async def add_fallback(connection: Connection, clinic_id: UUID, planned: PlannedMessage, of: UUID) -> UUID | None:
    """Write an email that stands in for a text and wake the dispatcher; return its id.

    Returns None where the same email was planned beside the text, or stands in for it already.
    """
    key = planned.dedupe_key
    return await _add_one(connection, clinic_id, planned, dedupe_key=key, resend_of=None, fallback_of=of)


async def _add_one(
    connection: Connection,
    clinic_id: UUID,
    planned: PlannedMessage,
    *,
    dedupe_key: str,
    resend_of: UUID | None,
    fallback_of: UUID | None,
) -> UUID | None:
    return await connection.fetchval(
        f"""with added as (
            insert into messages (clinic_id, id, visit_id, patient_id, visit_version, kind, template, channel,
                lead_minutes, language, address, variables, dedupe_key, not_before, expires_at, resend_of, fallback_of)
            select $1, id, visit_id, patient_id, visit_version, kind, template, channel,
                lead_minutes, language, address, variables, dedupe_key, not_before, expires_at, $3, $4
            from jsonb_populate_record(null::messages, $2)
            on conflict (clinic_id, dedupe_key) where state <> 'cancelled' do nothing
            returning id
        )
        select id from added, pg_notify('{WAKE_UP}', '')""",
        clinic_id,
        {**msgspec.to_builtins(planned), "id": new_id(), "dedupe_key": dedupe_key},
        resend_of,
        fallback_of,
    )


async def mark_handled(connection: Connection, clinic_id: UUID, message_id: UUID, by: str) -> bool:
    """Note that a person saw to a message; return False where somebody had before."""
    return await connection.fetchval(
        """with handled as (
            update messages set handled_at = now(), handled_by = $3
            where clinic_id = $1 and id = $2 and handled_at is null returning 1
        )
        select exists (select 1 from handled)""",
        clinic_id,
        message_id,
        by,
    )


async def void_messages(connection: Connection, clinic_id: UUID, visit_id: UUID, reason: str) -> int:
    """Cancel what is planned for a visit and has not left; return how many."""
    return await connection.fetchval(
        """with voided as (
            update messages set state = 'cancelled', reason = $3, finished_at = now()
            where clinic_id = $1 and visit_id = $2 and state = 'pending' returning 1
        )
        select count(*) from voided""",
        clinic_id,
        visit_id,
        reason,
    )


async def fetch_told_start(connection: Connection, clinic_id: UUID, visit_id: UUID) -> datetime | None:
    """Return for when the patient was last told that a visit is booked; None where they were not, or it was canceled.

    What left counts, and what may have.
    """
    return await connection.fetchval(
        """select case when kind in ('booked', 'rescheduled') then (variables ->> 'starts_at')::timestamptz end
        from messages where clinic_id = $1 and visit_id = $2 and kind not in ('reminder', 'reply', 'link')
            and state in ('sending', 'unknown', 'sent', 'delivered') order by id desc limit 1""",
        clinic_id,
        visit_id,
    )


async def has_other_reminder(connection: Connection, clinic_id: UUID, message_id: UUID) -> bool:
    """Return whether a patient need not hear of a visit by this reminder, because they have confirmed or another goes.

    One of less than a day comes on top of others, and is never needed; nor is one that is due within half a day of the
    word that the visit is booked, which waited for the morning as it did.
    """
    return await connection.fetchval(
        """select reminder.lead_minutes < 1440 or visits.status = 'confirmed' or exists (
            select 1 from messages as other
            where other.clinic_id = $1 and other.visit_id = reminder.visit_id and other.id <> $2
                and (other.kind = 'reminder' or other.kind in ('booked', 'rescheduled')
                    and other.not_before > reminder.not_before - interval '12 hours')
                and other.variables -> 'starts_at' = reminder.variables -> 'starts_at'
                and other.state in ('pending', 'sending', 'unknown', 'sent', 'delivered'))
        from messages as reminder join visits on visits.clinic_id = $1 and visits.id = reminder.visit_id
        where reminder.clinic_id = $1 and reminder.id = $2""",
        clinic_id,
        message_id,
    )


async def list_messages(
    connection: Connection,
    clinic_id: UUID,
    *,
    visit_id: UUID | None = None,
    channel: Channel | None = None,
    state: State | None = None,
    due_from: datetime | None = None,
    due_before: datetime | None = None,
    needs_attention: bool | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[Message]:
    """Return messages, newest first; ``after`` is the id of the last one already seen.

    ``needs_attention`` chooses those that failed and that nobody has seen to, or all others.
    """
    rows = await connection.fetch(
        f"""select {_COLUMNS} from messages
        where clinic_id = $1 and ($2::uuid is null or visit_id = $2) and ($3::text is null or channel = $3)
            and ($4::text is null or state = $4) and ($5::timestamptz is null or not_before >= $5)
            and ($6::timestamptz is null or not_before < $6) and ($7::uuid is null or id < $7)
            and ($8::boolean is null or $8 = {_NEEDS_ATTENTION})
        order by id desc limit $9""",
        clinic_id,
        visit_id,
        channel,
        state,
        due_from,
        due_before,
        after,
        needs_attention,
        limit,
    )
    return [to_struct(row, Message) for row in rows]


async def fetch_message(connection: Connection, clinic_id: UUID, message_id: UUID) -> Message | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from messages where clinic_id = $1 and id = $2", clinic_id, message_id
    )
    return to_struct(row, Message) if row else None


async def fetch_attempts(connection: Connection, clinic_id: UUID, message_id: UUID) -> list[Attempt]:
    rows = await connection.fetch(
        """select number, started_at, finished_at, outcome, http_status, error_code, detail from message_attempts
        where clinic_id = $1 and message_id = $2 order by number""",
        clinic_id,
        message_id,
    )
    return [to_struct(row, Attempt) for row in rows]


async def fetch_reminders(connection: Connection, clinic_id: UUID, visit_ids: list[UUID]) -> dict[UUID, list[Message]]:
    """Return the reminders that stand for each visit, those voided left out, in the order they are due."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from messages
        where clinic_id = $1 and visit_id = any($2::uuid[]) and kind = 'reminder' and state <> 'cancelled'
        order by not_before, id""",
        clinic_id,
        visit_ids,
    )
    reminders: dict[UUID, list[Message]] = {visit_id: [] for visit_id in visit_ids}
    for row in rows:
        reminders[row["visit_id"]].append(to_struct(row, Message))
    return reminders
