"""The client that posts to other people's servers, whose addresses were typed in by somebody: it trusts none of them.

A connection is made only to an address that is allowed, looked at when the socket is made, after names were looked up.
Redirects are not followed, cookies and connections are not kept, and of an answer only its head is used.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

import aiohttp
import msgspec

from scheduler.domain.webhooks import Reach

# For one attempt in all, from the look-up of the name to the head of the answer.
ATTEMPT_SECONDS = 10.0

# So much of an answer is taken, so that its sender need not see the connection break; nothing of it is used.
ANSWER_BYTES = 1024
ANSWER_SECONDS = 1.0

_OK = range(200, 300)
_REDIRECT = range(300, 400)
_BUSY = 429
_BROKEN = range(500, 600)

# Where no answer came: why not, in words that a person can act on. The first that matches is told.
_TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorCertificateError, "The receiver's certificate is not one to trust."),
    (aiohttp.ClientSSLError, "No secure connection to the receiver could be made."),
    (aiohttp.ClientConnectorDNSError, "The receiver's name could not be looked up."),
    (aiohttp.ClientConnectorError, "The receiver could not be reached."),
    (TimeoutError, f"The receiver did not answer within {ATTEMPT_SECONDS:.0f} seconds."),
    (aiohttp.InvalidURL, "The address of the webhook cannot be used."),
)
_BROKE_OFF = "The receiver broke off before it answered."
_NOT_ALLOWED = "The receiver's name leads to an address that is not on the internet; WEBHOOKS_ALLOW_PRIVATE is off."


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt brought. ``status`` is None where no answer came; ``reason`` is plain words, empty on success.

    ``retry_after`` is what the receiver asked for, if it did.
    """

    status: int | None = None
    retry_after: timedelta | None = None
    reason: str = ""

    @property
    def accepted(self) -> bool:
        return self.status in _OK


class _AddressNotAllowed(OSError):
    pass


class WebhookClient:
    """Posts signed bodies. ``post`` never raises for what a receiver or a network did: that is the answer."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Answer:
        """Post a body once; ``now`` is aware, and what a date in Retry-After is counted from."""
        try:
            async with self._session.post(
                url, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False
            ) as response:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await response.content.read(ANSWER_BYTES)
                return Answer(
                    status=response.status,
                    retry_after=_retry_after(response.headers.get("Retry-After", ""), now),
                    reason=_reason(response.status),
                )
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as problem:
            # The last of these is how the loop says at times that a connection could not be made.
            return Answer(reason=_trouble(problem))


@contextlib.asynccontextmanager
async def open_webhook_client(reach: Reach) -> AsyncGenerator[WebhookClient]:
    """Yield a client that connects only where ``reach`` allows."""

    def make_socket(found: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = found
        # A link-local address may name its interface after a percent sign.
        if not reach.allows(ip_address(str(address[0]).partition("%")[0])):
            raise _AddressNotAllowed
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(socket_factory=make_socket, force_close=True, use_dns_cache=False)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS),
        headers={"User-Agent": "scheduler-webhooks"},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield WebhookClient(session)


def _reason(status: int) -> str:
    if status in _OK:
        return ""
    if status in _REDIRECT:
        return f"The receiver answered {status}, a redirect, which is not followed: change the webhook's address."
    if status == _BUSY or status in _BROKEN:
        return f"The receiver answered {status}: it cannot take it at the moment."
    return f"The receiver answered {status}: it does not take this."


def _trouble(problem: Exception) -> str:
    if isinstance(problem, aiohttp.ClientConnectorError) and isinstance(problem.os_error, _AddressNotAllowed):
        return _NOT_ALLOWED
    return next((words for kind, words in _TROUBLES if isinstance(problem, kind)), _BROKE_OFF)


def _retry_after(value: str, now: datetime) -> timedelta | None:
    """Return how long the receiver asks to be left alone: it may say seconds or a date; anything else is nothing."""
    if value.isascii() and value.isdigit():
        return timedelta(seconds=int(value[:9]))
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(timedelta(0), (date if date.tzinfo else date.replace(tzinfo=UTC)) - now)
