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
    expires_at, state, attempts, provider_id, error_code, reason, rendered, created_at, finished_at"""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at sending a message, as the front desk may read it."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    http_status: int | None
    error_code: str | None
    detail: str | None


async def add_messages(connection: Connection, clinic_id: UUID, planned: Sequence[PlannedMessage]) -> None:
    """Write planned messages to the outbox and wake the dispatcher when the transaction commits.

    What is planned already is left as it is.
    """
    if not planned:
        return
    rows = [{"id": new_id(), "dedupe_key": message.dedupe_key, **msgspec.to_builtins(message)} for message in planned]
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


async def last_notice(connection: Connection, clinic_id: UUID, visit_id: UUID) -> str | None:
    """Return the kind of the last notice about a visit that left, or may have, or None."""
    return await connection.fetchval(
        """select kind from messages where clinic_id = $1 and visit_id = $2 and kind <> 'reminder'
            and state in ('sending', 'unknown', 'sent', 'delivered') order by id desc limit 1""",
        clinic_id,
        visit_id,
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
    after: UUID | None = None,
    limit: int,
) -> list[Message]:
    """Return messages, newest first; ``after`` is the id of the last one already seen."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from messages
        where clinic_id = $1 and ($2::uuid is null or visit_id = $2) and ($3::text is null or channel = $3)
            and ($4::text is null or state = $4) and ($5::timestamptz is null or not_before >= $5)
            and ($6::timestamptz is null or not_before < $6) and ($7::uuid is null or id < $7)
        order by id desc limit $8""",
        clinic_id,
        visit_id,
        channel,
        state,
        due_from,
        due_before,
        after,
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
