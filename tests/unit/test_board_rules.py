"""The edges of the board: what is drawn on which rows, what a gap offers, and what a card may say."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest

from scheduler.domain.boards import Facts, Gap, Moving, Off, build_board, day_places
from scheduler.domain.calendars import TherapistCalendar
from scheduler.domain.lanes import Spot, apart
from scheduler.domain.messages import State
from scheduler.domain.visits import Status
from tests.unit.factories import (
    make_clinic,
    make_therapist,
    make_visit_type,
    minute,
    span,
    therapist_id,
    weekly,
)
from tests.unit.test_boards import ASH, HOURS, MORNING, TUESDAY, make_board, make_visit, of_kind, sent, told


def test_a_visit_takes_every_row_that_one_of_its_minutes_is_in() -> None:
    assert make_board(make_visit("09:08", 13)).cards[0].spot == Spot(13, 4)
    assert make_board(make_visit("09:05", 20)).cards[0].spot == Spot(13, 4)
    assert make_board(make_visit("09:09", 22)).cards[0].spot == Spot(13, 6)


def test_a_short_visit_at_the_end_of_the_board_stays_on_it() -> None:
    assert make_board(make_visit("16:55", 5)).cards[0].spot == Spot(107, 1)
    assert make_board(make_visit("16:50", 10)).cards[0].spot == Spot(106, 2)


def test_the_present_is_on_the_column_of_today_wherever_it_stands() -> None:
    facts = Facts(
        therapists=[TherapistCalendar(id=therapist_id(0), weekly=weekly(range(1, 8), "08:00", "17:00"))],
        closures={}, closure_reasons={}, visits=(),
    )  # fmt: skip
    days = [TUESDAY - timedelta(days=1), TUESDAY, TUESDAY + timedelta(days=1)]
    now = datetime.fromisoformat("2026-12-08T09:38-05:00")
    board = build_board(facts, make_clinic(), [(therapist_id(0), day) for day in days], now=now)
    assert [column.now for column in board.columns] == [None, 98, None]
    assert board.now == 98


def test_whoever_works_and_whoever_left_with_a_visit_have_one_column_each() -> None:
    clinic = make_clinic([make_therapist(0), make_therapist(1)])
    facts = Facts(
        therapists=(), closures={}, closure_reasons={},
        visits=[make_visit("09:00", number=number) for number in (7, 1, 7)],
    )  # fmt: skip
    assert [each for each, _ in day_places(facts, clinic, TUESDAY)] == [therapist_id(number) for number in (0, 1, 7)]


def test_everybody_has_their_own_hours() -> None:
    clinic = make_clinic([make_therapist(0), make_therapist(1)])
    hours = [weekly([2], "08:00", "12:00"), weekly([2], "12:00", "17:00")]
    facts = Facts(
        therapists=[TherapistCalendar(id=therapist_id(number), weekly=hours[number]) for number in (1, 0)],
        closures={}, closure_reasons={}, visits=(),
    )  # fmt: skip
    board = build_board(facts, clinic, day_places(facts, clinic, TUESDAY), now=MORNING)
    assert told(board, 0) == ["8:00 240 open", "12:00 300 off"]
    assert told(board, 1) == ["8:00 240 starts", "12:00 300 open"]


def moving_to(*starts: str, able: bool = True) -> Moving:
    return Moving(
        visit_id=UUID(int=1),
        minutes=45,
        able=frozenset({therapist_id(0)} if able else ()),
        starts={therapist_id(0): [minute(f"2026-12-08T{start}-05:00") for start in starts]},
    )


def kinds_at(moving: Moving, *hours: tuple[str, str]) -> list[tuple[str, str, int]]:
    """Return what each gap between these hours of the Tuesday offers: kind, start and minutes."""
    windows = [window for starts, ends in hours for window in weekly([2], starts, ends)]
    gaps: list[Gap] = of_kind(make_board(weekly=windows, moving=moving), Gap)
    return [(gap.kind, f"{gap.starts_at:%H:%M}", gap.minutes) for gap in gaps]


def test_a_visit_on_the_move_fits_a_gap_of_its_own_length_and_none_that_is_shorter() -> None:
    exact = ("09:00", "09:45")
    assert kinds_at(moving_to("09:00"), exact) == [("move", "09:00", 45)]
    assert kinds_at(moving_to(), exact) == [("no_room", "09:00", 45)]
    assert kinds_at(moving_to(), ("09:00", "09:44")) == [("too_short", "09:00", 44)]
    assert kinds_at(moving_to(able=False), ("09:00", "09:44")) == [("not_theirs", "09:00", 44)]
    # A start is offered in the gap that it lies in with all of its time.
    assert kinds_at(moving_to("09:00", "10:15"), exact, ("10:00", "10:59")) == [
        ("move", "09:00", 45),
        ("no_room", "10:00", 59),
    ]


def test_starts_on_offer_leave_each_other_room() -> None:
    assert apart([0, 44, 45, 89, 90, 200], 45) == [0, 45, 90, 200]
    assert apart([], 45) == []


def test_a_gap_is_offered_where_the_shortest_visit_that_its_therapist_performs_fits() -> None:
    types = [make_visit_type(), make_visit_type(code="other", duration_minutes=30)]
    both, neither = make_therapist(0, visit_types=["visit", "other"]), make_therapist(0, visit_types=[])
    for therapist, kind in ((both, "open"), (make_therapist(0), "short"), (neither, "short")):
        board = make_board(clinic=make_clinic([therapist], types), weekly=weekly([2], "09:00", "09:30"))
        assert told(board) == [f"9:00 30 {kind}", "9:30 30 off"]


def test_an_absence_is_shown_with_the_id_to_look_at_it_by() -> None:
    first, second = span("2026-12-08T09:00-05:00", "2026-12-08T10:00-05:00"), span(
        "2026-12-08T13:00-05:00", "2026-12-08T14:00-05:00"
    )  # fmt: skip
    facts = Facts(
        therapists=[TherapistCalendar(id=therapist_id(0), weekly=HOURS, time_off=[first, second])],
        closures={}, closure_reasons={}, visits=(),
        absences={therapist_id(0): [(*first, UUID(int=1)), (*second, UUID(int=2))]},
    )  # fmt: skip
    board = build_board(facts, make_clinic(), [(therapist_id(0), TUESDAY)], now=MORNING)
    offs: list[Off] = of_kind(board, Off)
    assert [(off.kind, off.absence_id, off.reason) for off in offs] == [
        ("out", UUID(int=1), ""),
        ("break", None, ""),
        ("out", UUID(int=2), ""),
    ]


def test_an_hour_that_is_repeated_is_an_hour_of_the_board_and_no_less() -> None:
    visit = make_visit("2026-11-01T01:00-04:00", 60)
    board = make_board(visit, day=date(2026, 11, 1), weekly=[])
    assert board.hours == (1, 2)


def test_the_head_of_a_column_counts_what_it_offers() -> None:
    moving = moving_to("09:00", "10:00", "16:00")
    assert make_board(moving=moving).columns[0].open == 3
    assert make_board(moving=moving_to()).columns[0].open == 0
    assert make_board(weekly=weekly([2], "08:00", "08:30")).columns[0].open == 0


def test_the_line_of_the_present_is_there_from_midnight_on() -> None:
    night = weekly(range(1, 8), "00:00", "06:00")
    midnight = datetime.fromisoformat("2026-12-08T00:00-05:00")
    assert make_board(weekly=night, now=midnight).now == 0
    assert make_board(weekly=night, now=midnight + timedelta(days=1)).now is None


def test_a_visit_is_stray_until_it_is_over() -> None:
    noon = make_visit("12:00", 60)
    one = datetime.fromisoformat("2026-12-08T13:00-05:00")
    assert make_board(noon, now=one - timedelta(seconds=1)).cards[0].stray
    assert not make_board(noon, now=one).cards[0].stray


def test_only_a_visit_that_stands_keeps_its_buffers_and_one_of_a_kind_that_is_gone_has_none() -> None:
    clinic = make_clinic(visit_types=[make_visit_type(buffer_before_minutes=10, buffer_after_minutes=15)])
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "10:15"),
        ({"status": "completed"}, "10:00"),
        ({"visit_type": "gone"}, "10:00"),
    ]
    for changes, starts in cases:
        gaps: list[Gap] = of_kind(make_board(make_visit("09:00", **changes), clinic=clinic), Gap)
        assert f"{gaps[1].starts_at:%H:%M}" == starts


@pytest.mark.parametrize(("ends", "last"), [("17:00", 17), ("17:01", 18), ("18:00", 18), ("24:00", 24)])
def test_the_board_has_whole_hours(ends: str, last: int) -> None:
    assert make_board(weekly=weekly([2], "08:59", ends)).hours == (8, last)


# What a card says of the last message, by the state it is in; of a state that is not here it says nothing.
SAID = {
    "failed": "failed", "dead": "failed", "undelivered": "failed", "unknown": "doubtful", "delivered": "delivered",
    "sent": "sent", "sending": "sent",
}  # fmt: skip


@pytest.mark.parametrize("state", get_args(State))
def test_every_state_of_a_message_is_told_or_not(state: State) -> None:
    expected = ("sms", SAID[state]) if state in SAID else None
    assert make_visit("09:00", messages=[sent("sms", state)]).delivery == expected


def test_of_two_that_went_equally_well_the_text_is_told() -> None:
    for order in (("sms", "email"), ("email", "sms")):
        assert make_visit("09:00", messages=[sent(one, "sent") for one in order]).delivery == ("sms", "sent")
    anonymous = make_visit("09:00", patient=None, messages=[sent("email", "sent")])
    assert anonymous.delivery == ("email", "sent")
    silent = msgspec.structs.replace(ASH, texts=None)
    assert make_visit("09:00", patient=silent).delivery is None


@pytest.mark.parametrize("status", get_args(Status))
def test_a_card_has_a_place_unless_the_visit_is_off(status: Status) -> None:
    soon = MORNING + timedelta(minutes=1)
    visit = make_visit("09:00", status=status, held_until=soon if status == "held" else None)
    assert visit.is_shown(MORNING.astimezone(UTC)) is (status not in ("cancelled", "expired"))
    online = msgspec.structs.replace(visit, created_by="public", opened=False)
    assert online.new is (status in ("booked", "confirmed"))


def test_a_hold_without_an_end_is_not_shown() -> None:
    assert not make_visit("09:00", status="held", held_until=None).is_shown(MORNING)
