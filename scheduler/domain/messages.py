"""Which messages a visit needs, as data: notices at once, reminders by the clinic's ladder. Nothing is sent here."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Clinic, Language
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Visit

Notice = Literal["booked", "rescheduled", "cancelled_by_patient", "cancelled_by_clinic"]
State = Literal[
    "pending", "sending", "sent", "delivered", "undelivered", "failed", "unknown", "cancelled", "expired",
    "suppressed", "dead",
]  # fmt: skip

# A notice of a change is worth sending until the visit begins; of a cancellation, for a day at most.
CANCELLATION_USEFUL_FOR = timedelta(hours=24)

# Reminders pulled forward into the text hours leave room, in minutes, for a retry before the hours end.
LAST_TEXTS_BEFORE_CLOSING = 30


class PlannedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox to be. ``kind`` is ``reminder`` or a notice; instants are aware."""

    visit_id: UUID
    patient_id: UUID
    visit_version: int
    kind: str
    template: str
    channel: Channel
    lead_minutes: int
    language: Language
    address: str
    variables: dict[str, str]
    not_before: datetime
    expires_at: datetime

    @property
    def dedupe_key(self) -> str:
        """What makes a second planner plan nothing: a reminder by the start it is for, a notice by the version."""
        occasion = self.variables["starts_at"] if self.kind == "reminder" else f"v{self.visit_version}"
        return f"{self.kind}:{self.visit_id}:{occasion}:{self.template}:{self.lead_minutes}:{self.channel}"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox as the front desk reads it. ``rendered`` holds what left the building, once it did."""

    id: UUID
    visit_id: UUID
    patient_id: UUID
    kind: str
    template: str
    channel: Channel
    lead_minutes: int
    language: Language
    variables: dict[str, str]
    not_before: datetime
    expires_at: datetime
    state: State
    attempts: int
    provider_id: str | None
    error_code: str | None
    reason: str | None
    rendered: dict[str, str] | None
    created_at: datetime
    finished_at: datetime | None


def addresses(patient: Patient) -> dict[Channel, str]:
    """Return where the patient may be written to: by text with consent on record, by email if one was given."""
    reachable: dict[Channel, str] = {}
    if patient.sms_consent:
        reachable["sms"] = patient.phone
    if patient.email:
        reachable["email"] = patient.email
    return reachable


def plan_notice(
    clinic: Clinic, visit: Visit, patient: Patient, notice: Notice, now: datetime, *, was: datetime | None = None
) -> list[PlannedMessage]:
    """Return the messages that tell a patient at once what happened; ``was`` is the old start of a moved visit.

    A visit that has begun is not written about.
    """
    expires_at = visit.starts_at
    if notice.startswith("cancelled"):
        expires_at = min(visit.starts_at, now + CANCELLATION_USEFUL_FOR)
    variables = _variables(visit) | ({"was_starts_at": was.astimezone(UTC).isoformat()} if was else {})
    return [
        message
        for channel, address in addresses(patient).items()
        if (message := _planned(clinic, visit, patient, channel, address, now, expires_at, variables, notice, notice))
    ]


def plan_reminders(clinic: Clinic, visit: Visit, patient: Patient, now: datetime) -> list[PlannedMessage]:
    """Return the reminders of the ladder whose moment is still to come; the others would tell nothing new."""
    reachable = addresses(patient)
    planned: list[PlannedMessage] = []
    for rung in clinic.settings.reminders:
        due_at = visit.starts_at - timedelta(minutes=rung.lead_minutes)
        if rung.channel == "sms":
            due_at = _same_day_text_time(clinic, due_at)
        applies = not rung.visit_types or visit.visit_type in rung.visit_types
        if not applies or rung.channel not in reachable or due_at <= now:
            continue
        message = _planned(
            clinic, visit, patient, rung.channel, reachable[rung.channel], due_at, visit.starts_at,
            _variables(visit), "reminder", rung.template, lead_minutes=rung.lead_minutes,
        )  # fmt: skip
        if message:
            planned.append(message)
    return planned


def _variables(visit: Visit) -> dict[str, str]:
    # Always in UTC: the start is part of what tells one reminder from another, however the caller wrote it.
    return {"starts_at": visit.starts_at.astimezone(UTC).isoformat(), "visit_type": visit.visit_type}


def _planned(
    clinic: Clinic, visit: Visit, patient: Patient, channel: Channel, address: str, due_at: datetime,
    expires_at: datetime, variables: dict[str, str], kind: str, template: str, *, lead_minutes: int = 0,
) -> PlannedMessage | None:  # fmt: skip
    """Return the message at the first moment it may go, or None where that is after it stopped being useful."""
    not_before = due_at if channel == "email" else next_text_time(clinic, due_at)
    if not_before >= expires_at:
        return None
    assert visit.patient_id is not None  # noqa: S101 - a hold is not written about
    return PlannedMessage(
        visit_id=visit.id, patient_id=visit.patient_id, visit_version=visit.version, kind=kind, template=template,
        channel=channel, lead_minutes=lead_minutes, language=patient.language, address=address,
        variables=variables, not_before=not_before, expires_at=expires_at,
    )  # fmt: skip


def next_text_time(clinic: Clinic, instant: datetime) -> datetime:
    """Return the instant itself within the hours in which texts may go, else the next time they may.

    The hours are wall-clock in the clinic's zone, and end before midnight or at it.
    """
    opens, closes = clinic.settings.text_window
    local = clinic.local(instant)
    minute = local.hour * 60 + local.minute
    if opens <= minute < closes:
        return instant
    day = local.date() if minute < opens else local.date() + timedelta(days=1)
    return datetime.combine(day, time(*divmod(opens, 60)), clinic.zone).astimezone(UTC)


def _same_day_text_time(clinic: Clinic, instant: datetime) -> datetime:
    """Return the moment nearest to the instant, on the same clinic date, at which a text may go.

    A reminder that is due in the evening goes before the day's texts end, not the next morning: it would come on
    another day than its lead promises.
    """
    opens, closes = clinic.settings.text_window
    local = clinic.local(instant)
    minute = min(max(local.hour * 60 + local.minute, opens), closes - LAST_TEXTS_BEFORE_CLOSING)
    if minute == local.hour * 60 + local.minute:
        return instant
    return datetime.combine(local.date(), time(*divmod(minute, 60)), clinic.zone).astimezone(UTC)


def retry_delay(retries: int, chance: float) -> timedelta:
    """Return how long to wait after an attempt that certainly did not leave: doubling, jittered, at most 5 minutes.

    ``retries`` counts those made before; ``chance`` is uniform in [0, 1).
    """
    return timedelta(seconds=min(300.0, 4.0 * 2**retries) * max(chance, 0.1))


def kinds(messages: Iterable[PlannedMessage]) -> list[tuple[str, str, int]]:
    """Return what an audit row says about planned messages: template, channel and lead, never an address."""
    return [(message.template, message.channel, message.lead_minutes) for message in messages]
