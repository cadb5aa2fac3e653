"""Forms with which the desk books: the search for a patient, and the visit itself."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, post

from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.domain.patients import ConsentMethod
from scheduler.errors import InvalidRequest, PatientExists, PlacementRefused
from scheduler.services.bookings import Booking, book
from scheduler.services.visit_records import list_visits
from scheduler.store.booked_visits import BookedVisit
from scheduler.store.connections import Pool
from scheduler.store.staff_sessions import set_patient_search
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.reading import PatientBody, Problems, read_patient, read_start, read_uuid
from scheduler.web.staff.board_page import FromPool, board_page, screen_of, view_of
from scheduler.web.staff.booking_panel import NEW, Refusal, new_panel, read_at, refused, wall_start
from scheduler.web.staff.session import FromStaff, StaffMember, roles, settings_of
from scheduler.web.staff.views import View, day_view

_CONFLICT, _INVALID = 409, 422

_LONGEST_SEARCH = 60
_LONGEST_REASON = 200

# A form that was sent twice comes again within this time.
_TWICE = timedelta(minutes=2)

# How a patient may have said yes to texts at the desk; "no" is a no, and nothing that nobody asked.
_AGREED: dict[str, ConsentMethod] = {"phone": "phone", "in_person": "in_person"}


_MISSING = {"given_name": "Enter the first name", "family_name": "Enter the last name"}


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a form asks for, once it can be read."""

    booking: Booking
    visit_type: VisitType
    therapist: Therapist | None
    starts_at: datetime
    reason: str | None


@post("/patients/find", status_code=200, guards=[roles("desk", "admin")])
async def find_patients(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[Any]:
    """Look for a patient to book for. What was typed stays with the session, so that no address holds a name."""
    form = await read_form(request)
    view = view_of(form, staff, now)
    async with reading(pool) as connection:
        words = form.get("q", "").strip()[:_LONGEST_SEARCH]
        await set_patient_search(connection, staff.clinic.id, staff.session.id, words)
    return see_other(view.but(new=1, patient=None, found=1))


@post("/visits", status_code=200, guards=[roles("desk", "admin")])
async def book_visit(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[Any]:
    """Book, or show the form again with what is in the way; nothing of what was typed is lost."""
    form = await read_form(request)
    view = view_of(form, staff, now)
    therapist, starts = _place(form, staff.clinic)
    try:
        wanted = _read(form, staff.clinic, therapist, starts, now)
        async with unit_of_work(pool) as connection:
            booked = await book(
                connection, staff.clinic, wanted.booking, wanted.visit_type, wanted.starts_at,
                therapist=wanted.therapist, overbook_reason=wanted.reason,
                secret_key=settings_of(request).secret_key, actor=staff.actor, now=now,
            )  # fmt: skip
    except InvalidRequest as problem:
        fields = {error["pointer"].lstrip("/"): error["detail"] for error in problem.members["errors"]}
        fields |= {name: words for name, words in _MISSING.items() if name in fields and not form.get(name, "").strip()}
        return await _again(staff, pool, view, form, Refusal(problems=fields), now=now, status=_INVALID)
    except PlacementRefused as refusal:
        twin = await _booked_before(pool, staff, form, starts, refusal, now)
        if twin is None:
            why = refused(refusal, staff.clinic, therapist, starts or now)
            return await _again(staff, pool, view, form, why, now=now, status=_CONFLICT)
        booked = twin
    except PatientExists:
        why = Refusal(problems={"family_name": "Somebody else with this name and phone is on file: find them instead"})
        return await _again(staff, pool, view, form, why, now=now, status=_CONFLICT)
    day = staff.clinic.local(booked.visit.starts_at).date()
    return see_other(day_view(day, sel=booked.visit.id, did="book").here)


async def _again(
    staff: StaffMember,
    pool: Pool,
    view: View,
    form: Mapping[str, str],
    refusal: Refusal,
    *,
    now: datetime,
    status: int,
) -> Response[str]:
    patient = form.get("patient_id") or NEW
    view = msgspec.structs.replace(view, asked={**view.asked, "new": "1", "patient": patient})
    async with unit_of_work(pool) as connection:
        panel = await new_panel(connection, staff, screen_of(staff, view, now), form, refusal)
    return await board_page(staff, pool, view, now=now, panel=panel, status=status)


def read_to(text: str, clinic: Clinic) -> tuple[Therapist, datetime] | None:
    """Return the therapist and the start that a button names, or None."""
    code, _, start = text.partition(" ")
    therapist, starts = clinic.therapists.get(code), read_at(start, clinic)
    return (therapist, starts) if therapist and starts else None


def _place(form: Mapping[str, str], clinic: Clinic) -> tuple[Therapist | None, datetime | None]:
    """Return with whom and when: what a button says, or else the fields. None where they say nothing that exists."""
    named = read_to(form.get("to", ""), clinic)
    if named:
        return named
    therapist = clinic.therapists.get(form.get("who", ""))
    at = read_at(form.get("at", ""), clinic)
    if at and (at.date().isoformat(), f"{at:%H:%M}") == (form.get("day"), form.get("time")):
        # The fields say it once more, but not which of two, on the day on which an hour comes twice.
        return therapist, at
    try:
        day, time = date.fromisoformat(form.get("day", "")), datetime.strptime(form.get("time", ""), "%H:%M")  # noqa: DTZ007
    except ValueError:
        return therapist, None
    return therapist, wall_start(day, time.hour * 60 + time.minute, clinic)


def _read(
    form: Mapping[str, str], clinic: Clinic, therapist: Therapist | None, starts: datetime | None, now: datetime
) -> _Wanted:
    """Return what a form asks for. Raises InvalidRequest, which names every field that is wrong."""
    problems = Problems()
    booking = _read_booking(form, clinic, problems, now)
    visit_type = clinic.visit_types.get(form.get("kind", ""))
    if visit_type is None:
        problems.add("/kind", "missing", "Choose what kind of visit it is")
    if form.get("who") and therapist is None:
        problems.add("/who", "unknown", "Choose a therapist, or anyone")
    if starts is None:
        problems.add("/time", "missing", "Enter a date and a time that exist, like 9:45 AM")
    else:
        read_start(starts.isoformat(), "/time", problems, now=now, staff=True)
    reason = form.get("reason", "").strip()[:_LONGEST_REASON]
    if form.get("anyway") and not reason:
        problems.add("/reason", "missing", "Say why it is squeezed in")
    if form.get("anyway") and therapist is None:
        problems.add("/who", "missing", "Choose the therapist who takes one more")
    problems.settle()
    assert visit_type is not None and starts is not None  # noqa: S101, PT018 - or settling would have raised
    return _Wanted(
        booking=booking,
        visit_type=visit_type,
        therapist=therapist,
        starts_at=starts,
        reason=reason if form.get("anyway") else None,
    )


def _read_booking(form: Mapping[str, str], clinic: Clinic, problems: Problems, now: datetime) -> Booking:
    said = form.get("texts", "")
    consent: dict[str, Any] = {}
    if said in _AGREED or said == "no":
        consent = {
            "sms_consent": said in _AGREED,
            "wording_version": clinic.settings.consent_wording_version,
            "consent_method": _AGREED.get(said, "phone"),
        }
    if form.get("patient_id"):
        return Booking(patient_id=read_uuid(form["patient_id"], "/patient_id", problems), **consent)
    body = PatientBody(
        given_name=form.get("given_name", ""),
        family_name=form.get("family_name", ""),
        phone=form.get("phone", ""),
        email=form.get("email", "").strip() or None,
        language=form.get("language") or None,
    )
    return Booking(details=read_patient(body, "", problems, clinic, now), **consent)


async def _booked_before(
    pool: Pool,
    staff: StaffMember,
    form: Mapping[str, str],
    starts: datetime | None,
    refusal: PlacementRefused,
    now: datetime,
) -> BookedVisit | None:
    """Return the visit that this same form booked a moment ago, when somebody pressed its button twice."""
    if refusal.members.get("conflict") not in ("patient", "therapist") or starts is None:
        return None
    async with reading(pool) as connection:
        found, _ = await list_visits(
            connection, staff.clinic, starts_from=starts, starts_before=starts + timedelta(minutes=1),
            therapist_id=None, patient_id=None, status="booked", after=None, limit=10,
        )  # fmt: skip
    for one in found:
        fresh = one.visit.created_by == staff.actor.name and now - one.visit.created_at < _TWICE
        same = str(one.patient.id) == form.get("patient_id") or (
            one.patient.family_name.casefold() == form.get("family_name", "").strip().casefold()
            and one.patient.given_name.casefold() == form.get("given_name", "").strip().casefold()
        )
        if fresh and same and one.visit.visit_type == form.get("kind"):
            return one
    return None


BOOKING_PAGES = [find_patients, book_visit]
