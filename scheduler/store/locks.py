"""Advisory locks, all held until the transaction ends.

Order, the same everywhere, so that nobody waits in a circle: the phone that wrote, the idempotency key, the client or
phone that is counted, the clinic, then its days in order. A booking takes the clinic shared and the days it touches
exclusively; a change of the clinic's hours takes the clinic exclusively. So the rules that a booking checks hold still
until it commits, and bookings on different days do not wait for each other.
"""

from collections.abc import Iterable
from datetime import date
from hashlib import blake2b
from uuid import UUID

from scheduler.store.connections import Connection


def _lock_number(*parts: object) -> int:
    """Return the signed 64-bit number that names a lock to PostgreSQL."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


async def lock_sender(connection: Connection, phone: str) -> None:
    """Let one text of a phone be understood at a time, at whichever clinic.

    A text outlasts the one before it: that waits a second for a visit, twice at most, and this one six for that.
    """
    number = _lock_number("sender", phone)
    await connection.execute(
        f"""set local lock_timeout = '6s'; set local statement_timeout = '8s';
        select pg_advisory_xact_lock({number}); set local lock_timeout = '1s'""",
        timeout=9,
    )


async def try_lock_idempotency_key(connection: Connection, clinic_id: UUID, caller: str, key: str) -> bool:
    """Take the key's lock, or return False at once where another transaction holds it."""
    number = _lock_number("idempotency", clinic_id, caller, key)
    return await connection.fetchval("select pg_try_advisory_xact_lock($1)", number)


async def try_lock_alerts(connection: Connection, clinic_id: UUID) -> bool:
    """Be the only one who tells the desk of a clinic about its tasks, or return False at once; nothing else waits."""
    return await connection.fetchval("select pg_try_advisory_xact_lock($1)", _lock_number("alerts", clinic_id))


async def try_lock_planner(connection: Connection, clinic_id: UUID) -> bool:
    """Be the one that plans a clinic's reminders, or return False at once where another transaction is."""
    return await connection.fetchval("select pg_try_advisory_xact_lock($1)", _lock_number("planner", clinic_id))


async def lock_subject(connection: Connection, clinic_id: UUID, subject: bytes) -> None:
    """Keep a client or a phone from getting anything else of which it may have so much at once."""
    await connection.execute("select pg_advisory_xact_lock($1)", _lock_number("subject", clinic_id, subject.hex()))


async def lock_clinic(connection: Connection, clinic_id: UUID, *, exclusive: bool) -> None:
    """Hold the clinic's hours still (shared), or change them (exclusive)."""
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    await connection.execute(f"select {function}($1)", _lock_number("clinic", clinic_id))


async def try_lock_days(connection: Connection, clinic_id: UUID, days: Iterable[date]) -> bool:
    """Take the locks of ``lock_days`` if that needs no waiting; return False, holding none, where it does."""
    await connection.execute("savepoint placement")
    clinic, *numbers = _clinic_and_days(clinic_id, days)
    taken = await connection.fetchval(
        """select pg_try_advisory_xact_lock_shared($1)
            and (select bool_and(pg_try_advisory_xact_lock(number)) from unnest($2::bigint[]) as number)""",
        clinic,
        numbers,
    )
    if not taken:
        await release_days(connection)
    return taken


async def lock_days(connection: Connection, clinic_id: UUID, days: Iterable[date]) -> None:
    """Hold the clinic's hours still and take its days, behind a savepoint called ``placement``.

    Rolling back to the savepoint gives the locks back, so that a refused booking can look for alternatives
    without making the others wait.
    """
    clinic, *numbers = _clinic_and_days(clinic_id, days)
    waits = [f"select pg_advisory_xact_lock_shared({clinic})"]
    waits += [f"select pg_advisory_xact_lock({number})" for number in numbers]
    await connection.execute(f"savepoint placement; {'; '.join(waits)}")


def _clinic_and_days(clinic_id: UUID, days: Iterable[date]) -> list[int]:
    return [_lock_number("clinic", clinic_id), *(_lock_number("day", clinic_id, day) for day in sorted(set(days)))]


async def release_days(connection: Connection) -> None:
    """Undo what was done since ``lock_days`` and give its locks back."""
    await connection.execute("rollback to savepoint placement")
