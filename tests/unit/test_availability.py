"""What can be booked, and with whom: each promise of the engine with times a person can check.

What the two days on which the clocks change do to it stands in ``test_times``.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.availability import (
    Opening,
    Placement,
    check_booking_rules,
    earliest_start,
    nearest,
    open_starts,
    overbook,
    place,
)
from scheduler.domain.calendars import PlaceCalendar, TherapistCalendar, WeeklyWindow
from scheduler.domain.clinics import Clinic, VisitType
from scheduler.errors import (
    NotBookableOnline,
    NotQualified,
    OutsideHours,
    PlacementRefused,
    SlotTaken,
    TooSoon,
)
from tests.unit.factories import (
    NEW_YORK,
    clock,
    device_id,
    make_calendar,
    make_clinic,
    make_therapist,
    make_visit_type,
    minute,
    room_id,
    therapist_id,
    wall_windows,
    weekly,
)

# An ordinary Monday, and everybody's hours on it unless a test says otherwise.
MONDAY = date(2027, 6, 7)
SUNDAY = date(2027, 6, 6)
MORNING = weekly([1], "09:00", "12:00")
HOUR = make_visit_type()
HALF_HOUR = make_visit_type(duration_minutes=30)


def monday(text: str) -> int:
    return minute(f"2027-06-07T{text}-04:00")


def taken(*texts: str) -> list[tuple[int, int]]:
    """Return the instants of stretches of that Monday such as "09:00-10:30"."""
    return [(monday(start), monday(end)) for start, _, end in (text.partition("-") for text in texts)]


def therapist(number: int = 0, hours: Sequence[WeeklyWindow] = MORNING, **rest: Any) -> TherapistCalendar:
    return TherapistCalendar(id=therapist_id(number), weekly=hours, **rest)


def place_calendar(place_id: UUID, kind: str, *busy: str) -> PlaceCalendar:
    return PlaceCalendar(id=place_id, kind=kind, busy=taken(*busy))


def offered(
    visit_type: VisitType,
    *therapists: TherapistCalendar,
    clinic: Clinic | None = None,
    within: tuple[int, int] | None = None,
    earliest: int = 0,
    **calendar: Any,
) -> list[str]:
    """Return what is open from that Sunday to Tuesday as "HH:MM", with "+n" for the n-th colleague of the first."""
    within = within or (monday("00:00") - 1440, monday("00:00") + 2880)
    clinic = clinic or make_clinic([make_therapist(number) for number in range(2)], [visit_type])
    asked = make_calendar(within, visit_type, therapists or [therapist()], **calendar)
    openings = open_starts(asked, clinic, visit_type, within=within, earliest=earliest)
    shown = [datetime.fromtimestamp(opening.start * 60, NEW_YORK) for opening in openings]
    suffixes = [f"+{opening.therapist}" if opening.therapist else "" for opening in openings]
    return [f"{at:%H:%M}{suffix}" for at, suffix in zip(shown, suffixes, strict=True)]


def placed(
    visit_type: VisitType, start: str, *therapists: TherapistCalendar, room: UUID | None = None, **calendar: Any
) -> Placement:
    """Place a visit on that Monday with whoever is best."""
    clinic = make_clinic([make_therapist(number) for number in range(3)], [visit_type])
    asked = make_calendar((monday(start), monday(start) + 1), visit_type, therapists or [therapist()], **calendar)
    return place(asked, clinic, visit_type, monday(start), room=room)


# Hours


def test_a_visit_begins_on_the_clock_grid_and_ends_by_closing_time() -> None:
    assert offered(HOUR, clinic=make_clinic(grid_minutes=30)) == "09:00 09:30 10:00 10:30 11:00".split()


@pytest.mark.parametrize("length", [5, 15, 31, 32, 33, 64, 65, 129, 480])
def test_a_visit_needs_every_minute_of_its_length(length: int) -> None:
    visit_type = make_visit_type(duration_minutes=length)
    opening = clock("09:00")
    assert offered(visit_type, therapist(hours=[WeeklyWindow(1, opening, opening + length)])) == ["09:00"]
    assert offered(visit_type, therapist(hours=[WeeklyWindow(1, opening, opening + length - 1)])) == []


def test_windows_that_touch_or_overlap_are_one() -> None:
    hours = weekly([1], "09:00", "10:00") + weekly([1], "10:00", "11:00") + weekly([1], "10:30", "11:15")
    assert offered(make_visit_type(duration_minutes=120), therapist(hours=hours)) == ["09:00", "09:15"]


def test_a_window_to_24_00_lets_a_visit_end_at_midnight_and_one_past_it_runs_on() -> None:
    assert offered(HOUR, therapist(hours=weekly([1], "22:30", "24:00"))) == ["22:30", "22:45", "23:00"]
    assert offered(HOUR, therapist(hours=weekly([1], "23:00", "24:30"))) == ["23:00", "23:15", "23:30"]


def test_weekly_hours_count_on_the_first_and_the_last_date_they_are_valid() -> None:
    day = timedelta(days=1)

    def valid(since: date, until: date) -> list[str]:
        return offered(HOUR, therapist(hours=[WeeklyWindow(1, clock("09:00"), clock("10:00"), since, until)]))

    assert valid(MONDAY, MONDAY) == ["09:00"]
    assert valid(MONDAY + day, date.max) == []
    assert valid(date.min, MONDAY - day) == []


def test_an_override_replaces_the_windows_of_its_date_and_no_other() -> None:
    hours = weekly([7], "22:00", "25:00") + weekly([1], "09:00", "12:00")
    assert offered(HALF_HOUR, therapist(hours=hours, overrides={MONDAY: wall_windows("15:00-15:45")})) == (
        "22:00 22:15 22:30 22:45 23:00 23:15 23:30 23:45 00:00 00:15 00:30 15:00 15:15".split()
    )
    assert offered(HOUR, therapist(overrides={MONDAY: []})) == []
    assert offered(HOUR, therapist(overrides={SUNDAY: wall_windows("08:00-09:00")}))[:2] == ["08:00", "09:00"]
    assert offered(HOUR, therapist(hours=[], overrides={SUNDAY: wall_windows("23:00-24:00", "24:00-24:15")})) == (
        ["23:00", "23:15"]
    )


def test_a_closure_limits_everybody_to_its_windows_by_the_date_on_the_clock() -> None:
    night = therapist(hours=weekly([7], "22:00", "26:00"))
    assert offered(HOUR, night, closures={MONDAY: []}) == "22:00 22:15 22:30 22:45 23:00".split()
    assert offered(HOUR, night, closures={SUNDAY: []}) == "00:00 00:15 00:30 00:45 01:00".split()
    half_day = {MONDAY: wall_windows("08:00-10:00", "11:00-13:00")}
    assert offered(HOUR, therapist(), therapist(1), closures=half_day) == ["09:00", "09:00+1", "11:00", "11:00+1"]


def test_time_off_in_the_middle_keeps_visits_clear_of_it_to_the_minute() -> None:
    assert offered(HALF_HOUR, therapist(time_off=taken("09:44-11:01"))) == ["09:00", "11:15", "11:30"]
    assert offered(HALF_HOUR, therapist(time_off=taken("09:45-11:00"))) == ["09:00", "09:15", "11:00", "11:15", "11:30"]


# What is asked


def test_a_slot_starts_no_earlier_than_from_and_ends_by_to() -> None:
    assert offered(HOUR, within=(monday("09:15"), monday("11:00"))) == "09:15 09:30 09:45 10:00".split()
    assert offered(HOUR, within=(monday("09:16"), monday("10:59"))) == "09:30 09:45".split()
    assert offered(HOUR, within=(monday("09:00"), monday("09:59"))) == []


def test_minimum_notice_is_inclusive() -> None:
    assert offered(HOUR, earliest=monday("10:45")) == ["10:45", "11:00"]
    assert offered(HOUR, earliest=monday("10:46")) == ["11:00"]
    assert offered(HOUR, earliest=monday("11:01")) == []


# Buffers


def test_buffers_may_touch_another_visit_and_never_meet_it() -> None:
    visit_type = make_visit_type(duration_minutes=30, buffer_before_minutes=10, buffer_after_minutes=5)
    clinic = make_clinic(grid_minutes=5)
    found = offered(visit_type, therapist(busy=taken("10:00-11:00")), clinic=clinic)
    assert found == "09:00 09:05 09:10 09:15 09:20 09:25 11:10 11:15 11:20 11:25 11:30".split()


def test_a_buffer_may_reach_past_opening_and_closing_unless_the_clinic_forbids_it() -> None:
    visit_type = make_visit_type(buffer_before_minutes=15, buffer_after_minutes=30)
    assert offered(visit_type) == "09:00 09:15 09:30 09:45 10:00 10:15 10:30 10:45 11:00".split()
    strict = make_clinic(buffers_within_hours=True)
    assert offered(visit_type, clinic=strict) == "09:15 09:30 09:45 10:00 10:15 10:30".split()


# Who and where


def test_a_pta_is_never_offered_for_what_only_a_pt_may_do() -> None:
    people = [make_therapist(0, "PTA"), make_therapist(1, "PT")]
    evaluation, follow_up = make_visit_type(credential="PT"), make_visit_type(credential="PTA")
    both = [therapist(0), therapist(1)]
    within = monday("09:00"), monday("10:00")
    assert offered(evaluation, *both, clinic=make_clinic(people, [evaluation]), within=within) == ["09:00+1"]
    assert offered(follow_up, *both, clinic=make_clinic(people, [follow_up]), within=within) == ["09:00", "09:00+1"]


def test_a_therapist_is_not_offered_for_a_visit_that_they_do_not_perform() -> None:
    clinic = make_clinic([make_therapist(0, visit_types=["other"]), make_therapist(1)])
    within = monday("09:00"), monday("10:00")
    assert offered(HOUR, therapist(0), therapist(1), clinic=clinic, within=within) == ["09:00+1"]
    # Nor for one they gave up since the clinic was last read, nor if they joined after that.
    lately = therapist(1, performs=False), therapist(2)
    assert offered(HOUR, *lately, clinic=clinic, within=within) == []


def test_one_treadmill_serves_two_therapists_one_at_a_time() -> None:
    visit_type = make_visit_type(equipment_kinds=("treadmill",), buffer_after_minutes=15)
    treadmill = place_calendar(device_id(0), "treadmill", "10:15-11:00")
    both = [therapist(0), therapist(1, busy=taken("11:30-11:45"))]
    assert offered(visit_type, *both, equipment=[treadmill]) == ["09:00", "09:00+1", "11:00"]
    with pytest.raises(SlotTaken) as refused:
        placed(visit_type, "10:00", *both, equipment=[treadmill])
    assert refused.value.members == {"conflict": "equipment"}
    spare = place_calendar(device_id(1), "treadmill")
    assert placed(visit_type, "10:00", *both, equipment=[treadmill, spare]).equipment == (device_id(1),)


def test_any_room_of_the_kind_will_do_and_no_other() -> None:
    visit_type = make_visit_type(room_kind="table")
    tables = [place_calendar(room_id(0), "table", "09:00-10:00"), place_calendar(room_id(1), "table", "10:30-12:00")]
    gym = place_calendar(room_id(2), "gym")
    assert offered(visit_type, rooms=[gym, *tables]) == "09:00 09:15 09:30 10:00 10:15 10:30 10:45 11:00".split()
    assert placed(visit_type, "09:30", rooms=[gym, *tables]).room == room_id(1)
    with pytest.raises(SlotTaken) as refused:
        placed(visit_type, "09:45", rooms=[gym, *tables])
    assert refused.value.members == {"conflict": "room"}
    with pytest.raises(SlotTaken):
        placed(visit_type, "11:00", rooms=[gym, *tables], room=room_id(1))
    assert placed(visit_type, "11:00", rooms=[gym, *tables], room=room_id(0)).room == room_id(0)


# Placing


def test_the_least_loaded_therapist_of_the_date_takes_the_visit_then_the_first_listed() -> None:
    yesterday = (monday("00:00") - 300, monday("00:00"))
    tomorrow = (monday("00:00") + 1440, monday("00:00") + 1500)
    busy = therapist(0, busy=taken("06:00-07:01"))
    assert placed(HOUR, "09:00", busy, therapist(1, busy=taken("17:00-18:00"))).therapist == therapist_id(1)
    fair = therapist(1, busy=[*taken("11:00-12:01"), yesterday, tomorrow])
    assert placed(HOUR, "09:00", busy, fair).therapist == therapist_id(0)
    half = therapist(1, busy=[(monday("00:00") - 60, monday("00:30"))])
    assert placed(HOUR, "09:00", busy, half, therapist(2, busy=taken("00:00-00:30"))).therapist == therapist_id(1)


def test_a_visit_is_never_placed_with_somebody_who_may_not_perform_it() -> None:
    evaluation = make_visit_type(credential="PT")
    clinic = make_clinic([make_therapist(0, "PTA"), make_therapist(1)], [evaluation])

    def evaluate(*therapists: TherapistCalendar) -> Placement:
        asked = make_calendar((monday("09:00"), monday("09:01")), evaluation, therapists)
        return place(asked, clinic, evaluation, monday("09:00"))

    assert evaluate(therapist(0), therapist(1, busy=taken("13:00-14:00"))).therapist == therapist_id(1)
    with pytest.raises(OutsideHours):
        evaluate(therapist(0), therapist(1, hours=[]))


def test_staff_may_place_between_the_lines_of_the_grid() -> None:
    assert placed(HOUR, "09:07").therapist == therapist_id(0)


def test_a_patient_is_in_one_visit_at_a_time_but_buffers_are_not_theirs() -> None:
    visit_type = make_visit_type(duration_minutes=30, buffer_before_minutes=15, buffer_after_minutes=15)
    assert placed(visit_type, "10:00", patient_busy=taken("09:30-10:00", "10:30-11:00")).therapist == therapist_id(0)
    for elsewhere in ("09:30-10:01", "10:29-11:00"):
        with pytest.raises(SlotTaken) as refused:
            placed(visit_type, "10:00", patient_busy=taken(elsewhere))
        assert refused.value.members == {"conflict": "patient"}


def test_a_refusal_says_whether_hours_or_another_visit_stand_in_the_way() -> None:
    for start in ("08:59", "11:01"):
        with pytest.raises(OutsideHours):
            placed(HOUR, start)
    with pytest.raises(SlotTaken) as refused:
        placed(HOUR, "09:00", therapist(busy=taken("09:59-10:00")))
    assert refused.value.members == {"conflict": "therapist"}
    pta = make_therapist(0, "PTA")
    evaluation = make_visit_type(credential="PT")
    asked = make_calendar((monday("09:00"), monday("09:01")), evaluation, [therapist()])
    with pytest.raises(NotQualified):
        place(asked, make_clinic([pta], [evaluation]), evaluation, monday("09:00"), therapist=pta)


def test_a_therapist_who_is_named_takes_the_visit_or_nobody_does() -> None:
    people = [make_therapist(0), make_therapist(1)]
    both = [therapist(0), therapist(1, busy=taken("10:00-11:00"))]

    def place_with_the_second(start: str) -> Placement:
        asked = make_calendar((monday(start), monday(start) + 1), HOUR, both)
        return place(asked, make_clinic(people), HOUR, monday(start), therapist=people[1])

    assert place_with_the_second("09:00").therapist == therapist_id(1)
    with pytest.raises(SlotTaken):
        place_with_the_second("09:01")


def test_an_overbooked_visit_takes_free_places_first_but_never_a_busy_patient_or_the_wrong_credential() -> None:
    visit_type = make_visit_type(credential="PT", room_kind="table", equipment_kinds=("treadmill",))
    pt = make_therapist(0)
    rooms = [place_calendar(room_id(0), "table", "08:00-09:00"), place_calendar(room_id(1), "table", "20:00-21:00")]
    treadmill = place_calendar(device_id(0), "treadmill", "07:00-22:00")

    def overbooked(start: str, **calendar: Any) -> Placement:
        everyone = [therapist(busy=taken("07:00-22:00"))]
        asked = make_calendar(
            (monday(start), monday(start) + 1), visit_type, everyone, rooms=rooms, equipment=[treadmill], **calendar
        )
        return overbook(asked, visit_type, monday(start), therapist=pt)

    assert overbooked("08:30") == Placement(therapist=pt.id, room=room_id(1), equipment=(device_id(0),))
    assert overbooked("20:30").room == room_id(0)
    with pytest.raises(SlotTaken) as refused:
        overbooked("08:30", patient_busy=taken("09:29-10:00"))
    assert refused.value.members == {"conflict": "patient"}
    with pytest.raises(NotQualified):
        overbook(make_calendar((0, 1), visit_type, []), visit_type, 0, therapist=make_therapist(0, "PTA"))


# What binds patients


def refusal(visit_type: VisitType, start: int, now: str) -> type[PlacementRefused] | None:
    """Return how a patient's wish is refused, or None."""
    try:
        check_booking_rules(visit_type, make_clinic(), start, datetime.fromisoformat(now))
    except PlacementRefused as refused:
        return type(refused)
    return None


def test_notice_is_kept_to_the_minute_and_seconds_round_up() -> None:
    visit_type = make_visit_type(minimum_notice_minutes=240)
    assert refusal(visit_type, monday("10:00"), "2027-06-07T06:00:00-04:00") is None
    for now in ("2027-06-07T06:00:00.000001-04:00", "2027-06-07T06:00:59-04:00", "2027-06-07T06:01:00-04:00"):
        assert refusal(visit_type, monday("10:00"), now) is TooSoon
        assert earliest_start(visit_type, datetime.fromisoformat(now)) == monday("10:01")


def test_patients_book_online_types_on_the_grid_only() -> None:
    now = "2027-06-07T06:00-04:00"
    assert refusal(HOUR, monday("10:15"), now) is None
    assert refusal(HOUR, monday("10:14"), now) is OutsideHours
    assert refusal(HOUR, monday("10:16"), now) is OutsideHours
    assert refusal(make_visit_type(online=False), monday("10:15"), now) is NotBookableOnline


def test_alternatives_are_the_nearest_starts_and_each_start_once() -> None:
    openings = [Opening(start, number) for start in (60, 90, 105, 120, 180) for number in (0, 1)]
    assert nearest(openings, 100, 3) == [Opening(105, 0), Opening(90, 0), Opening(120, 0)]
    assert nearest(openings, 75, 2) == [Opening(60, 0), Opening(90, 0)]
    assert nearest(openings, 0, 9) == [Opening(start, 0) for start in (60, 90, 105, 120, 180)]
    assert nearest(openings, 500, 2) == [Opening(180, 0), Opening(120, 0)]
    assert nearest([], 100, 3) == []
    # Two as near as each other: the earlier one first, and with whoever is listed first of those who can.
    assert nearest([Opening(90, 1), Opening(90, 2), Opening(110, 0)], 100, 5) == [Opening(90, 1), Opening(110, 0)]
