"""Which messages a year should bring, worked out again from the clinic's file, slowly and without its code.

Whoever changes a rule of reminders changes it here as well, by hand: this is the other opinion.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from tests.integration.year.world import Event, Person, Year

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLANNED_AHEAD = timedelta(hours=36)
NEVER = datetime.max.replace(tzinfo=UTC)

# Visit, kind, template, channel, and when.
Sent = tuple[UUID, str, str, str, datetime]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the clinic's file says: the rungs as they are written, the hours for texts, and texts a day and a week."""

    ladder: Sequence[dict[str, Any]]
    opens: time
    closes: time
    usual: tuple[int, int]
    frequent: tuple[int, int]


class Stretch(msgspec.Struct, kw_only=True):
    """A visit while it has one start: since when, until when, and when it was confirmed there."""

    visit: UUID
    visit_type: str
    person: Person
    booked_at: datetime
    told_at: datetime
    starts_at: datetime
    until: datetime = NEVER
    confirmed_at: datetime = NEVER


class Hope(msgspec.Struct, frozen=True, kw_only=True):
    """A message that leaves at a moment unless something is in the way. ``order`` is that of its row."""

    stretch: Stretch
    kind: str
    template: str
    channel: str
    ready_at: datetime
    expires_at: datetime
    order: tuple[Any, ...]
    rung: dict[str, Any] | None = None


def promised(year: Year, rules: Rules) -> Counter[Sent]:
    """Return how often each message should leave, and when."""
    return _Oracle(year, rules).sent()


class _Oracle:
    def __init__(self, year: Year, rules: Rules) -> None:
        self.rules = rules
        self.worker_off = year.without_worker
        off, on = year.without_planner
        self.runs = [at for at in year.desk_times if not off <= at < on]
        self.consents: dict[UUID, list[tuple[datetime, bool]]] = defaultdict(list)
        self.unsubscribed: dict[UUID, datetime] = {}
        self.hopes: list[Hope] = []
        for person in year.people:
            if person.texts:
                self.consents[person.id].append((datetime.min.replace(tzinfo=UTC), True))
        stretches = list(self._live_through(year.events))
        for number, stretch in enumerate(sorted(stretches, key=lambda one: (one.starts_at, one.visit))):
            self.hopes += self._reminders(stretch, number)

    def _live_through(self, events: Iterable[Event]) -> Iterator[Stretch]:
        """Go through what happens in order, hoping for its notices; yield what each visit was in turn."""
        current: dict[UUID, Stretch] = {}
        for number, event in enumerate(events):
            if event.what == "text_consent":
                self.consents[event.person.id].append((event.at, event.granted))
            elif event.what == "unsubscribe":
                self.unsubscribed[event.person.id] = event.at
            elif event.what == "book":
                assert event.visit is not None
                assert event.starts_at is not None
                yield self._begin(current, event, booked_at=event.at)
                if event.visit_type == "eval-run":
                    self._notice(current[event.visit], "booked", event.at, number)
            else:
                stretch = current.get(event.visit) if event.visit else None
                if stretch is None or stretch.until != NEVER:
                    continue
                if event.what == "confirm":
                    stretch.confirmed_at = event.at
                    continue
                stretch.until = event.at
                if event.what == "move":
                    yield self._begin(current, event, booked_at=stretch.booked_at)
                    self._notice(current[stretch.visit], "rescheduled", event.at, number)
                else:
                    kind = "closure" if event.what == "close" else "cancelled_by_patient"
                    # It is told of the visit that is off, and nothing ends that.
                    gone = msgspec.structs.replace(stretch, until=NEVER)
                    self._notice(gone, kind, event.at, number, expires_at=min(stretch.starts_at, event.at + DAY))

    def _begin(self, current: dict[UUID, Stretch], event: Event, *, booked_at: datetime) -> Stretch:
        assert event.visit is not None
        assert event.starts_at is not None
        current[event.visit] = Stretch(
            visit=event.visit, visit_type=event.visit_type, person=event.person, booked_at=booked_at,
            told_at=event.at, starts_at=event.starts_at,
        )  # fmt: skip
        return current[event.visit]

    def _notice(
        self, stretch: Stretch, kind: str, at: datetime, number: int, *, expires_at: datetime | None = None
    ) -> None:
        """Hope for a notice; of two at one moment, that of the earlier event goes by text where only one may."""
        person = stretch.person
        channels = [*(["sms"] if self._agreed(person, at) else []), *(["email"] if person.email else [])]
        for channel in channels:
            self.hopes.append(
                Hope(
                    stretch=stretch,
                    kind=kind,
                    template=kind,
                    channel=channel,
                    ready_at=at,
                    expires_at=expires_at or stretch.starts_at,
                    order=(at, 0, number),
                )
            )

    def _reminders(self, stretch: Stretch, number: int) -> Iterator[Hope]:
        person, start = stretch.person, stretch.starts_at
        for index, rung in enumerate(self.rules.ladder):
            lead = rung["lead"] * HOUR
            if (rung["visit_types"] and stretch.visit_type not in rung["visit_types"]) or (
                rung["needs_consent"] and not person.frequent
            ):
                continue
            moment = due_at = start - lead
            if rung["channel"] == "sms":
                due_at = self._same_day(person, moment)
            if moment <= stretch.booked_at + lead / 12:
                continue
            planned_at = self._planned_at(stretch, rung, moment, due_at, start - lead / 2)
            if planned_at is not None:
                yield Hope(
                    stretch=stretch, kind="reminder", template=rung["template"], channel=rung["channel"],
                    ready_at=max(due_at, planned_at), expires_at=start - lead / 2,
                    order=(planned_at, 1, number, index), rung=rung,
                )  # fmt: skip

    def _planned_at(
        self, stretch: Stretch, rung: dict[str, Any], moment: datetime, due_at: datetime, expires_at: datetime
    ) -> datetime | None:
        """Return when the row is written: as the planner comes by within 36 hours, or with a consent before that."""
        person = stretch.person
        first = bisect_left(self.runs, max(stretch.told_at, due_at - PLANNED_AHEAD))
        agreed = [at for at, granted in self.consents[person.id] if granted and at >= stretch.told_at]
        for at in sorted([*self.runs[first : first + 12], *agreed]):
            if at >= stretch.until or at >= expires_at:
                return None
            told_at = stretch.confirmed_at if stretch.confirmed_at <= at else stretch.told_at
            reachable = self._agreed(person, at) if rung["channel"] == "sms" else person.email
            if reachable and not self._confirmed(stretch, rung, at) and min(moment, due_at) > told_at:
                return at if rung["channel"] == "email" or self._awake(person, max(at, due_at)) < expires_at else None
        return None

    def _confirmed(self, stretch: Stretch, rung: dict[str, Any], at: datetime) -> bool:
        if stretch.confirmed_at > at:
            return False
        lately = stretch.confirmed_at > stretch.starts_at - 4 * DAY
        return rung["only_unconfirmed"] or (rung["channel"] == "sms" and lately)

    def sent(self) -> Counter[Sent]:
        """Let every message leave that may, in order of time, as phones get no more texts than they may."""
        leaving = sorted(((self._leaves_at(hope), hope.order, hope) for hope in self.hopes), key=lambda one: one[:2])
        sent: Counter[Sent] = Counter()
        texts: dict[str, list[datetime]] = defaultdict(list)
        for at, _, hope in leaving:
            person, counted = hope.stretch.person, hope.kind != "closure"
            if not self._may_leave(hope, at):
                continue
            if hope.channel == "sms" and counted:
                if self._is_full(person, texts[person.phone], at) and (hope.rung or person.email):
                    if self._mails_instead(hope, at):
                        sent[hope.stretch.visit, "reminder", "reminder_24h", "email", at] += 1
                    continue
                texts[person.phone].append(at)
            sent[hope.stretch.visit, hope.kind, hope.template, hope.channel, at] += 1
        return sent

    def _leaves_at(self, hope: Hope) -> datetime:
        off, on = self.worker_off
        at, before = hope.ready_at, None
        while at != before:
            before = at
            at = on if off <= at < on else at
            at = self._awake(hope.stretch.person, at) if hope.channel == "sms" else at
        return at

    def _may_leave(self, hope: Hope, at: datetime) -> bool:
        stretch, person = hope.stretch, hope.stretch.person
        if at >= hope.expires_at or at >= stretch.until:
            return False
        if hope.rung and (self._confirmed(stretch, hope.rung, at) or self._unsubscribed(hope.channel, person, at)):
            return False
        if hope.channel == "email":
            return True
        # Whoever stops the texts loses what waits; only what is still to come when they start again is kept.
        stopped = any(hope.ready_at < when <= at and not granted for when, granted in self.consents[person.id])
        return self._agreed(person, hope.ready_at) and not stopped

    def _mails_instead(self, hope: Hope, at: datetime) -> bool:
        person = hope.stretch.person
        if not hope.rung or not person.email or self._unsubscribed("email", person, at):
            return False
        beside = any(rung["channel"] == "email" and rung["lead"] == hope.rung["lead"] for rung in self.rules.ladder)
        return not beside and at + HOUR / 2 < hope.expires_at

    def _unsubscribed(self, channel: str, person: Person, at: datetime) -> bool:
        return channel == "email" and self.unsubscribed.get(person.id, NEVER) <= at

    def _agreed(self, person: Person, at: datetime) -> bool:
        said = [granted for when, granted in self.consents[person.id] if when <= at]
        return bool(said) and said[-1]

    def _is_full(self, person: Person, texts: list[datetime], at: datetime) -> bool:
        a_day, a_week = self.rules.frequent if person.frequent else self.rules.usual
        zone = ZoneInfo(person.zone)
        today = sum(one.astimezone(zone).date() == at.astimezone(zone).date() for one in texts)
        return today >= a_day or sum(one >= at - 7 * DAY for one in texts) >= a_week

    def _awake(self, person: Person, at: datetime) -> datetime:
        """Return the first moment from this one on at which the patient's phone may ring."""
        local = at.astimezone(ZoneInfo(person.zone))
        if self.rules.opens <= local.time() < self.rules.closes:
            return at
        day = local.date() + DAY if local.time() >= self.rules.closes else local.date()
        return datetime.combine(day, self.rules.opens, local.tzinfo).astimezone(UTC)

    def _same_day(self, person: Person, at: datetime) -> datetime:
        local = at.astimezone(ZoneInfo(person.zone))
        last = (datetime.combine(local, self.rules.closes) - HOUR / 2).time()
        fitting = min(max(local.time(), self.rules.opens), last)
        return datetime.combine(local.date(), fitting, local.tzinfo).astimezone(UTC)
