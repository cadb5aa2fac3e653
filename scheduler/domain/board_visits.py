"""A visit as the front desk's board shows it: how far it is, whether its patient was reached, and what may be done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel
from scheduler.domain.messages import State
from scheduler.domain.times import Span, epoch_minute
from scheduler.domain.visits import Action, Status, Visit, after, undone
from scheduler.errors import WrongStatus

DeskAction = Literal["confirm", "arrive", "complete", "no_show", "reschedule", "cancel", "undo"]

# What became of the messages about a visit, the more telling first.
Delivery = Literal["failed", "opted_out", "doubtful", "delivered", "sent"]

_DELIVERIES: dict[State, Delivery] = {
    "failed": "failed", "dead": "failed", "undelivered": "failed", "unknown": "doubtful", "delivered": "delivered",
    "sent": "sent", "sending": "sent",
}  # fmt: skip

# Who books on the booking page, as audit rows and visits call them.
PUBLIC = "public"


class BoardPatient(msgspec.Struct, frozen=True, kw_only=True):
    """Whose visit it is. ``texts`` is what they last said about texts to their phone, None if nothing."""

    id: UUID
    given_name: str
    family_name: str
    texts: bool | None

    def shown_name(self, *, hidden: bool) -> str:
        """The name as a screen that faces the room shows it: with an initial, or initials alone."""
        given = f"{self.given_name[:1]}." if hidden else f"{self.given_name} "
        return f"{given}{self.family_name[:1]}."


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about a visit that has left, or tried to. ``handled`` is whether somebody saw to its failure."""

    channel: Channel
    state: State
    handled: bool


class BoardVisit(msgspec.Struct, frozen=True, kw_only=True):
    """One visit of a board, or a hold, which has no patient and runs out at ``held_until``.

    ``opened`` is whether anybody of the clinic has looked at it; ``messages`` are in the order in which they left.
    """

    id: UUID
    status: Status
    version: int
    visit_type: str
    therapist_id: UUID
    starts_at: datetime
    ends_at: datetime
    created_by: str
    overbooked: bool
    cancel_reason: str | None
    held_until: datetime | None
    opened: bool
    patient: BoardPatient | None
    messages: Sequence[SentMessage]
    note: str | None = None

    @property
    def span(self) -> Span:
        return epoch_minute(self.starts_at), epoch_minute(self.ends_at)

    @property
    def new(self) -> bool:
        """Whether it came from the booking page and nobody has looked at it yet."""
        return self.created_by == PUBLIC and not self.opened and self.status in ("booked", "confirmed")

    def is_shown(self, now: datetime) -> bool:
        """Whether it has a place on the board; what is cancelled is listed beside it, and a hold runs out."""
        if self.status == "held":
            return self.held_until is not None and self.held_until > now
        return self.status not in ("cancelled", "expired")

    @property
    def delivery(self) -> tuple[Channel, Delivery] | None:
        """Return what became of the last message, or why there are none; a text that failed tells more than an email.

        A failure counts until somebody saw to it, or a later message of its channel arrived.
        """
        last: dict[Channel, Delivery] = {
            message.channel: delivery
            for message in self.messages
            if (delivery := _DELIVERIES.get(message.state)) and not (delivery == "failed" and message.handled)
        }
        if self.patient is not None and self.patient.texts is False:
            last["sms"] = "opted_out"
        order = get_args(Delivery)
        return min(last.items(), key=lambda each: (order.index(each[1]), each[0] != "sms"), default=None)


def desk_actions(visit: Visit, now: datetime) -> frozenset[DeskAction]:
    """Return what the desk may do to a visit at this moment; whether its old place is still free, undoing will see."""
    return frozenset(action for action in get_args(DeskAction) if _may(visit, action, now))


def _may(visit: Visit, action: DeskAction, now: datetime) -> bool:
    try:
        if action == "undo":
            undone(visit, now)
            return True
        step: Action = action
        # Confirming what is confirmed is harmless, and needs no button.
        return after(visit, step, now) != visit.status or action == "reschedule"
    except WrongStatus:
        return False
