"""Somebody would rather be called than book online: the desk gets a task."""

from datetime import datetime

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import PatientDetails
from scheduler.services.desk_tasks import open_task
from scheduler.services.patients import find_or_add
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection


async def ask_for_call(
    connection: Connection, clinic: Clinic, details: PatientDetails, *, actor: Actor, now: datetime
) -> None:
    """Have the desk call somebody, who is put on file for that; while it has not, asking again changes nothing."""
    patient, _ = await find_or_add(connection, clinic, details, actor=actor, now=now)
    task = await open_task(
        connection, clinic.id, kind="call-back", subject_id=patient.id, patient_id=patient.id,
        reason="Somebody asked online to be called, to find the right visit together.", now=now,
    )  # fmt: skip
    if task is not None:
        await add_audit_event(
            connection, clinic.id, actor=actor.name, action="call.asked", patient_id=patient.id,
            request_id=actor.request_id, details={"task": task},
        )  # fmt: skip
