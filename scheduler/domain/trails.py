"""What was written to a patient about a visit, and what they wrote back, in the order it happened."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel
from scheduler.domain.messages import State

# How an entry is shown: it arrived or is on its way, is planned, did not arrive, will not be sent, or came in.
Look = Literal["sent", "planned", "failed", "off", "in"]

_LOOKS: dict[State, Look] = {
    "pending": "planned", "sending": "sent", "sent": "sent", "delivered": "sent", "unknown": "planned",
    "undelivered": "failed", "failed": "failed", "dead": "failed", "suppressed": "off", "expired": "off",
    "cancelled": "off",
}  # fmt: skip


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A message of ours, or a text that came in, whose ``state`` is None and ``kind`` what it was taken for.

    ``open`` is whether a person should see to it and nobody has; ``id`` is what the desk's inbox has it under.
    """

    id: UUID
    at: datetime
    channel: Channel
    kind: str
    state: State | None
    reason: str | None
    open: bool

    @property
    def look(self) -> Look:
        return _LOOKS[self.state] if self.state else "in"


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """Everything written about one visit. ``texts`` is what its patient last said about texts, None if nothing."""

    visit_id: UUID
    texts: bool | None
    entries: Sequence[Entry]
