"""Clinics, visit types and calendars for tests: whole and valid, so that a test names only what it is about."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from scheduler.domain.availability import calendar_bounds
from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar, WeeklyWindow
from scheduler.domain.clinics import Clinic, ClinicSettings, Credential, Place, Therapist, VisitType

NEW_YORK = ZoneInfo("America/New_York")

_SETTINGS = ClinicSettings(
    name="Test Clinic",
    sms_name="Test Clinic",
    phone="+12015550100",
    address="1 Test Street, Fair Lawn, NJ",
    map_url="",
    email_from="clinic@example.test",
    hosts=(),
    languages=("en", "es"),
    opening_hours=((), (), (), (), (), (), ()),
    grid_minutes=15,
    hold_minutes=10,
    buffers_within_hours=False,
    text_window=(480, 1260),
    consent_wording_version="1",
    reminders=(),
)

_VISIT_TYPE = VisitType(
    code="visit",
    names={"en": "Visit", "es": "Visita"},
    bring={},
    duration_minutes=60,
    buffer_before_minutes=0,
    buffer_after_minutes=0,
    credential=None,
    room_kind=None,
    equipment_kinds=(),
    online=True,
    minimum_notice_minutes=0,
    horizon_days=60,
    change_cutoff_minutes=0,
)


def make_visit_type(**changes: Any) -> VisitType:
    """Return an hour-long visit that anybody may perform anywhere, with the named fields changed."""
    return msgspec.structs.replace(_VISIT_TYPE, **changes)


def make_therapist(
    number: int, credential: Credential = "PT", visit_types: Iterable[str] = (_VISIT_TYPE.code,)
) -> Therapist:
    """Return therapist ``number`` (from 0, in the clinic's order), whose id ``therapist_id`` tells."""
    return Therapist(
        id=therapist_id(number),
        code=f"therapist-{number}",
        display_name=f"Therapist {number}",
        credential=credential,
        languages=("en",),
        visit_types=frozenset(visit_types),
    )


def make_place(place_id: UUID, kind: str) -> Place:
    """Return a room or a device of a kind."""
    return Place(id=place_id, code=f"{kind}-{place_id.int}", display_name=kind, kind=kind)


def make_clinic(
    therapists: Sequence[Therapist] | None = None,
    visit_types: Sequence[VisitType] = (_VISIT_TYPE,),
    *,
    timezone: str = "America/New_York",
    **settings: Any,
) -> Clinic:
    """Return a clinic of one therapist unless told otherwise; ``settings`` change its ClinicSettings."""
    return Clinic(
        id=UUID(int=1),
        code="test",
        timezone=timezone,
        settings=msgspec.structs.replace(_SETTINGS, **settings),
        visit_types={visit_type.code: visit_type for visit_type in visit_types},
        therapists={therapist.code: therapist for therapist in therapists or [make_therapist(0)]},
        rooms={},
        equipment={},
    )


def make_calendar(
    within: tuple[int, int],
    visit_type: VisitType,
    therapists: Sequence[TherapistCalendar],
    *,
    rooms: Sequence[PlaceCalendar] = (),
    equipment: Sequence[PlaceCalendar] = (),
    closures: Mapping[date, Sequence[tuple[int, int]]] | None = None,
    patient_busy: Sequence[tuple[int, int]] = (),
) -> Calendar:
    """Return the calendar that a question about starts ``within`` a stretch of epoch minutes is owed, and no more."""
    start, end = calendar_bounds(visit_type, *within)
    return Calendar(
        start=start,
        end=end,
        therapists=therapists,
        rooms=rooms,
        equipment=equipment,
        closures=dict(closures or {}),
        patient_busy=patient_busy,
    )


def weekly(weekdays: Iterable[int], starts: str, ends: str) -> list[WeeklyWindow]:
    """Return the same window on several ISO weekdays, its times as "HH:MM"; past "24:00" is the next day."""
    return [WeeklyWindow(weekday=weekday, starts=clock(starts), ends=clock(ends)) for weekday in weekdays]


def wall_windows(*texts: str) -> list[tuple[int, int]]:
    """Return the wall-clock minutes of windows such as "22:00-26:00"."""
    return [(clock(start), clock(end)) for start, _, end in (text.partition("-") for text in texts)]


def clock(text: str) -> int:
    """Return the minute of the day of "HH:MM"."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def minute(text: str) -> int:
    """Return the epoch minute of an ISO 8601 instant with its offset, as in "2027-03-14T03:00-04:00"."""
    seconds = int(datetime.fromisoformat(text).timestamp())
    assert seconds % 60 == 0, text
    return seconds // 60


def span(start: str, end: str) -> tuple[int, int]:
    """Return the epoch minutes between two ISO 8601 instants."""
    return minute(start), minute(end)


def therapist_id(number: int) -> UUID:
    return UUID(int=100 + number)


def room_id(number: int) -> UUID:
    return UUID(int=200 + number)


def device_id(number: int) -> UUID:
    return UUID(int=300 + number)
