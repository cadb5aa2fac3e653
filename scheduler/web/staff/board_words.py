"""What the day board says, in words. Times are the clinic's; staff pages are in English."""

from datetime import date, datetime, timedelta

import msgspec
from babel.dates import format_date

from scheduler.domain.board_visits import BoardVisit, Delivery, DeskAction
from scheduler.domain.boards import Gap, Off
from scheduler.domain.clinics import Channel, Clinic, Therapist
from scheduler.domain.visits import Status


class Look(msgspec.Struct, frozen=True):
    """How a state looks: the class of its card, the name of its icon, and the word that says the same."""

    css: str
    icon: str
    word: str


STATES: dict[Status, Look] = {
    "held": Look("s-held", "clock", "Being booked online"),
    "booked": Look("s-asked", "ask", "Not confirmed"),
    "confirmed": Look("s-sure", "check", "Confirmed"),
    "arrived": Look("s-here", "enter", "Checked in"),
    "completed": Look("s-done", "check", "Done"),
    "no_show": Look("s-missed", "cross", "No-show"),
    "cancelled": Look("s-off", "cross", "Canceled"),
    "expired": Look("s-off", "clock", "Not booked"),
}

# What became of the last message; the third is whether somebody should do something.
DELIVERIES: dict[tuple[Channel, Delivery], tuple[str, str, bool]] = {
    ("sms", "failed"): ("Text failed", "alert", True),
    ("sms", "opted_out"): ("Opted out, call", "phone", True),
    ("sms", "doubtful"): ("Text in doubt", "ask", False),
    ("sms", "delivered"): ("Text delivered", "checks", False),
    ("sms", "sent"): ("Text sent", "check", False),
    ("email", "failed"): ("Email failed", "alert", True),
    ("email", "doubtful"): ("Email in doubt", "ask", False),
    ("email", "delivered"): ("Email delivered", "checks", False),
    ("email", "sent"): ("Email sent", "check", False),
}

# What a page says once something was done, by the word that its address then has.
DID: dict[str, str] = {
    "confirm": "Marked as confirmed.",
    "arrive": "Checked in.",
    "complete": "Marked as done.",
    "no_show": "Marked as a no-show.",
    "cancel": "Canceled.",
    "reschedule": "Moved.",
    "undo": "Undone.",
    "book": "Booked.",
    "note": "Note saved.",
    "away": "Blocked.",
    "unaway": "Open again.",
    "called": "Marked as called.",
    "dropped": "Taken off the list.",
    "back": "Back on the list.",
}

# What was done to a message that failed, and can be taken back from the board as well.
UNDOABLE = ("called", "dropped")

ACTIONS: dict[DeskAction, str] = {
    "confirm": "Confirm",
    "arrive": "Check in",
    "complete": "Done",
    "no_show": "No-show",
    "reschedule": "Move",
    "cancel": "Cancel",
    "undo": "Undo",
}

# What an audit row did to a visit, as the page says it to whoever was slower.
CHANGES: dict[str, str] = {
    "visit.booked": "booked",
    "visit.confirmed": "confirmed",
    "visit.arrived": "checked in",
    "visit.completed": "marked as done",
    "visit.no_show": "marked as a no-show",
    "visit.cancelled": "canceled",
    "visit.undone": "put back to what it was before",
}


def clock(moment: datetime, *, half: bool = True) -> str:
    """As in "9:45 AM", on one line, or "9:45" without the half of the day."""
    text = f"{moment.hour % 12 or 12}:{moment.minute:02}"
    return f"{text}\u00a0{'AM' if moment.hour < 12 else 'PM'}" if half else text  # noqa: PLR2004 - noon


def hour_name(hour: int) -> str:
    """As in "9 AM", "noon" or "midnight": an hour of the day, 0 to 24."""
    if hour % 24 == 0:
        return "midnight"
    return "noon" if hour == 12 else f"{hour % 12 or 12}\u00a0{'AM' if hour < 12 else 'PM'}"  # noqa: PLR2004 - noon


def from_to(starts: datetime, ends: datetime) -> str:
    """As in "9:45 to 10:45 AM" or "11:30 AM to 12:15 PM"."""
    same = (starts.date(), starts.hour // 12) == (ends.date(), ends.hour // 12)
    return f"{clock(starts, half=not same)} to {clock(ends)}"


def length(minutes: int) -> str:
    """As in "45 min", "1 h" or "3 h 30 min"."""
    hours, rest = divmod(minutes, 60)
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{rest} min"] if rest or not hours else [])])


def long_day(day: date) -> str:
    """As in "Tuesday, December 8"."""
    return format_date(day, "EEEE, MMMM\u00a0d", locale="en")


def short_day(day: date) -> str:
    """As in "Tue, Dec 8"."""
    return format_date(day, "EEE, MMM\u00a0d", locale="en")


def moment(instant: datetime) -> str:
    """As in "Tue, Dec 8, 9:45 AM"."""
    return f"{short_day(instant.date())}, {clock(instant)}"


def relative_day(day: date, today: date) -> str:
    """As in "today", "tomorrow" or "Tue, Dec 8"."""
    names = {timedelta(0): "today", timedelta(days=1): "tomorrow"}
    return names.get(day - today) or short_day(day)


def kind_name(clinic: Clinic, code: str) -> str:
    """Return what kind of visit it is, in few words: what stands before the colon of its name."""
    visit_type = clinic.visit_types.get(code)
    return visit_type.names["en"].partition(":")[0] if visit_type else code


def who(therapist: Therapist | None) -> str:
    return therapist.display_name if therapist else "Somebody who left"


def gap_words(gap: Gap) -> str:
    """Return what a gap says: what it offers, or why it offers nothing."""
    minutes = length(gap.minutes)
    return {
        "open": f"Open {minutes}",
        "short": f"{minutes} free",
        "move": f"Move here, {clock(gap.starts_at)}",
        "too_short": f"Too short, {minutes}",
        "not_theirs": "Does not do this visit",
        "no_room": "No room free",
    }[gap.kind]


def off_words(off: Off) -> str:
    """Return why nobody can be booked, and until when."""
    return {
        "starts": f"Starts {clock(off.until)}",
        "break": "Break",
        "off": "Off",
        "out": f"Out until {clock(off.until)}",
        "closed": f"Closed ({off.reason})" if off.reason else "Closed",
    }[off.kind]


def delivery_words(visit: BoardVisit) -> tuple[str, str, bool] | None:
    return DELIVERIES.get(visit.delivery) if visit.delivery else None


def counted(number: int, one: str, many: str = "") -> str:
    """As in "1 visit" or "8 visits"."""
    return f"{number} {one if number == 1 else many or one + 's'}"
