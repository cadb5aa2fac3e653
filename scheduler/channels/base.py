"""What every channel answers to: one message goes out, and one honest outcome comes back."""

from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from scheduler.channels.calendar import Event

# Stands in the text that is kept where the patient's own had a link that acts for them.
NO_LINK = "(link)"


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered message, ready to leave. ``subject`` and all that follows it are for email only.

    ``invitation`` is what the patient's calendar is told, and ``unsubscribe_url`` the link that turns reminders off;
    answers go to ``reply_to``, an address like ``sender``, or to the sender where it is empty. ``link`` is the private
    page of the visit, which the text may hold over either channel.

    ``useful_for_seconds`` is how long delivery still helps; a channel that can, tells its provider to give up after.
    """

    message_id: UUID
    address: str
    sender: str
    text: str
    useful_for_seconds: int
    subject: str = ""
    html: str = ""
    reply_to: str = ""
    invitation: Event | None = None
    unsubscribe_url: str = ""
    link: str = ""

    @property
    def kept(self) -> dict[str, str]:
        """The words as they are kept for the desk, which needs no link that acts for the patient."""
        text = self.text
        for url in filter(None, (self.unsubscribe_url, self.link)):
            text = text.replace(url, NO_LINK)
        return {"subject": self.subject, "text": text}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is known after one attempt.

    ``accepted``: the provider has it. ``refused``: it never will. ``retry``: it certainly did not leave, try later.
    ``unknown``: it may have left; the provider must be asked before anything is sent again. ``paused``: nothing is
    wrong with the message, the channel itself is misconfigured or refused; every message of it should wait.
    ``reason`` is plain words for the front desk and holds no address, name or text. ``address`` is what was learned
    about the recipient's: that nothing can reach it, or that its owner told the provider to stop. ``suspect`` marks a
    pause for which this one recipient may be the reason after all.
    """

    result: Literal["accepted", "refused", "retry", "unknown", "paused"]
    address: Literal["unreachable", "opted_out"] | None = None
    suspect: bool = False
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
