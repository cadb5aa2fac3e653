"""Every start of a day has its reasons, and the one that has none is the one that is offered."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.availability import open_starts
from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar
from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.explain import ExplainedStart, Taken, explain, explained_span
from scheduler.domain.times import instant_at, local_dates
from tests.unit.factories import (
    NEW_YORK,
    device_id,
    make_calendar,
    make_clinic,
    make_therapist,
    make_visit_type,
    minute,
    room_id,
    span,
    therapist_id,
    wall_windows,
    weekly,
)
from tests.unit.test_availability_oracle import Question, questions, thorough

DAY = date(2027, 6, 1)
EARLY = datetime(2027, 1, 1, tzinfo=UTC)
NINE_TO_FIVE = weekly(range(1, 8), "9:00", "17:00")


def explained(
    therapist: TherapistCalendar,
    visit_type: VisitType | None = None,
    *taken: Taken,
    day: date = DAY,
    now: datetime = EARLY,
    clinic: Clinic | None = None,
    **calendar: Any,
) -> dict[str, ExplainedStart]:
    """Return what is told about a day's starts, by the clock and offset of each."""
    visit_type = visit_type or make_visit_type()
    clinic = clinic or make_clinic(visit_types=[visit_type])
    whole = make_calendar(explained_span(clinic, visit_type, day), visit_type, [therapist], **calendar)
    starts = explain(whole, clinic, visit_type, therapist, taken, day=day, now=now)
    return {instant_at(each.start, clinic.zone).strftime("%H:%M%z"): each for each in starts}


def reasons(starts: dict[str, ExplainedStart], clock: str) -> list[str]:
    return list(starts[f"{clock}-0400"].reasons)


def at_work(**changes: Any) -> TherapistCalendar:
    return TherapistCalendar(id=therapist_id(0), weekly=changes.pop("weekly", NINE_TO_FIVE), **changes)


def visit(start: str, end: str, **changes: Any) -> Taken:
    own_time = span(f"2027-06-01T{start}-04:00", f"2027-06-01T{end}-04:00")
    return msgspec.structs.replace(Taken(visit_id=UUID(int=7), span=own_time, own_time=own_time), **changes)


@settings(thorough, max_examples=150)
@given(questions(), st.integers(-1, 1), st.sampled_from([0, 5, 20]), st.integers(-2000, 2000))
def test_a_start_has_no_reason_exactly_where_it_is_offered(
    question: Question, offset: int, buffer: int, now_from_start: int
) -> None:
    clinic, visit_type, within, _ = question
    day = local_dates(*within, clinic.zone)[0] + timedelta(days=offset)
    asked = explained_span(clinic, visit_type, day)
    if asked[0] >= asked[1] - visit_type.duration_minutes + 1:
        # The clocks of the clinic skipped the whole date.
        return
    # A day is explained to the desk for nobody in particular.
    calendar: Calendar = msgspec.structs.replace(question.calendar_for(asked), patient_busy=[])
    now = instant_at(asked[0] + now_from_start, clinic.zone)
    for number, therapist in enumerate(calendar.therapists):
        taken = [
            Taken(
                visit_id=UUID(int=index),
                span=busy,
                own_time=(min(busy[0] + buffer, busy[1] - 1), busy[1]),
                held_until=now if index % 2 else None,
            )
            for index, busy in enumerate(therapist.busy)
        ]
        told = explain(calendar, clinic, visit_type, therapist, taken, day=day, now=now)
        openings = open_starts(calendar, clinic, visit_type, within=asked, earliest=asked[0] + now_from_start)
        assert [each.start for each in told if each.open] == [
            opening.start for opening in openings if opening.therapist == number
        ]
        assert all(each.reasons for each in told if not each.open)
        assert {local_dates(each.start, each.start + 1, clinic.zone)[0] for each in told} <= {day}


def test_the_hours_have_edges() -> None:
    starts = explained(at_work())
    assert len(starts) == 24 * 4
    assert [clock for clock, each in starts.items() if each.open][0::28] == ["09:00-0400", "16:00-0400"]
    assert reasons(starts, "08:45") == reasons(starts, "16:15") == ["outside-hours"]


def test_what_an_override_takes_is_told_from_what_nobody_ever_worked() -> None:
    starts = explained(at_work(overrides={DAY: wall_windows("13:00-18:00")}))
    assert reasons(starts, "09:00") == ["override"]
    assert reasons(starts, "08:30") == ["override", "outside-hours"]
    assert reasons(starts, "20:00") == ["outside-hours"]
    assert reasons(starts, "17:00") == []


def test_a_closure_is_told_at_any_hour_of_the_date() -> None:
    starts = explained(at_work(), closures={DAY: wall_windows("9:00-13:00")})
    assert reasons(starts, "12:00") == []
    assert reasons(starts, "12:15") == ["closed"]
    assert reasons(starts, "18:00") == ["closed", "outside-hours"]


def test_time_off_is_told() -> None:
    starts = explained(at_work(time_off=[span("2027-06-01T10:00-04:00", "2027-06-01T11:00-04:00")]))
    assert [reasons(starts, clock) for clock in ("09:00", "09:15", "10:45", "11:00")] == [
        [], ["time-off"], ["time-off"], [],
    ]  # fmt: skip


def test_a_visit_and_a_hold_in_the_way_are_named() -> None:
    booked = visit("10:00", "11:00")
    held = visit("13:00", "14:00", held_until=EARLY)
    starts = explained(at_work(), None, booked, held)
    assert (reasons(starts, "10:15"), starts["10:15-0400"].in_the_way) == (["therapist-busy"], (booked,))
    assert (reasons(starts, "12:30"), starts["12:30-0400"].in_the_way) == (["held"], (held,))
    assert reasons(starts, "11:00") == reasons(starts, "12:00") == []


def test_where_only_buffers_meet_that_is_what_is_told() -> None:
    notes = visit("10:00", "11:00", span=span("2027-06-01T10:00-04:00", "2027-06-01T11:15-04:00"))
    cleaning = make_visit_type(buffer_before_minutes=10)
    starts = explained(at_work(), cleaning, notes)
    assert reasons(starts, "10:45") == ["therapist-busy"]
    assert reasons(starts, "11:00") == reasons(starts, "11:15") == ["buffer"]
    assert reasons(starts, "11:30") == []


def test_rooms_and_devices_that_are_taken_are_told_apart() -> None:
    morning = [span("2027-06-01T09:00-04:00", "2027-06-01T11:00-04:00")]
    noon = [span("2027-06-01T12:00-04:00", "2027-06-01T13:00-04:00")]
    needy = make_visit_type(room_kind="table", equipment_kinds=("treadmill",))
    starts = explained(
        at_work(),
        needy,
        rooms=[PlaceCalendar(id=room_id(0), kind="table", busy=morning)],
        equipment=[PlaceCalendar(id=device_id(0), kind="treadmill", busy=noon)],
    )
    assert [reasons(starts, clock) for clock in ("10:00", "11:00", "12:00", "13:00")] == [
        ["no-room"], [], ["no-equipment"], [],
    ]  # fmt: skip


def test_whoever_does_not_perform_the_visit_is_told_so_all_day() -> None:
    clinic = make_clinic([make_therapist(0, "PTA")], [make_visit_type(credential="PT")])
    starts = explained(at_work(), clinic.visit_types["visit"], clinic=clinic)
    assert all("not-qualified" in each.reasons for each in starts.values())
    retired = explained(at_work(performs=False))
    assert reasons(retired, "10:00") == ["not-qualified"]


def test_the_past_is_past_for_staff_and_notice_and_horizon_bind_patients() -> None:
    now = datetime(2027, 6, 1, 10, 0, 30, tzinfo=NEW_YORK)
    bounded = make_visit_type(minimum_notice_minutes=60, horizon_days=1)
    today = explained(at_work(), bounded, now=now)
    assert reasons(today, "09:45") == ["past"]
    assert today["11:00-0400"].open
    assert today["11:00-0400"].online_reasons == ("too-soon",)
    assert today["11:15-0400"].open_online
    later = explained(at_work(), bounded, now=now, day=DAY + timedelta(days=2))
    assert later["11:00-0400"].open
    assert later["11:00-0400"].online_reasons == ("too-far-ahead",)
    by_phone = explained(at_work(), msgspec.structs.replace(bounded, online=False), day=DAY)
    assert by_phone["11:00-0400"].online_reasons == ("not-bookable-online", "too-far-ahead")
    assert not by_phone["11:00-0400"].open_online


def test_notice_is_kept_to_the_minute_and_the_horizon_ends_with_its_date() -> None:
    now = datetime(2027, 6, 1, 10, 0, tzinfo=NEW_YORK)
    bounded = make_visit_type(minimum_notice_minutes=60, horizon_days=1)
    all_night = weekly(range(1, 8), "0:00", "25:00")
    exact = explained(at_work(weekly=all_night), bounded, now=now)
    assert exact["10:45-0400"].online_reasons == ("too-soon",)
    assert exact["11:00-0400"].online_reasons == ()
    tomorrow = explained(at_work(weekly=all_night), bounded, now=now, day=DAY + timedelta(days=1))
    assert tomorrow["23:45-0400"].online_reasons == ()
    after = explained(at_work(weekly=all_night), bounded, now=now, day=DAY + timedelta(days=2))
    assert after["00:00-0400"].online_reasons == ("too-far-ahead",)


def test_a_day_is_explained_as_far_as_its_last_visit_lasts() -> None:
    clinic, visit_type = make_clinic(), make_visit_type()
    first, last = span("2027-06-01T00:00-04:00", "2027-06-02T00:00-04:00")
    assert explained_span(clinic, visit_type, DAY) == (first, last - 1 + 60)


@pytest.mark.parametrize(
    ("day", "starts", "offset"), [(date(2027, 3, 14), 23 * 4, "-0400"), (date(2027, 11, 7), 25 * 4, "-0500")]
)
def test_a_day_on_which_the_clocks_change_has_each_of_its_starts_once(day: date, starts: int, offset: str) -> None:
    told = explained(at_work(weekly=weekly([7], "0:00", "24:00")), day=day)
    assert len(told) == starts
    # Only a visit that would run past midnight is not open.
    closed = [clock for clock, each in told.items() if not each.open]
    assert closed == [f"{clock}{offset}" for clock in ("23:15", "23:30", "23:45")]


def test_the_hour_that_is_skipped_is_not_told_of_and_the_one_that_comes_twice_is_told_twice() -> None:
    nights = at_work(weekly=weekly([7], "1:00", "4:00"))
    spring = explained(nights, day=date(2027, 3, 14))
    assert [clock for clock in spring if clock.startswith("02")] == []
    assert [clock for clock, each in spring.items() if each.open] == [
        "01:00-0500", "01:15-0500", "01:30-0500", "01:45-0500", "03:00-0400",
    ]  # fmt: skip
    autumn = explained(nights, day=date(2027, 11, 7))
    assert [autumn[clock].start for clock in ("01:00-0400", "01:00-0500")] == [
        minute("2027-11-07T01:00-04:00"), minute("2027-11-07T01:00-05:00"),
    ]  # fmt: skip
    assert autumn["01:45-0500"].open
