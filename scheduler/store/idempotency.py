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


# The function looks for an answer behind the lock, by a statement of its own, and so sees what was committed just then.
TAKE = "select taken, request_hash, status, headers, body from take_idempotency_key($1, $2, $3, $4)"


async def take_key(connection: Connection, clinic_id: UUID, caller: str, key: str) -> tuple[bool, StoredAnswer | None]:
    """Take a key's lock until the transaction ends; return whether nobody else has it, and what it was answered."""
    row = await connection.fetchrow(
        TAKE,
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
