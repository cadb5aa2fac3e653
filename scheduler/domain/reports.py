"""What a period was like, in numbers that people at the clinic act on. Nobody is named in them but therapists."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from scheduler.domain.calendars import Calendar, working_minutes
from scheduler.domain.clinics import Channel
from scheduler.domain.times import DAY

# Long enough to compare a year with the one before, short enough to be counted while somebody waits.
LONGEST_DAYS = 400

# How many days before a visit it was booked, each bucket from its own number up to the next.
LEAD_DAYS = (0, 1, 2, 4, 7, 14, 28)

# Sets of minutes are numbers of so many bits: month by month they stay small.
_CHUNK = 28 * DAY


class Attendance(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a therapist's visits in a period, and the minutes they were for.

    ``attended`` patients came; ``cancelled_late`` is by the patient and later than the visit type allows online,
    ``cancelled`` any other way. ``unmarked`` visits are over and nobody has said what became of them. ``to_come`` are
    still ahead.
    """

    therapist_id: UUID
    attended: int
    no_show: int
    cancelled_late: int
    cancelled: int
    unmarked: int
    to_come: int
    attended_minutes: int
    booked_minutes: int

    @property
    def due(self) -> int:
        """The visits that a place was kept for until it was too late to give it to somebody else."""
        return self.attended + self.no_show + self.cancelled_late

    @property
    def no_show_rate(self) -> float | None:
        return share(self.no_show, self.due)

    @property
    def late_rate(self) -> float | None:
        return share(self.cancelled_late, self.due)


class Utilisation(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a therapist's working minutes visits were booked for, and patients came to."""

    therapist_id: UUID
    working_minutes: int
    booked_minutes: int
    attended_minutes: int

    @property
    def rate(self) -> float | None:
        """Above 1 where visits were squeezed in, or outside of the hours."""
        return share(self.booked_minutes, self.working_minutes)


class Confirmations(msgspec.Struct, frozen=True, kw_only=True):
    """A rung of the reminder ladder: to how many visits not yet confirmed it went, and how many were confirmed then.

    A confirmation counts for the reminder that came last before it.
    """

    template: str
    channel: Channel
    lead_minutes: int
    sent: int
    confirmed: int

    @property
    def rate(self) -> float | None:
        return share(self.confirmed, self.sent)


class LeadTime(msgspec.Struct, frozen=True, kw_only=True):
    """How many visits were booked at least ``days`` before their date, and fewer than the next bucket's; by whom."""

    days: int
    online: int
    desk: int

    @property
    def visits(self) -> int:
        return self.online + self.desk


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A period in numbers. ``median_lead_days`` is None where nothing was booked for it.

    ``confirmed_unasked`` counts visits that were confirmed before any reminder went out.
    """

    utilisation: Sequence[Utilisation]
    attendance: Sequence[Attendance]
    confirmations: Sequence[Confirmations]
    confirmed_unasked: int
    lead_times: Sequence[LeadTime]
    median_lead_days: float | None


def share(part: int, whole: int) -> float | None:
    """Return a part of a whole as a fraction; None of nothing."""
    return part / whole if whole else None


def total(attendance: Sequence[Attendance]) -> Attendance:
    """Return everybody's visits as one. The id is nobody's."""
    names = [name for name in Attendance.__struct_fields__ if name != "therapist_id"]
    return Attendance(
        therapist_id=UUID(int=0), **{name: sum(getattr(one, name) for one in attendance) for name in names}
    )


def minutes_worked(calendar: Calendar, zone: ZoneInfo) -> dict[UUID, int]:
    """Return how many minutes each therapist of a calendar works in it: hours less closures and time off."""
    worked = dict.fromkeys((therapist.id for therapist in calendar.therapists), 0)
    for start in range(calendar.start, calendar.end, _CHUNK):
        part = msgspec.structs.replace(calendar, start=start, end=min(start + _CHUNK, calendar.end))
        for therapist in calendar.therapists:
            worked[therapist.id] += working_minutes(part, zone, therapist).bit_count()
    return worked


def lead_buckets(counts: Sequence[tuple[int, int, int]]) -> list[LeadTime]:
    """Return (days, online, desk) counts as buckets, those that are empty included."""
    edges = [*LEAD_DAYS, max(LEAD_DAYS) * 1000]
    return [
        LeadTime(
            days=low,
            online=sum(online for days, online, _ in counts if low <= max(days, 0) < high),
            desk=sum(desk for days, _, desk in counts if low <= max(days, 0) < high),
        )
        for low, high in pairwise(edges)
    ]
