"""What the desk changes about a patient: their details, and what they said about messages."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import CONSENT_METHODS, Patient, PatientDetails
from scheduler.errors import FieldError, InvalidRequest, PatientExists
from scheduler.services.patients import (
    Agreement,
    PatientChange,
    add_patient,
    change_patient,
    read_patient,
    record_consent,
)
from scheduler.store.connections import Pool
from scheduler.store.units import unit_of_work
from scheduler.web.api.patient_bodies import PatientChangeBody, read_change
from scheduler.web.callers import FromNow
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.staff.message_words import LANGUAGES, shown_phone
from scheduler.web.staff.patient_looks import PATIENTS, SAYINGS, typed_name
from scheduler.web.staff.patients import DESK, card_page
from scheduler.web.staff.render import RECORDS_STYLESHEET, staff_page
from scheduler.web.staff.session import FromStaff, StaffMember

FromPool = NamedDependency[Pool]

_INVALID, _CONFLICT = 422, 409

# In the words of a person at the desk, by field and code; what is not here says itself well enough.
_WORDS = {
    "/given_name name-missing": "Enter the first name.",
    "/family_name name-missing": "Enter the last name.",
    "/phone phone-invalid": "Enter a 10-digit US number, like 201 555 0142.",
    "/email email-invalid": "Enter an email address, like name@example.com, or leave it empty.",
    "/birth_date birth-date-invalid": "Enter a date of birth in the past.",
}


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the form, as typed."""

    given_name: str = ""
    family_name: str = ""
    phone: str = ""
    email: str = ""
    birth_date: str = ""
    language: str = "en"


@get("/patients/new", guards=[DESK])
async def ask_for_patient(staff: FromStaff, searched: FromQuery[str] = "") -> Response[str]:
    """Ask for a new patient's details; ``searched``: the name is the one that was looked for and not found."""
    given, family = typed_name(staff.session.patient_search) if searched else ("", "")
    details = Details(given_name=given, family_name=family, language=staff.clinic.settings.languages[0])
    return _form(staff, details, patient_id=None)


@post("/patients/new", status_code=200, guards=[DESK])
async def take_patient(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[Any]:
    """Add a patient; one with this name and phone who is on file is shown instead."""
    typed = _typed(await read_form(request))
    try:
        change = _read(typed, staff.clinic, now)
    except InvalidRequest as problem:
        return _form(staff, typed, patient_id=None, problems=_problems(problem))
    details = msgspec.convert(msgspec.structs.asdict(change), PatientDetails)
    async with unit_of_work(pool) as connection:
        patient, created = await add_patient(connection, staff.clinic, details, None, actor=staff.actor, now=now)
    return see_other(f"{PATIENTS}/{patient.id}?did={'added' if created else 'found'}")


@get("/patients/{patient_id:uuid}/change", guards=[DESK])
async def ask_for_change(staff: FromStaff, pool: FromPool, patient_id: FromPath[UUID]) -> Response[Any]:
    """Show a patient's details to be changed; not while names are hidden, because they cannot be then."""
    if staff.hide_names:
        return see_other(f"{PATIENTS}/{patient_id}")
    async with unit_of_work(pool) as connection:
        patient = await read_patient(connection, staff.clinic, patient_id, action="patient.read", actor=staff.actor)
    return _form(staff, _as_typed(patient), patient_id=patient.id)


@post("/patients/{patient_id:uuid}/change", status_code=200, guards=[DESK])
async def take_change(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, patient_id: FromPath[UUID]
) -> Response[Any]:
    """Change what is known about a patient; whoever has the same name and phone is another record of them."""
    typed = _typed(await read_form(request))
    try:
        change = _read(typed, staff.clinic, now)
        async with unit_of_work(pool) as connection:
            patient = await change_patient(connection, staff.clinic, patient_id, change, actor=staff.actor, now=now)
    except InvalidRequest as problem:
        return _form(staff, typed, patient_id=patient_id, problems=_problems(problem))
    except PatientExists as exists:
        words = "Another patient on file has this name and phone. If it is the same person, make the two records one."
        return _form(
            staff, typed, patient_id=patient_id, problems={"phone": words}, status=_CONFLICT,
            twin=exists.members["patient_id"],
        )  # fmt: skip
    return see_other(f"{PATIENTS}/{patient.id}?did=changed")


@post("/patients/{patient_id:uuid}/consents", status_code=200, guards=[DESK])
async def take_consent(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, patient_id: FromPath[UUID]
) -> Response[Any]:
    """Write down what a patient said about messages, and how they said it."""
    form = await read_form(request)
    saying, said, method = SAYINGS.get(form.get("what", "")), form.get("said"), form.get("how", "")
    problems: dict[str, str] = {}
    if saying is None:
        problems["what"] = "Choose what the patient spoke of."
    if said not in ("yes", "no"):
        problems["said-yes"] = "Choose what the patient said."
    if method not in CONSENT_METHODS:
        problems["how"] = "Choose how the patient said it."
    if saying is not None and not problems:
        agreement = Agreement(
            channel=saying[0], scope=saying[1], granted=said == "yes", method=method,
            wording_version=staff.clinic.settings.consent_wording_version,
        )  # fmt: skip
        try:
            async with unit_of_work(pool) as connection:
                await record_consent(connection, staff.clinic, patient_id, agreement, actor=staff.actor, now=now)
        except InvalidRequest as problem:
            problems["what"] = f"{problem.members['errors'][0]['detail']}."
        else:
            return see_other(f"{PATIENTS}/{patient_id}?did=said")
    return await card_page(staff, pool, now, patient_id, problems=problems)


def _typed(form: dict[str, str]) -> Details:
    return Details(**{name: form[name] for name in Details.__struct_fields__ if name in form})


def _as_typed(patient: Patient) -> Details:
    return Details(
        given_name=patient.given_name,
        family_name=patient.family_name,
        phone=shown_phone(patient.phone),
        email=patient.email or "",
        birth_date=patient.birth_date.isoformat() if patient.birth_date else "",
        language=patient.language,
    )


def _read(typed: Details, clinic: Clinic, now: datetime) -> PatientChange:
    """Return the details, normalised. Raises InvalidRequest with every field at fault."""
    born: date | None = None
    wrong: list[FieldError] = []
    if typed.birth_date.strip():
        try:
            born = date.fromisoformat(typed.birth_date.strip())
        except ValueError:
            wrong.append(FieldError("/birth_date", "birth-date-invalid", ""))
    body = PatientChangeBody(
        given_name=typed.given_name,
        family_name=typed.family_name,
        phone=typed.phone,
        email=typed.email.strip() or None,
        birth_date=born,
        language=typed.language,
    )
    try:
        change = read_change(body, clinic, now)
    except InvalidRequest as problem:
        raise InvalidRequest(
            *(FieldError(one["pointer"], one["code"], one["detail"]) for one in problem.members["errors"]), *wrong
        ) from None
    if wrong:
        raise InvalidRequest(*wrong)
    return change


def _problems(problem: InvalidRequest) -> dict[str, str]:
    return {
        one["pointer"].removeprefix("/"): _WORDS.get(f"{one['pointer']} {one['code']}") or f"{one['detail']}."
        for one in problem.members["errors"]
    }


def _form(
    staff: StaffMember,
    typed: Details,
    *,
    patient_id: UUID | None,
    problems: dict[str, str] | None = None,
    status: int = _INVALID,
    twin: UUID | None = None,
) -> Response[str]:
    title = "Change a patient" if patient_id else "New patient"
    return staff_page(
        staff,
        "staff/patient_form.html",
        title=f"Error: {title}" if problems else title,
        section="patients",
        status=status if problems else 200,
        staff_stylesheet=RECORDS_STYLESHEET,
        heading=title,
        typed=typed,
        action=f"{PATIENTS}/{patient_id}/change" if patient_id else f"{PATIENTS}/new",
        back=f"{PATIENTS}/{patient_id}" if patient_id else PATIENTS,
        languages=[(code, LANGUAGES[code]) for code in staff.clinic.settings.languages],
        problems=problems or {},
        twin=f"{PATIENTS}/{patient_id}/merge?with={twin}" if twin else "",
    )


PATIENT_FORMS = [ask_for_patient, take_patient, ask_for_change, take_change, take_consent]
