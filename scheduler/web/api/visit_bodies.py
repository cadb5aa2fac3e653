"""Visits as they travel: what callers send and what they get."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import Message
from scheduler.domain.patients import PatientDetails
from scheduler.domain.visits import Status
from scheduler.store.audit import AuditEvent
from scheduler.store.booked_visits import BookedVisit
from scheduler.web.reading import DateTimeText, PatientBody, Reason


class OverbookBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a visit may be squeezed in over another; kept with the visit and in the audit."""

    reason: Reason


class VisitBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A booking: from a hold (``hold_id``, ``hold_token``), or directly by key (``visit_type``, ``starts_at``)."""

    hold_id: UUID | None = None
    hold_token: str | None = None
    visit_type: Annotated[str, msgspec.Meta(examples=["eval-run"])] | None = None
    starts_at: DateTimeText | None = None
    therapist: str | None = None
    room: str | None = None
    patient: PatientBody | None = None
    patient_id: UUID | None = None
    overbook: OverbookBody | None = None


class RescheduleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where a visit moves to. Without a therapist it stays with the one it has."""

    starts_at: DateTimeText
    therapist: str | None = None
    notify: bool = True


class CancelBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why a visit is cancelled, and at whose wish, which decides what the patient is told."""

    reason: Reason
    by: Literal["patient", "clinic"] = "patient"
    notify: bool = True


class PatientAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    display_name: str


class ReminderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A reminder that stands: when it goes, over which channel, and how far it is."""

    id: UUID
    template: str
    channel: str
    due_at: datetime
    state: str


class VisitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A visit, with times in the clinic's zone and codes of the clinic's lists.

    Whoever books without a key is told nothing that the clinic knows of the patient already: no ``reminders``, and
    the name and ``language`` as they gave them. ``manage_url`` is the patient's private link: whoever has it may
    confirm, move and cancel the visit, so it is told to whoever books and to keys that may change visits.
    """

    id: UUID
    status: Status
    version: int
    visit_type: str
    therapist: str
    room: str | None
    equipment: list[str]
    starts_at: datetime
    ends_at: datetime
    patient: PatientAnswer
    language: str
    created_by: str
    cancel_reason: str | None
    overbook_reason: str | None
    reminders: list[ReminderAnswer]
    manage_url: str | None = None


class VisitPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[VisitAnswer]
    next_cursor: str | None


class HistoryActor(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it: ``kind`` is ``key``, ``staff``, ``patient`` (by their link), ``public`` or ``system``."""

    kind: Annotated[str, msgspec.Meta(examples=["key"])]
    name: Annotated[str, msgspec.Meta(examples=["front desk"])]


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a visit. ``details`` hold the values from and to which it went, times in UTC, and codes."""

    at: datetime
    actor: HistoryActor
    action: Annotated[str, msgspec.Meta(examples=["visit.rescheduled"])]
    version: int | None
    details: dict[str, Any]
    request_id: str | None


class VisitHistory(msgspec.Struct, frozen=True, kw_only=True):
    items: list[HistoryEntry]


def history_entry(clinic: Clinic, event: AuditEvent) -> HistoryEntry:
    """Return an audit row as the API tells it."""
    kind, _, name = event.actor.partition(":")
    details = dict(event.details)
    return HistoryEntry(
        at=clinic.local(event.at),
        actor=HistoryActor(kind=kind, name=name or kind),
        action=event.action,
        version=details.pop("version", None),
        details=details,
        request_id=event.request_id,
    )


def as_told_to_strangers(answer: VisitAnswer, clinic: Clinic, details: PatientDetails) -> VisitAnswer:
    """Return a booking as somebody without a key is told of it: nothing that the clinic knows of the patient already.

    Whoever knows a name and a phone could else find out whether that is a patient, in which language they are written
    to, and whether they have an email address on file.
    """
    return msgspec.structs.replace(
        answer,
        patient=PatientAnswer(id=answer.patient.id, display_name=details.display_name),
        language=details.language or clinic.settings.languages[0],
        reminders=[],
    )


def visit_answer(clinic: Clinic, booked: BookedVisit, reminders: Sequence[Message] | None = None) -> VisitAnswer:
    """Return a visit as the API tells it; a therapist or room that has left the clinic shows as its id."""
    visit, patient = booked.visit, booked.patient
    room = clinic.rooms_by_id.get(visit.room_id) if visit.room_id else None
    return VisitAnswer(
        id=visit.id,
        status=visit.status,
        version=visit.version,
        visit_type=visit.visit_type,
        therapist=clinic.therapist_code(visit.therapist_id),
        room=room.code if room else None if visit.room_id is None else str(visit.room_id),
        equipment=[
            clinic.equipment_by_id[device].code if device in clinic.equipment_by_id else str(device)
            for device in visit.equipment_ids
        ],
        starts_at=clinic.local(visit.starts_at),
        ends_at=clinic.local(visit.ends_at),
        patient=PatientAnswer(id=patient.id, display_name=patient.display_name),
        language=patient.language,
        created_by=visit.created_by,
        cancel_reason=visit.cancel_reason,
        overbook_reason=visit.overbook_reason,
        reminders=[
            ReminderAnswer(
                id=message.id,
                template=message.template,
                channel=message.channel,
                due_at=clinic.local(message.not_before),
                state=message.state,
            )
            for message in (booked.reminders if reminders is None else reminders)
        ],
    )
