"""The next open times that fit a wish said on the telephone: "three evaluations after four, with anyone"."""

from datetime import date, datetime, timedelta

import msgspec

from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.domain.times import day_end, day_start
from scheduler.services.availability import Slot, list_slots
from scheduler.store.connections import Connection

# The first days nearly always have enough; the rest is looked at only where they have not.
_FIRST_DAYS = 7
_ALL_DAYS = 62


class SlotWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted: from a date on, starting between two wall-clock minutes, [from, before), on these weekdays.

    Weekdays are ISO, Monday 1; none named means any.
    """

    visit_type: VisitType
    first_day: date
    therapist: Therapist | None = None
    starts_from: int = 0
    starts_before: int = 1440
    weekdays: frozenset[int] = frozenset()

    def suits(self, start: datetime) -> bool:
        """Whether a start, in clinic time, is one that is wanted."""
        minute = start.hour * 60 + start.minute
        return self.starts_from <= minute < self.starts_before and (
            not self.weekdays or start.isoweekday() in self.weekdays
        )


async def find_openings(
    connection: Connection, clinic: Clinic, wish: SlotWish, *, limit: int, now: datetime
) -> list[Slot]:
    """Return the first open slots that suit the desk's wish, each start once, over the next two months."""
    found: list[Slot] = []
    day, last = wish.first_day, wish.first_day + timedelta(days=_ALL_DAYS)
    step = _FIRST_DAYS
    while day < last and len(found) < limit:
        until = min(day + timedelta(days=step), last)
        within = day_start(day, clinic.zone), day_end(until - timedelta(days=1), clinic.zone)
        slots = await list_slots(
            connection, clinic, wish.visit_type, within=within, now=now, therapist=wish.therapist, staff=True
        )
        suited = {slot.starts_at: slot for slot in reversed(slots.items) if wish.suits(slot.starts_at)}
        found += sorted(suited.values(), key=lambda slot: slot.starts_at)
        day, step = until, _ALL_DAYS
    return found[:limit]
