"""What the second step shows: with whom, on which day, at what time."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from scheduler.domain.availability import earliest_start
from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.domain.times import day_end, day_start, epoch_minute, instant_at
from scheduler.domain.visits import Visit
from scheduler.errors import InvalidRequest
from scheduler.services.availability import Slot, list_slots, next_opening
from scheduler.store.connections import Connection
from scheduler.store.hours import DatedRow, fetch_closures
from scheduler.web.pages.dates import PARTS_OF_DAY, PartOfDay, part_of_day
from scheduler.web.reading import Problems, read_start

# How many clinic days the strip shows, and how many calendar days they are looked for in.
DAYS_SHOWN = 7
_DAYS_READ = 14
_WEEK = timedelta(days=DAYS_SHOWN)
_ONE_DAY = timedelta(days=1)

# How an address says "first available" where somebody in particular is meant by default.
ANYBODY = "any"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the visitor has chosen so far. ``first`` is where the strip of days begins, where they have moved it.

    ``moving`` is the visit for which they choose another time, and ``page`` where they do; to book, neither is set.
    """

    who: Therapist | None = None
    day: date | None = None
    first: date | None = None
    moving: Visit | None = None
    page: str = ""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One way to be treated: by a therapist, or None for whoever is free first. ``opening`` is in clinic time."""

    therapist: Therapist | None
    opening: datetime | None
    chosen: bool
    url: str


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic date of the strip, and how many different starts are open on it."""

    date: date
    open: int
    chosen: bool
    url: str


class Time(msgspec.Struct, frozen=True, kw_only=True):
    """A start in clinic time with those who are free then; none where it was taken a moment ago."""

    starts_at: datetime
    therapists: list[Therapist]


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """The second step as its page shows it; ``today`` is the clinic's date now."""

    today: date
    who: Therapist | None
    choices: list[Choice]
    days: list[Day]
    day: date | None
    parts: list[tuple[PartOfDay, list[Time]]]
    earlier: str | None
    more: str | None


def times_url(visit_type: VisitType, wish: Wish) -> str:
    """Return the address of the second step with these choices made."""
    query = {
        "who": wish.who.code if wish.who else ANYBODY if wish.moving else None,
        "day": wish.day.isoformat() if wish.day else None,
        "from": wish.first.isoformat() if wish.first else None,
    }
    text = urlencode({name: value for name, value in query.items() if value})
    return (wish.page or f"/book/t/{visit_type.code}") + (f"?{text}" if text else "")


def read_slot(text: str, now: datetime) -> datetime:
    """Return the start that a slot's button stands for, or now if it is past by now. Raises InvalidRequest."""
    problems = Problems()
    starts_at = read_start(text, "/start", problems, now=now, staff=False)
    if any(problem.code != "time-in-the-past" for problem in problems):
        raise InvalidRequest(*problems)
    return max(starts_at, now)


def read_wish(
    query: dict[str, str], clinic: Clinic, visit_type: VisitType, *, moving: Visit | None = None, page: str = ""
) -> Wish:
    """Return what an address says; what it says wrongly counts as not said.

    A visit that is moving stays with its therapist unless somebody else, or anybody, is asked for.
    """
    who = clinic.therapists.get(query.get("who", ""))
    if moving is not None and who is None and query.get("who") != ANYBODY:
        who = clinic.therapists_by_id.get(moving.therapist_id)
    return Wish(
        who=who if who and who.may_perform(visit_type) else None,
        day=_read_date(query.get("day", "")),
        first=_read_date(query.get("from", "")),
        moving=moving,
        page=page,
    )


async def find_times(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    wish: Wish,
    *,
    now: datetime,
    taken: datetime | None = None,
) -> Times:
    """Return the choices of the second step. ``taken`` is a start that was lost a moment ago, shown struck through."""
    choices = await _choices(connection, clinic, visit_type, wish, now)
    first_day = instant_at(earliest_start(visit_type, now), clinic.zone).date()
    last_day = clinic.local(now).date() + timedelta(days=visit_type.horizon_days)
    opening = next(choice.opening for choice in choices if choice.chosen)
    likely = opening.date() if opening else first_day
    if wish.moving:
        # Whoever moves a visit is thought to want a time near the one it has.
        likely = max(likely, clinic.local(wish.moving.starts_at).date())
    begin = _begin(wish, first_day, last_day, likely)
    end = min(begin + timedelta(days=_DAYS_READ - 1), last_day)
    by_day = await _times_by_day(connection, clinic, visit_type, wish, begin, end, now)
    closed = {day for day, row in (await fetch_closures(connection, clinic.id)).items() if _is_closed(row)}
    dates = [
        day
        for day in (begin + timedelta(days=offset) for offset in range((end - begin).days + 1))
        if day in by_day or (day not in closed and clinic.settings.opening_hours[day.weekday()])
    ][:DAYS_SHOWN]
    chosen = wish.day if wish.day in dates else next((day for day in dates if day in by_day), next(iter(dates), None))
    times = by_day.get(chosen, []) if chosen else []
    # With somebody else the same start may be open still; then it is no longer lost.
    if taken and taken.date() == chosen and taken not in [one.starts_at for one in times]:
        times = sorted([*times, Time(starts_at=taken, therapists=[])], key=lambda time: epoch_minute(time.starts_at))
    turned = wish.first and begin
    after = dates[-1] + _ONE_DAY if dates else last_day + _ONE_DAY
    return Times(
        today=clinic.local(now).date(),
        who=wish.who,
        choices=choices,
        days=[
            Day(
                date=day,
                open=len(by_day.get(day, [])),
                chosen=day == chosen,
                url=times_url(visit_type, msgspec.structs.replace(wish, day=day, first=turned)),
            )
            for day in dates
        ],
        day=chosen,
        parts=[(part, found) for part in PARTS_OF_DAY if (found := [one for one in times if _part(one) == part])],
        earlier=_strip_url(visit_type, wish, max(first_day, begin - _WEEK)) if begin > first_day else None,
        more=_strip_url(visit_type, wish, after) if after <= last_day else None,
    )


async def _choices(
    connection: Connection, clinic: Clinic, visit_type: VisitType, wish: Wish, now: datetime
) -> list[Choice]:
    openings: list[tuple[Therapist | None, datetime | None]] = []
    # The strip may be longer than a telephone is wide, and whoever is chosen by default must be seen.
    own = wish.moving.therapist_id if wish.moving else None
    for therapist in sorted(clinic.therapists.values(), key=lambda therapist: therapist.id != own):
        if therapist.may_perform(visit_type):
            start = await next_opening(
                connection, clinic, visit_type, after=epoch_minute(now), now=now, therapist=therapist,
                moving=wish.moving,
            )  # fmt: skip
            openings.append((therapist, instant_at(start, clinic.zone) if start else None))
    soonest = min((opening for _, opening in openings if opening), default=None)
    return [
        Choice(
            therapist=therapist,
            opening=opening,
            chosen=therapist == wish.who,
            url=times_url(visit_type, msgspec.structs.replace(wish, who=therapist, day=None, first=None)),
        )
        for therapist, opening in [(None, soonest), *openings]
    ]


def _begin(wish: Wish, first_day: date, last_day: date, likely: date) -> date:
    """Return the first date of the strip: the first that may be booked, unless what is wanted lies beyond a week."""
    wanted = wish.first or wish.day or likely
    near = wish.first is None and wanted < first_day + _WEEK
    return first_day if near else min(max(wanted, first_day), last_day)


async def _times_by_day(
    connection: Connection, clinic: Clinic, visit_type: VisitType, wish: Wish, begin: date, end: date, now: datetime
) -> dict[date, list[Time]]:
    found = await list_slots(
        connection,
        clinic,
        visit_type,
        within=(day_start(begin, clinic.zone), day_end(end, clinic.zone)),
        now=now,
        therapist=wish.who,
        moving=wish.moving,
    )
    # By minute: two starts an hour apart can have the same clock time when the clocks go back.
    by_start: dict[int, list[Slot]] = defaultdict(list)
    for slot in found.items:
        by_start[epoch_minute(slot.starts_at)].append(slot)
    by_day: dict[date, list[Time]] = defaultdict(list)
    for slots in by_start.values():
        starts_at = slots[0].starts_at
        therapists = [clinic.therapists[slot.therapist] for slot in slots]
        by_day[starts_at.date()].append(Time(starts_at=starts_at, therapists=therapists))
    return dict(by_day)


def _strip_url(visit_type: VisitType, wish: Wish, first: date) -> str:
    return times_url(visit_type, msgspec.structs.replace(wish, day=None, first=first))


def _part(time: Time) -> PartOfDay:
    return part_of_day(time.starts_at)


def _is_closed(row: DatedRow) -> bool:
    return not row.removed and not row.plan.windows


def _read_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
