"""A patient's export as it travels: one document, with times in the clinic's zone."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Clinic, Language
from scheduler.domain.messages import State
from scheduler.services.patient_exports import PatientExport
from scheduler.store.audit import AuditEvent
from scheduler.store.booked_visits import BookedVisit
from scheduler.store.patient_exports import HeldMessage, HeldText
from scheduler.web.api.messages import AttemptAnswer
from scheduler.web.api.patient_bodies import ConsentAnswer, PatientRecord, consent_answer, patient_record
from scheduler.web.api.visit_bodies import VisitAnswer, visit_answer


class ExportedChange(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did. ``details`` name times, statuses, codes and fields."""

    at: datetime
    actor: str
    action: str
    details: dict[str, Any]


class ExportedReading(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody looked: at the patient, at one of their visits, or at a list that they were in."""

    at: datetime
    actor: str
    action: str
    visit_id: UUID | None


class ExportedVisit(msgspec.Struct, frozen=True, kw_only=True):
    visit: VisitAnswer
    created_at: datetime
    booked_at: datetime | None
    history: list[ExportedChange]


class ExportedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message, or an answer to a text, which may be about no visit.

    ``subject`` and ``text`` are what left the building, null where nothing has.
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
    subject: str | None
    text: str | None
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    attempts: list[AttemptAnswer]


class ExportedText(msgspec.Struct, frozen=True, kw_only=True):
    """A text that the patient sent us, and what became of it."""

    id: UUID
    sender: str
    recipient: str
    text: str
    received_at: datetime
    meaning: str | None
    needs_attention: bool
    handled_at: datetime | None
    handled_by: str | None


class ExportedTask(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the desk had to see to, and who did."""

    kind: str
    reason: str
    visit_id: UUID | None
    created_at: datetime
    handled_at: datetime | None
    handled_by: str | None


class ExportedNote(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the desk wrote about a visit, also one that it took off again."""

    visit_id: UUID
    text: str
    created_at: datetime
    created_by: str
    removed_at: datetime | None
    removed_by: str | None


class ExportedAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A phone or email of the patient to which nothing gets through, and since when."""

    channel: Channel
    address: str
    reason: str
    noted_at: datetime


class PatientExportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything held about one patient.

    ``changes`` is what was done to their record, ``readings`` who looked, ``tasks`` what the desk had to see to,
    ``notes`` what it wrote.
    """

    exported_at: datetime
    patient: PatientRecord
    created_at: datetime
    updated_at: datetime
    consents: list[ConsentAnswer]
    visits: list[ExportedVisit]
    messages: list[ExportedMessage]
    inbound: list[ExportedText]
    tasks: list[ExportedTask]
    notes: list[ExportedNote]
    unreachable: list[ExportedAddress]
    changes: list[ExportedChange]
    readings: list[ExportedReading]


def export_answer(clinic: Clinic, export: PatientExport, now: datetime) -> PatientExportAnswer:
    """Return everything held about a patient as the API tells it."""
    return PatientExportAnswer(
        exported_at=clinic.local(now),
        patient=patient_record(export.patient),
        created_at=clinic.local(export.created_at),
        updated_at=clinic.local(export.updated_at),
        consents=[consent_answer(clinic, consent) for consent in export.consents],
        visits=[_visit(clinic, one, export.history[one.visit.id]) for one in export.visits],
        messages=[_message(clinic, message) for message in export.messages],
        inbound=[_text(clinic, text) for text in export.texts],
        tasks=[ExportedTask(**_facts(clinic, task)) for task in export.tasks],
        notes=[ExportedNote(**_facts(clinic, note)) for note in export.notes],
        unreachable=[ExportedAddress(**_facts(clinic, address)) for address in export.unreachable],
        changes=[_change(clinic, event) for event in export.changes],
        readings=[
            ExportedReading(at=clinic.local(event.at), actor=event.actor, action=event.action, visit_id=event.visit_id)
            for event in export.readings
        ],
    )


def _visit(clinic: Clinic, booked: BookedVisit, history: list[AuditEvent]) -> ExportedVisit:
    visit = booked.visit
    return ExportedVisit(
        visit=visit_answer(clinic, booked),
        created_at=clinic.local(visit.created_at),
        booked_at=clinic.local(visit.booked_at) if visit.booked_at else None,
        history=[_change(clinic, event) for event in history],
    )


def _change(clinic: Clinic, event: AuditEvent) -> ExportedChange:
    # Other patients of the same list are nobody's business here.
    details = {name: value for name, value in event.details.items() if name != "patients"}
    return ExportedChange(at=clinic.local(event.at), actor=event.actor, action=event.action, details=details)


def _message(clinic: Clinic, message: HeldMessage) -> ExportedMessage:
    facts = _facts(clinic, message)
    del facts["rendered"], facts["attempts"]
    return ExportedMessage(
        due_at=facts.pop("not_before"),
        **facts,
        subject=message.rendered["subject"] if message.rendered else None,
        text=message.rendered["text"] if message.rendered else None,
        attempts=[AttemptAnswer(**_facts(clinic, attempt)) for attempt in message.attempts],
    )


def _text(clinic: Clinic, text: HeldText) -> ExportedText:
    facts = _facts(clinic, text)
    return ExportedText(text=facts.pop("body"), **facts)


def _facts(clinic: Clinic, held: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of what is held, with times in the clinic's zone."""
    return {
        name: clinic.local(value) if isinstance(value, datetime) else value
        for name, value in msgspec.structs.asdict(held).items()
    }
