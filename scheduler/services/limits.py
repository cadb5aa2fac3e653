"""What the public may ask for in how short a time, and what one client or one phone may keep at once.

A subject is a keyed hash of a client's address or of a phone: it counts who asks without saying who that is. Callers
with a key are never counted; that is for the caller of these functions to see to.
"""

import asyncio
import hmac
import math
import time
from collections import OrderedDict
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic
from scheduler.errors import RateLimited
from scheduler.store import limits as store
from scheduler.store.connections import Connection, Pool
from scheduler.store.locks import lock_subject
from scheduler.store.units import reading

_MINUTE = 60
_DAY = 24 * 3600

# A process takes this part of a minute's reads at once and spends them by itself.
_LEASES_PER_MINUTE = 12

# More clients than this at one process, and the one whose lease is oldest pays for another round trip. A clinic has
# fewer in a minute, and what is kept for each must not add up.
_MOST_LEASES = 2_000


class Lease(msgspec.Struct):
    """How much of a limit one client may still use at this process, and until when it is to ask no more.

    Moments are of the monotonic clock, in seconds.
    """

    lock: asyncio.Lock
    left: int = 0
    lapses_at: float = 0.0
    refused_until: float = 0.0


# By clinic, name of the limit, and client.
Leases = OrderedDict[tuple[UUID, str, bytes], Lease]


def subject_of(secret_key: str, kind: str, text: str) -> bytes:
    """Return the name under which a client or a phone is counted: nobody without the key can tell whose it is."""
    return hmac.digest(secret_key.encode(), f"{kind}:{text}".encode(), "sha256")


async def count_read(pool: Pool, clinic: Clinic, client: bytes, leases: Leases) -> None:
    """Count a look at what is open, nearly always without asking the database. Raises RateLimited."""
    most = clinic.settings.limits.reads_per_minute
    units = max(1, most // _LEASES_PER_MINUTE)
    await _spend(pool, clinic, "reads", client, leases, units=units, most=most)


async def count_change(pool: Pool, clinic: Clinic, client: bytes, leases: Leases) -> None:
    """Count a change by a client, one by one. Raises RateLimited."""
    await _spend(pool, clinic, "changes", client, leases, units=1, most=clinic.settings.limits.changes_per_minute)


async def count_booking(pool: Pool, clinic: Clinic, phone: bytes) -> None:
    """Count an attempt to book with a phone, whatever comes of it. Raises RateLimited."""
    most = clinic.settings.limits.bookings_per_phone_per_day
    async with reading(pool) as connection:
        wait = await store.take(connection, clinic.id, "bookings", phone, units=1, most=most, seconds=_DAY)
    if wait:
        raise RateLimited(_call_instead(clinic), retry_after_seconds=math.ceil(wait))


async def count_code(pool: Pool, clinic: Clinic, phone: bytes) -> None:
    """Count a code, or a new link, that is to be texted to a phone because somebody asked. Raises RateLimited."""
    most = clinic.settings.limits.codes_per_phone_per_day
    async with reading(pool) as connection:
        wait = await store.take(connection, clinic.id, "codes", phone, units=1, most=most, seconds=_DAY)
    if wait:
        raise RateLimited(_call_instead(clinic), retry_after_seconds=math.ceil(wait))


async def _spend(
    pool: Pool, clinic: Clinic, name: str, client: bytes, leases: Leases, *, units: int, most: int
) -> None:
    """Use up one of so many a minute, of which this process takes some units at once.

    All that is spent was taken from the one limit that the processes share. What is left of a lease is lost after a
    minute, when the database has given it back anyway; until then a client may spend it on top, once at each process.
    A refusal costs nothing until it is over.
    """
    lease = _lease(leases, (clinic.id, name, client))
    if _spent(lease):
        return
    # Whoever asks for many things at once waits here for one lease instead of taking one for each.
    async with lease.lock:
        if _spent(lease):
            return
        now = time.monotonic()
        if now < lease.refused_until:
            raise RateLimited(retry_after_seconds=math.ceil(lease.refused_until - now))
        async with reading(pool) as connection:
            wait = await store.take(connection, clinic.id, name, client, units=units, most=most, seconds=_MINUTE)
        if wait:
            lease.left, lease.refused_until = 0, now + wait
            raise RateLimited(retry_after_seconds=math.ceil(wait))
        lease.left, lease.lapses_at = units - 1, now + _MINUTE


def _spent(lease: Lease) -> bool:
    """Use up one of what is left of a lease, or return False where nothing is."""
    if lease.left == 0 or time.monotonic() >= lease.lapses_at:
        return False
    lease.left -= 1
    return True


def _lease(leases: Leases, key: tuple[UUID, str, bytes]) -> Lease:
    lease = leases.get(key)
    if lease is None:
        lease = leases[key] = Lease(lock=asyncio.Lock())
        if len(leases) > _MOST_LEASES:
            leases.popitem(last=False)
    return lease


async def check_live_holds(connection: Connection, clinic: Clinic, client: bytes) -> None:
    """Raise RateLimited where a client keeps as many times as it may; nobody else's turn until the caller commits.

    The lock is the client's own, because its holds may be on days that do not wait for each other.
    """
    await lock_subject(connection, clinic.id, client)
    held, seconds = await store.fetch_live_holds(connection, clinic.id, client)
    if held >= clinic.settings.limits.holds_at_once:
        detail = f"At most {clinic.settings.limits.holds_at_once} times can be held at once. Book one, or let one go."
        raise RateLimited(detail, retry_after_seconds=max(1, math.ceil(seconds)))


async def check_visits_to_come(
    connection: Connection, clinic: Clinic, phone: str, *, booked_by: str, now: datetime
) -> None:
    """Raise RateLimited where a phone has as many visits before it as may be booked online.

    It says a day, not when the first of them is over: that would tell a stranger when somebody comes.
    """
    await lock_subject(connection, clinic.id, phone.encode())
    booked = await store.count_visits_to_come(connection, clinic.id, phone, booked_by=booked_by, now=now)
    if booked >= clinic.settings.limits.online_visits_per_phone:
        raise RateLimited(_call_instead(clinic), retry_after_seconds=_DAY)


def _call_instead(clinic: Clinic) -> str:
    return f"No more visits can be booked online with this phone number for now. Please call {clinic.settings.phone}."
