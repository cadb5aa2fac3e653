"""The people of a busy clinic and everything that happens to their visits, made up from a seed."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, get_args
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec

NEW_YORK = ZoneInfo("America/New_York")
_NAMES = UUID(int=2027)

# The front desk works through what came in twice a day, where it is.
DESK_TIMES = (time(9, 5), time(16, 5))

# From where patients come, and what their clocks show. Of a hundred, so many have a phone from there.
_AREAS = {
    "America/New_York": (86, "201 551 609 732 848 856 862 908 973 212 315 332 347 516 518 585 607 631 646 716 718 845"),
    "America/Chicago": (5, "312 773 630 708"),
    "America/Los_Angeles": (6, "310 213 415 510 619"),
    "Pacific/Honolulu": (3, "808"),
}
_COURSES = ((0, 3), (1, 3), (0, 2, 4), (1, 4), (2, 5))  # weekdays of follow-ups, Monday first

What = Literal["text_consent", "unsubscribe", "book", "move", "confirm", "cancel", "close"]

# In which order the desk does what it does at one time.
_ORDER: tuple[What, ...] = get_args(What)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A patient; ``zone`` is what the area code of their phone says.

    ``texts`` is whether they agreed to texts when they first called, ``frequent`` to more than usual.
    """

    id: UUID
    phone: str
    zone: str
    email: str | None
    language: str
    texts: bool
    frequent: bool


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens to a patient or a visit. ``starts_at`` is the visit's new start, ``granted`` a consent."""

    at: datetime
    what: What
    person: Person
    visit: UUID | None = None
    visit_type: str = ""
    starts_at: datetime | None = None
    granted: bool = False


class Year(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that will happen, in order, and when nobody plans or sends for a while."""

    people: list[Person]
    events: list[Event]
    desk_times: list[datetime]
    without_planner: tuple[datetime, datetime]
    without_worker: tuple[datetime, datetime]


def make_year(
    first: date, last: date, *, therapists: int, patients: int, closed: set[date], snow: set[date], seed: int
) -> Year:
    """Return what happens between two dates. ``snow`` are days that close when their visits are booked already."""
    return _Maker(first, last, therapists, closed, snow, random.Random(seed)).make(patients)


class _Maker:
    def __init__(
        self, first: date, last: date, therapists: int, closed: set[date], snow: set[date], chance: random.Random
    ) -> None:
        self.first, self.last, self.therapists, self.closed, self.snow = first, last, therapists, closed, snow
        self.chance = chance
        self.events: list[Event] = []
        self.busy: dict[datetime, int] = {}
        self.people: list[Person] = []
        self.numbers = {zone: iter(_numbers(areas)) for zone, (_, areas) in _AREAS.items()}

    def make(self, patients: int) -> Year:
        days = (self.last - self.first).days
        for _ in range(patients):
            self._course(self.first + timedelta(days=self.chance.randrange(days)))
        for day in self.snow:
            self._close(day)
        self.events.sort(key=lambda event: (event.at, _ORDER.index(event.what), event.person.phone))
        middle = self.first + timedelta(days=days // 2)
        middle += timedelta(days=(1 - middle.weekday()) % 7)  # a Tuesday
        return Year(
            people=self.people,
            events=self.events,
            desk_times=[wall(day, at) for day in self._every_day() for at in DESK_TIMES],
            without_planner=(wall(middle, time(12)), wall(middle + timedelta(days=3), time(9))),
            without_worker=(wall(middle + timedelta(days=7), time(11)), wall(middle + timedelta(days=7), time(15))),
        )

    def _every_day(self) -> Iterator[date]:
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)

    def _course(self, first: date) -> None:
        """Let one patient come for an evaluation and then two or three times a week, for two to five weeks."""
        person = self._person()
        called = self._desk_time(first - timedelta(days=self.chance.choice((1, 2, 4, 7, 10, 14))))
        if not person.texts and self.chance.random() < 0.4:
            self._say(person, self._desk_time(first + timedelta(days=self.chance.randrange(-2, 20))), granted=True)
        visits = [self._visit(person, first, "eval-run", called)]
        weekdays = self.chance.choice(_COURSES)
        for number in range(7 * self.chance.randrange(2, 6)):
            day = first + timedelta(days=number + 1)
            if day.weekday() in weekdays:
                ahead = self.chance.choice((0, 0, 0, 1, 1, 3, 6))
                booked_at = max(called, self._desk_time(day - timedelta(days=ahead)) if ahead else called)
                visits.append(self._visit(person, day, "follow-up", booked_at))
        if person.texts and self.chance.random() < 0.06:
            self._opt_out(person, [visit for visit in visits if visit])
        if person.email and self.chance.random() < 0.04:
            self._add(self._desk_time(first + timedelta(days=9)), "unsubscribe", person)

    def _person(self) -> Person:
        zones = list(_AREAS)
        zone = self.chance.choices(zones, weights=[_AREAS[zone][0] for zone in zones])[0]
        phone = next(self.numbers[zone], None) or next(self.numbers["America/New_York"])
        zone = next(name for name, (_, areas) in _AREAS.items() if phone[2:5] in areas.split())
        person = Person(
            id=uuid5(_NAMES, phone), phone=phone, zone=zone,
            email=f"p{phone[1:]}@example.com" if self.chance.random() < 0.75 else None,
            language=self.chance.choice(("en", "en", "es")), texts=self.chance.random() < 0.84,
            frequent=self.chance.random() < 0.12,
        )  # fmt: skip
        self.people.append(person)
        return person

    def _visit(self, person: Person, day: date, visit_type: str, booked_at: datetime) -> tuple[UUID, datetime] | None:
        """Book a visit and let something happen to it; return it with its last start, or None where none fits."""
        starts_at = self._slot(day)
        if starts_at is None or starts_at <= booked_at + timedelta(hours=1):
            return None
        visit = uuid5(person.id, f"{visit_type} {starts_at}")
        self._add(booked_at, "book", person, visit, visit_type=visit_type, starts_at=starts_at)
        times = [at for at in self._desk_times(booked_at.date(), starts_at.date()) if booked_at < at < starts_at]
        happens = self.chance.random()
        if happens < 0.08 and times:
            moved_at = self.chance.choice(times)
            later = self._slot(max(day, moved_at.date()) + timedelta(days=self.chance.randrange(1, 5)))
            if later is not None:
                self._add(moved_at, "move", person, visit, visit_type=visit_type, starts_at=later)
                starts_at = later
        elif happens < 0.16 and times:
            self._add(self.chance.choice(times[-10:]), "cancel", person, visit)
        elif happens < 0.40 and times:
            self._add(self.chance.choice(times[-12:]), "confirm", person, visit)
        return visit, starts_at

    def _opt_out(self, person: Person, visits: list[tuple[UUID, datetime]]) -> None:
        """Let a patient stop the texts in the middle of their course, and in half of all cases start them again."""
        starts = sorted(starts_at for _, starts_at in visits)
        if len(starts) < 4:
            return
        stopped = starts[1].date()
        self._say(person, self._desk_time(stopped), granted=False)
        if self.chance.random() < 0.5:
            self._say(person, self._desk_time(stopped + timedelta(days=self.chance.randrange(1, 9))), granted=True)

    def _close(self, day: date) -> None:
        """Cancel what stands on a day, the working day before."""
        closed_at = wall(day - timedelta(days=1), DESK_TIMES[1])
        gone = {event.visit for event in self.events if event.what == "cancel"}
        starts = {event.visit: event for event in sorted(self.events, key=lambda one: one.at) if event.starts_at}
        for visit, event in starts.items():
            assert event.starts_at is not None
            if event.starts_at.astimezone(NEW_YORK).date() == day and visit not in gone and event.at < closed_at:
                self._add(closed_at, "close", event.person, visit)

    def _say(self, person: Person, at: datetime, *, granted: bool) -> None:
        self.events.append(Event(at=at, what="text_consent", person=person, granted=granted))

    def _add(self, at: datetime, what: What, person: Person, visit: UUID | None = None, **more: Any) -> None:
        self.events.append(Event(at=at, what=what, person=person, visit=visit, **more))

    def _desk_time(self, day: date) -> datetime:
        return wall(max(day, self.first), self.chance.choice(DESK_TIMES))

    def _desk_times(self, first: date, last: date) -> list[datetime]:
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        return [wall(day, at) for day in days for at in DESK_TIMES]

    def _slot(self, day: date) -> datetime | None:
        """Return an hour at which somebody is free on a day, or None."""
        if day.weekday() == 6 or day in self.closed or not self.first <= day <= self.last:
            return None
        hours = range(7, 19) if day.weekday() < 5 else range(8, 13)
        for _ in range(6):
            starts_at = wall(day, time(self.chance.choice(hours)))
            if self.busy.get(starts_at, 0) < self.therapists:
                self.busy[starts_at] = self.busy.get(starts_at, 0) + 1
                return starts_at
        return None


def wall(day: date, at: time) -> datetime:
    """Return the instant at which the clinic's clocks show this."""
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def _numbers(areas: str) -> Iterator[str]:
    for number in range(100, 200):
        for area in areas.split():
            yield f"+1{area}5550{number}"
