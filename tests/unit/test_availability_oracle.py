"""The engine agrees with the brute-force oracle on whatever clinics hypothesis can think of."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scheduler.domain.availability import check_booking_rules, open_starts, place
from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar, WeeklyWindow
from scheduler.domain.clinics import Clinic, Credential, VisitType
from scheduler.errors import PlacementRefused
from tests.unit import oracle
from tests.unit.factories import (
    device_id,
    make_calendar,
    make_clinic,
    make_therapist,
    make_visit_type,
    room_id,
    therapist_id,
)

# Zones, each with dates on which something happens to its clocks, and one on which nothing does.
MOMENTS = [
    ("America/New_York", date(2027, 3, 14)),
    ("America/New_York", date(2027, 11, 7)),
    ("America/New_York", date(2027, 6, 1)),
    ("Europe/Berlin", date(2027, 3, 28)),
    ("Europe/Berlin", date(2027, 10, 31)),
    ("Asia/Kolkata", date(2027, 1, 1)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
    ("Australia/Lord_Howe", date(2027, 10, 3)),
    # Midnight did not exist, and 23:00 to 24:00 came twice.
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2018, 2, 17)),
    # An ordinary change, and the date that never was.
    ("Pacific/Apia", date(2021, 4, 4)),
    ("Pacific/Apia", date(2011, 12, 30)),
]

# Therapists beside the first, who may always perform the visit, and what stands in the clinic.
OTHERS: list[tuple[Credential, tuple[str, ...]]] = [("PT", ("visit",)), ("PTA", ("other", "visit")), ("PT", ("other",))]
ROOMS = [("table",), ("table", "table"), ("gym", "table"), ("table", "gym", "table"), ("gym",)]
DEVICES = [("treadmill", "bike"), ("bike", "treadmill"), ("bike", "treadmill", "treadmill"), ("treadmill",)]

thorough = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)

# Wall-clock times: quarter hours, so that windows often touch, and some that no grid knows.
wall_minutes = st.sampled_from([*range(0, 1440, 15), 1, 59, 61, 89, 119, 121, 179, 181, 734, 1399, 1439])
lengths = st.sampled_from([600, 720, 480, 900, 1440, 240, 15, 60, 90, 119, 181])
windows = st.tuples(wall_minutes, lengths)
days = st.sampled_from([0, -1, 1, -2, 2])
validities = st.sampled_from([None, None, None, (-9, -1), (-9, 0), (-1, 0), (0, 0), (0, 1), (0, 9), (1, 9)])
some_days = st.sampled_from([(-2, -1, 0, 1, 2), (-1, 0, 1), (0, 1), (-1, 0), (0,), (1,)])
weekly_windows = st.lists(st.tuples(some_days, windows, validities), min_size=2, max_size=4)
# Of an override, windows may begin after midnight too: the clock runs on to 48:00.
overrides = st.dictionaries(days, st.lists(st.tuples(wall_minutes, lengths, st.booleans()), max_size=2), max_size=1)
closures = st.dictionaries(days, st.lists(windows, min_size=0, max_size=2), max_size=1)
# Stretches of instants: first minute, counted from where the question begins, and length.
stretches = st.lists(st.tuples(st.integers(-120, 1500), st.sampled_from([60, 15, 47, 180, 300])), max_size=5)


class Question(NamedTuple):
    """A clinic, what is asked of it, and a way to make the calendar for any stretch of starts."""

    clinic: Clinic
    visit_type: VisitType
    within: tuple[int, int]
    calendar_for: Callable[[tuple[int, int]], Calendar]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    timezone, day = draw(st.sampled_from(MOMENTS))
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp()) // 60
    start = midnight + draw(st.integers(-600, 900))
    within = start, start + draw(st.sampled_from([1440, 720, 1000, 2000, 2880]))
    visit_type = make_visit_type(
        duration_minutes=draw(st.sampled_from([15, 30, 45, 60, 5, 37, 120])),
        buffer_before_minutes=draw(st.sampled_from([0, 5, 15, 22])),
        buffer_after_minutes=draw(st.sampled_from([0, 5, 15, 31])),
        credential=draw(st.sampled_from([None, "PTA", "PT"])),
        room_kind=draw(st.sampled_from([None, "table"])),
        equipment_kinds=draw(st.sampled_from([(), ("treadmill",), ("treadmill", "bike")])),
    )
    others = draw(st.lists(st.sampled_from(OTHERS), min_size=1, max_size=2))
    people = [make_therapist(0), *(make_therapist(number, *other) for number, other in enumerate(others, start=1))]
    clinic = make_clinic(
        people,
        [visit_type],
        timezone=timezone,
        grid_minutes=draw(st.sampled_from([5, 10, 15, 20, 30, 45])),
        buffers_within_hours=draw(st.booleans()),
    )

    def some_stretches() -> list[tuple[int, int]]:
        return [(start + first, start + first + length) for first, length in draw(stretches)]

    # Everybody keeps the first therapist's hours or their own, so that there is often a choice between two.
    hours = [_some_hours(day, draw(weekly_windows))]
    hours += [hours[0] if draw(st.booleans()) else _some_hours(day, draw(weekly_windows)) for _ in others]
    therapists = [
        TherapistCalendar(
            id=therapist_id(number),
            weekly=hours[number],
            overrides={
                day + timedelta(days=offset): [
                    (first + next_day * 1440, min(2880, first + next_day * 1440 + length))
                    for first, length, next_day in drawn
                ]
                for offset, drawn in draw(overrides).items()
            },
            performs=number == 0 or draw(st.sampled_from([True, True, False])),
            time_off=some_stretches()[:2],
            busy=some_stretches(),
        )
        for number in range(len(people))
    ]
    rooms = [
        PlaceCalendar(id=room_id(number), kind=kind, busy=some_stretches())
        for number, kind in enumerate(draw(st.sampled_from(ROOMS)))
    ]
    equipment = [
        PlaceCalendar(id=device_id(number), kind=kind, busy=some_stretches())
        for number, kind in enumerate(draw(st.sampled_from(DEVICES)))
    ]
    closed = {
        day + timedelta(days=offset): [(first, min(1440, first + length)) for first, length in drawn]
        for offset, drawn in draw(closures).items()
    }
    patient_busy = some_stretches()[:1]

    def calendar_for(stretch: tuple[int, int]) -> Calendar:
        return make_calendar(
            stretch,
            visit_type,
            therapists,
            rooms=rooms,
            equipment=equipment,
            closures=closed,
            patient_busy=patient_busy,
        )

    return Question(clinic, visit_type, within, calendar_for)


def _some_hours(
    day: date, drawn: list[tuple[tuple[int, ...], tuple[int, int], tuple[int, int] | None]]
) -> list[WeeklyWindow]:
    """Return windows on weekdays, always valid or between two dates; days are counted from a date."""
    hours: list[WeeklyWindow] = []
    for offsets, (starts, length), validity in drawn:
        valid = [day + timedelta(days=bound) for bound in validity] if validity else [date.min, date.max]
        weekdays = [(day + timedelta(days=offset)).isoweekday() for offset in offsets]
        hours += [WeeklyWindow(weekday, starts, starts + length, *valid) for weekday in weekdays]
    return hours


@settings(thorough, max_examples=120)
@given(questions(), st.one_of(st.none(), st.integers(-60, 1200)))
def test_the_open_starts_are_exactly_those_that_the_rules_allow(question: Question, notice: int | None) -> None:
    clinic, visit_type, within, calendar_for = question
    calendar = calendar_for(within)
    earliest = 0 if notice is None else within[0] + notice
    openings = open_starts(calendar, clinic, visit_type, within=within, earliest=earliest)
    found = [(opening.start, opening.therapist) for opening in openings]
    assert found == oracle.open_starts(calendar, clinic, visit_type, within, earliest)


def _starts_worth_a_look(calendar: Calendar, visit_type: VisitType, within: tuple[int, int]) -> list[int]:
    """Return starts all over a day, and those that put the visit just beside what is taken, to the minute."""
    busy = [*calendar.patient_busy, *(span for therapist in calendar.therapists for span in therapist.busy)]
    before, after = visit_type.buffer_before_minutes, visit_type.buffer_after_minutes
    last_before = [first - visit_type.duration_minutes - gap for first, _ in busy for gap in (0, after)]
    first_after = [end + gap for _, end in busy for gap in (0, before)]
    beside = [start + nudge for start in last_before + first_after for nudge in (-1, 0, 1)]
    return [*range(within[0], within[0] + 1440, 61), *beside]


@settings(thorough, max_examples=120)
@given(questions(), st.data())
def test_a_visit_is_placed_wherever_the_rules_allow_and_refused_for_a_true_reason_elsewhere(
    question: Question, data: st.DataObject
) -> None:
    clinic, visit_type, within, calendar_for = question
    therapist = data.draw(st.sampled_from([None, None, *clinic.therapists.values()]))
    room = data.draw(st.sampled_from([None, None, room_id(0), room_id(1)]))
    for start in _starts_worth_a_look(calendar_for(within), visit_type, within):
        calendar = calendar_for((start, start + 1))
        expected = oracle.placement(calendar, clinic, visit_type, start, therapist, room)
        if isinstance(expected, set):
            with pytest.raises(PlacementRefused) as refused:
                place(calendar, clinic, visit_type, start, therapist=therapist, room=room)
            assert (type(refused.value), refused.value.members.get("conflict")) in expected
        else:
            assert place(calendar, clinic, visit_type, start, therapist=therapist, room=room) == expected


@settings(thorough, max_examples=300)
@given(
    moment=st.sampled_from(MOMENTS),
    now_in_clinic_time=st.booleans(),
    seconds=st.integers(-86400, 86400),
    microseconds=st.sampled_from([0, 0, 1, 999_999]),
    notice=st.sampled_from([0, 1, 60, 240, 1440]),
    horizon=st.integers(1, 3),
    grid=st.sampled_from([5, 10, 15, 20, 30]),
    online=st.sampled_from([True, True, True, False]),
    near_the_horizon=st.booleans(),
    nudge=st.sampled_from([0, -1, 1, -15, 15, -30, 30, -60, 60, 61, -300, 600, -1440, 1440]),
)
def test_patients_are_bound_by_exactly_the_rules_that_a_start_breaks(
    moment: tuple[str, date],
    now_in_clinic_time: bool,
    seconds: int,
    microseconds: int,
    notice: int,
    horizon: int,
    grid: int,
    online: bool,
    near_the_horizon: bool,
    nudge: int,
) -> None:
    timezone, day = moment
    visit_type = make_visit_type(minimum_notice_minutes=notice, horizon_days=horizon, online=online)
    clinic = make_clinic(visit_types=[visit_type], timezone=timezone, grid_minutes=grid)
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=microseconds)
    if near_the_horizon:
        beyond = now.astimezone(clinic.zone).date() + timedelta(days=horizon + 1)
        edge = int(datetime(beyond.year, beyond.month, beyond.day, tzinfo=clinic.zone).timestamp()) // 60
    else:
        edge = int(now.timestamp()) // 60 + notice
    start = edge + nudge
    if now_in_clinic_time:
        now = now.astimezone(clinic.zone)
    broken = oracle.rules_broken(visit_type, clinic, start, now)
    if broken:
        with pytest.raises(PlacementRefused) as refused:
            check_booking_rules(visit_type, clinic, start, now)
        assert (type(refused.value), None) in broken
    else:
        check_booking_rules(visit_type, clinic, start, now)
