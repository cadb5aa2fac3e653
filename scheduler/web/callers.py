"""Who calls, for which clinic, and what they may do."""

import time
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.errors import Forbidden, Unauthorized
from scheduler.services.api_keys import recognise
from scheduler.services.directory import Directory
from scheduler.store.api_keys import ApiKey, touch_api_key
from scheduler.store.connections import Connection, Pool
from scheduler.store.units import reading
from scheduler.web.clients import browser_of
from scheduler.web.headers import name_request
from scheduler.web.requests import header_of

# When this process last noted that a key was used, by the monotonic clock.
_TOUCH_SECONDS = 60.0


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The one who calls. ``scopes`` is None for the public, who have no key; ``identity`` tells keys apart."""

    clinic: Clinic
    actor: Actor
    identity: str
    scopes: frozenset[str] | None

    @property
    def public(self) -> bool:
        return self.scopes is None

    def require(self, *scopes: str) -> None:
        """Raise Unauthorized for the public, and Forbidden for a key with none of the scopes; ``admin`` is all."""
        if self.scopes is None:
            raise Unauthorized("Send an API key: Authorization: Bearer <key>.")
        if self.scopes.isdisjoint({*scopes, "admin"}):
            raise Forbidden(f"The key needs the scope {' or '.join(scopes)}.", scope=scopes[0])


async def provide_caller(
    request: Request[Any, Any, State],
    now: NamedDependency[datetime],  # noqa: ARG001 - see below
) -> Caller:
    """Return ``caller_of`` the request.

    It asks for the time so that the two come one after the other: for dependencies that could come side by side the
    framework opens a group of tasks, which takes longer than either of them.
    """
    return await caller_of(request)


async def caller_of(request: Request[Any, Any, State], connection: Connection | None = None) -> Caller:
    """Recognise the caller by the Authorization header, or take them for the public where there is none.

    A key speaks for its own clinic, the public for the clinic whose host they asked. It is looked up on the connection
    where there is one, else on one of its own. Raises Unauthorized for a header that holds no valid key.
    """
    directory = cast("Directory", request.app.state.directory)
    request_id = name_request(request.scope)
    authorization = header_of(request, b"authorization")
    if authorization is None:
        clinic = directory.for_host(header_of(request, b"host") or "")
        # Nobody agrees to anything by looking, which is what is asked for most.
        browser = browser_of(request) if request.method != "GET" else None
        actor = Actor(name="public", request_id=request_id, browser=browser)
        return Caller(clinic=clinic, actor=actor, identity="public", scopes=None)
    kind, _, token = authorization.partition(" ")
    key = None
    if kind.lower() == "bearer":
        own = reading(cast("Pool", request.app.state.pool)) if connection is None else nullcontext(connection)
        async with own as asked:
            key = await recognise(asked, token.strip())
            if key is not None:
                await _note_use(asked, request.app.state, key)
    clinic = directory.by_id(key.clinic_id) if key else None
    if key is None or clinic is None:
        raise Unauthorized("The API key is unknown, has expired or was revoked.")
    actor = Actor(name=f"key:{key.name}", staff=True, request_id=request_id)
    return Caller(clinic=clinic, actor=actor, identity=f"key:{key.id}", scopes=key.scopes)


async def _note_use(connection: Connection, state: State, key: ApiKey) -> None:
    noted = cast("dict[UUID, float]", state.keys_noted)
    if time.monotonic() - noted.get(key.id, -_TOUCH_SECONDS) >= _TOUCH_SECONDS:
        noted[key.id] = time.monotonic()
        await touch_api_key(connection, key)


def provide_now() -> datetime:
    """Return the present moment, once a request."""
    return datetime.now(UTC)


FromCaller = NamedDependency[Caller]
FromNow = NamedDependency[datetime]
