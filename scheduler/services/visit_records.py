"""Visits as they are read, with what they are of: their patient, their reminders and their trace."""

from datetime import datetime
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.visits import Status
from scheduler.errors import NotFound
from scheduler.services.readings import is_reading, note_reading
from scheduler.store.audit import AuditEvent, list_visit_events
from scheduler.store.booked_visits import BookedVisit, fetch_booked_visits
from scheduler.store.connections import Connection


async def find_visit(connection: Connection, clinic: Clinic, visit_id: UUID) -> BookedVisit:
    """Return a visit with its patient and reminders. Raises NotFound."""
    found = await fetch_booked_visits(connection, clinic.id, visit_id=visit_id)
    if not found:
        raise NotFound("There is no such visit.")
    return found[0]


async def read_visit(connection: Connection, clinic: Clinic, visit_id: UUID, *, actor: Actor) -> BookedVisit:
    """Return a visit to somebody of the clinic, and note that they saw it. Raises NotFound."""
    booked = await find_visit(connection, clinic, visit_id)
    await note_reading(connection, clinic, actor, "visit.read", booked.patient.id, visit_id=visit_id)
    return booked


async def read_history(connection: Connection, clinic: Clinic, visit_id: UUID, *, actor: Actor) -> list[AuditEvent]:
    """Return every change of a visit, first to last, and note that somebody saw them. Raises NotFound.

    Who looked at the visit is no change of it, and is told with the patient's export.
    """
    booked = await find_visit(connection, clinic, visit_id)
    events = await list_visit_events(connection, clinic.id, [visit_id])
    await note_reading(connection, clinic, actor, "visit.history_read", booked.patient.id, visit_id=visit_id)
    return [event for event in events if not is_reading(event.action)]


async def list_visits(
    connection: Connection,
    clinic: Clinic,
    *,
    starts_from: datetime | None,
    starts_before: datetime | None,
    therapist_id: UUID | None,
    patient_id: UUID | None,
    status: Status | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> tuple[list[BookedVisit], bool]:
    """Return at most ``limit`` visits in order of start and id, and whether more follow; holds are not visits."""
    found = await fetch_booked_visits(
        connection,
        clinic.id,
        starts_from=starts_from,
        starts_before=starts_before,
        therapist_id=therapist_id,
        patient_id=patient_id,
        status=status,
        after=after,
        limit=limit + 1,
    )
    return found[:limit], len(found) > limit
