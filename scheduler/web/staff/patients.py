"""Patients, found by name or phone, and each on a card. What is looked for stays in the session, out of addresses."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from scheduler.domain.patients import CONSENT_METHODS, Patient, read_search
from scheduler.errors import FieldError, InvalidRequest
from scheduler.services.patient_cards import read_card
from scheduler.services.patients import search_patients, suggest_patients
from scheduler.store.connections import Connection, Pool
from scheduler.store.staff_sessions import set_patient_search
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.pages.words import speaker
from scheduler.web.staff.patient_looks import PATIENTS, SAYINGS, add_words, card_look, patient_line
from scheduler.web.staff.render import RECORDS_STYLESHEET, staff_page
from scheduler.web.staff.session import FromStaff, StaffMember, is_fragment, roles

FromPool = NamedDependency[Pool]

DESK = roles("desk", "admin")

LISTED = 25
LONGEST_SEARCH = 200

# While somebody types: more than the first are too many to read, and more than the second too many to count.
SUGGESTED = 10
COUNTED = 100

_INVALID = 422

# What a page says once something was done, by the word that its address then has.
_DID = {
    "changed": "Saved. Messages that are still planned follow.",
    "added": "Added. Nothing was said about texts yet, so none will go.",
    "found": "This patient was on file already, with this name and phone.",
    "said": "Written down. It holds from now on.",
    "merged": "The two records are one. Whatever led to the other one leads here.",
}


@get("/patients", guards=[DESK])
async def list_patients(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[str]:
    """Show whom this session looked for last; an address that is opened anew looks again."""
    words = staff.session.patient_search
    found: list[Patient] = []
    more, problem = False, ""
    if words:
        problems: list[FieldError] = []
        wanted = read_search(words, "/q", problems)
        if problems:
            problem = f"{problems[0].detail}."
        else:
            async with unit_of_work(pool) as connection:
                try:
                    found, more = await search_patients(
                        connection, staff.clinic, wanted, after_id=_after(request), limit=LISTED, actor=staff.actor
                    )
                except InvalidRequest:
                    return see_other(PATIENTS)
    return staff_page(
        staff,
        "staff/patients.html",
        title="Error: Patients" if problem else "Patients",
        section="patients",
        status=_INVALID if problem else 200,
        staff_stylesheet=RECORDS_STYLESHEET,
        words=words,
        problems={"q": problem} if problem else {},
        found=[patient_line(patient, staff) for patient in found],
        more=f"{PATIENTS}?after={found[-1].id}" if more else None,
        add=add_words(words),
    )


@post("/patients/search", status_code=200, guards=[DESK])
async def search(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[Any]:
    """Keep what is looked for and show who is found: on the page of patients, or below the field of who is typing."""
    words = " ".join((await read_form(request)).get("q", "").replace("\0", "").split())[:LONGEST_SEARCH]
    async with unit_of_work(pool) as connection:
        await set_patient_search(connection, staff.clinic.id, staff.session.id, words)
        if is_fragment(request):
            return await _suggestions(connection, staff, words)
    return see_other(PATIENTS)


async def _suggestions(connection: Connection, staff: StaffMember, words: str) -> Response[str]:
    problems: list[FieldError] = []
    wanted = read_search(words, "/q", problems)
    found: list[Patient] = []
    number = 0
    if not problems:
        found, number = await suggest_patients(
            connection, staff.clinic, wanted, limit=SUGGESTED, counted=COUNTED, actor=staff.actor
        )
    return staff_page(
        staff,
        "staff/found.html",
        title="",
        problem=f"{problems[0].detail}." if problems else "",
        found=[patient_line(patient, staff) for patient in found],
        number=f"more than {COUNTED - 1}" if number == COUNTED else number,
        many=number > SUGGESTED,
        add=add_words(words),
    )


@get("/patients/{patient_id:uuid}", guards=[DESK])
async def show_card(
    request: PageRequest,
    staff: FromStaff,
    pool: FromPool,
    now: FromNow,
    patient_id: FromPath[UUID],
) -> Response[Any]:
    """Show everything the desk needs to know about a patient. The id of one that was merged leads to the other."""
    did = request.query_params.get("did", "")
    return await card_page(staff, pool, now, patient_id, did=_DID.get(did, ""), moved=f"did={did}" if did else "")


async def card_page(
    staff: StaffMember,
    pool: Pool,
    now: datetime,
    patient_id: UUID,
    *,
    did: str = "",
    moved: str = "",
    problems: dict[str, str] | None = None,
) -> Response[Any]:
    """Return the card's page, or the way to it where the patient is known by another id now. Raises NotFound."""
    async with unit_of_work(pool) as connection:
        card = await read_card(connection, staff.clinic, patient_id, actor=staff.actor, now=now)
    patient = card.patient
    if patient.id != patient_id:
        return see_other(f"{PATIENTS}/{patient.id}{f'?{moved}' if moved else ''}")
    clinic = staff.clinic.settings
    sayings = {key: words for key, (channel, _, words) in SAYINGS.items() if channel == "sms" or patient.email}
    return staff_page(
        staff,
        "staff/patient.html",
        title="Error: Patient" if problems else "Patient",
        section="patients",
        status=_INVALID if problems else 200,
        staff_stylesheet=RECORDS_STYLESHEET,
        card=card_look(card, staff, now),
        sayings=sayings,
        methods={method: words for method, words in CONSENT_METHODS.items() if method != "api"},
        wording=speaker(patient.language)("sms.text", clinic=clinic.name.partition(", ")[0]),
        wording_language=patient.language,
        wording_version=clinic.consent_wording_version,
        did=did,
        problems=problems or {},
        audit=f"/staff/audit?patient={patient.id}" if staff.is_any("admin") else "",
    )


def _after(request: PageRequest) -> UUID | None:
    try:
        return UUID(request.query_params.get("after", ""))
    except ValueError:
        return None


PATIENT_PAGES = [list_patients, search, show_card]
