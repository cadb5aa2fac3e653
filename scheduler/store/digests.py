"""What mail to the people of the clinic is made of: a therapist's day, and tasks that the desk has not heard of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.digests import TOLD, DayVisit
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

# A desk that hears of every task by itself stops listening.
ALERT_SECONDS = 600


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """A therapist who gets a digest, and the key of the one they are to get."""

    id: UUID
    email: str
    key: str


class AlertedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task as an alert tells of it; ``starts_at`` is when its visit is, where it is about one."""

    id: UUID
    kind: str
    starts_at: datetime | None


async def fetch_recipients(
    connection: Connection,
    clinic_id: UUID,
    keys: Mapping[str, str],
    *,
    starts_from: datetime,
    starts_before: datetime,
) -> list[Recipient]:
    """Return the therapists with an address and visits in a stretch of time whose digest is not planned yet.

    ``keys`` are the digests' by the therapist's code.
    """
    rows = await connection.fetch(
        """select id, email, key
        from unnest($2::text[], $3::text[]) as wanted (code, key) join therapists using (code)
        where clinic_id = $1 and active and email is not null
            and exists (
                select 1 from visits
                where visits.clinic_id = $1 and therapist_id = therapists.id and status = any($6::text[])
                    and starts_at >= $4 and starts_at < $5)
            and not exists (
                select 1 from messages where messages.clinic_id = $1 and dedupe_key = key and state <> 'cancelled')
        order by position, code""",
        clinic_id,
        list(keys),
        list(keys.values()),
        starts_from,
        starts_before,
        sorted(TOLD),
    )
    return [to_struct(row, Recipient) for row in rows]


async def fetch_day_visits(
    connection: Connection,
    clinic_id: UUID,
    therapist_ids: Sequence[UUID],
    *,
    starts_from: datetime,
    starts_before: datetime,
) -> list[DayVisit]:
    """Return what a digest tells of: the therapists' visits in a stretch of time, in order of start."""
    rows = await connection.fetch(
        """select therapist_id, starts_at, ends_at, status, visit_type, given_name, family_name,
            exists (
                select 1 from visits as earlier
                where earlier.clinic_id = $1 and earlier.patient_id = visits.patient_id
                    and earlier.starts_at < visits.starts_at and earlier.status = any($5::text[])
            ) as seen_before
        from visits join patients on patients.clinic_id = visits.clinic_id and patients.id = visits.patient_id
        where visits.clinic_id = $1 and therapist_id = any($2::uuid[]) and status = any($5::text[])
            and starts_at >= $3 and starts_at < $4
        order by starts_at, visits.id""",
        clinic_id,
        therapist_ids,
        starts_from,
        starts_before,
        sorted(TOLD),
    )
    return [to_struct(row, DayVisit) for row in rows]


async def take_unalerted(connection: Connection, clinic_id: UUID, *, now: datetime | None) -> list[AlertedTask]:
    """Note that the desk hears of its open tasks now, and return those it had not heard of, oldest first.

    Returns none, and notes nothing, where it heard of others in the last ten minutes. The caller holds the lock of
    ``try_lock_alerts``: two at once would both find that it had not.
    """
    rows = await connection.fetch(
        """with clock as (select coalesce($2, now()) as moment),
        told as (
            update desk_tasks set alerted_at = moment from clock
            where clinic_id = $1 and alerted_at is null and handled_at is null and not exists (
                select 1 from desk_tasks as before
                where before.clinic_id = $1 and before.alerted_at > moment - make_interval(secs => $3))
            returning id, kind, visit_id, created_at
        )
        select told.id, kind, starts_at from told
        left join visits on visits.clinic_id = $1 and visits.id = visit_id
        order by told.created_at, told.id""",
        clinic_id,
        now,
        ALERT_SECONDS,
    )
    return [to_struct(row, AlertedTask) for row in rows]
