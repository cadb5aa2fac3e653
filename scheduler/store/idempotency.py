"""Answers kept under the caller's Idempotency-Key, written in the transaction whose effect they report."""

from uuid import UUID

import msgspec

from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The first answer under a key, and the hash of the request that it answered."""

    request_hash: bytes
    status: int
    headers: dict[str, str]
    body: bytes


async def fetch_answer(connection: Connection, clinic_id: UUID, caller: str, key: str) -> StoredAnswer | None:
    row = await connection.fetchrow(
        """select request_hash, status, headers, body from idempotency_keys
        where clinic_id = $1 and caller = $2 and key = $3 and created_at > now() - interval '24 hours'""",
        clinic_id,
        caller,
        key,
    )
    return to_struct(row, StoredAnswer) if row else None


async def store_answer(connection: Connection, clinic_id: UUID, caller: str, key: str, answer: StoredAnswer) -> None:
    """Keep an answer for 24 hours; one that is older and not yet purged makes way."""
    await connection.execute(
        """insert into idempotency_keys (clinic_id, caller, key, request_hash, status, headers, body)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (clinic_id, caller, key) do update set request_hash = excluded.request_hash,
            status = excluded.status, headers = excluded.headers, body = excluded.body, created_at = now()""",
        clinic_id,
        caller,
        key,
        answer.request_hash,
        answer.status,
        answer.headers,
        answer.body,
    )


async def purge_answers(connection: Connection) -> None:
    """Forget answers older than a day."""
    await connection.execute("delete from idempotency_keys where created_at <= now() - interval '24 hours'")
