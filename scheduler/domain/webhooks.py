"""What other software is told, whom a webhook may reach, how what it gets is signed, and when it is tried again. Pure.

The form is that of Standard Webhooks (https://www.standardwebhooks.com). What is told holds ids and no more: whoever
may know the rest asks the API for it.
"""

import base64
import hmac
import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from scheduler.domain.visits import Visit
from scheduler.errors import FieldError
from scheduler.settings.forms import is_loopback

EventType = Literal["visit.booked", "visit.changed", "visit.cancelled", "message.failed"]
DeliveryState = Literal["pending", "sending", "delivered", "dead", "cancelled"]

# Nobody subscribes to this one: it is sent when it is asked for.
TEST = "webhook.test"

# What the trace of a visit says, as it is told outside. Everything else that happens to a visit is a change of it.
_OF_VISITS: dict[str, EventType] = {"visit.booked": "visit.booked", "visit.cancelled": "visit.cancelled"}

# How long to wait after each attempt that failed; Standard Webhooks advises these. Three days in all.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
# A receiver may ask for a longer wait, but not for one without end.
LONGEST_WAIT = timedelta(hours=24)

# So long does the secret before the last rotation sign as well, so that receivers can change over.
OVERLAP = timedelta(hours=24)

LONGEST_URL = 2000
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with

_INVALID = ("url-invalid", "Enter a web address like https://example.com/webhooks, in ASCII")

# A host that ends so is an address written in one of the ways that only some programs understand.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")

# These lead to IPv4 addresses of any kind by a detour: NAT64 and 6to4.
_DETOURS = (ipaddress.IPv6Network("64:ff9b::/32"), ipaddress.IPv6Network("2002::/16"))


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as it is told: ``data`` holds ids and a version, never what they stand for."""

    type: EventType
    data: dict[str, Any]


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Which addresses inside the house a webhook may reach, beside those of the internet."""

    private: bool = False
    loopback: bool = False

    def allows(self, address: IPv4Address | IPv6Address) -> bool:
        """Return whether a connection to the address may be made."""
        inner = getattr(address, "ipv4_mapped", None) or address
        if self.private or (self.loopback and inner.is_loopback):
            return True
        detour = any(inner in network for network in _DETOURS)
        return inner.is_global and not inner.is_multicast and not detour


def event_of_visit(action: str, visit: Visit) -> Event | None:
    """Return what is told of an action on a visit, as its trace names it; holds are nobody else's business."""
    if not action.startswith("visit."):
        return None
    data = {"visit_id": visit.id, "patient_id": visit.patient_id, "version": visit.version}
    return Event(type=_OF_VISITS.get(action, "visit.changed"), data=data)


def read_url(url: str, reach: Reach) -> FieldError | None:
    """Return what is wrong with the address of a webhook, or None. Names are looked up only when it is sent to."""
    problem = _problem(url, reach)
    return FieldError("/url", *problem) if problem else None


def _problem(url: str, reach: Reach) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not plain or not host or port == 0 or len(url) > LONGEST_URL:
        return _INVALID
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return "url-not-https", "Use https; http is for this machine alone"
    if "@" in parts.netloc:
        return "url-with-user", "Leave out the user name and password: deliveries are signed instead"
    if "#" in url:
        return "url-with-fragment", "Leave out the part from # on: it is never sent"
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return _INVALID if _NUMBER.fullmatch(host.rpartition(".")[2]) else None
    return None if reach.allows(address) else ("url-private", "This address is not on the internet")


def secret_of(secret_key: str, clinic_id: UUID, webhook_id: UUID, generation: int) -> bytes:
    """Return the 32 bytes that sign for a webhook. They are made anew whenever they are needed, and kept nowhere."""
    purpose = f"webhook:{clinic_id}:{webhook_id}:{generation}"
    return hmac.digest(secret_key.encode(), purpose.encode(), "sha256")


def written_secret(secret: bytes) -> str:
    """Return a secret as its receiver is told it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def generations(generation: int, rotated_at: datetime | None, now: datetime) -> list[int]:
    """Return which secrets sign now, the newest first."""
    overlaps = rotated_at is not None and now < rotated_at + OVERLAP
    return [generation, generation - 1] if overlaps else [generation]


def body_of(event_type: str, occurred_at: datetime, data: dict[str, Any]) -> bytes:
    """Return the body that is sent; the same at every attempt. ``occurred_at`` is aware and written in UTC."""
    return msgspec.json.encode({"type": event_type, "timestamp": occurred_at, "data": data}, order="sorted")


def headers_of(delivery_id: UUID, now: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """Return the three headers of Standard Webhooks for an attempt made now, signed with each secret."""
    timestamp = int(now.timestamp())
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": str(delivery_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def next_wait(attempts: int, asked_for: timedelta | None, chance: float) -> timedelta | None:
    """Return how long to wait after the latest of ``attempts`` that failed, or None where it was the last.

    A receiver may ask to wait longer (Retry-After), up to a day, but not shorter. ``chance`` is uniform in [0, 1) and
    moves the moment by up to a tenth either way, so that receivers that come back are not met by all at once.
    """
    if attempts > len(WAITS):
        return None
    wait = WAITS[attempts - 1] * (0.9 + 0.2 * chance)
    return max(wait, min(asked_for or wait, LONGEST_WAIT))
