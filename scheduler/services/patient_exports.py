"""Everything that is held about one patient, in one document: what they may ask for, and the proof of consent."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import Patient
from scheduler.services.patients import read_patient
from scheduler.services.readings import is_reading
from scheduler.store import patient_exports as store
from scheduler.store.audit import AuditEvent, list_patient_events
from scheduler.store.booked_visits import BookedVisit, fetch_booked_visits
from scheduler.store.connections import Connection
from scheduler.store.patient_exports import HeldAddress, HeldMessage, HeldNote, HeldTask, HeldText
from scheduler.store.patients import Consent, list_consents

# More than anybody's: several a day for a lifetime.
ALL_VISITS = 100_000


class PatientExport(msgspec.Struct, frozen=True, kw_only=True):
    """A patient and all that belongs to them.

    ``history`` is what was done to each visit, ``changes`` what was done to the patient, ``readings`` who looked,
    ``tasks`` what the desk had to see to, ``notes`` what it wrote, ``unreachable`` which of their addresses nothing
    gets through to.
    """

    patient: Patient
    created_at: datetime
    updated_at: datetime
    consents: list[Consent]
    visits: list[BookedVisit]
    history: dict[UUID, list[AuditEvent]]
    changes: list[AuditEvent]
    readings: list[AuditEvent]
    messages: list[HeldMessage]
    texts: list[HeldText]
    tasks: list[HeldTask]
    notes: list[HeldNote]
    unreachable: list[HeldAddress]


async def export_patient(connection: Connection, clinic: Clinic, patient_id: UUID, *, actor: Actor) -> PatientExport:
    """Return everything held about a patient; that it was taken out is part of it. Raises NotFound."""
    patient = await read_patient(connection, clinic, patient_id, action="patient.exported", actor=actor)
    created_at, updated_at = await store.fetch_kept_since(connection, clinic.id, patient_id)
    visits = await fetch_booked_visits(connection, clinic.id, patient_id=patient_id, limit=ALL_VISITS)
    events = await list_patient_events(connection, clinic.id, patient_id)
    done = [event for event in events if not is_reading(event.action)]
    return PatientExport(
        patient=patient,
        created_at=created_at,
        updated_at=updated_at,
        consents=await list_consents(connection, clinic.id, patient_id),
        visits=visits,
        history={one.visit.id: [event for event in done if event.visit_id == one.visit.id] for one in visits},
        changes=[event for event in done if event.visit_id is None],
        readings=[event for event in events if is_reading(event.action)],
        messages=await store.list_held_messages(connection, clinic.id, patient),
        texts=await store.list_held_texts(connection, clinic.id, patient),
        tasks=await store.list_held_tasks(connection, clinic.id, patient_id),
        notes=await store.list_held_notes(connection, clinic.id, patient_id),
        unreachable=await store.list_held_addresses(connection, clinic.id, patient),
    )
