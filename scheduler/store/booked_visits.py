"""Visits as they are looked at: each with its patient and its reminders, however many there are, in one statement."""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.clinics import Channel
from scheduler.domain.messages import State
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Status, Visit
from scheduler.store.connections import Connection
from scheduler.store.patients import PATIENT_COLUMNS
from scheduler.store.visits import VISIT_COLUMNS


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """A reminder that stands: when it goes, over which channel, and how far it is."""

    id: UUID
    template: str
    channel: Channel
    not_before: datetime
    state: State


class BookedVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit, whose it is, and the reminders that stand, in the order they are due.

    What a change returns has no reminders in it, for nobody has read them back yet; but what was booked just now is
    known whole. ``link_generation`` is the one of its private link, None where that was not read either.
    """

    visit: Visit
    patient: Patient
    reminders: tuple[Reminder, ...] = ()
    link_generation: int | None = None


async def fetch_booked_visits(
    connection: Connection,
    clinic_id: UUID,
    *,
    visit_id: UUID | None = None,
    starts_from: datetime | None = None,
    starts_before: datetime | None = None,
    therapist_id: UUID | None = None,
    patient_id: UUID | None = None,
    status: Status | None = None,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 1,
) -> list[BookedVisit]:
    """Return visits in order of start; holds are none. ``after`` is the (start, id) of the last one already seen."""
    rows = await connection.fetch(
        f"""select found.*,
            (select to_jsonb(patient) from (
                select {PATIENT_COLUMNS} from patients where clinic_id = $1 and id = found.patient_id
            ) as patient) as patient,
            (select jsonb_agg(to_jsonb(reminder) order by not_before, id) from (
                select id, template, channel, not_before, state from messages
                where clinic_id = $1 and visit_id = found.id and kind = 'reminder' and state <> 'cancelled'
            ) as reminder) as reminders
        from (
            select {VISIT_COLUMNS} from visits
            where clinic_id = $1 and patient_id is not null and ($2::uuid is null or id = $2)
                and ($3::timestamptz is null or starts_at >= $3) and ($4::timestamptz is null or starts_at < $4)
                and ($5::uuid is null or therapist_id = $5) and ($6::uuid is null or patient_id = $6)
                and ($7::text is null or status = $7)
                and ($8::timestamptz is null or (starts_at, id) > ($8, $9::uuid))
            order by starts_at, id limit $10
        ) as found
        order by starts_at, id""",
        clinic_id,
        visit_id,
        starts_from,
        starts_before,
        therapist_id,
        patient_id,
        status,
        *(after or (None, None)),
        limit,
    )
    return [_booked(row) for row in rows]


def _booked(row: asyncpg.Record) -> BookedVisit:
    fields = dict(row.items())
    patient = msgspec.convert(fields.pop("patient"), Patient)
    reminders = msgspec.convert(fields.pop("reminders") or (), tuple[Reminder, ...])
    return BookedVisit(visit=msgspec.convert(fields, Visit), patient=patient, reminders=reminders)
