"""Which messages may be sent again by hand, and what is sent then. Pure."""

from datetime import datetime

from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import Message, PlannedMessage, State
from scheduler.domain.patients import Patient
from scheduler.domain.sending import text_time
from scheduler.domain.visits import Status, Visit
from scheduler.errors import MessageOutdated, MessageWrongState

# These did not arrive. One in doubt is not among them: the provider is being asked, and a second one might be a double.
REPEATABLE: frozenset[State] = frozenset({"undelivered", "failed", "suppressed", "dead"})

# These may be crossed off. One that is still under way may not: if it failed later, nobody would hear of it.
CLOSED: frozenset[State] = frozenset({*REPEATABLE, "expired"})

_STANDS: frozenset[Status] = frozenset({"booked", "confirmed"})


def plan_again(clinic: Clinic, message: Message, visit: Visit, patient: Patient, now: datetime) -> PlannedMessage:
    """Return the same message anew, to where the patient is reached today, at the first moment it may go.

    Raises MessageWrongState for one that arrived or may still, and MessageOutdated where the visit is no longer as
    it says, where it would come too late, or where there is no address any more. Consent is judged when it leaves.
    """
    check_state(message, REPEATABLE)
    if not is_true(message, visit):
        raise MessageOutdated("The visit is no longer as this message says.", visit_status=visit.status)
    address = patient.phone if message.channel == "sms" else patient.email
    if address is None:
        raise MessageOutdated("There is no address on file to send it to.", visit_status=visit.status)
    not_before = text_time(clinic, address, message.kind, now) if message.channel == "sms" else now
    if not_before >= message.expires_at:
        raise MessageOutdated("It would come too late to be of use.", visit_status=visit.status)
    return PlannedMessage(
        visit_id=visit.id, patient_id=patient.id, visit_version=visit.version, kind=message.kind,
        template=message.template, channel=message.channel, lead_minutes=message.lead_minutes,
        language=patient.language, address=address, variables=message.variables, not_before=not_before,
        expires_at=message.expires_at,
    )  # fmt: skip


def is_true(message: Message, visit: Visit) -> bool:
    """Return whether a visit is still as a message says; the dispatcher judges the same again as it claims."""
    if message.kind.startswith("cancelled") or message.kind == "closure":
        return visit.status == "cancelled"
    if message.kind == "no_show":
        return visit.status == "no_show"
    return visit.status in _STANDS and visit.starts_at == datetime.fromisoformat(message.variables["starts_at"])


def check_state(message: Message, allowed: frozenset[State]) -> None:
    """Raise MessageWrongState unless the message is in one of the states."""
    if message.state not in allowed:
        raise MessageWrongState(f"The message is {message.state}.", state=message.state, allowed=sorted(allowed))
