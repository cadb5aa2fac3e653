"""A period in numbers, for the desk and for administrators."""

from datetime import date, datetime

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.own_visits import PATIENT
from scheduler.domain.reports import Report, Utilisation, lead_buckets, minutes_worked
from scheduler.domain.times import epoch_minute
from scheduler.store import reports as store
from scheduler.store.audit import add_audit_event
from scheduler.store.availability import load_calendar
from scheduler.store.connections import Connection

# Who books as a patient: on the booking page, or by a private link.
_ONLINE = ["public", PATIENT]


async def read_report(
    connection: Connection, clinic: Clinic, starts: datetime, ends: datetime, *, now: datetime
) -> Report:
    """Return what the visits that begin from an instant on and before another were like.

    Therapists come in the clinic's order; whoever has left but treated then comes last.
    """
    attendance = {
        one.therapist_id: one for one in await store.count_attendance(connection, clinic.id, starts, ends, now=now)
    }
    # Hours do not depend on what is booked; any visit type will do.
    calendar = await load_calendar(
        connection, clinic, next(iter(clinic.visit_types.values())), (epoch_minute(starts), epoch_minute(ends))
    )
    worked = minutes_worked(calendar, clinic.zone)
    order = list(dict.fromkeys([*clinic.therapists_by_id, *worked, *attendance]))
    confirmations, unasked = await store.count_confirmations(connection, clinic.id, starts, ends)
    leads, median = await store.count_lead_days(
        connection, clinic.id, starts, ends, zone=clinic.timezone, online=_ONLINE
    )
    return Report(
        utilisation=[
            Utilisation(
                therapist_id=therapist_id,
                working_minutes=worked.get(therapist_id, 0),
                booked_minutes=attendance[therapist_id].booked_minutes if therapist_id in attendance else 0,
                attended_minutes=attendance[therapist_id].attended_minutes if therapist_id in attendance else 0,
            )
            for therapist_id in order
        ],
        attendance=[attendance[therapist_id] for therapist_id in order if therapist_id in attendance],
        confirmations=confirmations,
        confirmed_unasked=unasked,
        lead_times=lead_buckets(leads),
        median_lead_days=median,
    )


async def note_export(
    connection: Connection, clinic: Clinic, table: str, first: date, last: date, *, actor: Actor
) -> None:
    """Note that somebody took a table of a report out."""
    await add_audit_event(
        connection, clinic.id, actor=actor.name, action="report.exported", request_id=actor.request_id,
        details={"table": table, "first": first, "last": last},
    )  # fmt: skip
