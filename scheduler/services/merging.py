"""Making two records of one patient one, in one transaction: nothing is lost, and nobody is in two places at once."""

import asyncio
import random
from datetime import datetime
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import addresses, plan_reminders
from scheduler.domain.patients import Patient
from scheduler.errors import PatientsOverlap, TooBusy
from scheduler.services.patients import PatientChange, change_patient, find_patient
from scheduler.services.readings import note_reading
from scheduler.store import merging as store
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.messages import add_messages
from scheduler.store.patient_messages import readdress_messages, visits_ahead, void_frequent

# How often the two are tried to be had for oneself, while somebody books for one of them.
_TRIES = 5


async def compare(
    connection: Connection, clinic: Clinic, kept_id: UUID, gone_id: UUID, *, actor: Actor
) -> tuple[Patient, Patient]:
    """Return the two patients, and note that somebody saw both. Raises NotFound."""
    kept, gone = [await find_patient(connection, clinic, patient_id) for patient_id in (kept_id, gone_id)]
    await note_reading(connection, clinic, actor, "patients.comparison_read", [kept.id, gone.id])
    return kept, gone


async def merge(
    connection: Connection,
    clinic: Clinic,
    kept_id: UUID,
    gone_id: UUID,
    details: PatientChange,
    *,
    actor: Actor,
    now: datetime,
) -> Patient:
    """Make one record of two and return the patient, with the details that were chosen.

    Their visits, messages, texts and tasks become the kept record's; what either said about messages holds for the
    address it was said of, the last word first. The other record's id, name and phone lead to the patient from then on.

    Raises NotFound, PatientsOverlap where both have visits at one time, PatientExists where the details chosen are a
    third patient's, or TooBusy where somebody is booking for one of them.
    """
    await _hold_still(connection, clinic, [kept_id, gone_id])
    kept, gone = [await find_patient(connection, clinic, patient_id) for patient_id in (kept_id, gone_id)]
    if kept.id == gone.id:
        # They have become one meanwhile.
        return kept
    if clashes := await store.list_clashes(connection, clinic.id, kept.id, gone.id):
        raise PatientsOverlap(visits=[visit.id for visit in clashes])
    visit_ids = await store.list_visit_ids(connection, clinic.id, gone.id)
    await store.move_occupancy(connection, clinic.id, gone.id, kept.id)
    moved = {table: await store.move_rows(connection, clinic.id, table, gone.id, kept.id) for table in store.MOVED}
    moved["consents"] = await store.copy_consents(connection, clinic.id, gone.id, kept.id)
    await store.mark_merged(connection, clinic.id, gone.id, kept.id)
    patient = await change_patient(connection, clinic, kept.id, details, actor=actor, now=now)
    await _redirect(connection, clinic, patient, now)
    for patient_id, action, more in (
        (kept.id, "patient.merged", {"from": gone.id, "visits": visit_ids, "moved": moved}),
        (gone.id, "patient.merged_into", {"into": kept.id}),
    ):
        await add_audit_event(
            connection, clinic.id, actor=actor.name, action=action, patient_id=patient_id,
            request_id=actor.request_id, details=more,
        )  # fmt: skip
    return patient


async def _hold_still(connection: Connection, clinic: Clinic, patient_ids: list[UUID]) -> None:
    for attempt in range(_TRIES):
        if await store.try_lock_records(connection, clinic.id, patient_ids):
            return
        await asyncio.sleep(random.uniform(0.05, 0.15) * (attempt + 1))  # noqa: S311 - jitter, not a secret
    raise TooBusy("Somebody is booking for this patient at this moment.")


async def _redirect(connection: Connection, clinic: Clinic, patient: Patient, now: datetime) -> None:
    """Let what is planned for the visits of both go to where the one patient can be reached, and nothing twice."""
    await readdress_messages(
        connection, clinic.id, patient.id, addresses=addresses(patient), language=patient.language, now=now
    )
    if not patient.frequent_texts:
        await void_frequent(connection, clinic.id, patient.id, "The patient has not agreed to more texts.", now=now)
    ahead = await visits_ahead(connection, clinic.id, patient.id, now)
    await add_messages(
        connection, clinic.id, [one for visit in ahead for one in plan_reminders(clinic, visit, patient, now)]
    )
