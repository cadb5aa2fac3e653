"""What a provider reports about a text, applied to our message: in whatever order it comes, and however often."""

import random
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from scheduler.channels.twilio_reports import Failure, Report, failure_of, state_of
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.domain.failures import try_again
from scheduler.domain.messages import State
from scheduler.errors import NotFound
from scheduler.services.breaker import rest
from scheduler.services.failures import after_failure, note_double
from scheduler.store import callbacks as store
from scheduler.store.audit import add_audit_event
from scheduler.store.callbacks import ReportedMessage
from scheduler.store.connections import Connection
from scheduler.store.messages import add_resent, fetch_message, mark_handled
from scheduler.store.patients import fetch_patient
from scheduler.store.unreachable import note_unreachable
from scheduler.store.visits import fetch_visit

_FAILED: frozenset[State] = frozenset({"failed", "undelivered"})
# What failed has been seen to once; and what arrived after all needs nobody's attention any more.
_FEARED_LOST: frozenset[State] = frozenset({"failed", "undelivered", "dead"})

_log = structlog.get_logger(__name__)


class OptedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A phone whose owner told the provider to stop texts, as a report says."""

    clinic: Clinic
    phone: str


async def take_report(
    connection: Connection, clinics: Sequence[Clinic], message_id: UUID, report: Report, *, now: datetime
) -> OptedOut | None:
    """Apply what Twilio reports about a text. Raises NotFound for one that is not ours.

    The report names our message, so its id there is bound to it before the answer to the sending comes, or without
    it: a message that was being sent, in doubt or about to be sent again is sent. A report that came before does
    nothing, and one that says less than another does not take anything back. What is returned is for a transaction
    after this one: whoever changes a patient takes the patient first and their messages afterwards.
    """
    message = await store.lock_reported(connection, [clinic.id for clinic in clinics], "sms", message_id)
    if message is None:
        raise NotFound("There is no such message.")
    is_new = await store.note_report(
        connection, message, "sms", provider_id=report.provider_id, status=report.status, rank=report.rank,
        error_code=report.error_code, now=now,
    )  # fmt: skip
    if not is_new:
        return None
    furthest, ids = await store.furthest_report(connection, message)
    if ids > 1:
        await note_double(connection, message.clinic_id, message.id, now=now)
    state = state_of(furthest.status)
    # A planned message that was voided may have been planned anew; what left of it all the same is in its reports.
    if message.state in (state, "cancelled"):
        return None
    failure = failure_of(furthest.error_code) if state in _FAILED else None
    await store.set_reported(
        connection, message, state=state, provider_id=furthest.provider_id,
        error_code=furthest.error_code if failure else None, reason=failure.reason if failure else None, now=now,
    )  # fmt: skip
    _log.info("message.reported", message_id=str(message.id), state=state, code=furthest.error_code)
    clinic = next(clinic for clinic in clinics if clinic.id == message.clinic_id)
    if failure and message.state not in _FEARED_LOST:
        await _remedy(connection, clinic, message, failure, now)
    elif state == "delivered" and message.state in _FEARED_LOST:
        await store.withdraw_substitutes(connection, message, "The text arrived after all.")
    stopped = failure and failure.remedy == "stopped"
    return OptedOut(clinic=clinic, phone=message.address) if stopped else None


async def _remedy(
    connection: Connection, clinic: Clinic, message: ReportedMessage, failure: Failure, now: datetime
) -> None:
    """Do what a failure calls for; what is tried again has not failed yet."""
    if failure.remedy == "again" and await _try_again(connection, clinic, message, now):
        return
    if failure.remedy == "elsewhere":
        await note_unreachable(connection, clinic.id, "sms", message.address, failure.reason)
    elif failure.remedy == "rest":
        await rest(connection, clinic.id, "sms", reason=failure.reason, now=now)
    await after_failure(connection, clinic.id, message.id, now=now)


async def _try_again(connection: Connection, clinic: Clinic, reported: ReportedMessage, now: datetime) -> bool:
    """Return whether the text goes once more; then nobody need see to this one."""
    message = await fetch_message(connection, clinic.id, reported.id)
    if message is None or message.visit_id is None or message.patient_id is None:
        return False
    visit = await fetch_visit(connection, clinic.id, message.visit_id)
    patient = await fetch_patient(connection, clinic.id, message.patient_id)
    if visit is None or patient is None:
        return False
    planned = try_again(clinic, message, visit, patient, now, chance=random.random())  # noqa: S311 - not a secret
    again = planned and await add_resent(connection, clinic.id, planned, message.id)
    if not again:
        return False
    await mark_handled(connection, clinic.id, message.id, SYSTEM.name)
    await add_audit_event(
        connection, clinic.id, actor=SYSTEM.name, action="message.resent", visit_id=visit.id, patient_id=patient.id,
        details={"message": message.id, "template": message.template, "channel": message.channel, "as": again},
    )  # fmt: skip
    return True
