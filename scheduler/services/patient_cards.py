"""All that the desk needs to know about one patient, on one card."""

from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import Patient
from scheduler.domain.trails import Entry
from scheduler.domain.visits import Visit
from scheduler.services.patients import read_patient
from scheduler.services.staff_names import name_actors
from scheduler.store import patient_cards as store
from scheduler.store.connections import Connection
from scheduler.store.patient_cards import DeadAddress
from scheduler.store.patients import Consent, list_consents, wants_email_reminders

# What fits on a card; the rest is in the patient's export.
VISITS_SHOWN = 100
MESSAGES_SHOWN = 60
TWINS_SHOWN = 5


class PatientCard(msgspec.Struct, frozen=True, kw_only=True):
    """A patient and what is known of them, the latest first; visits to come are apart, the next one first.

    ``names`` is what to write after "by" for whoever wrote a consent down. ``email_reminders`` is whether reminders by
    email may go to the address they have now, None without one.
    """

    patient: Patient
    consents: list[Consent]
    names: dict[str, str]
    email_reminders: bool | None
    dead: list[DeadAddress]
    ahead: list[Visit]
    past: list[Visit]
    entries: list[Entry]
    twins: list[Patient]


async def read_card(
    connection: Connection, clinic: Clinic, patient_id: UUID, *, actor: Actor, now: datetime
) -> PatientCard:
    """Return a patient's card, and note who looked at it. Raises NotFound."""
    patient = await read_patient(connection, clinic, patient_id, action="patient.card_read", actor=actor)
    consents = await list_consents(connection, clinic.id, patient.id)
    visits = await store.list_latest_visits(connection, clinic.id, patient.id, VISITS_SHOWN)
    ahead = [visit for visit in visits if visit.ends_at > now and visit.status in ("booked", "confirmed", "arrived")]
    return PatientCard(
        patient=patient,
        consents=consents[::-1],
        names=await name_actors(connection, clinic, {consent.actor for consent in consents}),
        email_reminders=await wants_email_reminders(connection, clinic.id, patient.id) if patient.email else None,
        dead=await store.list_dead_addresses(connection, clinic.id, patient),
        ahead=ahead[::-1],
        past=[visit for visit in visits if visit not in ahead],
        entries=await store.list_correspondence(connection, clinic.id, patient, MESSAGES_SHOWN),
        twins=await store.list_twins(connection, clinic.id, patient.id, TWINS_SHOWN),
    )
