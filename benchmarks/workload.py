"""Workload W: one clinic of any size, its people, and a month that is more than half booked. The same every time.

A clinic in America/New_York with so many therapists, each at work from Monday to Friday, 07:00 to 12:00 and 13:00 to
19:00. A visit takes 45 minutes, starts on a grid of 15, and needs no room. Of every therapist's minutes in the first
28 days 60 % are booked, at starts drawn with seed 7; the same therapist has the same visits in a clinic of any size.
"""

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

ZONE = ZoneInfo("America/New_York")
VISIT_TYPE = "visit"
DURATION = timedelta(minutes=45)
SEED = 7
DAYS = 28
BOOKED = 0.6

# Wall-clock hours of a working day.
WINDOWS = ((7, 12), (13, 19))

_GRID = timedelta(minutes=15)
_DAY_MINUTES = 60 * sum(closes - opens for opens, closes in WINDOWS)

_CLINIC = """\
code = "workload"
name = "Workload Physical Therapy"
sms_name = "Workload Physical Therapy"
timezone = "America/New_York"
phone = "(201) 555-0100"
address = "100 Sample Plaza, Fair Lawn, NJ 07410"
map_url = "https://www.openstreetmap.org/"
languages = ["en", "es"]
opening_hours = [{{ days = {weekdays}, from = "07:00", to = "19:00" }}]

[booking]
grid_minutes = 15
hold_minutes = 10
buffers_within_hours = false

[messages]
email_from = "Workload <appointments@clinic.example>"
text_window = {{ from = "08:00", to = "21:00" }}
consent_wording_version = "2026-11"

[[reminders]]
template = "reminder_72h"
channel = "email"
lead_hours = 72

[[reminders]]
template = "reminder_24h"
channel = "sms"
lead_hours = 24

[visit_types.{visit_type}]
names = {{ en = "Visit", es = "Visita" }}
bring = {{ en = "", es = "" }}
duration_minutes = 45
online = true
minimum_notice_hours = 24
horizon_days = 120
change_cutoff_hours = 24

{therapists}
"""

_THERAPIST = """\
[therapists.{code}]
name = "Therapist {number}"
credential = "PT"
languages = ["en"]
performs = ["{visit_type}"]
hours = [{windows}]
"""

_WEEKDAYS = '["monday", "tuesday", "wednesday", "thursday", "friday"]'


class Booked(msgspec.Struct, frozen=True):
    """A visit of the workload: the therapist's number, from 0, and the aware start."""

    therapist: int
    starts_at: datetime


def therapist_code(number: int) -> str:
    return f"t{number + 1:03}"


def clinic_file(therapists: int) -> str:
    """Return the clinic as a file that `scheduler apply` takes."""
    windows = ", ".join(
        f'{{ days = {_WEEKDAYS}, from = "{opens:02}:00", to = "{closes:02}:00" }}' for opens, closes in WINDOWS
    )
    people = "\n".join(
        _THERAPIST.format(code=therapist_code(number), number=number + 1, visit_type=VISIT_TYPE, windows=windows)
        for number in range(therapists)
    )
    return _CLINIC.format(weekdays=_WEEKDAYS, visit_type=VISIT_TYPE, therapists=people)


def first_monday(today: date) -> date:
    """Return the first day of the workload: a Monday beyond every visit type's notice."""
    soonest = today + timedelta(days=3)
    return soonest + timedelta(days=-soonest.weekday() % 7)


def booked_visits(therapists: int, first_day: date) -> list[Booked]:
    """Return what is booked, therapist by therapist, each in order of time."""
    draw = random.Random(SEED)  # noqa: S311 - a workload, not a secret
    return [
        Booked(number, starts_at)
        for number in range(therapists)
        for starts_at in sorted(_booked_starts(draw, first_day))
    ]


def free_visits(therapists: int, first_day: date, *, days: int) -> list[Booked]:
    """Return visits that can all be booked beside those of the workload, in an order drawn once.

    ``days`` may reach beyond the first 28, where nothing is booked.
    """
    taken: set[tuple[int, datetime]] = {(one.therapist, one.starts_at) for one in booked_visits(therapists, first_day)}
    found: list[Booked] = []
    for number in range(therapists):
        for starts_at in grid_starts(first_day, days):
            if not _meets(taken, number, starts_at):
                taken.add((number, starts_at))
                found.append(Booked(number, starts_at))
    random.Random(SEED).shuffle(found)  # noqa: S311
    return found


def grid_starts(first_day: date, days: int) -> Iterator[datetime]:
    """Yield every start at which a visit fits into somebody's working hours, in order."""
    for offset in range(days):
        day = first_day + timedelta(days=offset)
        if day.weekday() >= 5:  # noqa: PLR2004 - Saturday
            continue
        for opens, closes in WINDOWS:
            starts_at = datetime.combine(day, time(opens), ZONE)
            while starts_at + DURATION <= datetime.combine(day, time(closes), ZONE):
                yield starts_at
                starts_at += _GRID


def _booked_starts(draw: random.Random, first_day: date) -> list[datetime]:
    starts = list(grid_starts(first_day, DAYS))
    working_days = len({starts_at.date() for starts_at in starts})
    wanted = BOOKED * working_days * _DAY_MINUTES
    draw.shuffle(starts)
    booked: set[tuple[int, datetime]] = set()
    for starts_at in starts:
        if len(booked) * DURATION >= timedelta(minutes=wanted):
            break
        if not _meets(booked, 0, starts_at):
            booked.add((0, starts_at))
    return [starts_at for _, starts_at in booked]


def _meets(taken: set[tuple[int, datetime]], therapist: int, starts_at: datetime) -> bool:
    """Whether a visit would overlap one that is taken. Wall-clock arithmetic will do: no visit is at night."""
    reach = range(-2, 3)
    return any((therapist, starts_at + offset * _GRID) in taken for offset in reach)
