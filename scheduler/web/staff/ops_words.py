"""What the page of health says: one sentence at the top, four tiles, and a list of what is looked at."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.ops import CheckName, Facts, Level
from scheduler.services.ops import Ops
from scheduler.services.planner import PLAN_SECONDS
from scheduler.store.ops import Listing
from scheduler.web.pages import dates
from scheduler.web.staff.message_words import ago, counted, near

# What each list of rows is called, what it says where it is empty, and what its first column tells.
LISTINGS: dict[Listing, tuple[str, str, str]] = {
    "failed": ("Failed messages", "Nothing failed.", "When"),
    "open": ("Failed messages that need a person", "Nothing needs you.", "When"),
    "delivered": ("Delivered messages", "Nothing was delivered yet.", "When"),
    "unreceipted": ("Texts without a receipt", "Every text has its receipt.", "Sent"),
    "left": ("Messages in the preview", "Nothing is in the preview yet.", "When"),
    "waiting": ("Messages that wait", "Nothing waits.", "Due"),
    "reminders": ("Reminders of the next 24 hours", "No reminder is due in the next 24 hours.", "Due"),
    "opted_out": ("Patients who opted out of texts", "Nobody opted out.", "When"),
    "unreminded": ("Visits without a reminder", "Every visit that should have a reminder has one.", "Visit"),
}

_LEVELS: dict[Level, str] = {"ok": "OK", "bad": "Look", "off": "Off", "none": "No data yet"}

_EVERY = "every minute" if PLAN_SECONDS == 60 else f"every {PLAN_SECONDS} seconds"  # noqa: PLR2004 - a minute

_TELL_OPERATOR = "Tell whoever runs this service."


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The present, as the words need it."""

    clinic: Clinic
    now: datetime

    def said(self, instant: datetime) -> str:
        """As in "9:37 AM", with its day where that is not today."""
        local, today = self.clinic.local(instant), self.clinic.local(self.now)
        return dates.clock(local, "en") if local.date() == today.date() else near(local, today)

    def since(self, instant: datetime) -> str:
        """As in "3 minutes"."""
        return ago((self.now - instant) / timedelta(seconds=1))


class Told(msgspec.Struct, frozen=True):
    """What is known of one thing; where it is wrong also what to do now, and where that leads: a list or an address."""

    detail: str
    now_do: str = ""
    leads: str = ""
    link: str = "Show them"


def _planner(facts: Facts, level: Level, moment: Moment) -> Told:
    if facts.planned_at is None:
        return Told("It has not run yet")
    late = ", which is late" if level == "bad" else ""
    tomorrow = moment.clinic.local(moment.now).date() + timedelta(days=1)
    return Told(
        f"Last ran {moment.said(facts.planned_at)}, {_EVERY}{late}",
        "Reminders are late. Call tomorrow's first patients.",
        f"/staff/day/{tomorrow}",
        "Open tomorrow",
    )


def _worker(facts: Facts, level: Level, moment: Moment) -> Told:
    if facts.beat_at is None:
        return Told("No worker has started yet")
    known = "A worker runs" if level == "ok" else f"No worker was heard of for {moment.since(facts.beat_at)}"
    return Told(known, f"Nothing is sent: no worker runs. {_TELL_OPERATOR}", "waiting")


def _queue(facts: Facts, _: Level, moment: Moment) -> Told:
    if facts.oldest_due_at is None:
        return Told("Tried in vain, and tried again by themselves" if facts.waiting else "Nothing waits")
    oldest = moment.since(facts.oldest_due_at)
    late = f"{counted(facts.waiting, 'message is', 'messages are')} late, the first by {oldest}."
    return Told(f"The oldest waits for {oldest}", late, "waiting")


def _way(channel: Channel, plural: str) -> Callable[[Facts, Level, Moment], Told]:
    def tell(facts: Facts, level: Level, moment: Moment) -> Told:
        way = facts.sms if channel == "sms" else facts.email
        if level == "off":
            return Told("Shown in the preview instead of sent")
        if way.paused_until is not None:
            rest = f"until {moment.said(way.paused_until)}. {way.pause_reason}"
            return Told(f"Rest {rest}", f"{plural} wait {rest}", "waiting")
        last = f"last sent {moment.said(way.last_sent_at)}" if way.last_sent_at else "none sent yet"
        if way.stuck_since is None:
            return Told(dates.sentence(last))
        reason = way.reason or "They are not answered."
        return Told(
            f"{way.stuck} tried again, {last}. {reason}",
            f"{plural} have not left since {moment.said(way.stuck_since)}. {reason} We go on trying.",
            "waiting",
        )

    return tell


def _receipts(facts: Facts, level: Level, moment: Moment) -> Told:
    if level == "off":
        return Told("Texts are previewed, so there are none")
    last = f"Last {moment.said(facts.sms.last_report_at)}" if facts.sms.last_report_at else "None yet"
    left = f"; a text left {moment.said(facts.sms.unreported_since)}" if facts.sms.unreported_since else ""
    unseen = f"Texts leave, but no receipts come in: what fails now is not seen here. {_TELL_OPERATOR}"
    return Told(last + left, unseen, "unreceipted")


def _reminders(facts: Facts, _: Level, moment: Moment) -> Told:
    forgotten = f"{counted(facts.unreminded, 'visit has', 'visits have')} no reminder. Call these patients."
    return Told(f"24 to 48 hours ahead, checked {moment.said(moment.now)}", forgotten, "unreminded")


class _Check(msgspec.Struct, frozen=True):
    """One thing that is looked at: its name, what is told of it, and the list of its rows where it has one."""

    name: str
    tell: Callable[[Facts, Level, Moment], Told]
    listing: Listing | None = None


_CHECKS: dict[CheckName, _Check] = {
    "planner": _Check("Reminder job", _planner, "reminders"),
    "worker": _Check("Sending", _worker),
    "queue": _Check("Messages that wait", _queue, "waiting"),
    "sms": _Check("Texts", _way("sms", "Texts")),
    "receipts": _Check("Receipts for texts", _receipts, "unreceipted"),
    "email": _Check("Emails", _way("email", "Emails")),
    "reminders": _Check("Booked visits without a reminder", _reminders, "unreminded"),
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is looked at, in words; ``word`` is a number where it counts something."""

    name: str
    level: Level
    word: str
    detail: str
    listing: Listing | None


def headline(ops: Ops, moment: Moment) -> Told | None:
    """Return the worst that is wrong, None where all is well."""
    bad: list[CheckName] = [name for name, level in ops.levels.items() if level == "bad"]
    if not bad:
        return None
    return _CHECKS[bad[0]].tell(ops.facts, "bad", moment)


def health(ops: Ops, moment: Moment) -> list[Line]:
    """Return everything that is looked at."""
    numbers: dict[CheckName, int] = {"queue": ops.facts.waiting, "reminders": ops.facts.unreminded}
    return [
        Line(
            name=_CHECKS[name].name,
            level=level,
            word=str(numbers[name]) if name in numbers else _LEVELS[level],
            detail=_CHECKS[name].tell(ops.facts, level, moment).detail,
            listing=_CHECKS[name].listing if level != "off" else None,
        )
        for name, level in ops.levels.items()
    ]


def _delivered(ops: Ops) -> dict[str, Any]:
    facts, share = ops.facts, ops.facts.share_arrived
    if ops.levels["sms"] == ops.levels["email"] == "off":
        number, words = str(facts.arrived + facts.unreceipted), "shown in the preview instead of sent"
        return {"number": number, "words": words, "tone": "", "listing": "left"}
    ended = facts.arrived + facts.failed
    receipts = f", {facts.unreceipted} without a receipt" if facts.unreceipted else ""
    return {
        "number": "None" if share is None else f"{share * 100:.1f}%".replace(".0%", "%"),
        "words": f"delivered, {facts.arrived} of {ended}{receipts}" if ended else f"delivered yet{receipts}",
        "tone": "",
        "listing": "delivered",
    }


def tiles(ops: Ops, moment: Moment) -> list[dict[str, Any]]:
    """Return the four numbers with the list of rows behind each."""
    facts = ops.facts
    late = ops.levels["planner"] == "bad"
    return [
        _delivered(ops),
        {
            "number": str(facts.failed),
            "words": f"failed, {counted(facts.open, 'needs', 'need')} a person" if facts.open else "failed",
            "tone": "red" if facts.open else "",
            "listing": "failed",
        },
        {
            "number": str(facts.opted_out),
            "words": "patient opted out of texts" if facts.opted_out == 1 else "patients opted out of texts",
            "tone": "amber" if facts.opted_out else "",
            "listing": "opted_out",
        },
        {
            "number": moment.said(facts.planned_at) if facts.planned_at else "Never",
            "words": f"reminder job last ran, {'late: it runs ' if late else ''}{_EVERY}",
            "tone": "red" if late else "",
            "listing": "reminders",
        },
    ]
