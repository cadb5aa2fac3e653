"""What a patient's card shows beside their record: visits, messages, dead addresses, and who may be the same person."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel
from scheduler.domain.patients import Patient
from scheduler.domain.trails import Entry
from scheduler.domain.visits import Visit
from scheduler.store.connections import Connection
from scheduler.store.inbox import FAILED_AND_OPEN
from scheduler.store.patients import PATIENT_COLUMNS
from scheduler.store.rows import to_struct
from scheduler.store.visits import VISIT_COLUMNS


class DeadAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address of a patient to which nothing gets through, since when, and why."""

    channel: Channel
    reason: str
    noted_at: datetime


async def list_latest_visits(connection: Connection, clinic_id: UUID, patient_id: UUID, limit: int) -> list[Visit]:
    """Return a patient's visits, the latest first, those to come included."""
    rows = await connection.fetch(
        f"""select {VISIT_COLUMNS} from visits
        where clinic_id = $1 and patient_id = $2 order by starts_at desc, id desc limit $3""",
        clinic_id,
        patient_id,
        limit,
    )
    return [to_struct(row, Visit) for row in rows]


async def list_correspondence(connection: Connection, clinic_id: UUID, patient: Patient, limit: int) -> list[Entry]:
    """Return what was written to a patient and what they wrote, the latest first; what was taken back is left out."""
    rows = await connection.fetch(
        f"""select id, coalesce(finished_at, not_before) as at, channel, kind, state, reason,
            id in ({FAILED_AND_OPEN}) as open
        from (
            select * from messages
            where clinic_id = $1 and visit_id in (select id from visits where clinic_id = $1 and patient_id = $2)
            union all
            select * from messages where clinic_id = $1 and visit_id is null and patient_id = $2
        ) as written where state <> 'cancelled'
        union all
        select id, received_at, 'sms', coalesce(meaning, 'unclear'), null, null, needs_attention and handled_at is null
        from inbound_messages where clinic_id = $1 and (patient_id = $2 or patient_id is null and sender = $3)
        order by at desc, id desc limit $4""",
        clinic_id,
        patient.id,
        patient.phone,
        limit,
    )
    return [to_struct(row, Entry) for row in rows]


async def list_dead_addresses(connection: Connection, clinic_id: UUID, patient: Patient) -> list[DeadAddress]:
    """Return which of a patient's addresses are known not to work; an agreement given since says that one does."""
    rows = await connection.fetch(
        """select channel, reason, noted_at from unreachable_addresses as dead
        where clinic_id = $1 and (channel = 'sms' and address = $3 or channel = 'email' and address = $4)
            and not exists (
                select 1 from consents where clinic_id = $1 and patient_id = $2 and consents.channel = dead.channel
                    and consents.address = dead.address and scope = 'visits' and recorded_at > dead.noted_at)
        order by channel desc""",
        clinic_id,
        patient.id,
        patient.phone,
        patient.email,
    )
    return [to_struct(row, DeadAddress) for row in rows]


async def list_twins(connection: Connection, clinic_id: UUID, patient_id: UUID, limit: int) -> list[Patient]:
    """Return patients who may be the same person: with this phone or email, or this name, likeliest first."""
    rows = await connection.fetch(
        f"""select {PATIENT_COLUMNS} from patients cross join (
            select phone as its_phone, email as its_email, name_key as its_key
            from patients where clinic_id = $1 and id = $2) as this
        where clinic_id = $1 and id <> $2 and merged_into is null
            -- As the index of phones has them.
            and (reverse(phone) = reverse(its_phone) or email = its_email or name_key = its_key)
        order by (phone = its_phone)::int + (email = its_email)::int + (name_key = its_key)::int desc, id limit $3""",
        clinic_id,
        patient_id,
        limit,
    )
    return [to_struct(row, Patient) for row in rows]
