"""From when on something is wrong with the messages, to the second."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from scheduler.domain.ops import ChannelFacts, CheckName, Facts, Level, judge

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

WAY = ChannelFacts(
    last_sent_at=NOW - MINUTE, stuck=0, stuck_since=None, reason=None, paused_until=None, pause_reason=None,
    last_report_at=NOW - MINUTE, unreported_since=None,
)  # fmt: skip
WELL = Facts(
    arrived=3, failed=0, unreceipted=0, opted_out=0, open=0, planned_at=NOW - MINUTE, beat_at=NOW, waiting=0,
    oldest_due_at=None, unreminded=0, sms=WAY, email=WAY,
)  # fmt: skip


def ago(**much: float) -> datetime:
    return NOW - timedelta(**much)


def levels(facts: Facts = WELL, **changes: Any) -> dict[CheckName, Level]:
    previewed = changes.pop("previewed", ())
    changed = msgspec.structs.replace(facts, **changes)
    return judge(changed, NOW, plan_every=MINUTE, previewed=previewed)


def with_texts(**changes: Any) -> Facts:
    return msgspec.structs.replace(WELL, sms=msgspec.structs.replace(WAY, **changes))


def test_all_is_well() -> None:
    assert set(levels().values()) == {"ok"}


@pytest.mark.parametrize(
    ("check", "changes", "level"),
    [
        ("planner", {"planned_at": ago(seconds=120)}, "ok"),
        ("planner", {"planned_at": ago(seconds=121)}, "bad"),
        ("planner", {"planned_at": None}, "none"),
        ("worker", {"beat_at": ago(seconds=60)}, "ok"),
        ("worker", {"beat_at": ago(seconds=61)}, "bad"),
        ("worker", {"beat_at": None}, "none"),
        ("queue", {"oldest_due_at": ago(minutes=5)}, "ok"),
        ("queue", {"oldest_due_at": ago(minutes=5, seconds=1)}, "bad"),
        ("reminders", {"unreminded": 1}, "bad"),
    ],
)
def test_each_thing_is_wrong_from_its_moment_on_and_nothing_else_is(
    check: CheckName, changes: dict[str, Any], level: Level
) -> None:
    found = levels(**changes)
    assert found.pop(check) == level
    assert set(found.values()) == {"ok"}


def test_what_holds_messages_up_is_told_before_that_they_are_late() -> None:
    resting = with_texts(paused_until=NOW + MINUTE, unreported_since=ago(hours=1))
    found = levels(resting, oldest_due_at=ago(minutes=9), planned_at=ago(hours=1), beat_at=ago(hours=1), unreminded=1)
    bad = [name for name, level in found.items() if level == "bad"]
    assert bad == ["planner", "worker", "sms", "queue", "receipts", "reminders"]


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"stuck": 1, "stuck_since": ago(minutes=2), "last_sent_at": ago(minutes=9)}, "ok"),
        ({"stuck": 1, "stuck_since": ago(minutes=2, seconds=1), "last_sent_at": ago(minutes=9)}, "bad"),
        ({"stuck": 1, "stuck_since": ago(minutes=3), "last_sent_at": None}, "bad"),
        # Others have left since: it is one message's trouble, not the provider's.
        ({"stuck": 1, "stuck_since": ago(minutes=3), "last_sent_at": ago(minutes=1)}, "ok"),
        ({"paused_until": NOW + MINUTE}, "bad"),
        ({"last_sent_at": None}, "none"),
    ],
)
def test_a_provider_is_away_when_what_was_tried_does_not_leave(changes: dict[str, Any], level: Level) -> None:
    assert levels(with_texts(**changes))["sms"] == level
    assert levels(with_texts(**changes))["email"] == "ok"


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"unreported_since": ago(minutes=30)}, "ok"),
        ({"unreported_since": ago(minutes=30, seconds=1)}, "bad"),
        # Where nothing is sent there is nothing to report, however long that is.
        ({"last_report_at": ago(days=3)}, "ok"),
        ({"last_report_at": None}, "none"),
    ],
)
def test_receipts_are_missed_only_while_texts_are_sent(changes: dict[str, Any], level: Level) -> None:
    assert levels(with_texts(**changes))["receipts"] == level


def test_a_channel_that_is_previewed_is_neither_well_nor_wrong() -> None:
    broken = with_texts(paused_until=NOW + MINUTE, unreported_since=ago(hours=1))
    found = levels(broken, previewed=("sms", "email"))
    assert (found["sms"], found["receipts"], found["email"]) == ("off", "off", "off")


def test_the_share_that_arrived_counts_what_came_to_an_end() -> None:
    assert WELL.share_arrived == 1
    assert msgspec.structs.replace(WELL, arrived=187, failed=3).share_arrived == 187 / 190
    assert msgspec.structs.replace(WELL, arrived=0, unreceipted=4).share_arrived is None
