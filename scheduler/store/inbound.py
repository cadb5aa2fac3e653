"""What patients wrote back, as it is kept and looked at."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

_COLUMNS = """id, sender, body, received_at, patient_id, meaning, needs_attention and handled_at is null as open,
    handled_at, handled_by"""


class InboundMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A text that came in. ``patient_id`` is whose it is, where that is known; ``meaning`` what it was taken for.

    ``open`` is whether a person should look at it and nobody has.
    """

    id: UUID
    sender: str
    body: str
    received_at: datetime
    patient_id: UUID | None
    meaning: str | None
    open: bool
    handled_at: datetime | None
    handled_by: str | None


async def was_received(connection: Connection, clinic_ids: Sequence[UUID], provider_id: str) -> bool:
    """Return whether one of the clinics has a text already; a provider may bring it twice."""
    return await connection.fetchval(
        "select exists (select 1 from inbound_messages where clinic_id = any($1::uuid[]) and provider_id = $2)",
        list(clinic_ids),
        provider_id,
    )


async def last_said_of_texts(connection: Connection, clinic_id: UUID, sender: str) -> str | None:
    """Return what a phone last said about texts as such, ``stop`` or ``start``, or None where it said nothing."""
    return await connection.fetchval(
        """select meaning from inbound_messages
        where clinic_id = $1 and sender = $2 and meaning in ('stop', 'start')
        order by received_at desc, id desc limit 1""",
        clinic_id,
        sender,
    )


async def last_said(connection: Connection, clinic_id: UUID, sender: str, *, since: datetime) -> str | None:
    """Return what the last text of a phone meant, or None where there was none since a moment."""
    return await connection.fetchval(
        """select meaning from inbound_messages
        where clinic_id = $1 and sender = $2 and received_at >= $3
        order by received_at desc, id desc limit 1""",
        clinic_id,
        sender,
        since,
    )


async def add_inbound(
    connection: Connection,
    clinic_id: UUID,
    inbound_id: UUID,
    *,
    provider_id: str,
    sender: str,
    recipient: str,
    body: str,
    meaning: str,
    patient_id: UUID | None,
    needs_attention: bool,
    now: datetime,
) -> None:
    """Keep a text that came in."""
    await connection.execute(
        """insert into inbound_messages (clinic_id, id, provider_id, sender, recipient, body, meaning, patient_id,
            needs_attention, received_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        clinic_id,
        inbound_id,
        provider_id,
        sender,
        recipient,
        body,
        meaning,
        patient_id,
        needs_attention,
        now,
    )


async def settle_inbound(
    connection: Connection, clinic_id: UUID, inbound_id: UUID, *, patient_id: UUID | None, needs_attention: bool
) -> None:
    """Note whose a text turned out to be, where it did, and whether a person must still look at it."""
    await connection.execute(
        """update inbound_messages set patient_id = coalesce($3, patient_id), needs_attention = $4
        where clinic_id = $1 and id = $2""",
        clinic_id,
        inbound_id,
        patient_id,
        needs_attention,
    )


async def list_inbound(
    connection: Connection, clinic_id: UUID, *, is_open: bool | None, after: UUID | None, limit: int
) -> list[InboundMessage]:
    """Return texts that came in, newest first; ``after`` is the id of the last one already seen."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from inbound_messages
        where clinic_id = $1 and ($2::boolean is null or $2 = (needs_attention and handled_at is null))
            and ($3::uuid is null or (received_at, id) < (
                select received_at, id from inbound_messages where clinic_id = $1 and id = $3))
        order by received_at desc, id desc limit $4""",
        clinic_id,
        is_open,
        after,
        limit,
    )
    return [to_struct(row, InboundMessage) for row in rows]


async def fetch_inbound(connection: Connection, clinic_id: UUID, inbound_id: UUID) -> InboundMessage | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from inbound_messages where clinic_id = $1 and id = $2", clinic_id, inbound_id
    )
    return to_struct(row, InboundMessage) if row else None


async def mark_inbound_handled(connection: Connection, clinic_id: UUID, inbound_id: UUID, by: str) -> bool:
    """Note that a person saw to a text; return False where somebody had before."""
    return await connection.fetchval(
        """with handled as (
            update inbound_messages set handled_at = now(), handled_by = $3
            where clinic_id = $1 and id = $2 and handled_at is null returning 1
        )
        select exists (select 1 from handled)""",
        clinic_id,
        inbound_id,
        by,
    )
