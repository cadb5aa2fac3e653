"""The panel in which the desk books: first for whom, then what, with whom and when."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.patients import Patient, read_search
from scheduler.domain.times import instant_at, wall_spans
from scheduler.errors import NotFound, PlacementRefused
from scheduler.services.patients import read_patient, search_patients
from scheduler.services.visit_records import list_visits
from scheduler.store.connections import Connection
from scheduler.web.reading import Problems
from scheduler.web.staff import board_words as words
from scheduler.web.staff.board_looks import Screen
from scheduler.web.staff.message_words import shown_phone
from scheduler.web.staff.panels import Panel, kinds, slot_look
from scheduler.web.staff.people import person
from scheduler.web.staff.session import StaffMember

# More than these, and the desk types another letter.
_FOUND = 10

NEW = "new"

_TYPED = ("given_name", "family_name", "phone", "email", "language", "texts", "kind", "who", "day", "time", "reason")


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing was booked: what is wrong with which field, or why the time cannot be had, and what can."""

    problems: Mapping[str, str] = {}
    words: str = ""
    alternatives: Sequence[dict[str, str]] = ()
    may_squeeze: bool = False


async def new_panel(
    connection: Connection,
    staff: StaffMember,
    screen: Screen,
    form: Mapping[str, str] | None = None,
    refusal: Refusal | None = None,
) -> Panel:
    """Return the panel at the step that its address is at. Raises NotFound for a patient who is not there."""
    clinic, view = screen.clinic, screen.view
    therapist, starts = clinic.therapists.get(view.get("who")), read_at(view.get("at"), clinic)
    until = view.get("until")
    place = {
        "with": therapist.display_name if therapist else "",
        "when": f"{words.relative_day(starts.date(), screen.today)} at {words.clock(starts)}" if starts else "",
        "block": view.to(block=therapist.code, at=view.get("at"), until=until) if therapist and starts else "",
    }
    patient = await _patient(connection, staff, view.get("patient"))
    if patient is None and view.get("patient") != NEW:
        return Panel(name="new_who", title="New visit", shows={**place, **await _found(connection, staff, screen)})
    typed = {name: (form or {}).get(name, "") for name in _TYPED}
    if form is None:
        day = starts.date() if starts else max(view.day, screen.today)
        typed |= {
            "kind": view.get("kind") or await _usual_kind(connection, clinic, patient, therapist),
            "who": therapist.code if therapist else "",
            "day": day.isoformat(),
            "time": f"{starts:%H:%M}" if starts else "",
            "language": clinic.settings.languages[0],
        }
    shows = {
        **place,
        "person": person(patient, screen) if patient else None,
        "asks_texts": patient is None or patient.sms_consent is None,
        "typed": typed,
        "kinds": kinds(clinic, None),
        "therapists": [(each.code, each.display_name) for each in clinic.therapists.values()],
        "languages": clinic.settings.languages,
        "refusal": refusal or Refusal(),
        "other": view.but(patient=None, found=None),
        "at": view.get("at"),
    }
    return Panel(name="new_visit", title="New visit", shows=shows, keep=form is not None)


async def _patient(connection: Connection, staff: StaffMember, text: str) -> Patient | None:
    if not text or text == NEW:
        return None
    try:
        patient_id = UUID(text)
    except ValueError:
        raise NotFound from None
    return await read_patient(connection, staff.clinic, patient_id, action="patient.read", actor=staff.actor)


async def _found(connection: Connection, staff: StaffMember, screen: Screen) -> dict[str, Any]:
    """Return whom the last search finds; what was typed is kept with the session, never in an address."""
    view = screen.view
    search = staff.session.patient_search if view.get("found") else ""
    look: dict[str, Any] = {"search": search, "problem": "", "found": [], "more": False, "new": view.but(patient=NEW)}
    if not search:
        return look
    problems = Problems()
    wanted = read_search(search, "q", problems)
    if problems:
        return {**look, "problem": problems[0].detail}
    found, more = await search_patients(
        connection, staff.clinic, wanted, after_id=None, limit=_FOUND, actor=staff.actor
    )
    return {**look, "found": [_row(patient, screen) for patient in found], "more": more}


def _row(patient: Patient, screen: Screen) -> dict[str, Any]:
    shown = person(patient, screen)
    ends = f"phone ends in {patient.phone[-2:]}" if screen.hide_names else shown_phone(patient.phone)
    return {"name": shown["name"], "phone": ends, "address": screen.view.but(patient=patient.id)}


async def _usual_kind(
    connection: Connection, clinic: Clinic, patient: Patient | None, therapist: Therapist | None
) -> str:
    """Return what is booked most likely: the first kind for somebody new, the shortest for who has been here."""
    performed = [each for each in clinic.visit_types.values() if therapist is None or therapist.may_perform(each)]
    if not performed:
        return ""
    if patient is not None:
        known, _ = await list_visits(
            connection, clinic, starts_from=None, starts_before=None, therapist_id=None, patient_id=patient.id,
            status=None, after=None, limit=1,
        )  # fmt: skip
        if known:
            return min(performed, key=lambda each: each.duration_minutes).code
    return performed[0].code


def read_at(text: str, clinic: Clinic) -> datetime | None:
    """Return the start that an address names, in clinic time, or None."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return clinic.local(moment) if moment.tzinfo else None
    except (ValueError, OverflowError):
        # The second: on the first or last day that there is, it is another day here.
        return None


def wall_start(day: date, minute: int, clinic: Clinic) -> datetime | None:
    """Return the first instant at which the clinic's clocks show a minute of a date; None where they skip it."""
    spans = wall_spans(day, minute, minute + 1, clinic.zone)
    return instant_at(spans[0][0], clinic.zone) if spans else None


_CONFLICTS = {
    "therapist": "{who} has somebody else then.",
    "room": "No room is free then.",
    "equipment": "The equipment is in use then.",
    "patient": "This patient has another visit then.",
}

_CODES = {
    "outside-hours": "{who} does not work then.",
    "not-qualified": "{who} does not do this visit.",
}


def refused(error: PlacementRefused, clinic: Clinic, therapist: Therapist | None, starts: datetime) -> Refusal:
    """Return a refusal in the desk's words, with the open times nearest to the one that cannot be had."""
    conflict = error.members.get("conflict", "therapist")
    sentence = _CODES.get(error.code) or _CONFLICTS[conflict]
    who = therapist.display_name if therapist else "Everybody who does this visit"
    if therapist is None:
        sentence = {"outside-hours": "Nobody who does this visit works then."}.get(error.code, sentence)
    may_squeeze = therapist is not None and conflict != "patient" and error.code != "not-qualified"
    return Refusal(
        words=sentence.format(who=who),
        alternatives=[slot_look(slot, clinic, starts.date()) for slot in error.members.get("alternatives", ())],
        may_squeeze=may_squeeze,
    )
