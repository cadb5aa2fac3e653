"""Visits, and the occupancy rows that keep two of them off one therapist, room, device or patient."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.visits import LIVE, Status, Visit
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

# The columns of a ``Visit``, for every statement that returns one.
VISIT_COLUMNS = """id, status, version, visit_type, therapist_id, room_id, equipment_ids, patient_id, starts_at,
    ends_at, created_by, created_at, booked_at, cancel_reason, overbook_reason, previous_status, status_changed_at"""


class Occupied(msgspec.Struct, frozen=True):
    """A resource and the stretch, buffers included, for which a visit keeps it busy."""

    resource_id: UUID
    starts: datetime
    ends: datetime


_VISIT = f"select {VISIT_COLUMNS} from visits where clinic_id = $1 and id = $2 and patient_id is not null"

# The patient's row first, as whoever books takes it first (store/locks): the condition is worked out before any visit
# is locked.
_LOCKED_VISIT = f"""with whose as (
    select id from patients
    where clinic_id = $1 and id = (select patient_id from visits where clinic_id = $1 and id = $2)
    for no key update
) {_VISIT} and (select count(*) from whose) = 1 for no key update"""


async def fetch_visit(
    connection: Connection, clinic_id: UUID, visit_id: UUID, *, for_update: bool = False
) -> Visit | None:
    """Return the visit, or None.

    ``for_update`` keeps others from changing it, and its patient, until the transaction ends.
    """
    row = await connection.fetchrow(_LOCKED_VISIT if for_update else _VISIT, clinic_id, visit_id)
    return to_struct(row, Visit) if row else None


async def insert_visit(
    connection: Connection,
    clinic_id: UUID,
    visit: Visit,
    occupied: Sequence[Occupied],
    *,
    token_hash: bytes | None = None,
    hold_minutes: int | None = None,
    hold_client: bytes | None = None,
    link_hash: bytes | None = None,
) -> datetime | None:
    """Insert a visit, or with ``hold_minutes`` a hold; return when the hold runs out by the database's clock.

    ``link_hash`` is what is kept of the token of the visit's private link; a hold has none.

    Raises ResourceTaken where another transaction took a resource first; the caller must roll back then.
    """
    row = await connection.fetchrow(
        """with added as (
            insert into visits (clinic_id, id, status, version, visit_type, therapist_id, room_id, equipment_ids,
                patient_id, starts_at, ends_at, created_by, booked_at, overbook_reason, hold_token_hash, created_at,
                status_changed_at, hold_client)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $20, $20, $21)
        ), linked as (
            insert into visit_links (clinic_id, token_hash, visit_id) select $1, $22, $2 where $22::bytea is not null
        ), taken as (
            insert into occupancy (clinic_id, resource_id, visit_id, kind, expires_at, overbooked, during)
            select $1, resource_id, $2, case when $19::int is null then 'visit' else 'hold' end,
                now() + make_interval(mins => $19::int), $14::text is not null and resource_id is distinct from $9,
                tstzrange(starts, ends)
            from unnest($16::uuid[], $17::timestamptz[], $18::timestamptz[]) as wanted (resource_id, starts, ends)
            order by resource_id
            on conflict do nothing
            returning resource_id
        )
        select count(*) as taken, now() + make_interval(mins => $19::int) as expires_at from taken""",
        clinic_id,
        visit.id,
        visit.status,
        visit.version,
        visit.visit_type,
        visit.therapist_id,
        visit.room_id,
        visit.equipment_ids,
        visit.patient_id,
        visit.starts_at,
        visit.ends_at,
        visit.created_by,
        visit.booked_at,
        visit.overbook_reason,
        token_hash,
        *_columns(occupied),
        hold_minutes,
        visit.created_at,
        hold_client,
        link_hash,
    )
    if row is None or row["taken"] != len(occupied):
        raise ResourceTaken
    return row["expires_at"]


class ResourceTaken(Exception):
    """Another transaction took one of the resources first: the exclusion constraint has spoken."""


async def occupy(
    connection: Connection,
    clinic_id: UUID,
    visit_id: UUID,
    occupied: Sequence[Occupied],
    *,
    patient_id: UUID | None = None,
    overbooked: bool = False,
) -> None:
    """Make a visit keep busy just these resources, whatever it kept busy before.

    An overbooked visit may overlap others at every resource but its patient.

    Raises ExclusionViolationError where something else is there, though the days are locked.
    """
    await connection.execute(
        """with freed as (
            delete from occupancy where clinic_id = $1 and visit_id = $2 and resource_id <> all($3::uuid[])
        )
        insert into occupancy (clinic_id, resource_id, visit_id, kind, overbooked, during)
        select $1, resource_id, $2, 'visit', $6 and resource_id is distinct from $7, tstzrange(starts, ends)
        from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[]) as wanted (resource_id, starts, ends)
        order by resource_id
        on conflict (clinic_id, resource_id, visit_id) do update set kind = 'visit', expires_at = null,
            overbooked = excluded.overbooked, during = excluded.during""",
        clinic_id,
        visit_id,
        *_columns(occupied),
        overbooked,
        patient_id,
    )


async def move(connection: Connection, clinic_id: UUID, visit: Visit, *, status: Status, now: datetime) -> Visit:
    """Write the visit's new time and places, and why it is overbooked if it is; its version rises, undo is gone."""
    row = await connection.fetchrow(
        f"""update visits set starts_at = $3, ends_at = $4, therapist_id = $5, room_id = $6, equipment_ids = $7,
            status = $8, version = version + 1, overbook_reason = $10, cancel_reason = null, previous_status = null,
            status_changed_at = $9, updated_at = now()
        where clinic_id = $1 and id = $2 returning {VISIT_COLUMNS}""",
        clinic_id,
        visit.id,
        visit.starts_at,
        visit.ends_at,
        visit.therapist_id,
        visit.room_id,
        visit.equipment_ids,
        status,
        now,
        visit.overbook_reason,
    )
    return _the(row)


async def set_status(
    connection: Connection,
    clinic_id: UUID,
    visit: Visit,
    status: Status,
    *,
    now: datetime,
    undo_to: Status | None,
    cancel_reason: str | None = None,
) -> Visit:
    """Write a visit's new status; its version rises, and where the status is not live its occupancy goes."""
    row = await connection.fetchrow(
        f"""with freed as (
            delete from occupancy where clinic_id = $1 and visit_id = $2 and not $7
        )
        update visits set status = $3, version = version + 1, previous_status = $4, status_changed_at = $5,
            cancel_reason = $6, updated_at = now()
        where clinic_id = $1 and id = $2 returning {VISIT_COLUMNS}""",
        clinic_id,
        visit.id,
        status,
        undo_to,
        now,
        cancel_reason,
        status in LIVE,
    )
    return _the(row)


async def has_other_visit(
    connection: Connection,
    clinic_id: UUID,
    phone: str,
    *,
    not_visit_id: UUID,
    starts_from: datetime,
    starts_before: datetime,
) -> bool:
    """Return whether anybody with a phone has a live visit that starts in [from, before), besides one."""
    return await connection.fetchval(
        """select exists (
            select 1 from patients join visits
                on visits.clinic_id = patients.clinic_id and visits.patient_id = patients.id
            where patients.clinic_id = $1 and phone = $2 and visits.id <> $3 and status = any($4::text[])
                and starts_at >= $5 and starts_at < $6)""",
        clinic_id,
        phone,
        not_visit_id,
        list(LIVE),
        starts_from,
        starts_before,
    )


async def forget_past(connection: Connection, *, now: datetime | None = None) -> None:
    """Take what can no longer collide out of the calendar, and drop holds that came to nothing a week ago.

    A visit that nobody marked as over stays as it is; only its occupancy goes. ``now`` is None in production, where
    the database's clock decides.
    """
    await connection.execute("delete from occupancy where upper(during) < coalesce($1, now()) - interval '1 day'", now)
    await connection.execute(
        "delete from visits where status = 'expired' and created_at < coalesce($1, now()) - interval '7 days'", now
    )


def _columns(occupied: Sequence[Occupied]) -> tuple[list[UUID], list[datetime], list[datetime]]:
    return (
        [one.resource_id for one in occupied],
        [one.starts for one in occupied],
        [one.ends for one in occupied],
    )


def _the(row: asyncpg.Record | None) -> Visit:
    if row is None:
        raise LookupError("the visit is locked by this transaction and cannot have gone")
    return to_struct(row, Visit)
