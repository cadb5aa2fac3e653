"""Advisory locks, all held until the transaction ends.

Order, the same everywhere, so that nobody waits in a circle: the phone that wrote, the idempotency key, the client or
phone that is counted, the clinic, then its days in order. Rows of the patient, then of their visit, come before the
clinic, and rows of their messages after everything. A booking takes the clinic shared and the days it touches
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


def idempotency_lock(clinic_id: UUID, caller: str, key: str) -> int:
    """Return the number of a key's lock, which nobody waits for (``store/idempotency``)."""
    return _lock_number("idempotency", clinic_id, caller, key)


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
    """Hold the clinic's hours still and take its days, if that needs no waiting; else return False.

    They are behind a savepoint called ``placement``: rolling back to it gives the locks back, so that a refused booking
    can look for alternatives without making the others wait. Where it returns False some of them may be held, until
    ``release_days`` or ``lock_days``.
    """
    await connection.execute("savepoint placement")
    clinic, *numbers = _clinic_and_days(clinic_id, days)
    return await connection.fetchval(
        """select pg_try_advisory_xact_lock_shared($1)
            and (select bool_and(pg_try_advisory_xact_lock(number)) from unnest($2::bigint[]) as number)""",
        clinic,
        numbers,
    )


async def lock_days(connection: Connection, clinic_id: UUID, days: Iterable[date]) -> None:
    """Wait for what ``try_lock_days`` did not get. Nobody waits while they hold a part of it."""
    clinic, *numbers = _clinic_and_days(clinic_id, days)
    waits = [f"select pg_advisory_xact_lock_shared({clinic})"]
    waits += [f"select pg_advisory_xact_lock({number})" for number in numbers]
    await connection.execute(f"rollback to savepoint placement; {'; '.join(waits)}")


def _clinic_and_days(clinic_id: UUID, days: Iterable[date]) -> list[int]:
    return [_lock_number("clinic", clinic_id), *(_lock_number("day", clinic_id, day) for day in sorted(set(days)))]


async def release_days(connection: Connection) -> None:
    """Undo what was done since ``try_lock_days`` and give the locks back."""
    await connection.execute("rollback to savepoint placement")
