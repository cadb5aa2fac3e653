"""Reminders by email turned off, and on again, by the link in each of them. Nothing else is: cancellations still come.

The link's token is the patient's id and a keyed hash of clinic and patient. It is kept nowhere, opens nothing but
this, and works until the service's key changes.
"""

import hmac
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import Patient
from scheduler.settings import Settings
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.dispatch import ClaimedMessage
from scheduler.store.patients import add_consent, fetch_patient, wants_email_reminders

# How consent given by the link is told from consent given elsewhere.
METHOD = "unsubscribe"

_ID_BYTES = _SIGNATURE_BYTES = 16
_TOKEN_LENGTH = 43


def unsubscribe_url(settings: Settings, message: ClaimedMessage) -> str:
    """Return the link that turns reminders by email off, or nothing for any message but such a reminder."""
    if message.kind != "reminder" or message.channel != "email" or message.patient_id is None:
        return ""
    return f"{settings.public_base_url}/u/{make_token(settings.secret_key, message.clinic_id, message.patient_id)}"


def make_token(secret_key: str, clinic_id: UUID, patient_id: UUID) -> str:
    """Return the token of a patient's link, in letters that need no escaping in a URL."""
    return urlsafe_b64encode(patient_id.bytes + _signature(secret_key, clinic_id, patient_id)).decode().rstrip("=")


def read_token(secret_key: str, clinics: Iterable[Clinic], token: str) -> tuple[Clinic, UUID] | None:
    """Return the clinic and the patient that a token is for, or None for one that we did not make."""
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return None
    try:
        raw = b64decode(f"{token}=", altchars=b"-_", validate=True)
    except ValueError:
        return None
    patient_id, signature = UUID(bytes=raw[:_ID_BYTES]), raw[_ID_BYTES:]
    for clinic in clinics:
        if hmac.compare_digest(signature, _signature(secret_key, clinic.id, patient_id)):
            return clinic, patient_id
    return None


def _signature(secret_key: str, clinic_id: UUID, patient_id: UUID) -> bytes:
    signed = f"unsubscribe:{clinic_id}{patient_id}"
    return hmac.digest(secret_key.encode(), signed.encode(), "sha256")[:_SIGNATURE_BYTES]


async def find_wish(connection: Connection, clinic: Clinic, patient_id: UUID) -> tuple[Patient | None, bool]:
    """Return the patient, None where they are gone or have no email, and whether they get reminders by email."""
    patient = await fetch_patient(connection, clinic.id, patient_id)
    if patient is None or patient.email is None:
        return None, True
    # Who wants no email at all gets none, whatever they said about reminders.
    wanted = patient.email_consent is not False and await wants_email_reminders(connection, clinic.id, patient.id)
    return patient, wanted


async def turn_reminders(
    connection: Connection, clinic: Clinic, patient_id: UUID, *, wanted: bool, actor: Actor
) -> None:
    """Record that a patient wants reminders by email, or none. Saying the same twice is saying it once.

    Who wants no email at all says otherwise at the desk, not by a link that somebody may have forwarded.
    """
    patient = await fetch_patient(connection, clinic.id, patient_id, for_update=True)
    if patient is None or patient.email is None or patient.email_consent is False:
        return
    # The link may be of a record that was merged into this one.
    if await wants_email_reminders(connection, clinic.id, patient.id) == wanted:
        return
    await add_consent(
        connection,
        clinic.id,
        patient,
        channel="email",
        scope="reminders",
        granted=wanted,
        wording_version=clinic.settings.consent_wording_version,
        method=METHOD,
        actor=actor,
    )
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor.name,
        action="patient.consented" if wanted else "patient.declined",
        patient_id=patient.id,
        request_id=actor.request_id,
        details={"channel": "email", "scope": "reminders", "method": METHOD},
    )
