"""Keys by which the front desk's software and integrations call the API."""

import hashlib
import hmac
import secrets
from datetime import timedelta
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.errors import ConfigurationError
from scheduler.ids import new_id
from scheduler.store.api_keys import (
    ApiKey,
    add_api_key,
    expire_api_key,
    fetch_working_key,
    list_api_keys,
    revoke_api_key,
)
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection

SCOPES = (
    "visits:read",
    "visits:write",
    "schedule:write",
    "patients:read",
    "patients:write",
    "messages:read",
    "messages:write",
    "admin",
)

# The prefix lets a leaked key be recognised, and our own logs strike it out.
PREFIX = "tbs_"


async def create_api_key(
    connection: Connection, clinic: Clinic, name: str, scopes: list[str], *, actor: Actor
) -> tuple[UUID, str]:
    """Make a key and return its id and the key itself, which is not kept and cannot be shown again.

    Raises ConfigurationError for a scope that does not exist, or a name that a working key has: traces go by names.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise ConfigurationError(f"--scope {scope}: there is no such scope; choose from {', '.join(SCOPES)}")
    if any(known.name == name and known.works for known in await list_api_keys(connection, clinic.id)):
        raise ConfigurationError(f"a working key called {name} exists already; revoke it or choose another name")
    key_id, key = await _make(connection, clinic, name, frozenset(scopes))
    await add_audit_event(connection, clinic.id, actor=actor.name, action="api-key.created", details={"key_id": key_id})
    return key_id, key


async def rotate(
    connection: Connection, clinic: Clinic, key_id: UUID, *, overlap: timedelta, actor: Actor
) -> tuple[ApiKey, UUID, str]:
    """Make a key like another, which works for the overlap and no longer, so that its users can change over.

    Returns the old one, and the new one's id and key. Both have the one name, for they are the same user. Raises
    ConfigurationError where the key does not work, or is to end already: then its successor is the one to rotate.
    """
    old = await expire_api_key(connection, clinic.id, key_id, overlap)
    if old is None:
        raise ConfigurationError(f"there is no working key {key_id} that has not been rotated yet")
    new_key_id, key = await _make(connection, clinic, old.name, old.scopes)
    details = {"key_id": new_key_id, "replaces": key_id, "old_works_until": old.expires_at}
    await add_audit_event(connection, clinic.id, actor=actor.name, action="api-key.rotated", details=details)
    return old, new_key_id, key


async def recognise(connection: Connection, key: str) -> ApiKey | None:
    """Return whose key this is, or None where it is unknown, has expired or was revoked.

    The look-up compares SHA-256 digests, and how far two of them agree says nothing about how far the keys do: whoever
    measures its time learns about the digest of their own guess, and cannot choose the next guess by it. So the index
    may take the time it takes; the digest that was found is compared once more in constant time.
    """
    key_hash = _hash(key)
    found = await fetch_working_key(connection, key_hash)
    return found if found and hmac.compare_digest(found.key_hash, key_hash) else None


async def list_keys(connection: Connection, clinic: Clinic) -> list[ApiKey]:
    return await list_api_keys(connection, clinic.id)


async def revoke(connection: Connection, clinic: Clinic, key_id: UUID, *, actor: Actor) -> bool:
    """Revoke a key at once; return False where there is none that still works."""
    revoked = await revoke_api_key(connection, clinic.id, key_id)
    if revoked:
        await add_audit_event(
            connection, clinic.id, actor=actor.name, action="api-key.revoked", details={"key_id": key_id}
        )
    return revoked


async def _make(connection: Connection, clinic: Clinic, name: str, scopes: frozenset[str]) -> tuple[UUID, str]:
    key_id, key = new_id(), PREFIX + secrets.token_urlsafe(32)
    await add_api_key(connection, clinic.id, key_id, name=name, key_hash=_hash(key), scopes=sorted(scopes))
    return key_id, key


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
