"""Idempotency-Key: the same request twice is one effect and one answer, told twice."""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from scheduler.errors import FieldError, IdempotencyInFlight, IdempotencyKeyReused, InvalidRequest
from scheduler.store.connections import Connection
from scheduler.store.idempotency import StoredAnswer, store_answer, take_key
from scheduler.store.units import unit_of_work
from scheduler.web.callers import Caller, caller_of

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

# All of the public share one name, so a key that can be guessed would fetch somebody else's answer.
_SHORTEST_PUBLIC_KEY = 20


IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key", description="The same key and body again get the first answer, for 24 hours"
    ),
]


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A request that changes something: who makes it, when, in which transaction, and under which key if any."""

    request: Request[Any, Any, State]
    connection: Connection
    caller: Caller
    now: datetime
    key: str | None


async def provide_posting(
    request: Request[Any, Any, State], idempotency_key: IdempotencyKey = None
) -> AsyncIterator[Posting]:
    """Yield what every changing request needs, in a transaction that commits before the answer starts.

    All of it at once, and on one connection: each dependency and each connection more costs a booking as much as a
    statement does. Nobody who is turned away has a transaction begun for them.
    """
    caller: Caller | None = None

    async def recognise(connection: Connection) -> None:
        nonlocal caller
        caller = await caller_of(request, connection)

    async with unit_of_work(request.app.state.pool, before=recognise) as connection:
        assert caller is not None  # noqa: S101 - recognised before
        yield Posting(request=request, connection=connection, caller=caller, now=datetime.now(UTC), key=idempotency_key)


FromPosting = NamedDependency[Posting]


async def answer_once(
    posting: Posting, produce: Callable[[], Awaitable[Response[Any]]], *, keep: bool = True
) -> Response[Any]:
    """Answer with ``produce``, or with the answer that the same key got before, kept for 24 hours.

    The answer is stored in the transaction of its effect: a crash keeps both or neither. A refusal is not stored,
    because it changed nothing and may be different next time; ``produce`` reads the request as well, so that a replay
    does not depend on what time it is. Raises IdempotencyInFlight while the first request
    runs, and IdempotencyKeyReused where the key came with another request before. What changes nothing is not kept.
    """
    key, caller, connection = posting.key, posting.caller, posting.connection
    if key is None:
        return await produce()
    if not _KEY.fullmatch(key):
        raise InvalidRequest(
            FieldError("Idempotency-Key", "invalid", "Use 1 to 255 printable ASCII characters without spaces.")
        )
    if caller.public and len(key) < _SHORTEST_PUBLIC_KEY:
        detail = f"Without an API key use at least {_SHORTEST_PUBLIC_KEY} characters, such as a random UUID."
        raise InvalidRequest(FieldError("Idempotency-Key", "too-short", detail))
    if not keep:
        return await produce()
    clinic_id, name = caller.clinic.id, caller.identity
    free, stored = await take_key(connection, clinic_id, name, key)
    if not free:
        raise IdempotencyInFlight
    request_hash = await _hash(posting.request)
    if stored is not None:
        if stored.request_hash != request_hash:
            raise IdempotencyKeyReused
        return Response(
            stored.body,
            status_code=stored.status,
            headers={**stored.headers, "Idempotent-Replayed": "true"},
            media_type="application/json",
        )
    response = await produce()
    body = msgspec.json.encode(response.content) if response.content is not None else b""
    headers = {name: str(value) for name, value in response.headers.items()}
    answer = StoredAnswer(request_hash=request_hash, status=response.status_code or 200, headers=headers, body=body)
    if not await store_answer(connection, clinic_id, name, key, answer):
        raise IdempotencyInFlight
    return Response(body, status_code=answer.status, headers=headers, media_type="application/json")


async def _hash(request: Request[Any, Any, State]) -> bytes:
    """Return what identifies a request: its method, path, version precondition, proof of a hold, and body."""
    version, token = request.headers.get("if-match", ""), request.headers.get("hold-token", "")
    head = f"{request.method} {request.scope['path']}\n{version}\n{token}\n".encode()
    return hashlib.sha256(head + await request.body()).digest()
