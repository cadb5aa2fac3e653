"""How much of each limit a subject has used up, counted by the database's clock, for all processes together.

A row says when all that was taken is given back. It is written by one statement outside any transaction, so a booking
that is refused counts like one that is made, and nobody waits for a row while somebody else books.
"""

from datetime import datetime, timedelta
from uuid import UUID

from scheduler.store.connections import Connection


async def take(
    connection: Connection, clinic_id: UUID, name: str, subject: bytes, *, units: int, most: int, seconds: int
) -> float:
    """Take units of a limit of so many at most, all of which come back in so many seconds, one after the other.

    Returns 0 where they were to be had, else in how many seconds they will be; nothing is taken then. Units are taken
    together or not at all, so there must be no more of them than ``most``.
    """
    return await connection.fetchval(
        """with taken as (
            insert into rate_limits as used (clinic_id, name, subject, full_at)
            values ($1, $2, $3, now() + $4::interval)
            -- Looked at once the row is ours: what began before another and came after it has waited since its now().
            on conflict (clinic_id, name, subject)
                do update set full_at = greatest(used.full_at, clock_timestamp()) + $4
                where greatest(used.full_at, clock_timestamp()) + $4 <= clock_timestamp() + $5::interval
            returning full_at
        )
        select case when exists (select 1 from taken) then 0 else greatest(0.001, extract(epoch from coalesce(
            -- A row that another process made a moment ago is not seen here; then the units' own time will do.
            (select full_at from rate_limits where clinic_id = $1 and name = $2 and subject = $3) + $4 - $5 - now(),
            $4
        ))) end::float8""",
        clinic_id,
        name,
        subject,
        # Rounded down, so that ``most`` single units are not a microsecond too many.
        timedelta(microseconds=units * seconds * 1_000_000 // most),
        timedelta(seconds=seconds),
    )


async def forget_limits(connection: Connection) -> None:
    """Drop the rows of subjects to whom everything has been given back: they say nothing any more."""
    await connection.execute("delete from rate_limits where full_at <= now()")


async def fetch_live_holds(connection: Connection, clinic_id: UUID, client: bytes) -> tuple[int, float]:
    """Return how many holds a client keeps that have not run out, and in how many seconds the first of them will."""
    row = await connection.fetchrow(
        """select count(*) as held, coalesce(extract(epoch from min(runs_out) - now()), 0)::float8 as seconds
        from visits cross join lateral (
            select min(expires_at) as runs_out from occupancy
            where occupancy.clinic_id = visits.clinic_id and visit_id = visits.id and kind = 'hold'
        ) as kept
        where clinic_id = $1 and hold_client = $2 and status = 'held' and runs_out > now()""",
        clinic_id,
        client,
    )
    return (row["held"], row["seconds"]) if row else (0, 0.0)


async def count_visits_to_come(
    connection: Connection, clinic_id: UUID, phone: str, *, booked_by: str, now: datetime
) -> int:
    """Count the live visits after ``now`` of whoever has this phone, as far as the actor named booked them."""
    return await connection.fetchval(
        """select count(*) from patients join visits
            on visits.clinic_id = patients.clinic_id and visits.patient_id = patients.id
        where patients.clinic_id = $1 and phone = $2 and visits.created_by = $3
            and visits.status in ('booked', 'confirmed') and visits.starts_at > $4""",
        clinic_id,
        phone,
        booked_by,
        now,
    )
