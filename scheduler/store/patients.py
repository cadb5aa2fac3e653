"""Patients, and the consents that say what they agreed to."""

from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Language
from scheduler.domain.patients import Patient, PatientDetails
from scheduler.ids import new_id
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

_SMS_CONSENT = """(select granted from consents
    where consents.clinic_id = patients.clinic_id and patient_id = patients.id and channel = 'sms'
    order by recorded_at desc, consents.id desc limit 1) as sms_consent"""

_COLUMNS = f"id, given_name, family_name, phone, email, birth_date, language, {_SMS_CONSENT}"


async def fetch_patient(connection: Connection, clinic_id: UUID, patient_id: UUID) -> Patient | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from patients where clinic_id = $1 and id = $2", clinic_id, patient_id
    )
    return to_struct(row, Patient) if row else None


async def fetch_patients(connection: Connection, clinic_id: UUID, patient_ids: list[UUID]) -> dict[UUID, Patient]:
    rows = await connection.fetch(
        f"select {_COLUMNS} from patients where clinic_id = $1 and id = any($2::uuid[])", clinic_id, patient_ids
    )
    return {row["id"]: to_struct(row, Patient) for row in rows}


async def find_or_add_patient(
    connection: Connection, clinic_id: UUID, details: PatientDetails, *, language: Language, trusted: bool
) -> Patient:
    """Return the patient with this phone, family name and given name, made if there is none.

    ``language`` is a new patient's where the details name none.

    A trusted caller's email, birth date and language replace what is on file; anybody else only fills what is
    empty, so that a stranger who knows a name and a number cannot redirect somebody's mail.
    """
    row = await connection.fetchrow(
        f"""insert into patients as patients
            (clinic_id, id, given_name, family_name, name_key, phone, email, birth_date, language)
        values ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, $11))
        on conflict (clinic_id, phone, name_key) do update set updated_at = now(),
            email = case when $10 then coalesce(excluded.email, patients.email)
                         else coalesce(patients.email, excluded.email) end,
            birth_date = case when $10 then coalesce(excluded.birth_date, patients.birth_date)
                              else coalesce(patients.birth_date, excluded.birth_date) end,
            language = case when $10 then coalesce($9, patients.language) else patients.language end
        returning {_COLUMNS}""",
        clinic_id,
        new_id(),
        details.given_name,
        details.family_name,
        details.name_key,
        details.phone,
        details.email,
        details.birth_date,
        details.language,
        trusted,
        language,
    )
    if row is None:
        raise LookupError("an upsert always returns its row")
    return to_struct(row, Patient)


async def add_consent(
    connection: Connection,
    clinic_id: UUID,
    patient: Patient,
    *,
    channel: Channel,
    granted: bool,
    wording_version: str,
    method: str,
    actor: str,
) -> Patient:
    """Append a consent record for visit messages; return the patient as they now stand."""
    await connection.execute(
        """insert into consents (clinic_id, id, patient_id, channel, scope, granted, address, language,
            wording_version, method, actor)
        values ($1, $2, $3, $4, 'visits', $5, $6, $7, $8, $9, $10)""",
        clinic_id,
        new_id(),
        patient.id,
        channel,
        granted,
        patient.phone if channel == "sms" else patient.email or "",
        patient.language,
        wording_version,
        method,
        actor,
    )
    return msgspec.structs.replace(patient, sms_consent=granted) if channel == "sms" else patient
