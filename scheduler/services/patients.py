"""Everything that may happen to a patient on file. What is planned for them follows each change."""

from datetime import date, datetime
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Channel, Clinic, Language
from scheduler.domain.messages import addresses, plan_reminders, plan_welcome
from scheduler.domain.own_visits import BY_LINK
from scheduler.domain.patients import CHANNELS_OF, NameSearch, Patient, PatientDetails, PhoneSearch, Scope, name_key
from scheduler.errors import FieldError, InvalidRequest, NotFound, PatientExists
from scheduler.services.failures import after_no_attempt
from scheduler.services.readings import note_reading
from scheduler.store import patients as store
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.merging import free_alias
from scheduler.store.messages import add_messages
from scheduler.store.patient_messages import readdress_messages, visits_ahead, void_frequent
from scheduler.store.patients import Consent

# Which part of a patient tells the last that they said of a channel and a scope; what is not here, the dispatcher asks.
_TOLD_BY: dict[tuple[Channel, Scope], str] = {
    ("sms", "visits"): "sms_consent",
    ("email", "visits"): "email_consent",
    ("sms", "frequent"): "frequent_texts",
}


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What a patient says about one channel: the version of the words they were shown, and how they said it.

    ``scope`` is what they speak of: everything about their visits, or only a part of it. ``inbound_id`` is the text in
    which they said it, which holds their own words.
    """

    channel: Channel
    scope: Scope = "visits"
    granted: bool
    wording_version: str
    method: str
    inbound_id: UUID | None = None


class PatientChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes about a patient, normalised; what is unset stays as it is, and None clears."""

    given_name: str | msgspec.UnsetType = msgspec.UNSET
    family_name: str | msgspec.UnsetType = msgspec.UNSET
    phone: str | msgspec.UnsetType = msgspec.UNSET
    email: str | msgspec.UnsetType | None = msgspec.UNSET
    birth_date: date | msgspec.UnsetType | None = msgspec.UNSET
    language: Language | msgspec.UnsetType = msgspec.UNSET


async def find_patient(connection: Connection, clinic: Clinic, patient_id: UUID) -> Patient:
    """Return a patient. Raises NotFound."""
    return _known(await store.fetch_patient(connection, clinic.id, patient_id))


async def read_patient(
    connection: Connection, clinic: Clinic, patient_id: UUID, *, action: str, actor: Actor
) -> Patient:
    """Return a patient, and note who read which part of their record. Raises NotFound."""
    patient = await find_patient(connection, clinic, patient_id)
    await note_reading(connection, clinic, actor, action, patient.id)
    return patient


async def read_consents(connection: Connection, clinic: Clinic, patient_id: UUID, *, actor: Actor) -> list[Consent]:
    """Return everything that a patient said about messages, and note who read it. Raises NotFound."""
    await read_patient(connection, clinic, patient_id, action="patient.consents_read", actor=actor)
    return await store.list_consents(connection, clinic.id, patient_id)


async def search_patients(
    connection: Connection,
    clinic: Clinic,
    wanted: NameSearch | PhoneSearch,
    *,
    after_id: UUID | None,
    limit: int,
    actor: Actor,
) -> tuple[list[Patient], bool]:
    """Return at most ``limit`` patients in order of name and id, and whether more follow; note who was listed.

    ``after_id`` is the last patient already seen. A cursor that held the name instead would put it into a URL.
    Raises InvalidRequest for one who is not there.
    """
    after = None
    if after_id is not None:
        key = await store.fetch_name_key(connection, clinic.id, after_id)
        if key is None:
            raise InvalidRequest(FieldError("?cursor", "cursor-invalid", "Use next_cursor as it was given"))
        after = (key, after_id)
    found = await _search(connection, clinic, wanted, after=after, limit=limit + 1)
    shown = found[:limit]
    await note_reading(connection, clinic, actor, "patients.listed", [patient.id for patient in shown])
    return shown, len(found) > limit


async def suggest_patients(
    connection: Connection,
    clinic: Clinic,
    wanted: NameSearch | PhoneSearch,
    *,
    limit: int,
    counted: int,
    actor: Actor,
) -> tuple[list[Patient], int]:
    """Return the first ``limit`` patients that somebody may mean who is still typing, and how many there are in all.

    Nobody counts beyond ``counted``, which then stands for more. It is noted who was listed.
    """
    found = await _search(connection, clinic, wanted, after=None, limit=counted)
    shown = found[:limit]
    await note_reading(connection, clinic, actor, "patients.listed", [patient.id for patient in shown])
    return shown, len(found)


async def _search(
    connection: Connection,
    clinic: Clinic,
    wanted: NameSearch | PhoneSearch,
    *,
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[Patient]:
    match wanted:
        case NameSearch(readings):
            return await store.search_names(connection, clinic.id, readings, after=after, limit=limit)
        case PhoneSearch(ending):
            return await store.search_phones(connection, clinic.id, ending, after=after, limit=limit)


async def add_patient(
    connection: Connection,
    clinic: Clinic,
    details: PatientDetails,
    agreement: Agreement | None,
    *,
    actor: Actor,
    now: datetime,
) -> tuple[Patient, bool]:
    """Return the patient, and whether they were added just now, with what they said about messages recorded.

    Somebody who was on file is shown to the caller, which is noted.
    """
    patient, created = await find_or_add(connection, clinic, details, actor=actor, now=now)
    if agreement is not None:
        patient = await agree(connection, clinic, patient, agreement, actor=actor, now=now)
    if not created:
        await note_reading(connection, clinic, actor, "patient.read", patient.id)
    return patient, created


async def find_or_add(
    connection: Connection, clinic: Clinic, details: PatientDetails, *, actor: Actor, now: datetime
) -> tuple[Patient, bool]:
    """Return the patient with this phone, family name and given name, and whether they were added just now.

    What staff say about somebody on file replaces what was known; anybody else changes nothing, so that a stranger
    who knows a name and a number cannot have somebody's mail sent to themselves.
    """
    patient, created = await store.find_or_add_patient(
        connection, clinic.id, details, language=clinic.settings.languages[0]
    )
    if created:
        await _note(connection, clinic, actor, "patient.created", patient)
    elif actor.staff:
        said = PatientChange(
            email=details.email or msgspec.UNSET,
            birth_date=details.birth_date or msgspec.UNSET,
            language=details.language or msgspec.UNSET,
        )
        patient = await _change(connection, clinic, patient, said, actor=actor, now=now)
    return patient, created


async def change_patient(
    connection: Connection, clinic: Clinic, patient_id: UUID, change: PatientChange, *, actor: Actor, now: datetime
) -> Patient:
    """Change what is known about a patient. Raises NotFound, or PatientExists where it would make a twin."""
    patient = _known(await store.fetch_patient(connection, clinic.id, patient_id, for_update=True))
    return await _change(connection, clinic, patient, change, actor=actor, now=now)


async def change_and_read_patient(
    connection: Connection, clinic: Clinic, patient_id: UUID, change: PatientChange, *, actor: Actor, now: datetime
) -> Patient:
    """Change a patient and return the whole record to who asked for it, as ``change_patient``.

    A change leaves its own row; where nothing changed they have only read, and it is noted that they did.
    """
    patient = _known(await store.fetch_patient(connection, clinic.id, patient_id, for_update=True))
    changed = await _change(connection, clinic, patient, change, actor=actor, now=now)
    if changed == patient:
        await note_reading(connection, clinic, actor, "patient.read", patient.id)
    return changed


async def agree(
    connection: Connection, clinic: Clinic, patient: Patient, agreement: Agreement, *, actor: Actor, now: datetime
) -> Patient:
    """Record what came with a visit or a new patient, where it says something new; return the patient as they stand."""
    said = patient.sms_consent if agreement.channel == "sms" else patient.email_consent
    if agreement.granted == said:
        return patient
    stopped = said is False or (
        agreement.granted and agreement.channel == "sms" and await texts_are_off(connection, clinic, patient)
    )
    if stopped and not actor.staff:
        # Whoever said stop starts again by a text or at the desk, not by a form that anybody can fill in.
        return msgspec.structs.replace(patient, sms_consent=False) if agreement.channel == "sms" else patient
    agreed, _ = await _record_consent(connection, clinic, patient, agreement, actor=actor, now=now)
    return agreed


async def texts_are_off(connection: Connection, clinic: Clinic, patient: Patient) -> bool:
    """Return whether texts to the patient's phone were stopped: by them, or by somebody who shares it."""
    if patient.sms_consent is not None:
        return not patient.sms_consent
    return await store.texts_were_stopped(connection, clinic.id, patient.phone, except_by=BY_LINK)


async def record_consent(
    connection: Connection, clinic: Clinic, patient_id: UUID, agreement: Agreement, *, actor: Actor, now: datetime
) -> Consent:
    """Append what a patient said about a channel; what is planned for them goes or stays accordingly.

    Raises NotFound, or InvalidRequest where there is no address, or no such message, that it could be about.
    """
    if agreement.channel not in CHANNELS_OF[agreement.scope]:
        problem = FieldError("/scope", "scope-channel", f"What is {agreement.scope} can be said of texts alone")
        raise InvalidRequest(problem)
    patient = _known(await store.fetch_patient(connection, clinic.id, patient_id, for_update=True))
    if agreement.channel == "email" and patient.email is None:
        raise InvalidRequest(FieldError("/channel", "email-missing", "The patient has no email address on file"))
    _, consent = await _record_consent(connection, clinic, patient, agreement, actor=actor, now=now)
    return consent


async def _record_consent(
    connection: Connection, clinic: Clinic, patient: Patient, agreement: Agreement, *, actor: Actor, now: datetime
) -> tuple[Patient, Consent]:
    consent = await store.add_consent(
        connection, clinic.id, patient, channel=agreement.channel, granted=agreement.granted,
        wording_version=agreement.wording_version, method=agreement.method, actor=actor,
        scope=agreement.scope,
    )  # fmt: skip
    field = _TOLD_BY.get((agreement.channel, agreement.scope))
    agreed = msgspec.structs.replace(patient, **{field: agreement.granted}) if field else patient
    await _note(
        connection, clinic, actor, "patient.consented" if agreement.granted else "patient.declined", patient,
        channel=agreement.channel, scope=agreement.scope, method=agreement.method,
        wording_version=agreement.wording_version,
        **({"inbound": agreement.inbound_id} if agreement.inbound_id else {}),
    )  # fmt: skip
    await _redirect_messages(connection, clinic, patient, agreed, now)
    if agreed.frequent_texts and not patient.frequent_texts:
        await add_messages(connection, clinic.id, plan_welcome(clinic, agreed, now, consent_id=consent.id))
    return agreed, consent


async def _change(
    connection: Connection, clinic: Clinic, patient: Patient, change: PatientChange, *, actor: Actor, now: datetime
) -> Patient:
    wanted = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
    wanted = {name: value for name, value in wanted.items() if value != getattr(patient, name)}
    if not wanted:
        return patient
    replaced = msgspec.structs.replace(patient, **wanted)
    await free_alias(
        connection, clinic.id, patient.id, replaced.phone, name_key(replaced.family_name, replaced.given_name)
    )
    changed = await store.update_patient(connection, clinic.id, replaced)
    if changed is None:
        key = name_key(replaced.family_name, replaced.given_name)
        raise PatientExists(patient_id=await store.patient_named(connection, clinic.id, replaced.phone, key))
    await _note(connection, clinic, actor, "patient.changed", changed, fields=sorted(wanted))
    await _redirect_messages(connection, clinic, patient, changed, now)
    return changed


async def _redirect_messages(
    connection: Connection, clinic: Clinic, before: Patient, after: Patient, now: datetime
) -> None:
    """Let planned messages follow the patient, and plan the reminders that reach them, or that they want, only now."""
    reachable, reached = addresses(after), addresses(before)
    if reachable != reached or after.language != before.language:
        unheard = await readdress_messages(
            connection, clinic.id, after.id, addresses=reachable, language=after.language, now=now
        )
        for message_id in unheard:
            await after_no_attempt(connection, clinic.id, message_id, now=now)
    if before.frequent_texts and not after.frequent_texts:
        await void_frequent(connection, clinic.id, after.id, "The patient has not agreed to more texts.", now=now)
    if not reachable.keys() - reached.keys() and (before.frequent_texts or not after.frequent_texts):
        return
    ahead = await visits_ahead(connection, clinic.id, after.id, now)
    reminders = [message for visit in ahead for message in plan_reminders(clinic, visit, after, now)]
    await add_messages(connection, clinic.id, reminders)


async def _note(
    connection: Connection, clinic: Clinic, actor: Actor, action: str, patient: Patient, **details: object
) -> None:
    await add_audit_event(
        connection, clinic.id, actor=actor.name, action=action, patient_id=patient.id, request_id=actor.request_id,
        details=details,
    )  # fmt: skip


def _known(patient: Patient | None) -> Patient:
    if patient is None:
        raise NotFound("There is no such patient.")
    return patient
