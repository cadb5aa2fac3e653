"""A day at the desk: what is where on the board, what is open, and what a card says."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.board_visits import BoardPatient, BoardVisit, SentMessage, desk_actions
from scheduler.domain.boards import Board, Card, Facts, Gap, Moving, Off, build_board, day_places, week_of
from scheduler.domain.calendars import TherapistCalendar
from scheduler.domain.clinics import Clinic
from scheduler.domain.lanes import Spot, side_by_side
from scheduler.domain.visits import Visit
from tests.unit.factories import make_clinic, make_therapist, make_visit_type, minute, span, therapist_id, weekly

TUESDAY = date(2026, 12, 8)
MORNING = datetime.fromisoformat("2026-12-08T07:00-05:00")
HOURS = [*weekly([2], "08:00", "12:00"), *weekly([2], "12:45", "17:00")]
ASH = BoardPatient(id=UUID(int=500), given_name="Ash", family_name="Quillfeather", texts=True)


def make_visit(start: str, minutes: int = 60, number: int = 0, **changes: Any) -> BoardVisit:
    """Return a booked visit of Ash's with a therapist, "HH:MM" on the Tuesday or a whole instant."""
    starts_at = datetime.fromisoformat(start if "T" in start else f"2026-12-08T{start}-05:00").astimezone(UTC)
    fields: dict[str, Any] = {
        "id": UUID(int=int(starts_at.timestamp())),
        "status": "booked",
        "version": 1,
        "visit_type": "visit",
        "therapist_id": therapist_id(number),
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=minutes),
        "created_by": "staff:desk",
        "overbooked": False,
        "cancel_reason": None,
        "held_until": None,
        "opened": True,
        "patient": ASH,
        "messages": (),
    }
    return BoardVisit(**{**fields, **changes})


def make_board(
    *visits: BoardVisit,
    clinic: Clinic | None = None,
    day: date = TUESDAY,
    now: datetime = MORNING,
    weekly: Sequence[Any] = HOURS,
    time_off: Sequence[tuple[int, int]] = (),
    closures: Mapping[date, Sequence[tuple[int, int]]] | None = None,
    moving: Moving | None = None,
) -> Board:
    """Return the board of a day of a clinic whose therapists all work the same hours."""
    clinic = clinic or make_clinic()
    facts = Facts(
        therapists=[
            TherapistCalendar(id=each.id, weekly=weekly, time_off=time_off) for each in clinic.therapists.values()
        ],
        closures=closures or {},
        closure_reasons=dict.fromkeys(closures or {}, "Holiday"),
        visits=visits,
    )
    return build_board(facts, clinic, day_places(facts, clinic, day), now=now, moving=moving)


def told(board: Board, column: int = 0) -> list[str]:
    """Return a column as a person would read it out: what, and from which minute of the clock for how long."""
    lines: list[str] = []
    for item in board.columns[column].items:
        kind = item.visit.status if isinstance(item, Card) else item.kind
        begins = board.hours[0] * 60 + item.spot.row * 5
        lines.append(f"{begins // 60}:{begins % 60:02} {item.spot.rows * 5} {kind}")
    return lines


def of_kind(board: Board, kind: type[Any]) -> list[Any]:
    return [item for column in board.columns for item in column.items if isinstance(item, kind)]


def test_a_day_is_told_from_its_first_hour_to_its_last() -> None:
    board = make_board(make_visit("09:00"), make_visit("11:15", 45))
    assert board.hours == (8, 17)
    assert told(board) == ["8:00 60 open", "9:00 60 booked", "10:00 75 open", "11:15 45 booked", "12:00 45 break",
                           "12:45 255 open"]  # fmt: skip
    assert (board.columns[0].visits, board.columns[0].open) == (2, 3)


def test_who_starts_later_or_leaves_earlier_is_off_until_then() -> None:
    clinic = make_clinic([make_therapist(0), make_therapist(1)])
    facts = Facts(
        therapists=[
            TherapistCalendar(id=therapist_id(0), weekly=weekly([2], "07:00", "19:00")),
            TherapistCalendar(id=therapist_id(1), weekly=weekly([2], "10:00", "15:00")),
        ],
        closures={},
        closure_reasons={},
        visits=[],
    )
    board = build_board(facts, clinic, day_places(facts, clinic, TUESDAY), now=MORNING)
    assert told(board, 1) == ["7:00 180 starts", "10:00 300 open", "15:00 240 off"]
    starts = board.columns[1].items[0]
    assert isinstance(starts, Off)
    assert starts.until == datetime.fromisoformat("2026-12-08T10:00-05:00")


def test_an_empty_day_has_hours_all_the_same() -> None:
    board = make_board(weekly=[])
    assert (board.hours, told(board)) == ((8, 17), ["8:00 540 off"])


def test_what_is_past_is_not_open_and_the_rest_of_a_gap_begins_on_the_grid() -> None:
    board = make_board(now=datetime.fromisoformat("2026-12-08T09:38:20-05:00"))
    assert told(board) == ["9:45 135 open", "12:00 45 break", "12:45 255 open"]
    assert board.now == 98
    assert not of_kind(make_board(now=datetime.fromisoformat("2026-12-09T09:38-05:00")), Gap)


@pytest.mark.parametrize(
    ("now", "line"),
    [("2026-12-08T08:00-05:00", 0), ("2026-12-08T16:59-05:00", 539), ("2026-12-08T17:00-05:00", None),
     ("2026-12-08T07:59-05:00", None), ("2026-12-07T09:00-05:00", None)],
)  # fmt: skip
def test_the_line_of_the_present_is_drawn_within_the_hours_of_today(now: str, line: int | None) -> None:
    assert make_board(now=datetime.fromisoformat(now)).now == line


def test_buffers_are_not_open() -> None:
    clinic = make_clinic(visit_types=[make_visit_type(buffer_after_minutes=15, buffer_before_minutes=10)])
    board = make_board(make_visit("09:00"), clinic=clinic)
    # A row is five minutes, so what begins within one is drawn from its start on.
    gaps: list[Gap] = of_kind(board, Gap)
    assert [(gap.starts_at.strftime("%H:%M"), gap.minutes) for gap in gaps[:2]] == [("08:00", 50), ("10:15", 105)]


def test_a_gap_too_short_for_any_visit_of_the_therapist_is_not_offered() -> None:
    clinic = make_clinic(visit_types=[make_visit_type(), make_visit_type(code="other", duration_minutes=30)])
    board = make_board(make_visit("08:30"), make_visit("10:00", 120), clinic=clinic)
    assert told(board)[:4] == ["8:00 30 short", "8:30 60 booked", "9:30 30 short", "10:00 120 booked"]


def test_a_visit_that_is_over_leaves_no_gap_behind_and_a_cancelled_one_does() -> None:
    over = make_board(make_visit("08:00", status="no_show"), make_visit("09:00", status="completed"))
    assert told(over)[:3] == ["8:00 60 no_show", "9:00 60 completed", "10:00 120 open"]
    assert told(make_board(make_visit("08:00", status="cancelled")))[0] == "8:00 240 open"
    assert over.columns[0].visits == 2


def test_a_hold_is_shown_until_it_runs_out() -> None:
    hold = make_visit("09:00", status="held", patient=None, held_until=MORNING + timedelta(minutes=1))
    board = make_board(hold)
    assert (told(board)[1], board.columns[0].visits) == ("9:00 60 held", 0)
    assert told(make_board(hold, now=MORNING + timedelta(minutes=1)))[0] == "8:00 240 open"


def test_an_absence_hides_the_gaps_and_the_visit_in_it_is_stray() -> None:
    absent = span("2026-12-08T10:00-05:00", "2026-12-08T18:00-05:00")
    board = make_board(make_visit("09:30"), make_visit("14:00"), make_visit("08:00"), time_off=[absent])
    assert told(board) == ["8:00 60 booked", "9:00 30 short", "9:30 60 booked", "10:00 120 out", "12:00 45 break",
                           "12:45 255 out", "14:00 60 booked"]  # fmt: skip
    assert [card.stray for card in board.cards] == [False, True, True]


def test_a_visit_squeezed_in_outside_hours_is_not_stray_but_in_an_absence_it_is() -> None:
    squeezed = make_visit("12:00", 45, overbooked=True)
    assert [card.stray for card in make_board(squeezed).cards] == [False]
    absent = span("2026-12-08T11:00-05:00", "2026-12-08T18:00-05:00")
    assert [card.stray for card in make_board(make_visit("11:30", overbooked=True), time_off=[absent]).cards] == [True]


def test_what_is_over_is_not_stray() -> None:
    late = datetime.fromisoformat("2026-12-08T18:00-05:00")
    assert not make_board(make_visit("12:00"), now=late).cards[0].stray
    assert not make_board(make_visit("12:00", status="completed")).cards[0].stray


def test_a_closed_day_says_why_across_every_column_and_a_half_day_from_then_on() -> None:
    clinic = make_clinic([make_therapist(0), make_therapist(1)])
    closed = make_board(clinic=clinic, closures={TUESDAY: []})
    assert [told(closed, number) for number in range(2)] == [["8:00 540 closed"]] * 2
    assert of_kind(closed, Off)[0].reason == "Holiday"
    half = make_board(closures={TUESDAY: [(0, 13 * 60)]})
    assert told(half) == ["8:00 240 open", "12:00 45 break", "12:45 15 short", "13:00 240 closed"]
    there = make_board(make_visit("14:00"), closures={TUESDAY: [(0, 13 * 60)]})
    assert told(there)[3:] == ["13:00 240 closed", "14:00 60 booked"]
    assert there.cards[0].stray


def test_visits_at_the_same_time_lie_side_by_side() -> None:
    board = make_board(
        make_visit("09:00"), make_visit("09:30", overbooked=True), make_visit("10:00"), make_visit("13:00")
    )
    assert [(card.spot.lane, card.spot.lanes) for card in board.cards] == [(0, 2), (1, 2), (0, 2), (0, 1)]


def test_lanes_are_given_back_and_no_two_in_one_lane_share_a_row() -> None:
    spots = [Spot(0, 12), Spot(0, 6), Spot(6, 6), Spot(8, 2), Spot(12, 3), Spot(13, 1)]
    placed = side_by_side(spots)
    assert [(spot.row, spot.rows) for spot in placed] == [(spot.row, spot.rows) for spot in spots]
    assert [(spot.lane, spot.lanes) for spot in placed] == [(0, 3), (1, 3), (1, 3), (2, 3), (0, 2), (1, 2)]
    assert side_by_side([]) == []


def test_a_short_visit_has_room_for_its_name() -> None:
    assert make_board(make_visit("09:07", 5)).cards[0].spot == Spot(13, 3)


def test_a_visit_past_midnight_is_cut_at_the_end_of_each_day() -> None:
    night = make_visit("23:30", 90)
    assert make_board(night).cards[0].spot.rows == 6
    after = make_board(night, day=TUESDAY + timedelta(days=1))
    assert (after.hours[0], after.cards[0].spot) == (0, Spot(0, 12))


def test_whoever_left_keeps_a_column_while_they_have_a_visit() -> None:
    board = make_board(make_visit("09:00", number=7))
    assert [column.therapist_id for column in board.columns] == [therapist_id(0), therapist_id(7)]
    assert board.cards[0].stray


# New York, 2027: at 2:00 on March 14 it is 3:00; at 2:00 on November 7 it is 1:00 again.
SPRING, AUTUMN = date(2027, 3, 14), date(2027, 11, 7)
NIGHT = weekly([7], "00:00", "06:00")


def test_the_hour_that_is_skipped_has_rows_and_nothing_in_them() -> None:
    board = make_board(make_visit("2027-03-14T01:30-05:00", 60), day=SPRING, weekly=NIGHT)
    assert told(board) == ["0:00 90 open", "1:30 60 booked", "3:30 150 open"]


def test_the_hour_that_is_repeated_has_both_its_visits_side_by_side() -> None:
    first, second = make_visit("2027-11-07T01:15-04:00", 30), make_visit("2027-11-07T01:15-05:00", 30)
    board = make_board(first, second, day=AUTUMN, weekly=NIGHT)
    assert [(card.spot.row, card.spot.lane) for card in board.cards] == [(15, 0), (15, 1)]
    gaps: list[Gap] = of_kind(board, Gap)
    assert [(gap.starts_at.isoformat(), gap.minutes) for gap in gaps] == [
        ("2027-11-07T00:00:00-04:00", 75), ("2027-11-07T01:45:00-04:00", 30), ("2027-11-07T01:45:00-05:00", 255),
    ]  # fmt: skip
    assert [gap.ends_at.isoformat() for gap in gaps] == [
        "2027-11-07T01:15:00-04:00", "2027-11-07T01:15:00-05:00", "2027-11-07T06:00:00-05:00",
    ]  # fmt: skip


def moving_to(starts: Iterable[str], *, able: Iterable[int] = (0,), minutes: int = 45) -> Moving:
    return Moving(
        visit_id=UUID(int=1),
        minutes=minutes,
        able=frozenset(therapist_id(number) for number in able),
        starts={therapist_id(0): [minute(f"2026-12-08T{start}-05:00") for start in starts]},
    )


def test_gaps_say_where_a_visit_on_the_move_fits_and_why_it_does_not() -> None:
    quarters = ["10:00", "10:15", "10:30", "10:45", "11:00", "11:15"]
    board = make_board(make_visit("09:00"), make_visit("12:45", 225), moving=moving_to(quarters))
    assert told(board) == ["8:00 60 no_room", "9:00 60 booked", "10:00 45 move", "10:45 45 move", "12:00 45 break",
                           "12:45 225 booked", "16:30 30 too_short"]  # fmt: skip
    gaps: list[Gap] = of_kind(board, Gap)
    assert [gap.starts_at.strftime("%H:%M") for gap in gaps if gap.kind == "move"] == ["10:00", "10:45"]
    assert {gap.kind for gap in of_kind(make_board(moving=moving_to([], able=[])), Gap)} == {"not_theirs"}


def sent(channel: Any, state: Any, *, handled: bool = False) -> SentMessage:
    return SentMessage(channel=channel, state=state, handled=handled)


@pytest.mark.parametrize(
    ("messages", "texts", "expected"),
    [
        ([], True, None),
        ([sent("sms", "sent")], True, ("sms", "sent")),
        ([sent("sms", "delivered"), sent("sms", "sending")], True, ("sms", "sent")),
        ([sent("sms", "delivered"), sent("email", "sent")], True, ("sms", "delivered")),
        ([sent("sms", "undelivered"), sent("email", "sent")], True, ("sms", "failed")),
        ([sent("sms", "failed"), sent("sms", "delivered")], True, ("sms", "delivered")),
        ([sent("sms", "failed", handled=True), sent("email", "delivered")], True, ("email", "delivered")),
        ([sent("email", "dead")], None, ("email", "failed")),
        ([sent("sms", "unknown")], True, ("sms", "doubtful")),
        ([], False, ("sms", "opted_out")),
        ([sent("sms", "delivered")], False, ("sms", "opted_out")),
        ([sent("email", "failed")], False, ("email", "failed")),
        ([sent("sms", "suppressed")], True, None),
    ],
)
def test_a_card_tells_what_became_of_the_messages(messages: Any, texts: bool | None, expected: Any) -> None:
    patient = BoardPatient(id=ASH.id, given_name="Ash", family_name="Q", texts=texts)
    assert make_visit("09:00", messages=messages, patient=patient).delivery == expected


def test_an_online_booking_is_new_until_it_is_opened_or_over() -> None:
    online: dict[str, Any] = {"created_by": "public", "opened": False}
    assert make_visit("09:00", **online).new
    assert make_visit("09:00", status="confirmed", **online).new
    assert not make_visit("09:00", created_by="public", opened=True).new
    assert not make_visit("09:00", created_by="staff:desk", opened=False).new
    assert not make_visit("09:00", status="arrived", **online).new


def test_hidden_names_are_initials() -> None:
    assert ASH.shown_name(hidden=False) == "Ash Q."
    assert ASH.shown_name(hidden=True) == "A.Q."


NOTHING: set[str] = set()


def desk_visit(status: Any, *, previous: Any = None, changed: datetime = MORNING) -> Visit:
    starts_at = MORNING + timedelta(hours=2)
    return Visit(
        id=UUID(int=1), status=status, version=1, visit_type="visit", therapist_id=therapist_id(0), room_id=None,
        equipment_ids=(), patient_id=ASH.id, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1),
        created_by="public", created_at=MORNING, booked_at=MORNING, cancel_reason=None, overbook_reason=None,
        previous_status=previous, status_changed_at=changed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "hours", "expected"),
    [
        ("booked", 0, {"confirm", "reschedule", "cancel"}),
        ("booked", 1, {"confirm", "reschedule", "cancel", "arrive"}),
        ("confirmed", 2, {"reschedule", "cancel", "arrive", "no_show"}),
        ("arrived", 2, {"complete"}),
        ("completed", 2, NOTHING),
        ("cancelled", 2, NOTHING),
    ],
)
def test_the_desk_is_offered_what_the_visit_allows_at_the_moment(status: Any, hours: int, expected: set[str]) -> None:
    assert desk_actions(desk_visit(status), MORNING + timedelta(hours=hours)) == expected


def test_undo_is_offered_for_ten_minutes() -> None:
    arrived = desk_visit("arrived", previous="booked")
    assert desk_actions(arrived, MORNING + timedelta(minutes=10)) == {"complete", "undo"}
    assert desk_actions(arrived, MORNING + timedelta(minutes=10, seconds=1)) == {"complete"}


def test_a_week_begins_on_its_monday() -> None:
    assert (week_of(TUESDAY)[0], week_of(TUESDAY)[-1]) == (date(2026, 12, 7), date(2026, 12, 13))
