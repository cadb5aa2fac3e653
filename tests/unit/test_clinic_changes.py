"""What applying a clinic file says that it changes: codes and hours in words, and never what people are called."""

from datetime import date

import msgspec
import pytest

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinic_changes import (
    Change,
    Kind,
    contents,
    day_words,
    describe,
    difference,
    summarise,
    weekly_words,
)
from scheduler.domain.clinic_files import DatedWindows, parse
from tests.unit.test_clinic_files import MINIMAL


def change(kind: Kind, subject: str, text: str = "name changed", clinic: str = "hill") -> Change:
    return Change(clinic=clinic, kind=kind, subject=subject, text=text)


NEW_CLINIC = change("added", "clinic hill", "1 visit type")


def test_of_a_clinic_that_is_new_as_a_whole_only_that_is_said() -> None:
    other = change("added", "therapist rivera", clinic="lake")
    assert summarise([NEW_CLINIC, change("added", "room room-1"), other]) == [NEW_CLINIC, other]


@pytest.mark.parametrize(
    "first",
    [change("changed", "clinic hill"), change("added", "clinic lake"), change("added", "therapist hill")],
)
def test_whatever_else_is_said_about_a_clinic_hides_nothing(first: Change) -> None:
    both = [first, change("added", "room room-1")]
    assert summarise(both) == both


def test_changes_are_told_line_by_line_under_their_clinic_with_a_sign_and_how_many_there_are() -> None:
    changes = [
        change("added", "room room-1", "added"),
        change("changed", "visit type eval", "online changed", clinic="lake"),
        change("removed", "room room-2", "removed"),
        change("kept", "therapist rivera", "the desk's time off stays"),
    ]
    told = [
        "hill",
        "  + room room-1: added",
        "  - room room-2: removed",
        "  = therapist rivera: the desk's time off stays",
        "lake",
        "  ~ visit type eval: online changed",
    ]
    assert describe(changes) == [*told, "3 changes made."]
    assert describe(changes, dry_run=True) == [*told, "3 changes to make; nothing was changed."]
    assert describe(changes[:1]) == [*told[:2], "1 change made."]


def test_what_is_kept_is_no_change() -> None:
    kept = change("kept", "closure 2026-12-24", "stays")
    assert describe([kept]) == ["hill", "  = closure 2026-12-24: stays", "Nothing to change."]
    assert describe([], dry_run=True) == ["Nothing to change."]


def test_a_new_clinic_is_told_by_what_it_has() -> None:
    file = parse(MINIMAL, "clinic.toml")
    assert contents(file) == "1 visit type, 1 therapist, 1 room, 1 device, 1 closure"
    larger = msgspec.structs.replace(
        file,
        visit_types=file.visit_types * 6,
        therapists=file.therapists * 4,
        rooms=(),
        equipment=file.equipment * 2,
        closures=file.closures * 3,
    )
    assert contents(larger) == "6 visit types, 4 therapists, 0 rooms, 2 devices, 3 closures"


@pytest.mark.parametrize(
    ("field", "was", "wanted", "sentence"),
    [
        ("duration_minutes", 45, 60, "duration_minutes changed from 45 to 60"),
        ("online", True, False, "online changed from true to false"),
        ("credential", "PT", None, "credential changed from PT to none"),
        ("kind", "gym", "private", "kind changed from gym to private"),
        ("room_kind", None, "gym", "room_kind changed from none to gym"),
        ("timezone", "America/Chicago", "America/Denver", "timezone changed from America/Chicago to America/Denver"),
        ("equipment_kinds", ("treadmill", "pool"), (), "equipment_kinds changed from treadmill, pool to none"),
        ("languages", ["en"], ["en", "es"], "languages changed from en to en, es"),
        # What people and places are called is in no line that is printed or kept.
        ("display_name", "A. Rivera", "B. Rivera", "display_name changed"),
        ("email", None, "rivera@clinic.example", "email changed"),
        ("names", {"en": "Visit"}, {"en": "First visit"}, "names changed"),
    ],
)
def test_both_values_are_told_of_numbers_and_codes_alone(
    field: str, was: object, wanted: object, sentence: str
) -> None:
    assert difference(field, was, wanted) == sentence


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (WeeklyWindow(1, 480, 720), "hours on Monday 08:00-12:00"),
        (WeeklyWindow(7, 0, 1440), "hours on Sunday 00:00-24:00"),
        (WeeklyWindow(5, 1330, 1441), "hours on Friday 22:10-00:01 next day"),
        (
            WeeklyWindow(3, 545, 1020, date(2027, 1, 4), date(2027, 5, 31)),
            "hours on Wednesday 09:05-17:00 from 2027-01-04 until 2027-05-31",
        ),
    ],
)
def test_weekly_hours_are_told_as_a_week_is_spoken_of(window: WeeklyWindow, words: str) -> None:
    assert weekly_words(window) == words


def test_a_date_is_told_with_its_pieces_or_as_off() -> None:
    day = date(2026, 12, 24)
    assert day_words("closure", DatedWindows(day, ((420, 780),), "")) == "closure on 2026-12-24 (07:00-13:00)"
    assert day_words("override", DatedWindows(day, ((420, 600), (660, 780)), "")) == (
        "override on 2026-12-24 (07:00-10:00, 11:00-13:00)"
    )
    assert day_words("closure", DatedWindows(day, (), "")) == "closure on 2026-12-24 (all day off)"
