"""The state machine is a table, and the code accepts exactly that table."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import msgspec
import pytest

from scheduler.domain.visits import (
    LIVE,
    TRANSITIONS,
    Action,
    Status,
    Visit,
    after,
    check_patient_may_change,
    undone,
)
from scheduler.errors import TooLateToChange, WrongStatus
from tests.unit.factories import make_visit_type

START = datetime(2026, 12, 8, 14, 45, tzinfo=UTC)
VISIT = Visit(
    id=UUID(int=1),
    status="booked",
    version=1,
    visit_type="follow-up",
    therapist_id=UUID(int=2),
    room_id=None,
    equipment_ids=(),
    patient_id=UUID(int=3),
    starts_at=START,
    ends_at=START + timedelta(minutes=45),
    created_by="public",
    created_at=START - timedelta(days=3),
    booked_at=START - timedelta(days=3),
    cancel_reason=None,
    overbook_reason=None,
    previous_status=None,
    status_changed_at=START - timedelta(days=3),
)

# Written out by hand from the API contract, not derived from the table under test.
PERMITTED = {
    ("confirm", "booked"): "confirmed",
    ("confirm", "confirmed"): "confirmed",
    ("reschedule", "booked"): "booked",
    ("reschedule", "confirmed"): "booked",
    ("cancel", "booked"): "cancelled",
    ("cancel", "confirmed"): "cancelled",
    ("arrive", "booked"): "arrived",
    ("arrive", "confirmed"): "arrived",
    ("complete", "arrived"): "completed",
    ("no_show", "booked"): "no_show",
    ("no_show", "confirmed"): "no_show",
}

# What a refusal says may be done instead.
BEFORE_THE_VISIT = ["confirm", "reschedule", "cancel", "arrive", "no-show"]
INSTEAD: dict[Status, list[str]] = {"booked": BEFORE_THE_VISIT, "confirmed": BEFORE_THE_VISIT, "arrived": ["complete"]}


@pytest.mark.parametrize("action", get_args(Action))
@pytest.mark.parametrize("status", get_args(Status))
def test_every_action_from_every_status_is_accepted_or_refused_as_written(action: Action, status: Status) -> None:
    visit = msgspec.structs.replace(VISIT, status=status)
    expected = PERMITTED.get((action, status))
    if expected is None:
        with pytest.raises(WrongStatus) as refusal:
            after(visit, action, START + timedelta(minutes=5))
        assert refusal.value.members == {"visit_status": status, "allowed": INSTEAD.get(status, [])}
    else:
        assert after(visit, action, START + timedelta(minutes=5)) == expected


@pytest.mark.parametrize(
    ("before_the_start", "possible"),
    [
        (timedelta(hours=1, seconds=1), ["confirm", "reschedule", "cancel"]),
        (timedelta(hours=1), ["confirm", "reschedule", "cancel", "arrive"]),
        (timedelta(seconds=1), ["confirm", "reschedule", "cancel", "arrive"]),
        (timedelta(0), ["confirm", "reschedule", "cancel", "arrive", "no-show"]),
    ],
)
def test_a_refusal_offers_what_is_possible_at_this_moment(before_the_start: timedelta, possible: list[str]) -> None:
    with pytest.raises(WrongStatus) as refusal:
        after(VISIT, "complete", START - before_the_start)
    assert refusal.value.members["allowed"] == possible


def test_a_refusal_offers_to_undo_for_as_long_as_that_is_possible() -> None:
    over = msgspec.structs.replace(VISIT, status="completed", previous_status="arrived", status_changed_at=START)
    for passed, possible in ((timedelta(minutes=10), ["undo"]), (timedelta(minutes=10, seconds=1), [])):
        with pytest.raises(WrongStatus) as refusal:
            after(over, "cancel", START + passed)
        assert refusal.value.members["allowed"] == possible


def test_every_action_has_a_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(get_args(Action))


def test_what_is_cancelled_over_or_missed_takes_nobodys_time() -> None:
    assert set(get_args(Status)) - LIVE == {"completed", "no_show", "cancelled", "expired"}


def test_a_no_show_is_known_only_once_the_visit_should_have_begun() -> None:
    with pytest.raises(WrongStatus):
        after(VISIT, "no_show", START - timedelta(seconds=1))
    assert after(VISIT, "no_show", START) == "no_show"


def test_check_in_opens_an_hour_before_the_visit() -> None:
    with pytest.raises(WrongStatus, match="an hour before"):
        after(VISIT, "arrive", START - timedelta(minutes=60, seconds=1))
    assert after(VISIT, "arrive", START - timedelta(minutes=60)) == "arrived"
    assert after(VISIT, "confirm", START - timedelta(days=2)) == "confirmed"


@pytest.mark.parametrize("status", get_args(Status))
def test_what_staff_or_a_patient_did_can_be_undone_and_a_booking_cannot(status: Status) -> None:
    visit = msgspec.structs.replace(VISIT, status=status, previous_status="booked", status_changed_at=START)
    if status in ("confirmed", "arrived", "completed", "no_show", "cancelled"):
        assert undone(visit, START) == "booked"
    else:
        with pytest.raises(WrongStatus):
            undone(visit, START)


def test_undo_goes_back_for_ten_minutes_and_no_longer() -> None:
    changed = msgspec.structs.replace(VISIT, status="cancelled", previous_status="confirmed", status_changed_at=START)
    assert undone(changed, START + timedelta(minutes=10)) == "confirmed"
    with pytest.raises(WrongStatus):
        undone(changed, START + timedelta(minutes=10, seconds=1))


def test_there_is_nothing_to_undo_about_a_fresh_booking() -> None:
    with pytest.raises(WrongStatus):
        undone(VISIT, START)


def test_a_patient_may_change_until_the_cutoff_and_not_a_second_later() -> None:
    kind = make_visit_type(change_cutoff_minutes=24 * 60)
    cutoff = START - timedelta(hours=24)
    check_patient_may_change(VISIT, kind, cutoff, "(201) 791-1100")
    with pytest.raises(TooLateToChange) as refusal:
        check_patient_may_change(VISIT, kind, cutoff + timedelta(seconds=1), "(201) 791-1100")
    assert refusal.value.members == {"phone": "(201) 791-1100", "cutoff_at": cutoff}


def test_a_wrong_booking_can_be_taken_back_for_ten_minutes_however_close_it_is() -> None:
    kind = make_visit_type(change_cutoff_minutes=24 * 60)
    booked_at = START - timedelta(hours=2)
    visit = msgspec.structs.replace(VISIT, booked_at=booked_at)
    check_patient_may_change(visit, kind, booked_at + timedelta(minutes=10), "")
    with pytest.raises(TooLateToChange):
        check_patient_may_change(visit, kind, booked_at + timedelta(minutes=10, seconds=1), "")


def test_the_grace_never_reaches_past_the_start() -> None:
    kind = make_visit_type(change_cutoff_minutes=60)
    visit = msgspec.structs.replace(VISIT, booked_at=START - timedelta(minutes=3))
    with pytest.raises(TooLateToChange):
        check_patient_may_change(visit, kind, START, "")
