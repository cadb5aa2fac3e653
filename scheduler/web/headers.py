"""Headers that every answer carries, the 404s included, and the id by which a request can be found in the logs."""

import re
from typing import Any
from uuid import uuid4

from litestar.types import Message, Scope

from scheduler.telemetry import REQUEST_ID

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
_ENCODED = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
_NAMES = frozenset(name for name, _ in _ENCODED)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def name_request(scope: Scope) -> str:
    """Return the request's id: the caller's if it is well formed, else a new one. Logs carry it from here on."""
    state: dict[str, Any] = scope["state"]
    if "request_id" not in state:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        state["request_id"] = given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid4())
        REQUEST_ID.set(state["request_id"])
    return state["request_id"]


async def stamp(message: Message, scope: Scope) -> None:
    """Add the headers to an answer that is about to start. What a handler set itself is left as it is."""
    if message["type"] != "http.response.start":
        return
    set_already = {name.lower() for name, _ in message["headers"]}
    ours = _ENCODED
    if not _NAMES.isdisjoint(set_already):
        ours = [header for header in _ENCODED if header[0] not in set_already]
    message["headers"] = [*message["headers"], *ours, (b"x-request-id", name_request(scope).encode())]
