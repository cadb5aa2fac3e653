"""Patients and their consents as they travel: what callers send and what they get."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Clinic, Language
from scheduler.domain.patients import (
    CONSENT_METHODS,
    ConsentMethod,
    Patient,
    Scope,
    read_birth_date,
    read_email,
    read_name,
    read_phone,
)
from scheduler.services.patients import PatientChange
from scheduler.store.patients import Consent
from scheduler.web.reading import Problems, WordingVersion, read_language


class PatientChangeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What changes about a patient. A field left out stays as it is; null clears the email or the date of birth."""

    given_name: Annotated[str, msgspec.Meta(examples=["Ash"])] | msgspec.UnsetType = msgspec.UNSET
    family_name: Annotated[str, msgspec.Meta(examples=["Sample"])] | msgspec.UnsetType = msgspec.UNSET
    phone: Annotated[str, msgspec.Meta(examples=["201 555 0142"])] | msgspec.UnsetType = msgspec.UNSET
    email: Annotated[str, msgspec.Meta(examples=["ash@example.com"])] | msgspec.UnsetType | None = msgspec.UNSET
    birth_date: date | msgspec.UnsetType | None = msgspec.UNSET
    language: Annotated[str, msgspec.Meta(examples=["en"])] | msgspec.UnsetType = msgspec.UNSET


_METHODS = "; ".join(f"{method}: {meaning}" for method, meaning in CONSENT_METHODS.items())


_SCOPES = (
    "visits: all messages about their visits; reminders: these alone, while other messages still come; "
    "frequent: texts alone, and more of them than one a visit"
)


class PatientConsentBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a patient said about messages over one channel, and the version of the words that they were told."""

    channel: Channel
    granted: bool
    wording_version: WordingVersion
    method: Annotated[ConsentMethod, msgspec.Meta(description=_METHODS)] = "api"
    scope: Annotated[Scope, msgspec.Meta(description=_SCOPES)] = "visits"


class PatientRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A patient on file.

    A consent is what they last said about messages to the phone or the email they have now, null if nothing: texts
    go only where it is true, emails unless it is false.
    """

    id: UUID
    given_name: str
    family_name: str
    phone: str
    email: str | None
    birth_date: date | None
    language: Language
    sms_consent: bool | None
    email_consent: bool | None


class PatientFound(PatientRecord, frozen=True, kw_only=True):
    """The patient, and whether they were added just now; if not, somebody with this name and phone was on file."""

    created: bool


class PatientPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of patients; ``next_cursor`` leads to the next one, null on the last."""

    items: list[PatientRecord]
    next_cursor: str | None


class ConsentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a patient said: about which channel and address, in the words of which version and language, how, when.

    ``actor`` is who wrote it down; ``client_address`` and ``user_agent`` say where on the internet it was said.
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
    client_address: str | None
    user_agent: str | None


class ConsentsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a patient said about messages, first things first. Nothing of it is ever changed or taken out."""

    items: list[ConsentAnswer]


def patient_record(patient: Patient) -> PatientRecord:
    return msgspec.convert(patient, PatientRecord, from_attributes=True)


def patient_found(patient: Patient, *, created: bool) -> PatientFound:
    return PatientFound(**msgspec.structs.asdict(patient_record(patient)), created=created)


def consent_answer(clinic: Clinic, consent: Consent) -> ConsentAnswer:
    told = msgspec.structs.replace(consent, recorded_at=clinic.local(consent.recorded_at))
    return msgspec.convert(told, ConsentAnswer, from_attributes=True)


def read_change(body: PatientChangeBody, clinic: Clinic, now: datetime) -> PatientChange:
    """Return what changes, normalised. Raises InvalidRequest with every field at fault."""
    problems = Problems()
    readers: dict[str, Callable[[Any], Any]] = {
        "given_name": lambda value: read_name(value, "/given_name", problems),
        "family_name": lambda value: read_name(value, "/family_name", problems),
        "phone": lambda value: read_phone(value, "/phone", problems),
        "email": lambda value: None if value is None else read_email(value, "/email", problems),
        "birth_date": lambda value: read_birth_date(value, now, "/birth_date", problems),
        "language": lambda value: read_language(value, "/language", problems, clinic),
    }
    said = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not msgspec.UNSET}
    change = {name: readers[name](value) for name, value in said.items()}
    problems.settle()
    return PatientChange(**change)
