"""Two records of one patient, side by side, to be made one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from scheduler.domain.patients import Patient
from scheduler.errors import NotFound, PatientExists, PatientsOverlap, TooBusy
from scheduler.services.merging import compare, merge
from scheduler.services.patients import PatientChange
from scheduler.store.connections import Connection, Pool
from scheduler.store.patient_cards import list_latest_visits
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.staff.message_words import LANGUAGES, counted, shown_phone
from scheduler.web.staff.patient_looks import PATIENTS, visit_row
from scheduler.web.staff.patients import DESK
from scheduler.web.staff.render import RECORDS_STYLESHEET, staff_page
from scheduler.web.staff.session import FromStaff, StaffMember

FromPool = NamedDependency[Pool]

_CONFLICT, _BUSY = 409, 503

# More than anybody has, who was not here for years; the count says so then.
_VISITS = 200

# What one of the two is chosen for: the fields of a patient that go together.
_CHOICES = {
    "name": ("Name", ("given_name", "family_name")),
    "phone": ("Phone", ("phone",)),
    "email": ("Email", ("email",)),
    "birth_date": ("Born", ("birth_date",)),
    "language": ("Language", ("language",)),
}
_OTHER = "other"


@get("/patients/{patient_id:uuid}/merge", guards=[DESK])
async def compare_records(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, patient_id: FromPath[UUID]
) -> Response[Any]:
    """Show both records, and ask which of what differs is right. Not while names are hidden."""
    other_id = _id(request.query_params.get("with", ""))
    if staff.hide_names:
        return see_other(f"{PATIENTS}/{patient_id}")
    async with unit_of_work(pool) as connection:
        return await _page(connection, staff, patient_id, other_id, now)


@post("/patients/{patient_id:uuid}/merge", status_code=200, guards=[DESK])
async def merge_records(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, patient_id: FromPath[UUID]
) -> Response[Any]:
    """Make the two records one, with what was chosen of each."""
    form = await read_form(request)
    other_id = _id(form.get("with", ""))
    clashes: list[UUID] = []
    try:
        async with unit_of_work(pool) as connection:
            kept, gone = await compare(connection, staff.clinic, patient_id, other_id, actor=staff.actor)
            patient = await merge(
                connection, staff.clinic, kept.id, gone.id, _chosen(form, kept, gone), actor=staff.actor, now=now
            )
    except PatientsOverlap as problem:
        clashes, words = (
            problem.members["visits"],
            "Both have a visit at the same time. Move or cancel one of them first.",
        )
        status = _CONFLICT
    except PatientExists:
        words, status = "A third record has this name and phone. Make that one with this one first.", _CONFLICT
    except TooBusy:
        words, status = "Somebody is booking for this patient at this moment. Try again.", _BUSY
    else:
        return see_other(f"{PATIENTS}/{patient.id}?did=merged")
    async with unit_of_work(pool) as connection:
        return await _page(
            connection, staff, patient_id, other_id, now, form=form, problem=words, clashes=clashes, status=status
        )


async def _page(
    connection: Connection,
    staff: StaffMember,
    patient_id: UUID,
    other_id: UUID,
    now: datetime,
    *,
    form: Mapping[str, str] | None = None,
    problem: str = "",
    clashes: list[UUID] | None = None,
    status: int = 200,
) -> Response[Any]:
    kept, gone = await compare(connection, staff.clinic, patient_id, other_id, actor=staff.actor)
    if kept.id == gone.id:
        return see_other(f"{PATIENTS}/{kept.id}")
    both = [await list_latest_visits(connection, staff.clinic.id, one.id, _VISITS) for one in (kept, gone)]
    ahead = [sum(visit.starts_at > now and visit.status in ("booked", "confirmed") for visit in each) for each in both]
    known = {visit.id: visit for each in both for visit in each}
    return staff_page(
        staff,
        "staff/merge.html",
        title="Error: Two records" if problem else "Two records",
        section="patients",
        status=status,
        staff_stylesheet=RECORDS_STYLESHEET,
        action=f"{PATIENTS}/{kept.id}/merge",
        back=f"{PATIENTS}/{kept.id}",
        other_id=gone.id,
        choices=[_choice(name, kept, gone, form or {}) for name in _CHOICES],
        visits=[
            f"{counted(len(each), 'visit', 'visits')}, {number} to come"
            for each, number in zip(both, ahead, strict=True)
        ],
        problems={"choices": problem} if problem else {},
        clashes=[visit_row(known[one], staff.clinic) for one in clashes or () if one in known],
    )


def _choice(name: str, kept: Patient, gone: Patient, form: Mapping[str, str]) -> dict[str, Any]:
    """Return what both records say of one thing, and which is chosen: what there is, where the other says nothing."""
    label, _ = _CHOICES[name]
    said = [_said(name, one) for one in (kept, gone)]
    usual = _OTHER if not said[0] and said[1] else "this"
    return {
        "name": name,
        "label": label,
        "said": said,
        "differs": said[0] != said[1],
        "chosen": form.get(name, usual),
    }


def _said(name: str, patient: Patient) -> str:
    match name:
        case "name":
            return f"{patient.given_name} {patient.family_name}"
        case "phone":
            return shown_phone(patient.phone)
        case "birth_date":
            return f"{patient.birth_date:%m/%d/%Y}" if patient.birth_date else ""
        case "language":
            return LANGUAGES[patient.language]
        case _:
            return patient.email or ""


def _chosen(form: Mapping[str, str], kept: Patient, gone: Patient) -> PatientChange:
    fields = {
        field: getattr(gone, field)
        for name, (_, names) in _CHOICES.items()
        if form.get(name) == _OTHER
        for field in names
    }
    return msgspec.structs.replace(PatientChange(), **{**_as_kept(kept), **fields})


def _as_kept(kept: Patient) -> dict[str, Any]:
    """Return what the desk saw and chose to keep, so that a change which came between is not kept by accident."""
    return {field: getattr(kept, field) for _, names in _CHOICES.values() for field in names}


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None


MERGES = [compare_records, merge_records]
