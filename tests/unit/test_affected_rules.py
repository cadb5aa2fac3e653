"""Which visits a change of the schedule leaves outside working time, and which places are suggested, one by one."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from scheduler.domain.affected import (
    Mover,
    Suggestion,
    day_stretch,
    outside_working_time,
    promise,
    search_span,
    suggest,
)
from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar, WeeklyWindow
from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.times import Span
from scheduler.domain.visits import Visit
from tests.unit.factories import (
    NEW_YORK,
    device_id,
    make_calendar,
    make_clinic,
    make_place,
    make_therapist,
    make_visit_type,
    minute,
    room_id,
    therapist_id,
    wall_windows,
    weekly,
)
from tests.unit.test_visits import VISIT

# A Tuesday in New York, on which the first therapist works from nine to twelve.
DAY = date(2027, 6, 1)
HOURS = weekly([2], "9:00", "12:00")
DAY_MINUTES = 24 * 60
TYPE = make_visit_type()
CLINIC = make_clinic([make_therapist(0), make_therapist(1)])
PATIENT = UUID(int=3)


def at(clock: str, day: date = DAY) -> int:
    """Return the epoch minute of a wall time of a summer's day."""
    return minute(f"{day}T{clock}-04:00")


def between(starts: str, ends: str, day: date = DAY) -> Span:
    return at(starts, day), at(ends, day)


def visit_at(starts: str, ends: str, *, day: date = DAY, patient: UUID | None = PATIENT) -> Visit:
    starts_at, ends_at = (datetime.fromtimestamp(at(clock, day) * 60, UTC) for clock in (starts, ends))
    return msgspec.structs.replace(
        VISIT,
        visit_type="visit",
        therapist_id=therapist_id(0),
        starts_at=starts_at,
        ends_at=ends_at,
        patient_id=patient,
    )


def mover_at(
    starts: str, ends: str, *, day: date = DAY, visit_type: VisitType = TYPE, patient: UUID | None = PATIENT,
    patient_busy: Sequence[Span] = (), own: dict[UUID, list[Span]] | None = None,
) -> Mover:  # fmt: skip
    visit = visit_at(starts, ends, day=day, patient=patient)
    return Mover(visit=visit, visit_type=visit_type, own=own or {}, patient_busy=patient_busy)


def at_work(number: int, hours: Sequence[WeeklyWindow] = HOURS, busy: Sequence[Span] = ()) -> TherapistCalendar:
    return TherapistCalendar(id=therapist_id(number), weekly=hours, busy=busy)


def test_a_date_stretches_from_midnight_to_midnight_by_the_clocks_and_to_the_end_of_what_begins_on_it() -> None:
    midnight, next_midnight = at("00:00"), at("00:00", DAY + timedelta(days=1))
    before, after = at_work(0), at_work(0, weekly([2], "22:00", "26:00"))
    assert day_stretch(DAY, NEW_YORK) == (midnight, next_midnight)
    assert day_stretch(DAY, NEW_YORK, before) == (midnight, next_midnight)
    assert day_stretch(DAY, NEW_YORK, before, after) == (midnight, next_midnight + 120)
    # What no longer begins on the date was there before the change.
    assert day_stretch(DAY, NEW_YORK, after, before) == (midnight, next_midnight + 120)
    # Hours of Monday night are another date's.
    assert day_stretch(DAY, NEW_YORK, at_work(0, weekly([1], "22:00", "26:00"))) == (midnight, next_midnight)


STRETCH = between("00:00", "23:59")


def is_outside(
    starts: str, ends: str, *, therapist: int = 0, stretch: Span = STRETCH, clinic: Clinic = CLINIC,
    visit_type: VisitType | None = TYPE,
) -> bool:  # fmt: skip
    hours = Calendar(start=stretch[0], end=stretch[1], therapists=[at_work(therapist)])
    return outside_working_time(visit_at(starts, ends), visit_type, clinic, hours, stretch)


@pytest.mark.parametrize(
    ("starts", "ends", "outside"),
    [
        ("09:00", "12:00", False),
        ("08:59", "10:00", True),
        ("11:01", "12:01", True),
        ("13:00", "14:00", True),
        ("10:00", "11:00", False),
    ],
)
def test_a_visit_is_outside_where_one_minute_of_it_is(starts: str, ends: str, *, outside: bool) -> None:
    assert is_outside(starts, ends) is outside


def test_a_visit_of_a_therapist_who_is_gone_is_outside() -> None:
    assert is_outside("10:00", "11:00", therapist=1)
    assert not is_outside("11:00", "12:00", therapist=1, stretch=between("12:00", "13:00"))


def test_only_the_stretch_that_changed_is_looked_at() -> None:
    for_an_hour = between("12:00", "13:00")
    assert not is_outside("11:00", "12:00", stretch=for_an_hour)
    assert is_outside("11:00", "12:01", stretch=for_an_hour)
    assert is_outside("12:59", "14:00", stretch=for_an_hour)
    assert not is_outside("13:00", "14:00", stretch=for_an_hour)
    # What is wrong before the stretch or after it was wrong before.
    assert not is_outside("08:00", "10:00", stretch=between("09:00", "12:00"))
    assert not is_outside("11:00", "13:00", stretch=between("09:00", "12:00"))


def test_buffers_count_where_the_clinic_wants_them_within_hours() -> None:
    buffered = make_visit_type(buffer_before_minutes=10, buffer_after_minutes=20)
    strict = make_clinic(visit_types=[buffered], buffers_within_hours=True)
    for starts, ends, outside in (
        ("09:10", "11:40", False),
        ("09:09", "11:40", True),
        ("09:10", "11:41", True),
    ):
        assert is_outside(starts, ends, clinic=strict, visit_type=buffered) is outside
        assert not is_outside(starts, ends, visit_type=buffered)
    # Of a type that is no longer offered no buffers are known.
    assert not is_outside("09:00", "12:00", clinic=strict, visit_type=None)


def test_alternatives_are_looked_for_two_days_before_the_first_and_a_week_after_the_last() -> None:
    first, last = mover_at("09:00", "10:00"), mover_at("10:00", "11:00", day=DAY + timedelta(days=3))
    ends = at("11:00", DAY + timedelta(days=3))
    long_ago = at("09:00") - 100 * DAY_MINUTES
    assert search_span([first, last], STRETCH, long_ago) == (at("09:00") - 2 * DAY_MINUTES, ends + 7 * DAY_MINUTES)
    assert search_span([first, last], STRETCH, at("08:00"))[0] == at("08:00")


@pytest.mark.parametrize(("days_away", "days_waited"), [(5, 5), (31, 31), (32, 31), (400, 31)])
def test_whoever_is_away_is_waited_for_a_month_at_most(days_away: int, days_waited: int) -> None:
    mover = mover_at("09:00", "10:00")
    stretch = (at("00:00"), at("10:00") + days_away * DAY_MINUTES)
    assert search_span([mover], stretch, 0)[1] == at("10:00") + (days_waited + 7) * DAY_MINUTES


EVERY_DAY = weekly(range(1, 8), "9:00", "12:00")
WIDE = (at("00:00") - 60 * DAY_MINUTES, at("00:00") + 60 * DAY_MINUTES)


def suggested(
    mover: Mover, *therapists: TherapistCalendar, within: Span = WIDE, promised: dict[UUID, list[Span]] | None = None,
    clinic: Clinic = CLINIC,
) -> list[tuple[int, str]]:  # fmt: skip
    """Return by whom and when, as therapist number and month, day and clock, a visit could be taken."""
    calendar = make_calendar(within, mover.visit_type, therapists)
    found = suggest(calendar, clinic, mover, within, promised or {})
    return [
        (each.therapist.int - therapist_id(0).int, f"{datetime.fromtimestamp(each.start * 60, NEW_YORK):%m-%d %H:%M}")
        for each in found
    ]


def test_three_with_its_own_therapist_come_before_two_with_others_at_other_times() -> None:
    free_later = at_work(0, weekly([2], "13:00", "16:00"))
    free_all_day = at_work(1, weekly([2], "9:00", "16:00"))
    assert suggested(mover_at("12:00", "13:00"), free_later, free_all_day, within=between("00:00", "23:59")) == [
        (0, "06-01 13:00"),
        (0, "06-01 13:15"),
        (0, "06-01 13:30"),
        (1, "06-01 12:00"),
        (1, "06-01 11:45"),
    ]


def test_where_others_have_less_its_own_therapist_has_more() -> None:
    own = at_work(0, weekly([2], "13:00", "16:00"))
    one_start = at_work(1, weekly([2], "9:00", "10:00"))
    within = between("00:00", "23:59")
    mover = mover_at("12:00", "13:00")
    assert [number for number, _ in suggested(mover, own, one_start, within=within)] == [0, 0, 0, 0, 1]
    assert [number for number, _ in suggested(mover, own, within=within)] == [0] * 5
    few = at_work(0, weekly([2], "13:00", "14:15"))
    free_all_day = at_work(1, weekly([2], "9:00", "16:00"))
    assert [number for number, _ in suggested(mover, few, free_all_day, within=within)] == [0, 0, 1, 1, 1]


def test_alternatives_lie_at_most_two_days_before_and_a_week_after() -> None:
    """One start a day at nine; of those before, the ones two days earlier and no more, for the nearest come first."""
    daily = weekly(range(1, 8), "9:00", "10:00")
    assert suggested(mover_at("09:00", "10:00"), at_work(0, daily)) == [
        (0, "06-01 09:00"),
        (0, "05-31 09:00"),
        (0, "06-02 09:00"),
        (0, "05-30 09:00"),
        (0, "06-03 09:00"),
    ]
    weekly_only = weekly([2], "9:00", "10:00")
    other = at_work(1, weekly([2], "10:00", "11:00"))
    # A visit a week later to the minute would end after the seven days.
    assert suggested(mover_at("09:00", "10:00"), at_work(0, weekly_only), other) == [
        (0, "06-01 09:00"),
        (1, "06-01 10:00"),
    ]
    assert (0, "06-08 09:00") in suggested(mover_at("10:00", "11:00"), at_work(0, weekly_only))
    assert suggested(mover_at("08:59", "09:59"), at_work(0, weekly([7], "9:00", "10:00"))) == [
        (0, "05-30 09:00"),
        (0, "06-06 09:00"),
    ]
    assert suggested(mover_at("09:01", "10:01"), at_work(0, weekly([7], "9:00", "10:00"))) == [(0, "06-06 09:00")]


def test_a_therapist_who_is_away_is_waited_for_and_others_are_not_looked_for_so_late() -> None:
    back_in_july = [
        msgspec.structs.replace(each, valid_from=date(2027, 6, 20)) for each in weekly([2], "9:00", "11:00")
    ]
    away, other = at_work(0, back_in_july), at_work(1, back_in_july)
    for order in ((away, other), (other, away)):
        assert suggested(mover_at("09:00", "10:00"), *order) == [
            (0, "06-22 09:00"),
            (0, "06-22 09:15"),
            (0, "06-22 09:30"),
            (0, "06-22 09:45"),
            (0, "06-22 10:00"),
        ]


def test_a_visit_of_somebody_who_has_left_goes_to_others() -> None:
    assert suggested(mover_at("09:00", "10:00"), at_work(1, weekly([2], "9:00", "10:00")))[0] == (1, "06-01 09:00")
    assert suggested(mover_at("09:00", "10:00"), at_work(1, [])) == []


def test_nothing_is_suggested_where_nothing_is_left_to_look_at() -> None:
    mover = mover_at("09:00", "10:00")
    assert suggested(mover, at_work(0), within=(at("12:00"), at("12:00"))) == []
    assert suggested(mover, at_work(0, EVERY_DAY), within=(at("09:00"), at("10:00"))) == [(0, "06-01 09:00")]


def test_a_visit_may_go_where_it_is_itself_and_not_where_its_patient_is() -> None:
    now = between("09:00", "10:00")
    busy = at_work(0, weekly([2], "9:00", "10:15"), busy=[now])
    within = between("00:00", "23:59")
    assert suggested(mover_at("09:00", "10:00"), busy, within=within) == []
    own = mover_at("09:00", "10:00", own={therapist_id(0): [now]})
    assert suggested(own, busy, within=within) == [(0, "06-01 09:00"), (0, "06-01 09:15")]
    elsewhere = msgspec.structs.replace(own, patient_busy=[between("10:00", "10:30")])
    assert suggested(elsewhere, busy, within=within) == [(0, "06-01 09:00")]
    # Of two that keep the same span busy only one is this visit.
    twice = at_work(0, weekly([2], "9:00", "10:15"), busy=[now, now])
    assert suggested(own, twice, within=within) == []


def test_what_was_promised_to_others_is_taken() -> None:
    free = at_work(0, weekly([2], "9:00", "10:15"))
    mover, within = mover_at("09:00", "10:00"), between("00:00", "23:59")
    for resource in (therapist_id(0), PATIENT):
        promised = {resource: [between("09:00", "09:15")]}
        assert suggested(mover, free, within=within, promised=promised) == [(0, "06-01 09:15")]
    somebody = mover_at("09:00", "10:00", patient=None)
    assert len(suggested(somebody, free, within=within, promised={PATIENT: [between("09:00", "09:15")]})) == 2


def test_a_promise_keeps_what_the_visit_needs_and_its_patient_without_buffers() -> None:
    visit_type = make_visit_type(
        buffer_before_minutes=5, buffer_after_minutes=10, room_kind="private", equipment_kinds=("treadmill",)
    )
    clinic = msgspec.structs.replace(
        make_clinic([make_therapist(0), make_therapist(1)], [visit_type]),
        rooms={"a": make_place(room_id(0), "private"), "b": make_place(room_id(1), "private")},
        equipment={"c": make_place(device_id(0), "treadmill")},
    )
    calendar = make_calendar(
        between("00:00", "23:59"), visit_type, [at_work(0), at_work(1)],
        rooms=[
            PlaceCalendar(id=room_id(0), kind="private", busy=[between("09:30", "09:45")]),
            PlaceCalendar(id=room_id(1), kind="private"),
        ],
        equipment=[PlaceCalendar(id=device_id(0), kind="treadmill", busy=[between("11:10", "11:30")])],
    )  # fmt: skip
    suggestion = Suggestion(at("10:00"), therapist_id(1))
    with_buffers, own_time = between("09:55", "11:10"), between("10:00", "11:00")
    kept = {therapist_id(1): with_buffers, device_id(0): with_buffers}
    mover = mover_at("09:00", "10:00", visit_type=visit_type)
    assert promise(calendar, clinic, mover, suggestion, {}) == kept | {room_id(0): with_buffers, PATIENT: own_time}
    # The first room was promised to somebody else; a hold has no patient.
    nobody = mover_at("09:00", "10:00", visit_type=visit_type, patient=None)
    first_taken = {room_id(0): [between("10:59", "11:30")]}
    assert promise(calendar, clinic, nobody, suggestion, first_taken) == kept | {room_id(1): with_buffers}


def test_a_visit_without_a_room_keeps_none() -> None:
    calendar = make_calendar(between("00:00", "23:59"), TYPE, [at_work(0)])
    kept = promise(calendar, CLINIC, mover_at("09:00", "10:00"), Suggestion(at("10:00"), therapist_id(0)), {})
    assert kept == {therapist_id(0): between("10:00", "11:00"), PATIENT: between("10:00", "11:00")}


def test_closures_bind_alternatives_too() -> None:
    within = between("00:00", "23:59")
    calendar = make_calendar(within, TYPE, [at_work(0)], closures={DAY: wall_windows("10:00-11:00")})
    assert suggest(calendar, CLINIC, mover_at("09:00", "10:00"), within, {}) == [
        Suggestion(at("10:00"), therapist_id(0))
    ]
