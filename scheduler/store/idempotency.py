"""Answers kept under the caller's Idempotency-Key, written in the transaction whose effect they report."""

from uuid import UUID

import msgspec

from scheduler.store.connections import Connection
from scheduler.store.locks import idempotency_lock


class StoredAnswer(msgspec.Struct, frozen=True):
    """The first answer under a key, and the hash of the request that it answered."""

    request_hash: bytes
    status: int
    headers: dict[str, str]
    body: bytes


async def take_key(connection: Connection, clinic_id: UUID, caller: str, key: str) -> tuple[bool, StoredAnswer | None]:
    """Take the lock of a key until the transaction ends; return whether nobody else has it, and what it was answered.

    An answer that was committed in the instant in which the lock was taken is not seen here; ``store_answer`` will.
    """
    row = await connection.fetchrow(
        """select taken, request_hash, status, headers, body
        from (select pg_try_advisory_xact_lock($4) as taken) as lock left join idempotency_keys
            on clinic_id = $1 and caller = $2 and key = $3 and created_at > now() - interval '24 hours'""",
        clinic_id,
        caller,
        key,
        idempotency_lock(clinic_id, caller, key),
    )
    assert row is not None  # noqa: S101 - there is one with or without an answer
    taken, *answer = row
    return taken, StoredAnswer(*answer) if answer[0] is not None else None


async def store_answer(connection: Connection, clinic_id: UUID, caller: str, key: str, answer: StoredAnswer) -> bool:
    """Keep an answer for 24 hours, or return False where another one is kept; one that is older makes way."""
    stored = await connection.execute(
        """insert into idempotency_keys as kept (clinic_id, caller, key, request_hash, status, headers, body)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (clinic_id, caller, key) do update set request_hash = excluded.request_hash,
                status = excluded.status, headers = excluded.headers, body = excluded.body, created_at = now()
            where kept.created_at <= now() - interval '24 hours'""",
        clinic_id,
        caller,
        key,
        answer.request_hash,
        answer.status,
        answer.headers,
        answer.body,
    )
    return stored == "INSERT 0 1"


async def purge_answers(connection: Connection) -> None:
    """Forget answers older than a day."""
    await connection.execute("delete from idempotency_keys where created_at <= now() - interval '24 hours'")
