"""Keys by which the front desk's software and integrations call the API."""

import hashlib
import secrets
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.errors import ConfigurationError
from scheduler.ids import new_id
from scheduler.store.api_keys import ApiKey, add_api_key, fetch_api_key, list_api_keys, revoke_api_key
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
    if any(known.name == name and known.revoked_at is None for known in await list_api_keys(connection, clinic.id)):
        raise ConfigurationError(f"a working key called {name} exists already; revoke it or choose another name")
    key_id, key = new_id(), PREFIX + secrets.token_urlsafe(32)
    await add_api_key(connection, clinic.id, key_id, name=name, key_hash=_hash(key), scopes=sorted(set(scopes)))
    await add_audit_event(connection, clinic.id, actor=actor.name, action="api-key.created", details={"key_id": key_id})
    return key_id, key


async def recognise(connection: Connection, key: str) -> ApiKey | None:
    """Return whose key this is, or None. The look-up is by hash, so its time tells nothing of the key."""
    return await fetch_api_key(connection, _hash(key))


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


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
