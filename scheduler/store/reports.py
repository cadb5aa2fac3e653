"""Visits and reminders of a period, counted where they are."""

from datetime import datetime
from uuid import UUID

from scheduler.domain.reports import Attendance, Confirmations
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


async def count_attendance(
    connection: Connection, clinic_id: UUID, starts: datetime, ends: datetime, *, now: datetime
) -> list[Attendance]:
    """Return what became of the visits that begin from an instant on and before another, by therapist."""
    rows = await connection.fetch(
        """with counted as (
            select visits.*, (extract(epoch from ends_at - starts_at) / 60)::int as minutes,
                status = 'cancelled' and status_changed_at > starts_at - change_cutoff_minutes * interval '1 minute'
                    and coalesce((
                        select details ->> 'by' from audit_events
                        where audit_events.clinic_id = $1 and visit_id = visits.id and action = 'visit.cancelled'
                        order by audit_events.id desc limit 1), 'patient') = 'patient' as late
            from visits join visit_types on visit_types.clinic_id = $1 and code = visit_type
            where visits.clinic_id = $1 and patient_id is not null and starts_at >= $2 and starts_at < $3
        )
        select therapist_id,
            count(*) filter (where status in ('arrived', 'completed')) as attended,
            count(*) filter (where status = 'no_show') as no_show,
            count(*) filter (where late) as cancelled_late,
            count(*) filter (where status = 'cancelled' and not late) as cancelled,
            count(*) filter (where status in ('booked', 'confirmed') and ends_at <= $4) as unmarked,
            count(*) filter (where status in ('booked', 'confirmed') and ends_at > $4) as to_come,
            coalesce(sum(minutes) filter (where status in ('arrived', 'completed')), 0) as attended_minutes,
            coalesce(sum(minutes) filter (where status <> 'cancelled'), 0) as booked_minutes
        from counted group by therapist_id""",
        clinic_id,
        starts,
        ends,
        now,
    )
    return [to_struct(row, Attendance) for row in rows]


async def count_confirmations(
    connection: Connection, clinic_id: UUID, starts: datetime, ends: datetime
) -> tuple[list[Confirmations], int]:
    """Return what each reminder about the visits of a period led to, the earliest of the ladder first.

    The number besides is of visits that were confirmed before any reminder.
    """
    rows = await connection.fetch(
        """with period as (
            select id, (
                select min(at) from audit_events
                where audit_events.clinic_id = $1 and visit_id = visits.id and action = 'visit.confirmed'
            ) as confirmed_at
            from visits where clinic_id = $1 and patient_id is not null and starts_at >= $2 and starts_at < $3
        ), reminders as (
            select template, channel, lead_minutes, visit_id, confirmed_at, coalesce(sent_at, finished_at) as at,
                lead(coalesce(sent_at, finished_at))
                    over (partition by visit_id order by coalesce(sent_at, finished_at), messages.id) as next_at
            from period join messages on clinic_id = $1 and visit_id = period.id
            where kind = 'reminder' and state in ('sent', 'delivered') and coalesce(sent_at, finished_at) is not null
        )
        select template, channel, lead_minutes, count(*) as sent,
            count(*) filter (where confirmed_at < next_at or confirmed_at is not null and next_at is null) as confirmed
        from reminders where confirmed_at is null or confirmed_at >= at
        group by template, channel, lead_minutes
        union all
        select '', 'sms', 0, 0, count(*) from period
        where confirmed_at is not null
            and not exists (select 1 from reminders where visit_id = period.id and at <= period.confirmed_at)
        order by lead_minutes desc, channel""",
        clinic_id,
        starts,
        ends,
    )
    counted = [to_struct(row, Confirmations) for row in rows]
    return [one for one in counted if one.template], sum(one.confirmed for one in counted if not one.template)


async def count_lead_days(
    connection: Connection, clinic_id: UUID, starts: datetime, ends: datetime, *, zone: str, online: list[str]
) -> tuple[list[tuple[int, int, int]], float | None]:
    """Return (days, visits booked online, visits booked otherwise) of the visits of a period, and the median of days.

    Days are counted from the clinic's date of the booking to that of the visit. ``online`` are the actors who are
    patients.
    """
    rows = await connection.fetch(
        """with leads as (
            select (starts_at at time zone $4)::date - (booked_at at time zone $4)::date as days,
                created_by = any($5::text[]) as online
            from visits where clinic_id = $1 and patient_id is not null and booked_at is not null
                and starts_at >= $2 and starts_at < $3
        )
        select days, count(*) filter (where online) as online, count(*) filter (where not online) as desk,
            (select percentile_cont(0.5) within group (order by days) from leads) as median
        from leads group by days order by days""",
        clinic_id,
        starts,
        ends,
        zone,
        online,
    )
    counts = [(row["days"], row["online"], row["desk"]) for row in rows]
    return counts, rows[0]["median"] if rows else None
