"""A patient as the board's panels show them: what to call them, how to reach them, and who will be told of a change."""

from typing import Any

from scheduler.domain.messages import addresses
from scheduler.domain.patients import Patient
from scheduler.web.staff.board_looks import Screen
from scheduler.web.staff.message_words import shown_phone

_LANGUAGES = {"en": "English", "es": "Spanish"}
_BY = {"sms": "text", "email": "email"}


def person(patient: Patient, screen: Screen) -> dict[str, Any]:
    """Return what a panel says of a patient. Where names are hidden, initials and the end of a phone are all."""
    hidden = screen.hide_names
    reachable = addresses(patient)
    return {
        "id": patient.id,
        "name": _initials(patient) if hidden else f"{patient.given_name} {patient.family_name}",
        "short": _initials(patient) if hidden else patient.given_name,
        "phone": f"phone ending in {patient.phone[-2:]}" if hidden else shown_phone(patient.phone),
        "dial": "" if hidden else patient.phone,
        "language": _LANGUAGES[patient.language],
        "stopped": patient.sms_consent is False,
        "told_by": " and ".join(_BY[channel] for channel in reachable),
    }


def _initials(patient: Patient) -> str:
    return f"{patient.given_name[:1]}.{patient.family_name[:1]}."
