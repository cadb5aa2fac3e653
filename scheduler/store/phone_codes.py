"""Codes that were texted to whoever keeps a time. Of the code and of the phone there are keyed hashes alone."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class PhoneCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code as it stands: for which phone, how often one was sent for this hold, and how often it was typed wrong."""

    phone_hash: bytes
    sent: int
    wrong: int
    sent_at: datetime
    expires_at: datetime


async def fetch_code(connection: Connection, clinic_id: UUID, hold_id: UUID) -> PhoneCode | None:
    """Return the latest code of a hold, or None where none was sent, or it was used."""
    row = await connection.fetchrow(
        """select phone_hash, sent, wrong, sent_at, expires_at from phone_codes
        where clinic_id = $1 and visit_id = $2""",
        clinic_id,
        hold_id,
    )
    return to_struct(row, PhoneCode) if row else None


async def save_code(
    connection: Connection,
    clinic_id: UUID,
    hold_id: UUID,
    *,
    phone_hash: bytes,
    code_hash: bytes,
    sent_at: datetime,
    expires_at: datetime,
) -> int:
    """Put a code in the place of any earlier one of the hold; return how many it has had."""
    return await connection.fetchval(
        """insert into phone_codes (clinic_id, visit_id, phone_hash, code_hash, sent_at, expires_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (clinic_id, visit_id) do update set phone_hash = $3, code_hash = $4, sent_at = $5, expires_at = $6,
            sent = phone_codes.sent + 1, wrong = 0
        returning sent""",
        clinic_id,
        hold_id,
        phone_hash,
        code_hash,
        sent_at,
        expires_at,
    )


async def try_code(
    connection: Connection,
    clinic_id: UUID,
    hold_id: UUID,
    *,
    phone_hash: bytes,
    code_hash: bytes,
    most_wrong: int,
    now: datetime,
) -> bool:
    """Return whether this is the code of the hold and the phone, and still good; count it as wrong where it is not.

    Whoever tries another one at the same moment waits until the caller's transaction ends.
    """
    return bool(
        await connection.fetchval(
            """update phone_codes set wrong = wrong + (code_hash <> $4)::int
            where clinic_id = $1 and visit_id = $2 and phone_hash = $3 and wrong < $5 and expires_at > $6
            returning code_hash = $4""",
            clinic_id,
            hold_id,
            phone_hash,
            code_hash,
            most_wrong,
            now,
        )
    )


async def use_up_code(connection: Connection, clinic_id: UUID, hold_id: UUID) -> None:
    """Let a code be good no more."""
    await connection.execute("delete from phone_codes where clinic_id = $1 and visit_id = $2", clinic_id, hold_id)


async def forget_codes(connection: Connection) -> None:
    """Drop codes that have been good for nothing for an hour, by which time no page asks for them."""
    await connection.execute("delete from phone_codes where expires_at < now() - interval '1 hour'")
