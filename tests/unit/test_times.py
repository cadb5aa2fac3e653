"""Clocks: what a wall time means on every day of the year, and what is offered on the days the clocks change."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.availability import check_booking_rules, earliest_start, open_starts
from scheduler.domain.calendars import TherapistCalendar, WeeklyWindow
from scheduler.domain.times import (
    day_end,
    day_pieces,
    day_start,
    epoch_minute,
    instant_at,
    is_whole_minute,
    local_dates,
    wall_spans,
)
from scheduler.errors import TooFarAhead
from tests.unit.factories import (
    NEW_YORK,
    make_calendar,
    make_clinic,
    make_visit_type,
    minute,
    span,
    therapist_id,
    weekly,
)

# How long the days of a year are, in minutes, in zones that change by an hour, by half an hour, at midnight and never.
DAY_LENGTHS = {
    "America/New_York": {1380: 1, 1500: 1},
    "Europe/Berlin": {1380: 1, 1500: 1},
    "Asia/Kolkata": {},
    "Australia/Lord_Howe": {1410: 1, 1470: 1},
    "America/Nuuk": {1380: 1, 1500: 1},
    "Africa/Cairo": {1380: 1, 1500: 1},
}


def dates_of(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days)]


@pytest.mark.parametrize("year", [2026, 2027, 2028, 2031])
@pytest.mark.parametrize("timezone", DAY_LENGTHS)
def test_every_day_of_a_year_is_as_long_as_its_clocks_say(timezone: str, year: int) -> None:
    zone = ZoneInfo(timezone)
    days = dates_of(year)
    lengths = Counter(sum(length for _, _, length in day_pieces(day, zone)) for day in days)
    changed = DAY_LENGTHS[timezone]
    assert lengths == {1440: len(days) - sum(changed.values()), **changed}


@pytest.mark.parametrize("timezone", [*DAY_LENGTHS, "America/Sao_Paulo", "Pacific/Apia"])
@pytest.mark.parametrize("year", [2011, 2018, 2027])
def test_days_follow_each_other_without_a_gap(timezone: str, year: int) -> None:
    zone = ZoneInfo(timezone)
    pieces = [piece for day in dates_of(year) for piece in day_pieces(day, zone)]
    for (first, _, length), (following, _, _) in pairwise(pieces):
        assert first + length == following


def test_the_days_the_clocks_change_come_in_two_pieces() -> None:
    assert day_pieces(date(2027, 3, 14), NEW_YORK) == (
        (minute("2027-03-14T00:00-05:00"), 0, 120),
        (minute("2027-03-14T03:00-04:00"), 180, 1260),
    )
    assert day_pieces(date(2027, 11, 7), NEW_YORK) == (
        (minute("2027-11-07T00:00-04:00"), 0, 120),
        (minute("2027-11-07T01:00-05:00"), 60, 1380),
    )


def test_a_date_begins_where_the_one_before_ended() -> None:
    assert day_start(date(2027, 11, 7), NEW_YORK) == minute("2027-11-07T00:00-04:00")
    assert day_end(date(2027, 11, 7), NEW_YORK) == minute("2027-11-08T00:00-05:00")
    # In Sao Paulo midnight itself was skipped.
    assert day_start(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo")) == minute("2018-11-04T01:00-02:00")


def test_a_date_that_the_calendar_skipped_takes_no_time() -> None:
    apia = ZoneInfo("Pacific/Apia")
    skipped = minute("2011-12-31T00:00+14:00")
    assert day_pieces(date(2011, 12, 30), apia) == ()
    assert day_end(date(2011, 12, 29), apia) == skipped
    assert (day_start(date(2011, 12, 30), apia), day_end(date(2011, 12, 30), apia)) == (skipped, skipped)


def test_an_instant_becomes_an_epoch_minute_and_back() -> None:
    late = datetime(2027, 11, 7, 6, 30, 59, 999_999, tzinfo=UTC)
    assert epoch_minute(late) == minute("2027-11-07T01:30-05:00")
    assert epoch_minute(datetime(1969, 12, 31, 23, 59, 30, tzinfo=UTC)) == -1
    shown = instant_at(minute("2027-11-07T01:30-05:00"), NEW_YORK)
    assert shown.isoformat() == "2027-11-07T01:30:00-05:00"
    assert is_whole_minute(shown)
    assert not is_whole_minute(late)
    assert not is_whole_minute(datetime(2027, 11, 7, 6, 30, 1, tzinfo=UTC))
    assert not is_whole_minute(datetime(2027, 11, 7, 6, 30, 0, 1, tzinfo=UTC))


def test_local_dates_are_those_that_the_clocks_show() -> None:
    sixth, seventh, eighth = date(2027, 11, 6), date(2027, 11, 7), date(2027, 11, 8)
    whole_day = span("2027-11-07T00:00-04:00", "2027-11-08T00:00-05:00")
    assert local_dates(*whole_day, NEW_YORK) == [seventh]
    assert local_dates(whole_day[0] - 1, whole_day[1] + 1, NEW_YORK) == [sixth, seventh, eighth]
    assert local_dates(whole_day[0], whole_day[0], NEW_YORK) == [seventh]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            ("America/New_York", date(2027, 3, 14)),
            ("America/New_York", date(2027, 11, 7)),
            ("Europe/Berlin", date(2027, 3, 28)),
            ("Asia/Kolkata", date(2027, 1, 1)),
            ("Australia/Lord_Howe", date(2027, 4, 4)),
            ("Australia/Lord_Howe", date(2027, 10, 3)),
            ("America/Sao_Paulo", date(2018, 11, 4)),
            ("America/Sao_Paulo", date(2018, 2, 18)),
            ("Pacific/Apia", date(2011, 12, 30)),
        ]
    ),
    st.integers(-2, 1),
    st.sampled_from([*range(0, 2880, 30), 1, 89, 121, 1439]),
    st.integers(1, 1440),
)
def test_a_wall_window_covers_the_instants_at_which_clocks_show_a_time_inside_it(
    moment: tuple[str, date], offset: int, start: int, length: int
) -> None:
    zone = ZoneInfo(moment[0])
    day = moment[1] + timedelta(days=offset)
    end = min(2880, start + length)
    utc_midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    expected: list[int] = []
    for passed in range(-1440, 4320):
        instant = utc_midnight + timedelta(minutes=passed)
        shown = instant.astimezone(zone)
        on_the_clock = shown.hour * 60 + shown.minute + 1440 * (shown.date() - day).days
        if start <= on_the_clock < end and shown.date() >= day:
            expected.append(int(instant.timestamp()) // 60)
    covered = [each for first, last in wall_spans(day, start, end, zone) for each in range(first, last)]
    assert covered == expected


# What is offered, to the minute, when the clocks of New York change


def offered(
    hours: list[WeeklyWindow], first: str, last: str, duration: int, grid: int, timezone: str = "America/New_York"
) -> list[str]:
    """Return the open starts between two instants, the day of the month and the UTC offset with each."""
    visit_type = make_visit_type(duration_minutes=duration)
    clinic = make_clinic(timezone=timezone, grid_minutes=grid)
    within = span(first, last)
    asked = make_calendar(within, visit_type, [TherapistCalendar(id=therapist_id(0), weekly=hours)])
    openings = open_starts(asked, clinic, visit_type, within=within)
    return [instant_at(opening.start, clinic.zone).isoformat(timespec="minutes")[8:] for opening in openings]


SPRING = "2027-03-14T00:00-05:00", "2027-03-15T00:00-04:00"
AUTUMN = "2027-11-07T00:00-04:00", "2027-11-08T00:00-05:00"


def test_a_sunday_from_midnight_to_six_loses_an_hour_in_spring_and_gains_one_in_autumn() -> None:
    hours = weekly([7], "00:00", "06:00")
    assert (
        offered(hours, *SPRING, duration=30, grid=30)
        == """
        14T00:00-05:00 14T00:30-05:00 14T01:00-05:00 14T01:30-05:00
        14T03:00-04:00 14T03:30-04:00 14T04:00-04:00 14T04:30-04:00 14T05:00-04:00 14T05:30-04:00
    """.split()
    )
    assert (
        offered(hours, *AUTUMN, duration=30, grid=30)
        == """
        07T00:00-04:00 07T00:30-04:00 07T01:00-04:00 07T01:30-04:00
        07T01:00-05:00 07T01:30-05:00 07T02:00-05:00 07T02:30-05:00 07T03:00-05:00 07T03:30-05:00
        07T04:00-05:00 07T04:30-05:00 07T05:00-05:00 07T05:30-05:00
    """.split()
    )


def test_a_window_that_begins_or_ends_beside_the_change_is_cut_where_the_clocks_say() -> None:
    hours = weekly([7], "01:30", "03:30")
    assert offered(hours, *SPRING, duration=30, grid=15) == "14T01:30-05:00 14T01:45-05:00 14T03:00-04:00".split()
    assert offered(hours, *SPRING, duration=60, grid=15) == ["14T01:30-05:00"]
    assert offered(hours, *SPRING, duration=61, grid=15) == []
    # After 01:59 summer time the clocks show 01:00 again, which is before the window.
    assert (
        offered(hours, *AUTUMN, duration=30, grid=15)
        == """
        07T01:30-04:00
        07T01:30-05:00 07T01:45-05:00 07T02:00-05:00 07T02:15-05:00 07T02:30-05:00 07T02:45-05:00 07T03:00-05:00
    """.split()
    )


def test_an_hour_that_is_skipped_offers_nothing_and_one_that_comes_twice_is_offered_twice() -> None:
    assert offered(weekly([7], "02:00", "03:00"), *SPRING, duration=15, grid=15) == []
    assert offered(weekly([7], "01:00", "02:00"), *AUTUMN, duration=60, grid=30) == (
        "07T01:00-04:00 07T01:30-04:00 07T01:00-05:00".split()
    )


def test_a_saturday_night_is_five_hours_long_in_spring_and_seven_in_autumn() -> None:
    hours = weekly([6], "22:00", "28:00")
    assert (
        offered(hours, "2027-03-13T00:00-05:00", SPRING[1], duration=60, grid=60)
        == """
        13T22:00-05:00 13T23:00-05:00 14T00:00-05:00 14T01:00-05:00 14T03:00-04:00
    """.split()
    )
    assert (
        offered(hours, "2027-11-06T00:00-04:00", AUTUMN[1], duration=60, grid=60)
        == """
        06T22:00-04:00 06T23:00-04:00 07T00:00-04:00 07T01:00-04:00
        07T01:00-05:00 07T02:00-05:00 07T03:00-05:00
    """.split()
    )
    # Asked about hours of the Sunday alone, the night that began before them is still seen.
    assert offered(hours, "2027-03-14T01:00-05:00", SPRING[1], duration=60, grid=60) == (
        ["14T01:00-05:00", "14T03:00-04:00"]
    )


def test_the_grid_is_counted_from_what_the_clocks_show_also_after_a_change() -> None:
    hours = weekly([7], "00:00", "04:00")
    assert (
        offered(hours, *AUTUMN, duration=45, grid=45)
        == """
        07T00:00-04:00 07T00:45-04:00 07T01:30-04:00 07T01:30-05:00 07T02:15-05:00 07T03:00-05:00
    """.split()
    )
    lord_howe = "Australia/Lord_Howe"
    spring, autumn = (
        ("2027-10-03T01:00+10:30", "2027-10-03T04:00+11:00"),
        ("2027-04-04T01:00+11:00", "2027-04-04T03:00+10:30"),
    )
    assert (
        offered(hours, *spring, duration=20, grid=20, timezone=lord_howe)
        == """
        03T01:00+10:30 03T01:20+10:30 03T01:40+10:30
        03T02:40+11:00 03T03:00+11:00 03T03:20+11:00 03T03:40+11:00
    """.split()
    )
    assert (
        offered(hours, *autumn, duration=20, grid=20, timezone=lord_howe)
        == """
        04T01:00+11:00 04T01:20+11:00 04T01:40+11:00
        04T01:40+10:30 04T02:00+10:30 04T02:20+10:30 04T02:40+10:30
    """.split()
    )


def test_a_clinic_from_monday_to_saturday_keeps_its_wall_times_across_both_changes() -> None:
    hours = weekly(range(1, 7), "09:00", "11:30") + weekly(range(1, 7), "16:30", "17:30")
    assert (
        offered(hours, "2027-03-12T00:00-05:00", "2027-03-16T00:00-04:00", duration=60, grid=30)
        == """
        12T09:00-05:00 12T09:30-05:00 12T10:00-05:00 12T10:30-05:00 12T16:30-05:00
        13T09:00-05:00 13T09:30-05:00 13T10:00-05:00 13T10:30-05:00 13T16:30-05:00
        15T09:00-04:00 15T09:30-04:00 15T10:00-04:00 15T10:30-04:00 15T16:30-04:00
    """.split()
    )
    assert (
        offered(hours, "2027-11-05T00:00-04:00", "2027-11-09T00:00-05:00", duration=60, grid=30)
        == """
        05T09:00-04:00 05T09:30-04:00 05T10:00-04:00 05T10:30-04:00 05T16:30-04:00
        06T09:00-04:00 06T09:30-04:00 06T10:00-04:00 06T10:30-04:00 06T16:30-04:00
        08T09:00-05:00 08T09:30-05:00 08T10:00-05:00 08T10:30-05:00 08T16:30-05:00
    """.split()
    )


@pytest.mark.parametrize("zone", [UTC, NEW_YORK])
def test_twelve_hours_of_notice_are_twelve_hours_in_the_nights_the_clocks_change(zone: tzinfo) -> None:
    visit_type = make_visit_type(minimum_notice_minutes=720)
    spring = datetime(2027, 3, 14, 1, 0, tzinfo=UTC).astimezone(zone)
    autumn = datetime(2027, 11, 7, 0, 0, tzinfo=UTC).astimezone(zone)
    assert earliest_start(visit_type, spring) == minute("2027-03-14T09:00-04:00")
    assert earliest_start(visit_type, autumn) == minute("2027-11-07T07:00-05:00")


def test_the_horizon_is_the_end_of_the_clinics_date_that_many_days_ahead() -> None:
    visit_type = make_visit_type(horizon_days=7)
    clinic = make_clinic()
    last, first_refused = minute("2027-03-14T23:45-04:00"), minute("2027-03-15T00:00-04:00")
    first_moment = datetime(2027, 3, 7, 5, 0, tzinfo=UTC)
    for now in (first_moment, first_moment + timedelta(hours=23, minutes=59, seconds=59)):
        check_booking_rules(visit_type, clinic, last, now)
        with pytest.raises(TooFarAhead):
            check_booking_rules(visit_type, clinic, first_refused, now)
    check_booking_rules(visit_type, clinic, first_refused, first_moment + timedelta(hours=24))
