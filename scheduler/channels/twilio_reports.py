"""What Twilio reports about a text that it took, and what each report calls for.

Reports come in any order, several times, and not all of them: a message is as far as the furthest of them says.
"""

from typing import Literal, NamedTuple

import msgspec

from scheduler.domain.messages import State

# How far each status is. No two are equal, so that the order in which they come decides nothing: what reached the
# phone outweighs any failure. One that is not here is new, and says only that Twilio has the message.
_RANKS = {
    "scheduled": 1, "accepted": 2, "queued": 3, "sending": 4, "sent": 5, "canceled": 6, "failed": 7, "undelivered": 8,
    "partially_delivered": 9, "delivered": 10, "read": 11,
}  # fmt: skip
_STATES: dict[str, State] = {
    "canceled": "failed",
    "failed": "failed",
    "undelivered": "undelivered",
    "partially_delivered": "delivered",
    "delivered": "delivered",
    "read": "delivered",
}

# ``again``: once more, a while later. ``elsewhere``: never to this number again. ``stopped``: its owner wants none.
# ``rest``: the account's own fault, which every text would meet.
Remedy = Literal["again", "elsewhere", "stopped", "rest", "none"]


class Failure(NamedTuple):
    """What became of a text, for the desk to read, and what to do about it."""

    reason: str
    remedy: Remedy


# Twilio's codes. It splits them over time, so there is a safe default below.
_FAILURES = {
    "21610": Failure("This person has opted out of texts.", "stopped"),
    "30001": Failure("The texts of the clinic's number stood in line too long.", "again"),
    "30002": Failure("The Twilio account is suspended.", "rest"),
    "30003": Failure("The phone was switched off or out of reach.", "again"),
    "30004": Failure("The phone blocks the clinic's texts.", "none"),
    "30005": Failure("This number is not in use.", "elsewhere"),
    "30006": Failure("This number is a landline, or its carrier takes no texts.", "elsewhere"),
    "30007": Failure("The phone company took the text for an unwanted one.", "none"),
    "30008": Failure("The phone company did not deliver it and gave no reason.", "again"),
    "30022": Failure("The phone company got too many texts at once.", "again"),
    "30034": Failure("The clinic's number is not registered with the carriers.", "rest"),
    "30036": Failure("It could not be delivered while it was of use.", "none"),
    "30500": Failure("Something went wrong at Twilio.", "again"),
    "63038": Failure("The Twilio account has reached its limit for the day.", "rest"),
}
_OTHERWISE = Failure("The phone company could not deliver it.", "none")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What Twilio said about its own message ``provider_id``; ``error_code`` is None where nothing was wrong."""

    provider_id: str
    status: str
    error_code: str | None = None

    @property
    def rank(self) -> int:
        return _RANKS.get(self.status, 0)


def state_of(status: str | None) -> State:
    """Return how far a message is whose furthest report is this one, None being that it was taken."""
    return _STATES.get(status or "", "sent")


def failure_of(error_code: str | None) -> Failure:
    """Return what a failure's code means."""
    return _FAILURES.get(error_code or "", _OTHERWISE)
