"""Which messages a visit needs, as data: notices at once, reminders by the clinic's ladder. Nothing is sent here.

Until when a message is of use; one that has not left by then never does:

    reminder                        until half its lead before the start: a day's until 12 hours before, two hours'
                                    until one hour before, while there is time to come, or to say no
    booked, rescheduled             until the start
    cancellations and closures      for 24 hours, and until the start that is off
    that a visit was missed         until the end of its day, and not in the minutes in which it may be a slip
    answers to a text               for 24 hours, and until the start that they speak of

A text that falls into the night of whoever gets it waits for the morning, or is dropped where that is too late.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Clinic, Language, Reminder
from scheduler.domain.patients import Patient
from scheduler.domain.sending import recipient_zone, text_time
from scheduler.domain.visits import UNDO_FOR, Visit

Notice = Literal["booked", "rescheduled", "cancelled_by_patient", "cancelled_by_clinic", "closure", "no_show"]
State = Literal[
    "pending", "sending", "sent", "delivered", "undelivered", "failed", "unknown", "cancelled", "expired",
    "suppressed", "dead",
]  # fmt: skip

# A notice of a change is worth sending until the visit begins; of a cancellation, for a day at most.
CANCELLATION_USEFUL_FOR = timedelta(hours=24)

# Said by text or not at all: no email is written about it.
BY_TEXT_ALONE = frozenset({"no_show"})

# Whoever hears nothing of these comes in vain: a person tells them where no message may, or can.
TOLD_IN_ANY_CASE = frozenset({"cancelled_by_clinic", "closure", "rescheduled"})

# Why what waits to be sent is closed where a patient cannot be written to, or wants no texts. Reminders come back where
# that changes while they are of use.
UNWRITABLE = "The patient cannot be written to this way now."
UNAGREED = "The patient has not agreed to texts."

WELCOME_USEFUL_FOR = timedelta(hours=24)

# Reminders pulled forward into the text hours leave room, in minutes, for a retry before the hours end.
LAST_TEXTS_BEFORE_CLOSING = 30

# Whoever confirmed this shortly before the start needs no more texts, whatever the ladder says.
CONFIRMED_LATELY = timedelta(days=4)


class PlannedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox to be; instants are aware.

    ``kind`` is ``reminder``, a notice, ``reply`` (the answer to a text) or mail to staff. What speaks of no visit has
    none, version 0, and a ``dedupe_key`` of its own; nobody on file is ``patient_id`` None.

    ``variables`` hold what the text says (``starts_at``, ``ends_at``, ``visit_type`` and, of a moved visit,
    ``was_starts_at``), and on a reminder what must still be so when it leaves: with ``only_unconfirmed`` that the visit
    is not confirmed, with ``needs_consent`` that the patient agreed to that scope. ``reminder_is_off`` says the same.
    """

    visit_id: UUID | None
    patient_id: UUID | None
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
    dedupe_key: str = ""

    def __post_init__(self) -> None:
        """Make up what lets a second planner plan nothing: a reminder by the start it is for, a notice by version."""
        if not self.dedupe_key:
            occasion = self.variables["starts_at"] if self.kind == "reminder" else f"v{self.visit_version}"
            key = _key(self.kind, self.visit_id, occasion, self.template, self.lead_minutes, self.channel)
            msgspec.structs.force_setattr(self, "dedupe_key", key)


def _key(kind: str, visit_id: UUID | None, occasion: str, template: str, lead_minutes: int, channel: Channel) -> str:
    return f"{kind}:{visit_id}:{occasion}:{template}:{lead_minutes}:{channel}"


def reminder_key(visit: Visit, rung: Reminder) -> str:
    """Return the ``dedupe_key`` of the reminder that a rung promises for a visit's start."""
    return _key("reminder", visit.id, _utc(visit.starts_at), rung.template, rung.lead_minutes, rung.channel)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox as the front desk reads it. ``rendered`` holds what left the building, once it did.

    ``resend_of`` is the message that this one repeats; a person who saw to a failure is in ``handled_by``.
    """

    id: UUID
    visit_id: UUID | None
    patient_id: UUID | None
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
    handled_at: datetime | None = None
    handled_by: str | None = None
    resend_of: UUID | None = None


def addresses(patient: Patient) -> dict[Channel, str]:
    """Return where the patient may be written to: by text with consent, by email if they gave one and want it."""
    reachable: dict[Channel, str] = {}
    if patient.sms_consent:
        reachable["sms"] = patient.phone
    if patient.email and patient.email_consent is not False:
        reachable["email"] = patient.email
    return reachable


def plan_notice(
    clinic: Clinic, visit: Visit, patient: Patient, notice: Notice, now: datetime, *, was: datetime | None = None
) -> list[PlannedMessage]:
    """Return the messages that tell a patient at once what happened; ``was`` is the old start of a moved visit.

    A visit that has begun is not written about, unless it was missed; that waits until nobody can undo it.
    """
    expires_at = visit.starts_at
    if notice == "no_show":
        now, expires_at = now + UNDO_FOR, _day_end(clinic, visit.starts_at)
    if notice.startswith("cancelled") or notice == "closure":
        expires_at = min(visit.starts_at, now + CANCELLATION_USEFUL_FOR)
    variables = visit_variables(visit) | ({"was_starts_at": _utc(was)} if was else {})
    if patient.sms_consent is False:
        variables["stopped"] = patient.phone[-2:]
    return [
        message
        for channel, address in addresses(patient).items()
        if (channel == "sms" or notice not in BY_TEXT_ALONE)
        and (message := _planned(clinic, visit, patient, channel, address, now, expires_at, variables, notice, notice))
    ]


def plan_welcome(clinic: Clinic, patient: Patient, now: datetime, *, consent_id: UUID) -> list[PlannedMessage]:
    """Return the text that confirms to a patient that they agreed to more texts than usual (CTIA, 2023, section 5.1).

    ``consent_id`` is what they said so by.
    """
    if "sms" not in addresses(patient):
        return []
    return [
        PlannedMessage(
            visit_id=None, patient_id=patient.id, visit_version=0, kind="welcome", template="optin_confirm",
            channel="sms", lead_minutes=0, language=patient.language, address=patient.phone, variables={},
            not_before=text_time(clinic, patient.phone, "welcome", now), expires_at=now + WELCOME_USEFUL_FOR,
            dedupe_key=f"welcome:{consent_id}",
        )
    ]  # fmt: skip


def plan_reminders(
    clinic: Clinic,
    visit: Visit,
    patient: Patient,
    now: datetime,
    *,
    told_at: datetime | None = None,
    known: Collection[str] = (),
) -> list[PlannedMessage]:
    """Return the reminders of the ladder that would tell the patient something, but those whose keys are ``known``.

    ``told_at`` is when the visit came to have this start, which the patient knows since; by default its last change.

        the moment of a rung is                     its reminder goes
        not after ``told_at``                       never: the patient has just been told the same
        within a twelfth of its lead from booking   never, for that reason (24 h: two hours; 72 h: six)
        still to come                               at that moment
        past, because nobody planned it then        at once while it is of use, which is until half its lead before
                                                    the start; then never
    """
    told_at = told_at or visit.status_changed_at
    reachable = addresses(patient)
    planned: list[PlannedMessage] = []
    for rung in clinic.settings.reminders:
        if rung.channel not in reachable or reminder_key(visit, rung) in known or reminder_is_off(rung, visit, patient):
            continue
        lead = timedelta(minutes=rung.lead_minutes)
        moment = due_at = visit.starts_at - lead
        if rung.channel == "sms":
            due_at = _same_day_text_time(clinic, patient.phone, due_at)
        fresh = visit.booked_at is not None and moment <= visit.booked_at + lead / 12
        if fresh or min(moment, due_at) <= told_at:
            continue
        message = _planned(
            clinic, visit, patient, rung.channel, reachable[rung.channel], max(due_at, now), visit.starts_at - lead / 2,
            visit_variables(visit) | _conditions(rung), "reminder", rung.template, lead_minutes=rung.lead_minutes,
        )  # fmt: skip
        if message:
            planned.append(message)
    return planned


def reminder_is_off(rung: Reminder, visit: Visit, patient: Patient) -> str | None:
    """Return why a rung has no reminder for a visit, as a sentence for the desk, or None where it has one.

        the visit is                            email    text     only_unconfirmed
        booked                                  goes     goes     goes
        confirmed more than four days before    goes     goes     is off
        confirmed in the last four days         goes     is off   is off

    Whether an address reaches the patient, and whether there is still time, is not asked here.
    """
    if rung.visit_types and visit.visit_type not in rung.visit_types:
        return "This reminder is not for such a visit any more."
    if rung.needs_consent == "frequent" and not patient.frequent_texts:
        return "The patient has not agreed to more texts."
    if visit.status == "confirmed":
        lately = visit.status_changed_at > visit.starts_at - CONFIRMED_LATELY
        if rung.only_unconfirmed or (rung.channel == "sms" and lately):
            return "The patient has confirmed."
    return None


def _conditions(rung: Reminder) -> dict[str, str]:
    conditions = {"only_unconfirmed": "yes"} if rung.only_unconfirmed else {}
    return conditions | ({"needs_consent": rung.needs_consent} if rung.needs_consent else {})


def _utc(instant: datetime) -> str:
    # Always in UTC: the start is part of what tells one reminder from another, however the caller wrote it.
    return instant.astimezone(UTC).isoformat()


def visit_variables(visit: Visit) -> dict[str, str]:
    """Return what the outbox keeps of the visit that a message is about."""
    return {"starts_at": _utc(visit.starts_at), "ends_at": _utc(visit.ends_at), "visit_type": visit.visit_type}


def _planned(
    clinic: Clinic, visit: Visit, patient: Patient, channel: Channel, address: str, due_at: datetime,
    expires_at: datetime, variables: dict[str, str], kind: str, template: str, *, lead_minutes: int = 0,
) -> PlannedMessage | None:  # fmt: skip
    """Return the message at the first moment it may go, or None where that is after it stopped being useful."""
    not_before = due_at if channel == "email" else text_time(clinic, address, kind, due_at)
    if not_before >= expires_at:
        return None
    assert visit.patient_id is not None  # noqa: S101 - a hold is not written about
    return PlannedMessage(
        visit_id=visit.id, patient_id=visit.patient_id, visit_version=visit.version, kind=kind, template=template,
        channel=channel, lead_minutes=lead_minutes, language=patient.language, address=address,
        variables=variables, not_before=not_before, expires_at=expires_at,
    )  # fmt: skip


def _same_day_text_time(clinic: Clinic, phone: str, instant: datetime) -> datetime:
    """Return the moment nearest to the instant, on the same date where the patient is, at which a text may go.

    A reminder that is due in the evening goes before the day's texts end, not the next morning: it would come on
    another day than its lead promises.
    """
    opens, closes = clinic.settings.text_window
    local = instant.astimezone(recipient_zone(clinic, phone))
    minute = min(max(local.hour * 60 + local.minute, opens), closes - LAST_TEXTS_BEFORE_CLOSING)
    if minute == local.hour * 60 + local.minute:
        return instant
    return datetime.combine(local.date(), time(*divmod(minute, 60)), local.tzinfo).astimezone(UTC)


def _day_end(clinic: Clinic, instant: datetime) -> datetime:
    tomorrow = clinic.local(instant).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(0), clinic.zone).astimezone(UTC)


def kinds(messages: Iterable[PlannedMessage]) -> list[tuple[str, str, int]]:
    """Return what an audit row says about planned messages: template, channel and lead, never an address."""
    return [(message.template, message.channel, message.lead_minutes) for message in messages]
