"""The private link of a visit: what its token is made of, what is kept of it, and until when it opens."""

import base64
import hashlib
import hmac
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from scheduler.domain.visits import Visit

# Of base64url, nearly six bits each: 130 bits, which nobody guesses and a text message has room for.
TOKEN_CHARACTERS = 22

# Letters and digits alone: telephones leave a hyphen or an underscore at the end of a link out of it.
_PLAIN = str.maketrans("-_", "aA")

# How long a patient can still see that a visit was cancelled, and book another from there.
CANCELLED_FOR = timedelta(days=30)


def token_of(secret_key: str, clinic_id: UUID, visit_id: UUID, generation: int = 1) -> str:
    """Return the token of a visit's link, which can be made again and so is kept nowhere."""
    return _keyed(secret_key, f"visit-link:{clinic_id}:{visit_id}:{generation}")


def hash_token(token: str) -> bytes:
    """Return what is kept of a token: 130 bits that nobody can guess need no slow hash."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def link_hash(secret_key: str, clinic_id: UUID, visit_id: UUID) -> bytes:
    """Return what is kept of the token of a visit's first link."""
    return hash_token(token_of(secret_key, clinic_id, visit_id))


def manage_url(secret_key: str, base_url: str, clinic_id: UUID, visit_id: UUID, generation: int = 1) -> str:
    """Return the private link of a visit. ``base_url`` is PUBLIC_BASE_URL, never what a client sent."""
    return f"{base_url.rstrip('/')}/m/{token_of(secret_key, clinic_id, visit_id, generation)}"


def form_key(secret_key: str, token: str) -> str:
    """Return what a form of the link's pages must send along, so that no other site can make a browser send one."""
    return _keyed(secret_key, f"visit-form:{token}")


def opens_until(visit: Visit, zone: ZoneInfo) -> datetime:
    """Return the moment from which a visit's link opens no more.

    That is the end of the clinic's day after the visit, wherever it moves, or 30 days after it was cancelled.
    """
    if visit.status == "cancelled":
        return visit.status_changed_at + CANCELLED_FOR
    day = visit.starts_at.astimezone(zone).date() + timedelta(days=2)
    return datetime.combine(day, time(0), zone)


def _keyed(secret_key: str, text: str) -> str:
    digest = hmac.digest(secret_key.encode(), text.encode(errors="replace"), "sha256")
    return base64.urlsafe_b64encode(digest).decode()[:TOKEN_CHARACTERS].translate(_PLAIN)
