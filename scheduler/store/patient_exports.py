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
    """A message with its address and every attempt; ``rendered`` holds what left the building, once it did."""

    id: UUID
    visit_id: UUID
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


async def fetch_kept_since(connection: Connection, clinic_id: UUID, patient_id: UUID) -> tuple[datetime, datetime]:
    """Return when the patient was added and when their record last changed."""
    row = await connection.fetchrow(
        "select created_at, updated_at from patients where clinic_id = $1 and id = $2", clinic_id, patient_id
    )
    if row is None:
        raise LookupError("the patient was read by this transaction, and patients are not deleted")
    return row["created_at"], row["updated_at"]


async def list_held_messages(connection: Connection, clinic_id: UUID, patient_id: UUID) -> list[HeldMessage]:
    """Return all messages about a patient's visits, in the order they were planned."""
    rows = await connection.fetch(
        """select id, visit_id, kind, template, channel, language, address, state, reason, error_code, provider_id,
            rendered, created_at, not_before, finished_at,
            coalesce((
                select jsonb_agg(to_jsonb(message_attempts) order by number) from message_attempts
                where message_attempts.clinic_id = messages.clinic_id and message_id = messages.id
            ), '[]') as attempts
        from messages
        where clinic_id = $1 and visit_id in (select id from visits where clinic_id = $1 and patient_id = $2)
        order by created_at, id""",
        clinic_id,
        patient_id,
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
