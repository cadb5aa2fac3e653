"""What somebody gave up on in doubt is resolved by the record under its key, and then judged like everything else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chaos.doubts import settle
from chaos.journal import Ask
from chaos.judge import everything_acknowledged_is_there_as_acknowledged, nothing_is_there_that_nobody_asked_for
from chaos.records import Records
from chaos.samples import Sample

AT = datetime(2026, 12, 8, 15, tzinfo=UTC)
VISIT: dict[str, Any] = {"id": "v", "version": 1, "starts_at": AT.isoformat(), "therapist": "rivera"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "visits": [{"id": "v", "patient_id": "p"}],
    "patients": [{"id": "p", "family_name": "Zq0001"}],
    "audit_events": [{"visit_id": "v", "at": AT, "action": "visit.booked", "details": VISIT}],
    "idempotency_keys": [{"key": "k", "body": json.dumps(VISIT).encode()}],
}
NOTHING: dict[str, list[dict[str, Any]]] = {name: [] for name in ROWS}


def records(rows: dict[str, list[dict[str, Any]]], ask: Ask) -> Records:
    nothing = Sample(at=0.0)
    return Records(
        asks=[ask], markers=[], complaints=[], rows={"time_off": [], "inbound_messages": [], **rows}, texts=[],
        mails=[], logs={}, metrics=[], excused={}, stalls=[], recoveries=[], calm=0.1, slow=[], before=nothing,
        after=nothing, tasks_before={}, tasks_after={}, peaks={}, start_seconds=1.0, runnable=1.0, unsettled=0,
        visit_types={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "outcome", "said"),
    [
        (ROWS, "told", []),
        (NOTHING, "refused", []),
        # Half of it is there: the answer without its effect, and the effect without its answer.
        ({**NOTHING, "idempotency_keys": ROWS["idempotency_keys"]}, "told", ["lost"]),
        ({**ROWS, "idempotency_keys": []}, "refused", ["invented"]),
    ],
    ids=["happened", "did not", "lost", "invented"],
)
def test_a_booking_that_was_given_up(rows: dict[str, list[dict[str, Any]]], outcome: str, said: list[str]) -> None:
    ask = Ask(number=1, client="patient", what="book", marker="Zq0001", key="k")
    found = records(rows, ask)
    settle(found)
    assert (ask.outcome, ask.gave_up) == (outcome, True)
    words = [
        *everything_acknowledged_is_there_as_acknowledged(found),
        *nothing_is_there_that_nobody_asked_for(found),
    ]
    assert [each.partition(":")[0] for each in words] == said


@pytest.mark.parametrize(
    ("ask", "happened"),
    [
        (Ask(number=1, client="phones", what="text", wants={"sid": "SM1", "text": "C"}), True),
        (Ask(number=1, client="phones", what="text", wants={"sid": "SM2", "text": "C"}), False),
        (Ask(number=1, client="patient", what="release", visit="h"), True),
        (Ask(number=1, client="patient", what="extend", visit="h"), False),
        (Ask(number=1, client="desk", what="time-on", visit="gone"), True),
        (Ask(number=1, client="desk", what="time-on", visit="there"), False),
    ],
    ids=lambda value: value.what if isinstance(value, Ask) else str(value),
)
def test_what_has_no_key_leaves_a_trace_of_its_own(ask: Ask, happened: bool) -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        **NOTHING,
        "inbound_messages": [{"provider_id": "SM1"}],
        "audit_events": [{"visit_id": "h", "at": AT, "action": "hold.released", "details": {}}],
        "time_off": [{"id": "there"}],
    }
    settle(records(rows, ask))
    assert (ask.outcome == "told") == happened


def test_what_was_told_or_only_looked_at_is_left_alone() -> None:
    told = Ask(number=1, client="desk", what="book", key="k", outcome="told", told=VISIT)
    settle(records(NOTHING, told))
    assert (told.outcome, told.gave_up) == ("told", False)
    look = Ask(number=2, client="desk", what="look")
    settle(records(NOTHING, look))
    assert look.outcome == "unknown"
