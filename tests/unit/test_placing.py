"""Who and what takes a visit: the edges of choosing a therapist, a room, a device, and of squeezing somebody in."""

from uuid import UUID

import pytest

from scheduler.domain.availability import (
    Opening,
    calendar_bounds,
    check_booking_rules,
    nearest,
    overbook,
    place,
    with_buffers,
)
from scheduler.errors import NotQualified, OutsideHours, SlotTaken, TooFarAhead
from tests.unit.factories import (
    device_id,
    make_calendar,
    make_clinic,
    make_therapist,
    make_visit_type,
    room_id,
    therapist_id,
)
from tests.unit.test_availability import HOUR, monday, offered, place_calendar, placed, taken, therapist
from tests.unit.test_messages import at


def test_a_visit_takes_its_time_and_its_buffers_and_a_calendar_must_show_all_that_it_may_touch() -> None:
    visit_type = make_visit_type(duration_minutes=30, buffer_before_minutes=5, buffer_after_minutes=10)
    assert with_buffers(visit_type, 1000) == (995, 1040)
    assert calendar_bounds(visit_type, 1000, 1100) == (955, 1145)


def test_whoever_is_named_and_not_qualified_is_refused_before_anything_is_looked_at() -> None:
    evaluation = make_visit_type(credential="PT")
    pta = make_therapist(0, "PTA")
    nobody = make_calendar((monday("09:00"), monday("09:01")), evaluation, [])
    with pytest.raises(NotQualified):
        place(nobody, make_clinic([pta], [evaluation]), evaluation, monday("09:00"), therapist=pta)
    with pytest.raises(OutsideHours):
        place(nobody, make_clinic([pta], [evaluation]), evaluation, monday("09:00"))


def test_what_somebody_has_on_another_date_is_no_load() -> None:
    another = [(monday("00:00") - 100 - 10 * number, monday("00:00") - 95 - 10 * number) for number in range(5)]
    first, second = therapist(0, busy=another), therapist(1, busy=taken("17:00-17:01"))
    assert placed(HOUR, "09:00", first, second).therapist == therapist_id(0)
    later = [(monday("00:00") + 1440 + 10 * number, monday("00:00") + 1445 + 10 * number) for number in range(5)]
    assert placed(HOUR, "09:00", therapist(0, busy=later), second).therapist == therapist_id(0)


def test_a_room_of_the_kind_is_taken_in_order_unless_one_is_named() -> None:
    visit_type = make_visit_type(room_kind="table", equipment_kinds=("treadmill",))
    rooms = [
        place_calendar(room_id(0), "gym"),
        place_calendar(room_id(1), "table"),
        place_calendar(room_id(2), "table"),
    ]
    devices = [place_calendar(device_id(0), "bike"), place_calendar(device_id(1), "treadmill")]
    anywhere = placed(visit_type, "09:00", rooms=rooms, equipment=devices)
    assert (anywhere.room, anywhere.equipment) == (room_id(1), (device_id(1),))
    assert placed(visit_type, "09:00", room=room_id(2), rooms=rooms, equipment=devices).room == room_id(2)
    with pytest.raises(SlotTaken) as refused:
        placed(visit_type, "09:00", room=room_id(0), rooms=rooms, equipment=devices)
    assert refused.value.members == {"conflict": "room"}
    with pytest.raises(SlotTaken) as refused:
        placed(visit_type, "09:00", rooms=rooms, equipment=devices[:1])
    assert refused.value.members == {"conflict": "equipment"}
    assert placed(HOUR, "09:00", rooms=rooms).room is None


def squeezed(room: UUID | None = None, *, busy: str = "08:00-09:01", kind: str | None = "table") -> UUID | None:
    visit_type = make_visit_type(room_kind=kind)
    rooms = [
        place_calendar(room_id(0), "gym"),
        place_calendar(room_id(1), "table", busy),
        place_calendar(room_id(2), "table"),
    ]
    asked = make_calendar((monday("09:00"), monday("09:01")), visit_type, [therapist()], rooms=rooms)
    return overbook(asked, visit_type, monday("09:00"), therapist=make_therapist(0), room=room).room


def test_whoever_is_squeezed_in_gets_a_room_of_the_kind_that_is_free_at_the_start_or_the_one_that_was_named() -> None:
    assert squeezed() == room_id(2)
    assert squeezed(busy="08:00-09:00") == room_id(1)
    assert squeezed(room_id(0)) == room_id(0)
    assert squeezed(kind="pool") is None
    assert squeezed(kind=None) is None


def test_a_patient_may_come_the_minute_another_visit_of_theirs_ends() -> None:
    assert offered(HOUR, patient_busy=taken("08:00-09:00", "10:00-12:00")) == ["09:00"]
    assert offered(HOUR, patient_busy=taken("08:00-09:01", "10:01-12:00")) == []


def test_the_horizon_ends_with_its_date() -> None:
    visit_type = make_visit_type(horizon_days=2)
    clinic = make_clinic(visit_types=[visit_type])
    now = at("2027-06-07 15:00")
    last = monday("00:00") + 3 * 1440 - 15
    check_booking_rules(visit_type, clinic, last, now)
    with pytest.raises(TooFarAhead):
        check_booking_rules(visit_type, clinic, last + 15, now)


def test_of_a_start_that_several_could_take_the_therapist_listed_first_is_named() -> None:
    openings = [Opening(start, number) for start in (90, 100, 110) for number in (0, 1)]
    assert nearest(openings, 100, 3) == [Opening(100, 0), Opening(90, 0), Opening(110, 0)]
    assert nearest(openings, 104, 2) == [Opening(100, 0), Opening(110, 0)]
    assert nearest(openings, 500, 1) == [Opening(110, 0)]
    assert nearest([], 100, 3) == []


def test_codes_and_ids_of_therapists_name_each_other() -> None:
    clinic = make_clinic([make_therapist(0)])
    assert clinic.therapist_code(therapist_id(0)) == "therapist-0"
    assert clinic.therapist_code(therapist_id(9)) == str(therapist_id(9))
