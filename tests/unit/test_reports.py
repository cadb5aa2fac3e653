"""Working time is counted the same in one piece and in many, also where the clocks change."""

from datetime import date, timedelta

import pytest

from scheduler.domain.calendars import Calendar, TherapistCalendar
from scheduler.domain.reports import (
    Attendance,
    Confirmations,
    LeadTime,
    Utilisation,
    lead_buckets,
    minutes_worked,
    total,
)
from scheduler.domain.times import day_end, day_start
from scheduler.web.staff.charts import Bar, bar_chart
from scheduler.web.staff.report_tables import percent
from tests.unit.factories import NEW_YORK, therapist_id, weekly


def calendar_of(first: date, last: date, starts: str, ends: str) -> Calendar:
    """Return a calendar of one therapist who works the same window every day."""
    hours = TherapistCalendar(id=therapist_id(0), weekly=weekly(range(1, 8), starts, ends))
    return Calendar(start=day_start(first, NEW_YORK), end=day_end(last, NEW_YORK), therapists=[hours])


def test_minutes_of_months_are_the_sum_of_their_days() -> None:
    first, last = date(2026, 10, 1), date(2027, 3, 31)
    calendar = calendar_of(first, last, "08:00", "17:00")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    # Nine hours a day, whatever the clocks do in the night.
    assert minutes_worked(calendar, NEW_YORK) == {therapist_id(0): 540 * len(days)}


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 11, 1), 25), (date(2027, 3, 14), 23), (date(2026, 12, 1), 24)])
def test_a_day_and_night_are_as_long_as_the_clocks_make_them(day: date, hours: int) -> None:
    assert minutes_worked(calendar_of(day, day, "00:00", "24:00"), NEW_YORK) == {therapist_id(0): 60 * hours}


def test_every_lead_is_in_one_bucket() -> None:
    counts = [(days, 1, 10) for days in range(-1, 400)]
    buckets = lead_buckets(counts)
    assert sum(bucket.online for bucket in buckets) == len(counts)
    assert sum(bucket.desk for bucket in buckets) == 10 * len(counts)
    assert [bucket.visits // 11 for bucket in buckets] == [2, 1, 2, 3, 7, 14, 372]


def test_everybody_is_the_sum_and_rates_of_nothing_are_none() -> None:
    one = Attendance(
        therapist_id=therapist_id(0), attended=3, no_show=1, cancelled_late=0, cancelled=5, unmarked=2, to_come=7,
        attended_minutes=180, booked_minutes=240,
    )  # fmt: skip
    both = total([one, one])
    assert (both.attended, both.no_show, both.to_come, both.no_show_rate) == (6, 2, 14, 0.25)
    assert total([]).no_show_rate is None


def test_rates_are_of_the_visits_that_kept_a_place_and_of_working_and_sent() -> None:
    one = Attendance(
        therapist_id=therapist_id(0), attended=5, no_show=2, cancelled_late=1, cancelled=40, unmarked=30, to_come=20,
        attended_minutes=180, booked_minutes=240,
    )  # fmt: skip
    assert (one.due, one.no_show_rate, one.late_rate) == (8, 0.25, 0.125)
    worked = Utilisation(therapist_id=therapist_id(0), working_minutes=480, booked_minutes=600, attended_minutes=60)
    assert worked.rate == 1.25
    asked = Confirmations(template="reminder_24h", channel="sms", lead_minutes=1440, sent=8, confirmed=2)
    assert asked.rate == 0.25
    assert LeadTime(days=4, online=3, desk=2).visits == 5


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0, "0%"), (0.004, "0.4%"), (0.01, "1%"), (0.925, "92%"), (1.0, "100%"), (1.204, "120%")]
)
def test_a_share_is_written_as_it_is_read(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_bars_share_one_scale_and_stay_inside() -> None:
    chart = bar_chart([("a", [Bar(50, "50"), Bar(0, "0")]), ("b", [Bar(100, "100")])])
    bars = [bar for group in chart.groups for bar in group.bars]
    assert bars[2].width == 2 * bars[0].width
    assert bars[1].width == 1
    assert max(bar.y + bar.height for bar in bars) <= chart.height
    assert len({bar.y for bar in bars}) == 3
    beyond = bar_chart([("a", [Bar(1.5, "150%")])], limit=1.0)
    assert beyond.limit_x == round(beyond.groups[0].bars[0].width / 1.5)
    assert bar_chart([]).height == 1
