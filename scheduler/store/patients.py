"""Patients: kept, changed and found, and the consents that say what they agreed to."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Channel, Language
from scheduler.domain.patients import Patient, PatientDetails, Scope, name_key
from scheduler.ids import new_id, new_id_without_time
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct


def _said(channel: Channel, address: str, scope: Scope, name: str) -> str:
    # An agreement covers the address for which it was given: with a new one, nothing has been said yet.
    return f"""(select granted from consents
    where consents.clinic_id = patients.clinic_id and patient_id = patients.id and channel = '{channel}'
        and address = patients.{address} and scope = '{scope}'
    order by recorded_at desc, consents.id desc limit 1) as {name}"""


PATIENT_COLUMNS = f"""id, given_name, family_name, phone, email, birth_date, language,
    {_said("sms", "phone", "visits", "sms_consent")}, {_said("email", "email", "visits", "email_consent")},
    {_said("sms", "phone", "frequent", "frequent_texts")}"""

_CONSENT_COLUMNS = """id, channel, scope, granted, address, language, wording_version, method, actor, recorded_at,
    client_address, user_agent"""

# The given name's part of a name_key, as its index has it.
_GIVEN_KEY = r"split_part(name_key, E'\x1f', 2)"

# Comes after whatever begins with the text before it, byte by byte; no name and no phone holds this character.
_LAST = r"U&'\+10FFFF'"


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """What a patient said about one channel, for which address, in which words, how, and to whom.

    ``client_address`` and ``user_agent`` are of the browser in which they said it, None where it was none.
    """

    id: UUID
    channel: Channel
    scope: str
    granted: bool
    address: str
    language: Language
    wording_version: str
    method: str
    actor: str
    recorded_at: datetime
    client_address: str | None = None
    user_agent: str | None = None


async def fetch_patient(
    connection: Connection, clinic_id: UUID, patient_id: UUID, *, for_update: bool = False
) -> Patient | None:
    """Return the patient, or None; ``for_update`` keeps others from changing them until the transaction ends.

    The id of a record that was merged into another one is that patient's as well.
    """
    row = await connection.fetchrow(
        f"""select {PATIENT_COLUMNS} from patients where clinic_id = $1
            and id = coalesce((select merged_into from patients where clinic_id = $1 and id = $2), $2)"""
        f"{' for no key update' if for_update else ''}",
        clinic_id,
        patient_id,
    )
    return to_struct(row, Patient) if row else None


async def fetch_patients(connection: Connection, clinic_id: UUID, patient_ids: list[UUID]) -> dict[UUID, Patient]:
    rows = await connection.fetch(
        f"select {PATIENT_COLUMNS} from patients where clinic_id = $1 and id = any($2::uuid[])", clinic_id, patient_ids
    )
    return {row["id"]: to_struct(row, Patient) for row in rows}


async def patient_named(connection: Connection, clinic_id: UUID, phone: str, key: str) -> UUID | None:
    """Return the id of the patient with this phone and ``name_key``, or None."""
    return await connection.fetchval(
        "select id from patients where clinic_id = $1 and phone = $2 and name_key = $3", clinic_id, phone, key
    )


async def fetch_name_key(connection: Connection, clinic_id: UUID, patient_id: UUID) -> str | None:
    """Return the ``name_key`` that a patient has on file, or None. It may be an older one than the name has today."""
    return await connection.fetchval(
        "select name_key from patients where clinic_id = $1 and id = $2", clinic_id, patient_id
    )


async def find_or_add_patient(
    connection: Connection, clinic_id: UUID, details: PatientDetails, *, language: Language
) -> tuple[Patient, bool]:
    """Return the patient with this phone, family name and given name, and whether they were added just now.

    ``language`` is a new patient's where the details name none. Nothing of a patient on file changes; their row is
    locked until the transaction ends. The name and phone of a record that was merged are those of whom it was merged
    into.
    """
    # Whoever books with somebody's name and phone is told it, and must not learn that they have long been a patient.
    patient_id = new_id_without_time()
    row = await connection.fetchrow(
        f"""insert into patients as patients
            (clinic_id, id, given_name, family_name, name_key, phone, email, birth_date, language)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (clinic_id, phone, name_key) do update set updated_at = patients.updated_at
        returning {PATIENT_COLUMNS}, merged_into""",
        clinic_id,
        patient_id,
        details.given_name,
        details.family_name,
        details.name_key,
        details.phone,
        details.email,
        details.birth_date,
        details.language or language,
    )
    if row is None:
        raise LookupError("an upsert always returns its row")
    if row["merged_into"]:
        patient = await fetch_patient(connection, clinic_id, row["id"], for_update=True)
        if patient is None:
            raise LookupError("patients are not deleted")
        return patient, False
    return to_struct(row, Patient), row["id"] == patient_id


async def update_patient(connection: Connection, clinic_id: UUID, patient: Patient) -> Patient | None:
    """Write a patient as they are given; return them with the consents that cover their addresses now.

    Returns None, and writes nothing, where another patient has this phone and name. Who keeps their name keeps its
    key: of two that differ in an apostrophe alone, both can still be changed.
    """
    try:
        # The savepoint keeps the transaction alive, so that the caller can say who the other one is.
        async with connection.transaction():
            row = await connection.fetchrow(
                f"""update patients set given_name = $3, family_name = $4,
                    name_key = case when (given_name, family_name) = ($3, $4) then name_key else $5 end,
                    phone = $6, email = $7, birth_date = $8, language = $9, updated_at = now()
                where clinic_id = $1 and id = $2 returning {PATIENT_COLUMNS}""",
                clinic_id,
                patient.id,
                patient.given_name,
                patient.family_name,
                name_key(patient.family_name, patient.given_name),
                patient.phone,
                patient.email,
                patient.birth_date,
                patient.language,
            )
    except asyncpg.UniqueViolationError:
        return None
    if row is None:
        raise LookupError("the patient is locked by this transaction and cannot have gone")
    return to_struct(row, Patient)


async def search_names(
    connection: Connection,
    clinic_id: UUID,
    readings: Sequence[tuple[str, str]],
    *,
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[Patient]:
    """Return patients by name, those whose folded names begin like one of the (family name, given name) pairs.

    ``after`` is the (name_key, id) of the last one already seen.
    """
    beginnings: list[str] = []

    def begins(key: str, beginning: str) -> str:
        beginnings.append(beginning)
        return _begins(key, len(beginnings))

    either = " or ".join(
        " and ".join(begins(key, name) for key, name in (("name_key", family), (_GIVEN_KEY, given)) if name)
        for family, given in readings
    )
    return await _page(connection, clinic_id, f"({either})", beginnings, after, limit)


async def search_phones(
    connection: Connection, clinic_id: UUID, ending: str, *, after: tuple[str, UUID] | None, limit: int
) -> list[Patient]:
    """Return patients by name, those whose phone ends with these digits; ``after`` as in ``search_names``."""
    return await _page(connection, clinic_id, _begins("reverse(phone)", 1), [ending[::-1]], after, limit)


def _begins(key: str, number: int) -> str:
    """Return the condition that a key begins with the text of a number.

    It compares byte by byte, as the indexes do. LIKE could use them only while the text is known to the planner, and
    would take some characters for wildcards.
    """
    place = f"${number + 4}::text"
    return f"{key} ~>=~ {place} and {key} ~<~ ({place} || {_LAST})"


async def _page(
    connection: Connection,
    clinic_id: UUID,
    condition: str,
    texts: Sequence[str],
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[Patient]:
    rows = await connection.fetch(
        f"""select {PATIENT_COLUMNS} from patients
        where clinic_id = $1 and merged_into is null and {condition}
            and ($2::text is null or (name_key collate "C", id) > ($2 collate "C", $3::uuid))
        order by name_key collate "C", id limit $4""",
        clinic_id,
        *(after or (None, None)),
        limit,
        *texts,
    )
    return [to_struct(row, Patient) for row in rows]


async def add_consent(
    connection: Connection,
    clinic_id: UUID,
    patient: Patient,
    *,
    channel: Channel,
    granted: bool,
    wording_version: str,
    method: str,
    actor: Actor,
    scope: Scope = "visits",
) -> Consent:
    """Append what a patient said about messages of a scope, for the address of the channel that they have now.

    What was said about the other scopes stays as it is.
    """
    row = await connection.fetchrow(
        f"""insert into consents (clinic_id, id, patient_id, channel, scope, granted, address, language,
            wording_version, method, actor, client_address, user_agent)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) returning {_CONSENT_COLUMNS}""",
        clinic_id,
        new_id(),
        patient.id,
        channel,
        scope,
        granted,
        patient.phone if channel == "sms" else patient.email or "",
        patient.language,
        wording_version,
        method,
        actor.name,
        actor.browser and actor.browser.address,
        actor.browser and actor.browser.user_agent,
    )
    if row is None:
        raise LookupError("an insert always returns its row")
    return to_struct(row, Consent)


async def texts_were_stopped(connection: Connection, clinic_id: UUID, phone: str, *, except_by: str) -> bool:
    """Return whether anybody with a phone last took back their consent to texts, by any method but one."""
    return await connection.fetchval(
        """select exists (
            select 1 from patients cross join lateral (
                select granted, method from consents
                where consents.clinic_id = $1 and patient_id = patients.id and channel = 'sms' and address = $2
                    and scope = 'visits'
                order by recorded_at desc, consents.id desc limit 1
            ) as said
            where patients.clinic_id = $1 and phone = $2 and merged_into is null and not granted
                and method <> $3)""",
        clinic_id,
        phone,
        except_by,
    )


async def wants_email_reminders(connection: Connection, clinic_id: UUID, patient_id: UUID) -> bool:
    """Return whether reminders by email may go to the address that a patient has now; the dispatcher asks the same."""
    granted = await connection.fetchval(
        """select granted from consents join patients using (clinic_id)
        where clinic_id = $1 and patient_id = $2 and patients.id = $2 and channel = 'email'
            and address = patients.email and scope in ('visits', 'reminders')
        order by recorded_at desc, consents.id desc limit 1""",
        clinic_id,
        patient_id,
    )
    return granted is not False


async def list_consents(connection: Connection, clinic_id: UUID, patient_id: UUID) -> list[Consent]:
    """Return everything that a patient said about messages, in the order they said it."""
    rows = await connection.fetch(
        f"""select {_CONSENT_COLUMNS}
        from consents where clinic_id = $1 and patient_id = $2 order by recorded_at, id""",
        clinic_id,
        patient_id,
    )
    return [to_struct(row, Consent) for row in rows]
