"""The rules of sending: when a phone may ring, how often, and how long to wait before another try."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import parse
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from scheduler.domain.clinics import Clinic
from scheduler.domain.sending import (
    AT_ONCE,
    NEVER_AGAIN,
    UNCOUNTED,
    URGENT,
    recipient_zone,
    retry_delay,
    text_room,
    text_time,
    text_use_ends,
)
from tests.unit.factories import NEW_YORK, make_clinic

FAIR_LAWN = "+12015550142"
LOS_ANGELES = "+13105550142"
TOLL_FREE = "+18005550142"
BOISE_OR_COEUR_D_ALENE = "+12085550142"
NOBODY = "+9995550142"


def clinic() -> Clinic:
    return make_clinic(text_window=(9 * 60, 20 * 60))


def at(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("phone", "zone"),
    [
        (FAIR_LAWN, "America/New_York"),
        (LOS_ANGELES, "America/Los_Angeles"),
        ("+18085550142", "Pacific/Honolulu"),
        (TOLL_FREE, "America/New_York"),
        (BOISE_OR_COEUR_D_ALENE, "America/New_York"),
        (NOBODY, "America/New_York"),
    ],
)
def test_a_number_tells_its_zone_and_the_clinic_s_stands_in_where_it_does_not(phone: str, zone: str) -> None:
    assert recipient_zone(clinic(), phone).key == zone


@pytest.mark.parametrize(
    ("phone", "now", "goes"),
    [
        (FAIR_LAWN, "2026-11-23 08:59", "2026-11-23 09:00"),
        (FAIR_LAWN, "2026-11-23 09:00", "2026-11-23 09:00"),
        (FAIR_LAWN, "2026-11-23 19:59", "2026-11-23 19:59"),
        (FAIR_LAWN, "2026-11-23 20:00", "2026-11-24 09:00"),
        (LOS_ANGELES, "2026-11-23 10:00", "2026-11-23 12:00"),
        (LOS_ANGELES, "2026-11-23 22:59", "2026-11-23 22:59"),
        (LOS_ANGELES, "2026-11-23 23:00", "2026-11-24 12:00"),
        # On the days the clocks change, nine is nine on the phone's own clock.
        (FAIR_LAWN, "2026-10-31 21:00", "2026-11-01 09:00"),
        (FAIR_LAWN, "2027-03-13 21:00", "2027-03-14 09:00"),
        # Arizona keeps its time all the year round.
        ("+16025550142", "2027-03-14 09:00", "2027-03-14 12:00"),
        ("+16025550142", "2027-03-13 09:00", "2027-03-13 11:00"),
    ],
)
def test_a_text_goes_in_the_hours_of_whoever_gets_it(phone: str, now: str, goes: str) -> None:
    assert text_time(clinic(), phone, "reminder", at(now)) == at(goes)


@pytest.mark.parametrize("kind", ["reply", "otp", "link"])
def test_whoever_has_the_phone_in_their_hand_is_answered_at_any_hour(kind: str) -> None:
    assert text_time(clinic(), FAIR_LAWN, kind, at("2026-11-23 03:00")) == at("2026-11-23 03:00")


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(NEW_YORK)),  # noqa: DTZ001
    st.sampled_from([FAIR_LAWN, LOS_ANGELES, "+18085550142", TOLL_FREE]),
)
def test_the_next_text_time_is_never_earlier_and_always_within_the_hours(moment: datetime, phone: str) -> None:
    moment = moment.astimezone(UTC)
    allowed = text_time(clinic(), phone, "reminder", moment)
    assert moment <= allowed <= moment + timedelta(hours=14)
    assert 9 <= allowed.astimezone(recipient_zone(clinic(), phone)).hour < 20


@pytest.mark.parametrize(
    ("phone", "kind", "now", "expires", "ends"),
    [
        (FAIR_LAWN, "reminder", "2026-11-23 10:00", "2026-11-23 12:00", "2026-11-23 12:00"),
        (FAIR_LAWN, "reminder", "2026-11-23 18:00", "2026-11-24 06:00", "2026-11-23 20:00"),
        # Seven hours later it is as late in California as it was here.
        (LOS_ANGELES, "reminder", "2026-11-23 20:00", "2026-11-24 06:00", "2026-11-23 23:00"),
        (FAIR_LAWN, "cancelled_by_clinic", "2026-11-23 19:59", "2026-11-24 10:00", "2026-11-23 20:00"),
        (FAIR_LAWN, "booked", "2026-11-23 19:59:45", "2026-11-24 10:00", "2026-11-23 20:00:45"),
        (FAIR_LAWN, "reply", "2026-11-23 23:30", "2026-11-24 23:30", "2026-11-24 23:30"),
    ],
)
def test_a_provider_delivers_no_text_when_the_hours_for_texts_are_over(
    phone: str, kind: str, now: str, expires: str, ends: str
) -> None:
    assert text_use_ends(clinic(), phone, kind, at(expires), at(now)) == at(ends)


def test_a_clinic_that_texts_until_midnight_may_do_so_until_midnight() -> None:
    late = make_clinic(text_window=(9 * 60, 24 * 60))
    ends = text_use_ends(late, FAIR_LAWN, "reminder", at("2026-11-25 10:00"), at("2026-11-23 23:00"))
    assert ends == at("2026-11-24 00:00")


def test_a_day_of_texts_is_the_phone_s_own() -> None:
    room = text_room(clinic(), LOS_ANGELES, frequent=False, now=at("2026-11-24 02:30"))
    assert room.day_began == at("2026-11-23 00:00", ZoneInfo("America/Los_Angeles"))
    assert room.week_began == at("2026-11-17 02:30")


@pytest.mark.parametrize(
    ("frequent", "today", "this_week", "full"),
    [
        (False, 0, 2, False),
        (False, 1, 1, True),
        (False, 0, 3, True),
        (True, 1, 5, False),
        (True, 2, 2, True),
        (True, 0, 6, True),
    ],
)
def test_one_a_day_and_three_a_week_or_twice_that_for_who_agreed(
    frequent: bool, today: int, this_week: int, full: bool
) -> None:
    room = text_room(clinic(), FAIR_LAWN, frequent=frequent, now=at("2026-11-23 10:00"))
    assert room.is_used_up(today, this_week) == full


def test_who_would_travel_for_nothing_or_waits_for_a_code_is_told_first_and_a_code_is_sent_once() -> None:
    assert {"cancelled_by_clinic", "closure", "otp"} == URGENT
    assert {"otp"} == NEVER_AGAIN
    assert {"link", "otp", "reply"} == AT_ONCE


def test_what_the_clinic_must_say_and_what_was_asked_for_is_never_counted() -> None:
    assert {"cancelled_by_clinic", "closure", "link", "otp", "reply"} == UNCOUNTED


@pytest.mark.parametrize("retries", range(12))
def test_a_retry_waits_up_to_twice_as_long_each_time_but_never_more_than_five_minutes(retries: int) -> None:
    longest = retry_delay(retries, 1.0)
    assert longest == timedelta(seconds=min(300, 2 * 2**retries))
    assert retry_delay(retries, 0.5) == longest / 2
    assert retry_delay(retries, 0.0) == timedelta(0)


def test_a_message_that_is_tried_for_days_still_waits_five_minutes() -> None:
    assert retry_delay(10_000, 1.0) == timedelta(minutes=5)


@given(st.integers(200, 999), st.integers(200, 999), st.integers(0, 9999))
def test_a_zone_is_that_of_the_whole_number(area: int, exchange: int, line: int) -> None:
    phone = f"+1{area}{exchange}{line:04}"
    names = time_zones_for_number(parse(phone))
    zone = names[0] if len(names) == 1 and names[0] != UNKNOWN_TIMEZONE else clinic().timezone
    assert recipient_zone(clinic(), phone).key == zone
