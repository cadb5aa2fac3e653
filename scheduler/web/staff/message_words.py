"""What the desk's lists say of messages, texts from patients, tasks and visits. Staff pages are in English."""

from datetime import datetime
from typing import Any

import phonenumbers

from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.inbox import Item, Person, Row, Sent, Sort, Step, VisitBeside
from scheduler.domain.messages import State
from scheduler.domain.trails import Entry, Trail
from scheduler.web.pages import dates

SORTS: dict[Sort, str] = {"reply": "Replies", "failure": "Failed", "task": "To do"}

LANGUAGES = {"en": "English", "es": "Spanish"}

# What each kind of message is called.
_KINDS = {
    "booked": "Booking", "rescheduled": "New time", "cancelled_by_patient": "Cancellation",
    "cancelled_by_clinic": "Cancellation", "closure": "Closing", "reminder": "Reminder", "no_show": "Missed visit",
    "reply": "Answer", "digest": "Morning digest", "desk_alert": "Alert to the desk", "otp": "Code",
}  # fmt: skip
_CHANNELS: dict[Channel, str] = {"sms": "text", "email": "email"}

# What became of a message, after its name, as in "Reminder by text, delivered".
_STATES: dict[State, str] = {
    "pending": "planned", "sending": "on its way", "sent": "sent", "delivered": "delivered", "unknown": "in doubt",
    "undelivered": "failed", "failed": "failed", "dead": "failed", "suppressed": "not sent", "expired": "not sent",
    "cancelled": "taken back",
}  # fmt: skip

# What came of the email that says the same as a text, and of the same message sent once more.
_MAILED: dict[State, str] = {
    "pending": "An email with the same is planned.", "sending": "An email with the same is on its way.",
    "sent": "An email with the same was sent.", "delivered": "An email with the same was delivered.",
}  # fmt: skip
_AGAIN: dict[State, str] = {
    "pending": "It goes once more.", "sending": "It goes once more.", "unknown": "It goes once more.",
    "sent": "It was sent once more.", "delivered": "It was sent once more and delivered.",
}  # fmt: skip

# What a text was taken for that a person must look at all the same.
_REPLIES = {"start": "Wants texts again", "cancel": "Speaks of canceling"}
_TASKS = {
    "wants-to-move": "Wants another time", "may-want-to-cancel": "May want to cancel",
    "which-visit": "Said yes, to which visit?", "channel-paused": "Messages wait",
    "same-day-twice": "Two visits in one day", "call-back": "Asked to be called",
    "not-reminded": "Nobody reminds of it", "sent-twice": "Sent twice",
}  # fmt: skip

# What a text said, in a visit's trail.
_MEANINGS = {
    "stop": "Wrote STOP", "start": "Wrote START", "help": "Asked for help", "confirm": "Said yes",
    "reschedule": "Asked for another time", "accept": "Wrote A", "cancel": "Spoke of canceling",
}  # fmt: skip

_STEPS: dict[Step, str] = {
    "call": "Call", "move": "Find a new time", "health": "See health", "done": "Done",
}  # fmt: skip
_FIXES: dict[Channel, str] = {"sms": "Fix number", "email": "Fix email"}

# What a page says once something was done, by the word that its address then has.
DID = {
    "called": "Marked as called.",
    "dropped": "Taken off the list. Nobody was called.",
    "done": "Done, and off the list.",
    "back": "Back on the list.",
    "resent": "It goes once more: at once, or when texts may go again.",
    "fixed": "Saved. The message goes there now, or when texts may go again.",
}

_SAID_BY = {"phone": "on the telephone", "sms": "by text", "link": "on their own page", "provider": "at the provider"}


def near(moment: datetime, today: datetime) -> str:
    """As in "Today 1:30 PM", "Yesterday 4:10 PM" or "Thu, Dec 3, 3:00 PM"; both as the clinic's clocks show them."""
    days = (moment.date() - today.date()).days
    day = {0: "Today", 1: "Tomorrow", -1: "Yesterday"}.get(days)
    clock = dates.clock(moment, "en")
    return f"{day} {clock}" if day else f"{dates.short_day(moment.date(), 'en')}, {clock}"


def ago(seconds: float) -> str:
    """As in "3 minutes" or "2 hours": how long something has lasted."""
    minutes = int(seconds // 60)
    for size, unit in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            return counted(minutes // size, unit, f"{unit}s")
    return "less than a minute"


def counted(number: int, one: str, several: str) -> str:
    """As in "1 visit" or "3 visits"."""
    return f"{number} {one if number == 1 else several}"


def name(person: Person, *, hidden: bool) -> str:
    """The name as a screen that faces the room shows it: with an initial, or initials alone."""
    given = f"{person.given_name[:1]}." if hidden else f"{person.given_name} "
    return f"{given}{person.family_name[:1]}."


def shown_phone(number: str) -> str:
    """As in "(201) 555-0142"; a number of another country with its code."""
    parsed = phonenumbers.parse(number)
    home = parsed.country_code == 1
    form = phonenumbers.PhoneNumberFormat.NATIONAL if home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(parsed, form)


def addressee(row: Row, *, hidden: bool) -> list[str]:
    """Whose a line is; of a message to nobody on file the number, or nothing where it is the clinic's own."""
    names = [name(person, hidden=hidden) for person in row.people]
    ending = row.message.phone_ending if row.message else None
    return names or ([f"Number ending {ending}"] if ending else [])


def message_name(kind: str, channel: Channel) -> str:
    """As in "Reminder by text"."""
    said = _KINDS.get(kind) or kind.replace("_", " ").capitalize()
    return f"{said} by {_CHANNELS[channel]}"


def heading(item: Item) -> str:
    """What an item is, in a few words."""
    if item.message is not None:
        tried = "failed" if item.message.state in ("failed", "dead", "undelivered") else "not sent"
        return f"{_CHANNELS[item.message.channel].capitalize()} {tried}"
    if item.sort == "reply":
        return _REPLIES.get(item.kind, "Reply")
    return _TASKS.get(item.kind) or item.kind.replace("-", " ").capitalize()


def outcome(message: Sent) -> str:
    """What else is known of a message: the provider's code, and whether its patient was told in another way."""
    said = [f"Code {message.error_code}." if message.error_code else ""]
    said.append(_MAILED.get(message.mailed, "") if message.mailed else "")
    said.append(_AGAIN.get(message.again, "") if message.again else "")
    return " ".join(filter(None, said))


def state(message: Sent) -> str:
    """What became of a message, as in "delivered"; of a text that was sent, that no receipt has come yet."""
    waiting = message.state == "sent" and message.channel == "sms"
    return "sent, no receipt yet" if waiting else _STATES[message.state]


def step_words(item: Item, step: Step) -> str:
    """What the button of a first step says."""
    return _FIXES[item.message.channel] if step == "fix" and item.message else _STEPS[step]


def opted_out(row: Row) -> str:
    """How a patient said that they want no texts."""
    return f"Said so {_SAID_BY.get(row.reason, 'at the desk')}"


def visit_line(visit: VisitBeside, clinic: Clinic, today: datetime) -> dict[str, Any]:
    """Return a visit as a line of a list: when and with whom, and where the board shows it."""
    starts = clinic.local(visit.starts_at)
    therapist = clinic.therapists_by_id.get(visit.therapist_id)
    address = f"/staff/day/{starts.date().isoformat()}"
    return {
        "when": near(starts, today),
        "who": therapist.display_name if therapist else "",
        "off": {"cancelled": "canceled", "no_show": "missed", "completed": "done"}.get(visit.status, ""),
        "sure": visit.status == "confirmed",
        "address": f"{address}?sel={visit.id}",
        "move": f"{address}?move={visit.id}",
        "patient": visit.patient,
    }


def trail_lines(trail: Trail, clinic: Clinic, now: datetime) -> list[tuple[Entry, dict[str, str]]]:
    """Return a visit's trail as ``staff/trail.html`` shows it."""
    return [(entry, entry_line(entry, clinic, clinic.local(now))) for entry in trail.entries]


def entry_line(entry: Entry, clinic: Clinic, today: datetime) -> dict[str, str]:
    """Return an entry of a visit's trail in words: what, what became of it, and when."""
    moment = clinic.local(entry.at)
    when = dates.clock(moment, "en") if moment.date() == today.date() else near(moment, today)
    if entry.state is None:
        said = _MEANINGS.get(entry.kind, "Wrote something we did not understand")
        return {"what": said, "became": "", "when": when, "icon": "text"}
    icons = {"sent": "check", "planned": "clock", "failed": "cross", "off": "cross"}
    detail = f": {entry.reason}" if entry.reason and entry.look in ("failed", "off") else ""
    return {
        "what": message_name(entry.kind, entry.channel),
        "became": f"{_STATES[entry.state]}{detail}",
        "when": when,
        "icon": icons[entry.look],
    }
