"""What a person at the desk should see to: opened by whatever cannot be settled without one, and crossed off."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.desk_tasks import TaskKind
from scheduler.domain.inbox import How
from scheduler.domain.patients import Patient
from scheduler.errors import NotFound
from scheduler.services.readings import note_reading
from scheduler.store import desk_tasks as store
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.desk_tasks import DeskTask
from scheduler.store.messages import mark_handled
from scheduler.store.patients import fetch_patients


class ToDo(msgspec.Struct, frozen=True, kw_only=True):
    """A task, and the patient it is about where there is one."""

    task: DeskTask
    patient: Patient | None


async def open_task(
    connection: Connection,
    clinic_id: UUID,
    *,
    kind: TaskKind,
    subject_id: UUID,
    visit_id: UUID | None = None,
    patient_id: UUID | None = None,
    message_id: UUID | None = None,
    inbound_id: UUID | None = None,
    reason: str,
    now: datetime | None = None,
) -> UUID | None:
    """Open a task and return its id, or None where one of this kind is open for this subject already.

    ``reason`` is a sentence for the desk without a name, an address or what a patient wrote.
    """
    return await store.add_task(
        connection, clinic_id, kind=kind, subject_id=subject_id, visit_id=visit_id, patient_id=patient_id,
        message_id=message_id, inbound_id=inbound_id, reason=reason, now=now,
    )  # fmt: skip


async def list_tasks(
    connection: Connection,
    clinic: Clinic,
    *,
    is_open: bool | None,
    kind: TaskKind | None,
    after: UUID | None,
    limit: int,
    actor: Actor,
) -> tuple[list[ToDo], bool]:
    """Return at most ``limit`` tasks, newest first, and whether more follow; note who read them."""
    found = await store.list_tasks(connection, clinic.id, is_open=is_open, kind=kind, after=after, limit=limit + 1)
    patients = (task.patient_id for task in found[:limit] if task.patient_id is not None)
    await note_reading(connection, clinic, actor, "tasks.listed", patients)
    return await _with_patients(connection, clinic, found[:limit]), len(found) > limit


async def handle_task(
    connection: Connection, clinic: Clinic, task_id: UUID, *, actor: Actor, how: How | None = None
) -> ToDo:
    """Cross off a task that a person has seen to. Raises NotFound.

    The message that it is about is crossed off with it. One that was crossed off before stays as it is, with the name
    of whoever was first. ``how`` it was seen to is kept in the trace.
    """
    task = await _known(connection, clinic, task_id)
    if await store.mark_task_handled(connection, clinic.id, task_id, actor.name):
        if task.kind == "undeliverable" and task.message_id is not None:
            await mark_handled(connection, clinic.id, task.message_id, actor.name)
        details = {"task": task_id, "kind": task.kind} | ({"how": how} if how else {})
        await add_audit_event(
            connection, clinic.id, actor=actor.name, action="task.handled", visit_id=task.visit_id,
            patient_id=task.patient_id, request_id=actor.request_id, details=details,
        )  # fmt: skip
    return (await _with_patients(connection, clinic, [await _known(connection, clinic, task_id)]))[0]


async def _known(connection: Connection, clinic: Clinic, task_id: UUID) -> DeskTask:
    task = await store.fetch_task(connection, clinic.id, task_id)
    if task is None:
        raise NotFound("There is no such task.")
    return task


async def _with_patients(connection: Connection, clinic: Clinic, tasks: list[DeskTask]) -> list[ToDo]:
    ids = list({task.patient_id for task in tasks if task.patient_id is not None})
    patients = await fetch_patients(connection, clinic.id, ids)
    return [ToDo(task=task, patient=patients.get(task.patient_id) if task.patient_id else None) for task in tasks]
