"""Holds: visits that nobody has booked yet, and how they end."""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.visits import Visit
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct
from scheduler.store.visits import VISIT_COLUMNS

_HELD = f"""select {VISIT_COLUMNS}, hold_token_hash as token_hash, hold_extensions as extensions,
    runs_out as expires_at, coalesce(runs_out <= now(), true) as expired
from visits cross join lateral (
    select min(expires_at) as runs_out from occupancy
    where occupancy.clinic_id = visits.clinic_id and visit_id = visits.id and kind = 'hold'
) as kept"""


class HeldVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as its holder must prove it: the visit that it is or became, and the token's hash.

    ``expires_at`` is when it runs out, None once it was released or booked. ``expired`` is by the database's clock,
    and true as well for a hold that was released.
    """

    visit: Visit
    token_hash: bytes
    extensions: int
    expires_at: datetime | None
    expired: bool


async def fetch_hold(
    connection: Connection, clinic_id: UUID, hold_id: UUID, *, for_update: bool = False
) -> HeldVisit | None:
    """Return what began as a hold, whatever it is now, or None where there never was one."""
    row = await connection.fetchrow(
        f"""{_HELD} where clinic_id = $1 and id = $2 and hold_token_hash is not null
        {"for no key update of visits" if for_update else ""}""",
        clinic_id,
        hold_id,
    )
    return _held(row) if row else None


async def fetch_live_hold(connection: Connection, clinic_id: UUID, token_hash: bytes) -> HeldVisit | None:
    """Return the hold with this token that has not run out, or None; it is locked until the transaction ends."""
    row = await connection.fetchrow(
        f"""{_HELD} where clinic_id = $1 and status = 'held' and hold_token_hash = $2 and runs_out > now()
        for no key update of visits""",
        clinic_id,
        token_hash,
    )
    return _held(row) if row else None


async def book_held(
    connection: Connection, clinic_id: UUID, visit: Visit, *, link_hash: bytes, created_by: str, now: datetime
) -> Visit | None:
    """Write that a hold is now the visit given, with its private link; return None where it has already been booked.

    ``link_hash`` is what is kept of the link's token.
    """
    row = await connection.fetchrow(
        f"""with booked as (
            update visits set status = 'booked', patient_id = $3, room_id = $4, equipment_ids = $5, booked_at = $6,
                ends_at = $9, created_by = $7, status_changed_at = $6, hold_client = null, updated_at = now()
            where clinic_id = $1 and id = $2 and status in ('held', 'expired') returning {VISIT_COLUMNS}
        ), linked as (
            insert into visit_links (clinic_id, token_hash, visit_id) select $1, $8, id from booked
        )
        select * from booked""",
        clinic_id,
        visit.id,
        visit.patient_id,
        visit.room_id,
        visit.equipment_ids,
        now,
        created_by,
        link_hash,
        visit.ends_at,
    )
    return to_struct(row, Visit) if row else None


async def extend_hold(connection: Connection, clinic_id: UUID, hold_id: UUID, minutes: int) -> datetime:
    """Let a hold run for so many minutes from now by the database's clock; return when it runs out."""
    return await connection.fetchval(
        """with counted as (
            update visits set hold_extensions = hold_extensions + 1, updated_at = now()
            where clinic_id = $1 and id = $2
        )
        update occupancy set expires_at = now() + make_interval(mins => $3)
        where clinic_id = $1 and visit_id = $2 returning expires_at""",
        clinic_id,
        hold_id,
        minutes,
    )


async def expire_hold(connection: Connection, clinic_id: UUID, hold_id: UUID) -> None:
    """End a hold at once."""
    await connection.execute(
        """with freed as (delete from occupancy where clinic_id = $1 and visit_id = $2)
        update visits set status = 'expired', status_changed_at = now(), hold_client = null, updated_at = now()
        where clinic_id = $1 and id = $2""",
        clinic_id,
        hold_id,
    )


async def expire_holds(
    connection: Connection,
    *,
    clinic_id: UUID | None = None,
    starts: datetime | None = None,
    ends: datetime | None = None,
) -> int:
    """End every hold that ran out by the database's clock, or those of a clinic that meet [starts, ends).

    A hold that someone is booking at this moment is left to them. Visits are locked before their occupancy, as
    everywhere, so that this cannot deadlock with a booking. Returns how many ended.
    """
    return await connection.fetchval(
        """with due as (
            select visits.clinic_id, visits.id from visits
            where status = 'held' and (clinic_id, id) in (
                select clinic_id, visit_id from occupancy where kind = 'hold' and expires_at <= now()
                    and ($1::uuid is null or (clinic_id = $1 and during && tstzrange($2, $3)))
            ) for update skip locked
        ), freed as (
            delete from occupancy using due where occupancy.clinic_id = due.clinic_id and visit_id = due.id
        ), ended as (
            update visits set status = 'expired', status_changed_at = now(), hold_client = null, updated_at = now()
            from due where visits.clinic_id = due.clinic_id and visits.id = due.id returning 1
        )
        select count(*) from ended""",
        clinic_id,
        starts,
        ends,
    )


def _held(row: asyncpg.Record) -> HeldVisit:
    fields = dict(row.items())
    held = {name: fields.pop(name) for name in ("token_hash", "extensions", "expires_at", "expired")}
    return HeldVisit(visit=msgspec.convert(fields, Visit), **held)
