"""Whether messages flow: what is looked at, and from when on each thing is wrong. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from scheduler.domain.clinics import Channel

# ``off`` is what does not apply, and ``none`` what nothing is known of yet.
Level = Literal["ok", "bad", "off", "none"]
CheckName = Literal["planner", "worker", "queue", "sms", "receipts", "email", "reminders"]

# A job is late when it has missed two of its turns.
TURNS_MISSED = 2

# Workers say every ten seconds that they live.
WORKER_SILENT = timedelta(seconds=60)

# What is due leaves within seconds, paced at a text a second; minutes later something holds it up.
QUEUE_LATE = timedelta(minutes=5)

# A provider that is away for a moment is tried again by itself.
PROVIDER_SILENT = timedelta(minutes=2)

# Twilio says within seconds that a text is on its way, whatever becomes of it.
RECEIPTS_SILENT = timedelta(minutes=30)


class ChannelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How one channel does.

    ``stuck`` messages were tried and have not left, the first of them since ``stuck_since``, for the last ``reason``.
    ``paused_until`` is set while the channel rests. Of texts, ``unreported_since`` is when the first left that no
    report has followed.
    """

    last_sent_at: datetime | None
    stuck: int
    stuck_since: datetime | None
    reason: str | None
    paused_until: datetime | None
    pause_reason: str | None
    last_report_at: datetime | None
    unreported_since: datetime | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a clinic's messages at a moment; the first four count from another moment on.

    ``arrived`` are texts with a receipt and emails that the mail relay took, ``unreceipted`` texts without one.
    ``open`` failures wait for a person, whenever they failed. ``waiting`` are messages that are due, or were tried and
    have not left; ``oldest_due_at`` is of those that are due. ``unreminded`` are the visits 24 to 48 hours ahead of
    which the ladder promises to remind, and of which nobody will.
    """

    arrived: int
    failed: int
    unreceipted: int
    opted_out: int
    open: int
    planned_at: datetime | None
    beat_at: datetime | None
    waiting: int
    oldest_due_at: datetime | None
    unreminded: int
    sms: ChannelFacts
    email: ChannelFacts

    @property
    def share_arrived(self) -> float | None:
        """Return which part of what came to an end arrived, None where nothing did."""
        ended = self.arrived + self.failed
        return self.arrived / ended if ended else None


def judge(
    facts: Facts, now: datetime, *, plan_every: timedelta, previewed: Collection[Channel]
) -> dict[CheckName, Level]:
    """Return how each thing stands, the more telling first. ``previewed`` channels show messages instead of sending."""
    return {
        "planner": _since(facts.planned_at, now, plan_every * TURNS_MISSED),
        "worker": _since(facts.beat_at, now, WORKER_SILENT),
        "sms": "off" if "sms" in previewed else _channel(facts.sms, now),
        "email": "off" if "email" in previewed else _channel(facts.email, now),
        # What a provider holds up is late as well, and the provider is the reason.
        "queue": "bad" if facts.oldest_due_at and now - facts.oldest_due_at > QUEUE_LATE else "ok",
        "receipts": "off" if "sms" in previewed else _receipts(facts.sms, now),
        "reminders": "bad" if facts.unreminded else "ok",
    }


def _since(last: datetime | None, now: datetime, longest: timedelta) -> Level:
    if last is None:
        return "none"
    return "ok" if now - last <= longest else "bad"


def _channel(facts: ChannelFacts, now: datetime) -> Level:
    if facts.paused_until is not None:
        return "bad"
    stuck_since, last = facts.stuck_since, facts.last_sent_at
    if stuck_since and now - stuck_since > PROVIDER_SILENT and (last is None or last < stuck_since):
        return "bad"
    return "ok" if last else "none"


def _receipts(facts: ChannelFacts, now: datetime) -> Level:
    if facts.unreported_since and now - facts.unreported_since > RECEIPTS_SILENT:
        return "bad"
    return "ok" if facts.last_report_at else "none"
