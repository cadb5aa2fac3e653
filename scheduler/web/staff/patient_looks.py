"""Patients in words: what a card and a list say of them, with names hidden where they are to be."""

from datetime import datetime
from typing import Any

from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.own_visits import BY_LINK
from scheduler.domain.patients import BY_PAGE, CONSENT_METHODS, Patient, Scope
from scheduler.domain.visits import Status, Visit
from scheduler.services import opt_outs, unsubscribes
from scheduler.services.patient_cards import PatientCard
from scheduler.store.patients import Consent
from scheduler.web.pages import dates
from scheduler.web.staff.message_words import LANGUAGES, entry_line, shown_phone
from scheduler.web.staff.render import shown_name
from scheduler.web.staff.session import StaffMember

PATIENTS = "/staff/patients"

# What a patient may say something about, in the order in which the desk asks.
SAYINGS: dict[str, tuple[Channel, Scope, str]] = {
    "sms-visits": ("sms", "visits", "Texts about visits"),
    "sms-frequent": ("sms", "frequent", "More texts than one a visit"),
    "sms-reminders": ("sms", "reminders", "Reminders by text"),
    "email-visits": ("email", "visits", "Emails about visits"),
    "email-reminders": ("email", "reminders", "Reminders by email"),
}

# Ways in which other parts of the service got a consent; the desk's own are in the domain.
_METHODS: dict[str, str] = {
    **CONSENT_METHODS,
    BY_PAGE: "ticked on the booking page",
    BY_LINK: "said on their own page",
    opt_outs.METHOD: "reported by the text provider",
    unsubscribes.METHOD: "by the link in an email",
    "desk": "said at the front desk",
}

_STATUSES: dict[Status, str] = {
    "booked": "Not confirmed", "confirmed": "Confirmed", "arrived": "Checked in", "completed": "Came",
    "no_show": "Missed", "cancelled": "Canceled",
}  # fmt: skip


def typed_name(words: str) -> tuple[str, str]:
    """Return the given name and the family name in what somebody looked for; both are empty where it is no name."""
    if any(character.isdigit() for character in words):
        return "", ""
    family, comma, given = words.partition(",")
    if not comma:
        given, _, family = words.partition(" ")
    # Nobody types capitals to find somebody.
    return _capitals(given), _capitals(family)


def add_words(words: str) -> str:
    """Return whom the desk may add where nobody was found, as in "Jordan S."."""
    given, family = typed_name(words)
    return " ".join([*([given] if given else []), *([f"{family[0]}."] if family else [])]) or "a new patient"


def _capitals(name: str) -> str:
    return " ".join(word[0].upper() + word[1:] for word in name.split())


def patient_line(patient: Patient, staff: StaffMember) -> dict[str, Any]:
    """Return what a list says of a patient."""
    return {
        "name": shown_name(staff, patient.given_name, patient.family_name),
        "address": f"{PATIENTS}/{patient.id}",
        "id": patient.id,
        "phone": _phone(patient, hidden=staff.hide_names),
        "email": _email(patient, hidden=staff.hide_names),
        "born": f"{patient.birth_date:%m/%d/%Y}" if patient.birth_date and not staff.hide_names else "",
        "language": LANGUAGES[patient.language],
    }


def card_look(card: PatientCard, staff: StaffMember, now: datetime) -> dict[str, Any]:
    """Return what the card's template shows."""
    clinic, today = staff.clinic, staff.clinic.local(now)
    dead = {one.channel: one for one in card.dead}
    return {
        "person": patient_line(card.patient, staff),
        "dial": "" if staff.hide_names else card.patient.phone,
        "dead": {
            channel: f"{one.reason.rstrip('.')}, since {dates.short_day(clinic.local(one.noted_at).date(), 'en')}"
            for channel, one in dead.items()
        },
        "in_force": _in_force(card),
        "consents": [_consent_line(consent, card, clinic, hidden=staff.hide_names) for consent in card.consents],
        "ahead": [visit_row(visit, clinic) for visit in card.ahead],
        "past": [visit_row(visit, clinic) for visit in card.past],
        "entries": [(entry, entry_line(entry, clinic, today)) for entry in card.entries],
        "twins": [patient_line(twin, staff) for twin in card.twins],
    }


def visit_row(visit: Visit, clinic: Clinic) -> dict[str, Any]:
    """Return a visit as a line: when, what, with whom, what became of it, and where the board shows it."""
    starts = clinic.local(visit.starts_at)
    therapist = clinic.therapists_by_id.get(visit.therapist_id)
    kind = clinic.visit_types.get(visit.visit_type)
    return {
        "day": f"{dates.short_day(starts.date(), 'en')}, {starts.year}",
        "time": dates.clock(starts, "en"),
        "what": kind.names["en"] if kind else visit.visit_type,
        "who": therapist.display_name if therapist else "",
        "status": _STATUSES.get(visit.status, visit.status),
        "look": visit.status.replace("_", "-"),
        "address": f"/staff/day/{starts.date().isoformat()}?sel={visit.id}",
    }


def _in_force(card: PatientCard) -> list[dict[str, Any]]:
    """Return what holds now, for the addresses that the patient has now; ``may`` is whether something is sent."""
    patient = card.patient
    lines = [("Texts about visits", patient.sms_consent is True, "Nothing said, so none")]
    if patient.sms_consent is not None:
        lines[0] = ("Texts about visits", patient.sms_consent, "No")
    if patient.sms_consent:
        lines.append(("More texts than one a visit", patient.frequent_texts is True, "No"))
    if patient.email is None:
        lines.append(("Emails", False, "No address on file"))
    else:
        lines.append(("Emails about visits", patient.email_consent is not False, "No"))
        if patient.email_consent is not False:
            lines.append(("Reminders by email", card.email_reminders is True, "No"))
    return [{"what": what, "said": "Yes" if may else otherwise, "may": may} for what, may, otherwise in lines]


def _consent_line(consent: Consent, card: PatientCard, clinic: Clinic, *, hidden: bool) -> dict[str, str]:
    what = next(
        (words for channel, scope, words in SAYINGS.values() if (channel, scope) == (consent.channel, consent.scope)),
        f"{consent.channel}, {consent.scope}",
    )
    moment = clinic.local(consent.recorded_at)
    patient = card.patient
    current = consent.address == (patient.phone if consent.channel == "sms" else patient.email)
    address = consent.address if consent.channel == "email" else shown_phone(consent.address)
    return {
        "day": f"{dates.short_day(moment.date(), 'en')}, {moment.year}",
        "time": dates.clock(moment, "en"),
        "what": what,
        "said": "Yes" if consent.granted else "No",
        "how": _METHODS.get(consent.method, consent.method.replace("_", " ")),
        "from": "" if hidden or consent.client_address is None else consent.client_address,
        "by": card.names[consent.actor],
        "address": ("the one on file" if current else "an earlier one") if hidden else address,
        "old": "" if current or hidden else "no longer on file",
        "wording": f"{consent.wording_version}, {LANGUAGES[consent.language]}",
    }


def _phone(patient: Patient, *, hidden: bool) -> str:
    return f"ending in {patient.phone[-2:]}" if hidden else shown_phone(patient.phone)


def _email(patient: Patient, *, hidden: bool) -> str:
    return "" if patient.email is None else "on file" if hidden else patient.email
