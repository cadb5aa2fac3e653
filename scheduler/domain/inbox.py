"""What a person at the desk should see to, in one list: what failed, what patients wrote, what was left to the desk."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Language
from scheduler.domain.messages import State
from scheduler.domain.resending import REPEATABLE
from scheduler.domain.visits import Status

# A message that did not arrive, a text that was not understood, or a task of the desk.
Sort = Literal["failure", "reply", "task"]

# What is done first about an item; how it was seen to in the end, as audit rows say it.
Step = Literal["fix", "call", "move", "health", "done"]
How = Literal["called", "dropped", "done"]

# The first step of a task by its kind. One that a newer release opens is read and crossed off.
_TASK_STEPS: dict[str, Step] = {
    "undeliverable": "call",
    "not-reminded": "call",
    "wants-to-move": "move",
    "may-want-to-cancel": "call",
    "which-visit": "call",
    "channel-paused": "health",
    "sent-twice": "health",
    "same-day-twice": "call",
    "call-back": "call",
}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A patient as a list shows them: of the phone the last four digits. ``texts`` as in ``Patient.sms_consent``."""

    id: UUID
    given_name: str
    family_name: str
    phone_ending: str
    language: Language
    texts: bool | None


class VisitBeside(msgspec.Struct, frozen=True, kw_only=True):
    """A visit that an item is about, or may be."""

    id: UUID
    starts_at: datetime
    status: Status
    visit_type: str
    therapist_id: UUID
    patient: Person


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message as a list shows it: no words of it, and of its address only a phone's last four digits.

    ``unreachable`` is whether its patient has an address for it that nothing gets through to; ``mailed`` the state of
    the email that says the same as a text, ``again`` that of the same message sent once more.
    """

    id: UUID
    channel: Channel
    kind: str
    template: str
    language: Language
    state: State
    not_before: datetime
    expires_at: datetime
    finished_at: datetime | None
    attempts: int
    error_code: str | None
    reason: str | None
    handled_at: datetime | None
    handled_by: str | None
    phone_ending: str | None
    unreachable: bool
    mailed: State | None
    again: State | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a list: when, whose, about which visits, and why in a sentence, or ""; a message where it is of one."""

    at: datetime
    reason: str
    patient: Person | None
    visits: Sequence[VisitBeside]
    message: Sent | None = None

    @property
    def people(self) -> list[Person]:
        """Whoever it may be about: its patient, or everybody with a visit that it may be about."""
        people = [self.patient] if self.patient else [visit.patient for visit in self.visits]
        return list({person.id: person for person in people}.values())


class Item(Row, frozen=True, kw_only=True):
    """One thing to see to; ``id`` is of the message, the text or the task, as ``sort`` says.

    ``kind`` is the message's, what a text was taken for, or the task's. ``text`` is what a patient wrote, which is kept
    as ``inbound_id``, and ``sender_ending`` the last four digits of the phone it came from.
    """

    sort: Sort
    id: UUID
    kind: str
    inbound_id: UUID | None = None
    text: str | None = None
    sender_ending: str | None = None

    @property
    def can_be_called(self) -> bool:
        return self.patient is not None or self.sender_ending is not None or bool(self.visits)


def first_step(item: Item, now: datetime) -> Step:
    """Return what to do first about an item.

    A message to an address that is no good is mended there; another one is told by telephone while its visit is still
    to come; what nobody need be told any more is crossed off.
    """
    if item.message is None:
        step = _TASK_STEPS.get(item.kind, "done") if item.sort == "task" else "done"
    elif not any(visit.starts_at > now for visit in item.visits):
        step = "done"
    else:
        step = "fix" if item.message.unreachable else "call"
    if step == "move" and not item.visits:
        step = "call"
    return "done" if step == "call" and not item.can_be_called else step


def may_resend(item: Item, now: datetime) -> bool:
    """Return whether to offer to send a message again; whether it is still as it says, sending it again will see."""
    message = item.message
    return (
        message is not None
        and message.state in REPEATABLE
        and message.again is None
        and not message.unreachable
        and bool(item.visits)
        and message.expires_at > now
        and not (message.channel == "sms" and item.patient is not None and item.patient.texts is not True)
    )


def may_fix(item: Item) -> bool:
    """Return whether the address that a message went to can be changed: a patient's."""
    return item.message is not None and item.patient is not None
