"""What a person at the desk may have to see to."""

from typing import Literal

TaskKind = Literal[
    "undeliverable", "not-reminded", "wants-to-move", "may-want-to-cancel", "which-visit", "channel-paused",
    "sent-twice", "same-day-twice", "call-back",
]  # fmt: skip

# Every kind of task, and when it is opened.
TASK_KINDS: dict[TaskKind, str] = {
    "undeliverable": "a message did not arrive, and the patient should be called",
    "not-reminded": "of a visit tomorrow nobody will be reminded, though the clinic's reminders promise it",
    "wants-to-move": "a patient asked by text for another time",
    "may-want-to-cancel": "a patient stopped the texts with a word that may have been about their next visit",
    "which-visit": "a patient confirmed by text, and which of several visits they meant cannot be told",
    "channel-paused": "texts or emails wait, because the provider takes none of them or nobody knows what it does",
    "sent-twice": "the provider has a message twice that was meant to leave once",
    "same-day-twice": "a phone has booked a second visit online for the same day, perhaps by mistake",
    "call-back": "somebody asked on the booking page to be called, to find the right visit together",
}
