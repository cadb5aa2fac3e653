"""What the planner of reminders reads and writes, and what tells operators that it does not."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.patients import Patient
from scheduler.domain.visits import Visit
from scheduler.store.connections import Connection
from scheduler.store.patients import PATIENT_COLUMNS
from scheduler.store.visits import VISIT_COLUMNS

# Finds the visits 24 to 48 hours ahead that nobody will be reminded of, though the ladder promises it: the patient can
# be reached over the channel of a rung, and no reminder of any rung was planned, sent, or left out for a reason. It
# reads the ladder itself, because a planner that is wrong would find nothing wrong. Rungs of less than a day come on
# top of others, and may fall into the night; a rung whose use is over is no promise any more (domain/messages).
FORGOTTEN_VISITS = """from clinics
    join visits on visits.clinic_id = clinics.id and visits.status = 'booked'
        and visits.starts_at > moment + interval '24 hours' and visits.starts_at <= moment + interval '48 hours'
    where not exists (
        select 1 from messages
        where messages.clinic_id = visits.clinic_id and messages.visit_id = visits.id and kind = 'reminder'
            and state <> 'cancelled'
            and (messages.variables ->> 'starts_at')::timestamptz = visits.starts_at
    ) and exists (
        select 1 from jsonb_to_recordset(clinics.settings -> 'reminders') as rung (
            channel text, lead_minutes integer, visit_types text[], needs_consent text)
        cross join lateral (select make_interval(mins => lead_minutes) as lead) as before
        join patients on patients.clinic_id = visits.clinic_id and patients.id = visits.patient_id
        left join lateral (
            select granted from consents
            where consents.clinic_id = visits.clinic_id and consents.patient_id = patients.id
                and consents.channel = rung.channel and scope = 'visits'
                and consents.address = case rung.channel when 'sms' then patients.phone else patients.email end
            order by recorded_at desc, consents.id desc limit 1
        ) as said on true
        where lead_minutes >= 1440 and needs_consent is null
            and (coalesce(visit_types, '{}') = '{}' or visits.visit_type = any(visit_types))
            and case rung.channel when 'sms' then coalesce(said.granted, false)
                else patients.email is not null and coalesce(said.granted, true) end
            and visits.starts_at - lead > visits.status_changed_at
            and visits.starts_at - lead > visits.booked_at + lead / 12
            and visits.starts_at - lead / 2 > moment)"""

FORGOTTEN = f"select count(*) {FORGOTTEN_VISITS}"


class KnownReminder(msgspec.Struct, frozen=True, kw_only=True):
    """A reminder of a visit that stands. ``own`` is one that the ladder made and that has not left."""

    id: UUID
    dedupe_key: str
    own: bool


class VisitAhead(msgspec.Struct, frozen=True, kw_only=True):
    """A visit to come, whose it is, and its reminders, but those that were voided."""

    visit: Visit
    patient: Patient
    reminders: tuple[KnownReminder, ...]


# How many visits are read at once.
_AT_ONCE = 200


async def fetch_visits_ahead(
    connection: Connection, clinic_id: UUID, *, after: datetime, until: datetime
) -> AsyncIterator[VisitAhead]:
    """Yield the visits that stand and start after one moment and not after another, in order of start.

    A few at a time, so that it does not matter how many there are. It takes a transaction.
    """
    rows = connection.cursor(
        f"""select found.*,
            (select to_jsonb(patient) from (
                select {PATIENT_COLUMNS} from patients where clinic_id = $1 and id = found.patient_id
            ) as patient) as patient,
            (select jsonb_agg(to_jsonb(reminder)) from (
                -- One that was sent again by hand, or stands in for a text, is nobody's to take back.
                select id, dedupe_key, state = 'pending' and resend_of is null and fallback_of is null as own
                from messages
                where clinic_id = $1 and visit_id = found.id and kind = 'reminder' and state <> 'cancelled'
            ) as reminder) as reminders
        from (
            select {VISIT_COLUMNS} from visits
            where clinic_id = $1 and starts_at > $2 and starts_at <= $3 and status in ('booked', 'confirmed')
            order by starts_at, id
        ) as found""",
        clinic_id,
        after,
        until,
        prefetch=_AT_ONCE,
    )
    async for row in rows:
        yield _ahead(row)


def _ahead(row: asyncpg.Record) -> VisitAhead:
    fields = dict(row.items())
    patient = msgspec.convert(fields.pop("patient"), Patient)
    reminders = msgspec.convert(fields.pop("reminders") or (), tuple[KnownReminder, ...])
    return VisitAhead(visit=msgspec.convert(fields, Visit), patient=patient, reminders=reminders)


async def void_reminders(
    connection: Connection, clinic_id: UUID, off: Sequence[tuple[UUID, str]], now: datetime | None = None
) -> None:
    """Cancel reminders that have not left, each for its own reason."""
    await connection.execute(
        """update messages set state = 'cancelled', reason = off.reason, finished_at = coalesce($4, now())
        from unnest($2::uuid[], $3::text[]) as off (id, reason)
        where clinic_id = $1 and messages.id = off.id and state = 'pending'""",
        clinic_id,
        [message_id for message_id, _ in off],
        [reason for _, reason in off],
        now,
    )


async def list_forgotten(connection: Connection, clinic_id: UUID, now: datetime) -> list[tuple[UUID, UUID]]:
    """Return the visits of a clinic, with their patients, of which nobody will be reminded and no task has told yet."""
    rows = await connection.fetch(
        f"""select visits.id, visits.patient_id from (select $2::timestamptz as moment) as clock
        cross join lateral (select visits.id, visits.patient_id {FORGOTTEN_VISITS} and clinics.id = $1) as visits
        where not exists (
            select 1 from desk_tasks
            where desk_tasks.clinic_id = $1 and kind = 'not-reminded' and visit_id = visits.id)""",
        clinic_id,
        now,
    )
    return [(row["id"], row["patient_id"]) for row in rows]


async def count_forgotten(connection: Connection, now: datetime | None = None) -> int:
    """Count the visits of all clinics of which nobody will be reminded; ``now`` is None in production."""
    return await connection.fetchval(f"select ({FORGOTTEN}) from (select coalesce($1, now()) as moment) as clock", now)
