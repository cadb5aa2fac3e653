"""What is held about one patient beyond their record and their consents, whole, as an export tells it."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Language
from scheduler.domain.messages import State
from scheduler.domain.patients import Patient
from scheduler.store.connections import Connection
from scheduler.store.messages import Attempt
from scheduler.store.rows import to_struct


class HeldMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message with its address and every attempt; ``rendered`` holds what left the building, once it did.

    An answer to a text may be about no visit.
    """

    id: UUID
    visit_id: UUID | None
    kind: str
    template: str
    channel: Channel
    language: Language
    address: str
    state: State
    reason: str | None
    error_code: str | None
    provider_id: str | None
    rendered: dict[str, str] | None
    created_at: datetime
    not_before: datetime
    finished_at: datetime | None
    attempts: list[Attempt]


class HeldText(msgspec.Struct, frozen=True, kw_only=True):
    """A text that came in, and what became of it."""

    id: UUID
    sender: str
    recipient: str
    body: str
    received_at: datetime
    meaning: str | None
    needs_attention: bool
    handled_at: datetime | None
    handled_by: str | None


class HeldTask(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the desk had to see to, and who did."""

    kind: str
    reason: str
    visit_id: UUID | None
    created_at: datetime
    handled_at: datetime | None
    handled_by: str | None


class HeldAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A phone or email of the patient that is known not to be reached, and why."""

    channel: Channel
    address: str
    reason: str
    noted_at: datetime


class HeldNote(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the desk wrote about a visit of the patient, also one that it took off again."""

    visit_id: UUID
    text: str
    created_at: datetime
    created_by: str
    removed_at: datetime | None
    removed_by: str | None


async def fetch_kept_since(connection: Connection, clinic_id: UUID, patient_id: UUID) -> tuple[datetime, datetime]:
    """Return when the patient was added and when their record last changed."""
    row = await connection.fetchrow(
        "select created_at, updated_at from patients where clinic_id = $1 and id = $2", clinic_id, patient_id
    )
    if row is None:
        raise LookupError("the patient was read by this transaction, and patients are not deleted")
    return row["created_at"], row["updated_at"]


async def list_held_messages(connection: Connection, clinic_id: UUID, patient: Patient) -> list[HeldMessage]:
    """Return all messages to a patient, in the order they were planned.

    An answer to a text that may have been anybody's counts where it went to the phone that they have now.
    """
    rows = await connection.fetch(
        """select id, visit_id, kind, template, channel, language, address, state, reason, error_code, provider_id,
            rendered, created_at, not_before, finished_at,
            coalesce((
                select jsonb_agg(to_jsonb(message_attempts) order by number) from message_attempts
                where message_attempts.clinic_id = messages.clinic_id and message_id = messages.id
            ), '[]') as attempts
        from messages
        where clinic_id = $1 and (
            visit_id = any (array(select id from visits where clinic_id = $1 and patient_id = $2))
            or visit_id is null and (patient_id = $2 or patient_id is null and kind = 'reply' and address = $3))
        order by created_at, id""",
        clinic_id,
        patient.id,
        patient.phone,
    )
    return [to_struct(row, HeldMessage) for row in rows]


async def list_held_texts(connection: Connection, clinic_id: UUID, patient: Patient) -> list[HeldText]:
    """Return all texts that came from a patient, or from their number where it was not known who wrote."""
    rows = await connection.fetch(
        """select id, sender, recipient, body, received_at, meaning, needs_attention, handled_at, handled_by
        from inbound_messages
        where clinic_id = $1 and (patient_id = $2 or patient_id is null and sender = $3)
        order by received_at, id""",
        clinic_id,
        patient.id,
        patient.phone,
    )
    return [to_struct(row, HeldText) for row in rows]


async def list_held_tasks(connection: Connection, clinic_id: UUID, patient_id: UUID) -> list[HeldTask]:
    """Return what the desk had to see to about a patient or one of their visits, in the order it came up."""
    rows = await connection.fetch(
        """select kind, reason, visit_id, created_at, handled_at, handled_by from desk_tasks
        where clinic_id = $1
            and (patient_id = $2 or visit_id in (select id from visits where clinic_id = $1 and patient_id = $2))
        order by created_at, id""",
        clinic_id,
        patient_id,
    )
    return [to_struct(row, HeldTask) for row in rows]


async def list_held_notes(connection: Connection, clinic_id: UUID, patient_id: UUID) -> list[HeldNote]:
    """Return what the desk wrote about a patient's visits, in the order it was written."""
    rows = await connection.fetch(
        """select visit_id, text, created_at, created_by, removed_at, removed_by from visit_notes
        where clinic_id = $1 and visit_id in (select id from visits where clinic_id = $1 and patient_id = $2)
        order by created_at, id""",
        clinic_id,
        patient_id,
    )
    return [to_struct(row, HeldNote) for row in rows]


async def list_held_addresses(connection: Connection, clinic_id: UUID, patient: Patient) -> list[HeldAddress]:
    """Return which of a patient's addresses are known not to be reached."""
    rows = await connection.fetch(
        """select channel, address, reason, noted_at from unreachable_addresses
        where clinic_id = $1 and (channel, address) in (('sms', $2), ('email', $3)) order by noted_at, channel""",
        clinic_id,
        patient.phone,
        patient.email,
    )
    return [to_struct(row, HeldAddress) for row in rows]
