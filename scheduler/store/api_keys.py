"""API keys: only their SHA-256 is kept."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as listed: everything but the key. One that was rotated works until ``expires_at``.

    ``works`` is by the database's clock: neither revoked nor past that.
    """

    id: UUID
    clinic_id: UUID
    name: str
    scopes: frozenset[str]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    expires_at: datetime | None
    works: bool


class KeyOnFile(ApiKey, frozen=True, kw_only=True):
    """A key as it is recognised: by its SHA-256."""

    key_hash: bytes


_WORKS = "(revoked_at is null and (expires_at is null or expires_at > now()))"
_COLUMNS = f"id, clinic_id, name, scopes, created_at, last_used_at, revoked_at, expires_at, {_WORKS} as works"


async def add_api_key(
    connection: Connection, clinic_id: UUID, key_id: UUID, *, name: str, key_hash: bytes, scopes: list[str]
) -> None:
    await connection.execute(
        "insert into api_keys (clinic_id, id, name, key_hash, scopes) values ($1, $2, $3, $4, $5)",
        clinic_id,
        key_id,
        name,
        key_hash,
        scopes,
    )


async def fetch_working_key(connection: Connection, key_hash: bytes) -> KeyOnFile | None:
    """Return the key with this hash if it works."""
    row = await connection.fetchrow(
        f"select {_COLUMNS}, key_hash from api_keys where key_hash = $1 and {_WORKS}", key_hash
    )
    return to_struct(row, KeyOnFile) if row else None


async def touch_api_key(connection: Connection, key: ApiKey) -> None:
    """Note that a key was used, at most once a minute so that a busy desk does not write on every request."""
    await connection.execute(
        """update api_keys set last_used_at = now() where clinic_id = $1 and id = $2
            and (last_used_at is null or last_used_at < now() - interval '1 minute')""",
        key.clinic_id,
        key.id,
    )


async def list_api_keys(connection: Connection, clinic_id: UUID) -> list[ApiKey]:
    rows = await connection.fetch(f"select {_COLUMNS} from api_keys where clinic_id = $1 order by id", clinic_id)
    return [to_struct(row, ApiKey) for row in rows]


async def revoke_api_key(connection: Connection, clinic_id: UUID, key_id: UUID) -> bool:
    """Revoke a key; return False where there is none that still works."""
    return await connection.fetchval(
        f"""with revoked as (
            update api_keys set revoked_at = now() where clinic_id = $1 and id = $2 and {_WORKS} returning 1
        )
        select exists (select 1 from revoked)""",
        clinic_id,
        key_id,
    )


async def expire_api_key(connection: Connection, clinic_id: UUID, key_id: UUID, after: timedelta) -> ApiKey | None:
    """Let a key work for so long and no longer; return it, or None where it does not work or is to end already."""
    row = await connection.fetchrow(
        f"""update api_keys set expires_at = now() + $3
        where clinic_id = $1 and id = $2 and revoked_at is null and expires_at is null returning {_COLUMNS}""",
        clinic_id,
        key_id,
        after,
    )
    return to_struct(row, ApiKey) if row else None
