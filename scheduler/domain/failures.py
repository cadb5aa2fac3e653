"""What a text that did not arrive calls for: another try, an email in its place, a person at the desk. Pure."""

from datetime import datetime, timedelta

from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import BY_TEXT_ALONE, Message, PlannedMessage, State, addresses
from scheduler.domain.patients import Patient
from scheduler.domain.resending import is_true, plan_again
from scheduler.domain.sending import AT_ONCE
from scheduler.domain.visits import Visit
from scheduler.errors import MessageOutdated, MessageWrongState

# A phone that was off is on again, with luck; the patient still has time to act on what the text says.
WAIT = timedelta(minutes=30)
WAIT_SPREAD = timedelta(minutes=30)
TIME_TO_ACT = timedelta(minutes=60)

# An email that stands in must be read while it is of use.
TIME_TO_READ = timedelta(minutes=30)

_UNTRIED: frozenset[State] = frozenset({"suppressed", "expired"})

# The reminder that every clinic has as an email, and that is right at any moment before the visit.
_ANY_REMINDER = "reminder_24h"

# Nobody calls a patient because an answer to their text was lost: what they asked for is done, or a task of its own.
# Whoever waits for a code or a link sees on the page what else to do. A task about an alert would alert of itself.
_UNCALLED = frozenset({*AT_ONCE, "desk_alert"})


def stand_in(message: Message, visit: Visit, patient: Patient, now: datetime) -> PlannedMessage | None:
    """Return the email that says what a text could not, or None.

    There is none for what is no longer so or comes too late, and none where the patient has no email or wants none.
    It has the key of the email that may have been planned beside the text, so that the two are never both sent.
    """
    address = addresses(patient).get("email")
    by_text_alone = message.kind in AT_ONCE | BY_TEXT_ALONE
    if message.channel != "sms" or by_text_alone or address is None or not is_true(message, visit):
        return None
    if now + TIME_TO_READ >= message.expires_at:
        return None
    return PlannedMessage(
        visit_id=visit.id, patient_id=patient.id, visit_version=visit.version, kind=message.kind,
        template=_ANY_REMINDER if message.kind == "reminder" else message.template, channel="email",
        lead_minutes=message.lead_minutes, language=patient.language, address=address, variables=message.variables,
        not_before=now, expires_at=message.expires_at,
    )  # fmt: skip


def call_for(
    message: Message, visit: Visit | None, now: datetime, *, mailed: bool, reminded: bool = False
) -> str | None:
    """Return why somebody at the desk should see to a message that failed, or None where nobody need.

    A visit that has begun, or that is no longer as the message says, is not called about. ``mailed`` is whether an
    email says the same; ``reminded`` is whether the patient has another reminder, or needs none, so that nobody calls
    because this one was not even tried.
    """
    if message.kind in _UNCALLED:
        return None
    if visit is not None and (visit.starts_at <= now or not is_true(message, visit)):
        return None
    if reminded and message.state in _UNTRIED:
        return None
    reason = message.reason or "It could not be delivered."
    return f"{reason} An email says the same." if mailed else reason


def try_again(
    clinic: Clinic, message: Message, visit: Visit, patient: Patient, now: datetime, *, chance: float
) -> PlannedMessage | None:
    """Return the same text for half an hour to an hour later, or None where it would be of no use then.

    Each text is tried again once, and what was sent again already is not. ``chance`` is uniform in [0, 1).
    """
    if message.resend_of is not None:
        return None
    try:
        planned = plan_again(clinic, message, visit, patient, now + WAIT + WAIT_SPREAD * chance)
    except (MessageOutdated, MessageWrongState):
        return None
    return planned if planned.not_before + TIME_TO_ACT <= message.expires_at else None
