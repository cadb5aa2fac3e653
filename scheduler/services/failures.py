"""What follows a message that failed for good: others hear of it, an email stands in, and the desk has a task."""

from datetime import UTC, datetime
from uuid import UUID

import structlog

from scheduler.domain.failures import call_for, stand_in
from scheduler.domain.messages import Message
from scheduler.domain.visits import Visit
from scheduler.services.desk_tasks import open_task
from scheduler.services.webhooks import announce_failed_message
from scheduler.store.connections import Connection
from scheduler.store.messages import add_fallback, fetch_message, has_other_reminder
from scheduler.store.patients import fetch_patient, wants_email_reminders
from scheduler.store.unreachable import said_by_email
from scheduler.store.visits import fetch_visit

_DOUBLED = "The provider has this message twice, so the patient may have got it twice. Tell whoever runs the service."

# What the clinic did, and nobody can be told by a message.
_UNTOLD = "The clinic {did}, and no text or email can tell the patient. Please call."

_log = structlog.get_logger(__name__)


async def after_failure(
    connection: Connection, clinic_id: UUID, message_id: UUID, *, now: datetime | None = None
) -> None:
    """Do what a message's end calls for; nothing where it did not fail, and nothing twice.

    For whoever settles a message as ``failed``, ``dead`` or ``undelivered``, in the transaction that settles it.
    """
    message = await fetch_message(connection, clinic_id, message_id)
    if message is not None and message.state in ("failed", "dead", "undelivered"):
        await announce_failed_message(connection, clinic_id, message_id)
        await _see_to(connection, clinic_id, message, now)


async def after_no_attempt(
    connection: Connection, clinic_id: UUID, message_id: UUID, *, now: datetime | None = None
) -> None:
    """Do what is called for by a message that was not even tried, though its patient should know what it says.

    For whoever closes a message as ``suppressed`` or ``expired``, in the transaction that closes it.
    """
    message = await fetch_message(connection, clinic_id, message_id)
    if message is not None and message.state in ("suppressed", "expired"):
        await _see_to(connection, clinic_id, message, now)


async def have_called(
    connection: Connection, clinic_id: UUID, visit: Visit, *, did: str, now: datetime | None = None
) -> None:
    """Let the desk call a patient whom no message can tell what the clinic did, as in "canceled"."""
    await open_task(
        connection, clinic_id, kind="undeliverable", subject_id=visit.id, visit_id=visit.id,
        patient_id=visit.patient_id, reason=_UNTOLD.format(did=did), now=now,
    )  # fmt: skip


async def note_double(
    connection: Connection, clinic_id: UUID, message_id: UUID, *, now: datetime | None = None
) -> None:
    """Say, in the log and to the desk, that a provider has a message twice: what the whole protocol is to prevent."""
    message = await fetch_message(connection, clinic_id, message_id)
    if message is None:
        return
    _log.error("message.doubled", message_id=str(message.id), channel=message.channel)
    await open_task(
        connection, clinic_id, kind="sent-twice", subject_id=message.id, visit_id=message.visit_id,
        patient_id=message.patient_id, message_id=message.id, reason=_DOUBLED, now=now,
    )  # fmt: skip


async def mail_instead(
    connection: Connection, clinic_id: UUID, message_id: UUID, *, now: datetime | None = None
) -> bool:
    """Return whether an email was planned that says what a text cannot."""
    message = await fetch_message(connection, clinic_id, message_id)
    return message is not None and await _mail(connection, clinic_id, message, now)


async def _see_to(connection: Connection, clinic_id: UUID, message: Message, now: datetime | None) -> None:
    said = message.channel == "sms" and await said_by_email(connection, clinic_id, message.id)
    mailed = said or await _mail(connection, clinic_id, message, now)
    visit = await fetch_visit(connection, clinic_id, message.visit_id) if message.visit_id else None
    reminded = message.kind == "reminder" and await has_other_reminder(connection, clinic_id, message.id)
    reason = call_for(message, visit, now or datetime.now(UTC), mailed=mailed, reminded=reminded)
    if reason is not None:
        await open_task(
            connection, clinic_id, kind="undeliverable", subject_id=message.id, visit_id=message.visit_id,
            patient_id=message.patient_id, message_id=message.id, reason=reason, now=now,
        )  # fmt: skip


async def _mail(connection: Connection, clinic_id: UUID, message: Message, now: datetime | None) -> bool:
    if message.visit_id is None or message.patient_id is None:
        return False
    visit = await fetch_visit(connection, clinic_id, message.visit_id)
    patient = await fetch_patient(connection, clinic_id, message.patient_id)
    planned = visit and patient and stand_in(message, visit, patient, now or datetime.now(UTC))
    if not planned:
        return False
    if message.kind == "reminder" and not await wants_email_reminders(connection, clinic_id, message.patient_id):
        return False
    return await add_fallback(connection, clinic_id, planned, message.id) is not None
