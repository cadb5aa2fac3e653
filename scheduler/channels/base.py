"""What every channel answers to: one message goes out, and one honest outcome comes back."""

from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered message, ready to leave. ``subject`` and ``html`` are for email only.

    ``useful_for_seconds`` is how long delivery still helps; a channel that can, tells its provider to give up after.
    """

    message_id: UUID
    address: str
    sender: str
    text: str
    useful_for_seconds: int
    subject: str = ""
    html: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is known after one attempt.

    ``accepted``: the provider has it. ``refused``: it never will. ``retry``: it certainly did not leave, try later.
    ``unknown``: it may have left; the provider must be asked before anything is sent again. ``paused``: nothing is
    wrong with the message, the channel itself is misconfigured or refused; every message of it should wait.
    ``reason`` is plain words for the front desk and holds no address, name or text.
    """

    result: Literal["accepted", "refused", "retry", "unknown", "paused"]
    provider_id: str | None = None
    http_status: int | None = None
    error_code: str | None = None
    reason: str = ""


class MessageChannel(Protocol):
    """A way out of the building. ``send`` never raises for what a provider or network did: that is the outcome.

    ``can_be_asked`` tells whether the provider can be asked later what it has.
    """

    can_be_asked: bool

    async def send(self, envelope: Envelope) -> Outcome: ...

    async def find(self, envelope: Envelope, since: datetime) -> tuple[str, ...] | None:
        """Ids of messages the provider holds that match this envelope and were made after ``since`` (aware).

        An empty tuple means that the provider answered and has none; None means that it cannot be asked, or did
        not answer now.
        """
        ...

    async def close(self) -> None: ...
