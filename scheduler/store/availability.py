"""Everything that decides whether a visit fits, read in one round trip as packed integers."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from struct import iter_unpack
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar, WeeklyWindow
from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.times import Span, instant_at, local_date
from scheduler.store.connections import Connection


def _packed(*columns: str) -> str:
    """Return the aggregate of integer columns as bytes, which cost neither side what an array does."""
    return f"string_agg({' || '.join(f'int4send({column})' for column in columns)}, '')"


def _busy(resource: str) -> str:
    """Return the look-up of the epoch minutes between which something keeps a resource busy.

    Nothing takes longer than a day, so an index by resource and beginning finds it. Holds count while the database's
    clock says that they have not run out. What was squeezed in before $13 does not count, unless that is null.
    """
    begins, ends = (f"(date_part('epoch', {bound}(during)) / 60)::int4" for bound in ("lower", "upper"))
    return f"""(select {_packed(begins, ends)} from occupancy
        where occupancy.clinic_id = $1 and resource_id = {resource}
            and lower(during) > $2::timestamptz - interval '24 hours' and lower(during) < $3 and upper(during) > $2
            and (kind = 'visit' or expires_at > now()) and visit_id is distinct from $9
            and not (overbooked and $13::timestamptz is not null and (
                select created_at < $13 from visits
                where visits.clinic_id = $1 and visits.id = occupancy.visit_id)))"""


_WINDOWS = _packed(
    "weekday", "starts_minute", "ends_minute", "greatest(valid_from, $4) - $4", "least(valid_until, $5) - $4"
)
_DATED = _packed("date - $4", "coalesce(lower(part), 0)", "coalesce(upper(part), 0)")
_ABSENT = _packed(
    "floor(date_part('epoch', lower(during)) / 60)::int4", "ceil(date_part('epoch', upper(during)) / 60)::int4"
)

# Of holds that have run out there are few at any time, which `offset 0` has the planner find first: by what is taken
# in the time asked about it would look at everybody's visits.
#
# Minutes are counted from the epoch for instants and from local midnight for windows; dates are counted from $4.
_CALENDAR = f"""
select 'therapist' as what, id, '' as kind, position, {_busy("therapists.id")} as busy,
    (select {_WINDOWS} from working_windows
     where clinic_id = $1 and therapist_id = therapists.id and valid_from <= $5 and valid_until >= $4) as weekly,
    (select {_DATED} from overrides left join lateral unnest(windows) as part on true
     where clinic_id = $1 and therapist_id = therapists.id and date between $4 and $5 and not removed) as dated,
    (select {_ABSENT} from time_off
     where clinic_id = $1 and therapist_id = therapists.id and during && tstzrange($2, $3)) as absent,
    coalesce(credential in ('PT', $11), true) and exists (
        select 1 from therapist_visit_types
        where clinic_id = $1 and therapist_id = therapists.id and visit_type = $12) as performs
from therapists where clinic_id = $1 and active and ($6::uuid is null or id = $6)
union all
select 'room', id, kind, position, {_busy("rooms.id")}, null, null, null, null
from rooms where clinic_id = $1 and active and kind = $7
union all
select 'equipment', id, kind, position, {_busy("equipment.id")}, null, null, null, null
from equipment where clinic_id = $1 and active and kind = any($8::text[])
union all
select 'closure', null, '', 0, null, null, {_DATED}, null, null
from closures left join lateral unnest(windows) as part on true
where clinic_id = $1 and date between $4 and $5 and not removed
union all
select 'patient', $10, '', 0, busy, null, null, null, null from (select {_busy("$10")} as busy) as own
where busy is not null
union all
select 'lapsed', null, '', 0, null, null, null, null, null where exists (
    select 1 from (
        select during from occupancy where clinic_id = $1 and kind = 'hold' and expires_at <= now() offset 0) as ended
    where during && tstzrange($2, $3))
order by position
"""


class CalendarRows(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar as it was read: two that are equal make the same ``Calendar``."""

    start: int
    end: int
    first_day: date
    rows: list[asyncpg.Record]

    @property
    def has_lapsed_holds(self) -> bool:
        """Whether holds that ran out are still in the way of whoever writes; nobody who only reads sees them."""
        return any(row["what"] == "lapsed" for row in self.rows)


async def load_calendar(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    bounds: Span,
    *,
    therapist_id: UUID | None = None,
    patient_id: UUID | None = None,
    without_visit: UUID | None = None,
) -> Calendar:
    """Return the calendar between two epoch minutes, for one therapist or for all.

    ``without_visit`` leaves out what that visit takes, for a visit that is to move.
    """
    return calendar_of(
        await fetch_calendar(
            connection, clinic, visit_type, bounds, therapist_id=therapist_id, patient_id=patient_id,
            without_visit=without_visit,
        )
    )  # fmt: skip


async def fetch_calendar(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    bounds: Span,
    *,
    therapist_id: UUID | None = None,
    patient_id: UUID | None = None,
    without_visit: UUID | None = None,
    without_squeezed_until: datetime | None = None,
) -> CalendarRows:
    """Read what ``load_calendar`` returns; ``without_squeezed_until`` leaves out what was squeezed in before then."""
    start, end = bounds
    # The day before matters as well: a window of it may run past midnight.
    first_day = local_date(start, clinic.zone) - timedelta(days=1)
    rows = await connection.fetch(
        _CALENDAR,
        clinic.id,
        instant_at(start, UTC),
        instant_at(end, UTC),
        first_day,
        local_date(end - 1, clinic.zone),
        therapist_id,
        visit_type.room_kind,
        visit_type.equipment_kinds,
        without_visit,
        patient_id,
        visit_type.credential,
        visit_type.code,
        without_squeezed_until,
    )
    return CalendarRows(start=start, end=end, first_day=first_day, rows=rows)


def calendar_of(read: CalendarRows) -> Calendar:
    """Return the calendar that was read."""
    places: dict[str, list[PlaceCalendar]] = {"room": [], "equipment": []}
    therapists: list[TherapistCalendar] = []
    closures: dict[date, Sequence[Span]] = {}
    patient_busy: Sequence[Span] = ()
    for what, resource_id, kind, _, busy, weekly, dated, absent, performs in read.rows:
        match what:
            case "therapist":
                therapists.append(
                    TherapistCalendar(
                        id=resource_id,
                        weekly=_weekly(weekly or b"", read.first_day),
                        overrides=_by_date(dated, read.first_day),
                        time_off=_spans(absent),
                        busy=_spans(busy),
                        performs=performs,
                    )
                )
            case "closure":
                closures = _by_date(dated, read.first_day)
            case "patient":
                patient_busy = _spans(busy)
            case "lapsed":
                pass
            case _:
                places[what].append(PlaceCalendar(id=resource_id, kind=kind, busy=_spans(busy)))
    return Calendar(
        start=read.start,
        end=read.end,
        therapists=therapists,
        rooms=places["room"],
        equipment=places["equipment"],
        closures=closures,
        patient_busy=patient_busy,
    )


def _unpacked(columns: int, packed: bytes | None) -> Iterator[tuple[Any, ...]]:
    return iter_unpack(f">{columns}i", packed or b"")


def _spans(packed: bytes | None) -> Sequence[Span]:
    return list(_unpacked(2, packed))


# Hours are the same from one question to the next.
@lru_cache(maxsize=2048)
def _weekly(packed: bytes, first_day: date) -> tuple[WeeklyWindow, ...]:
    return tuple(
        WeeklyWindow(
            weekday, starts, ends, first_day + timedelta(days=valid_from), first_day + timedelta(days=valid_until)
        )
        for weekday, starts, ends, valid_from, valid_until in _unpacked(5, packed)
    )


def _by_date(packed: bytes | None, first_day: date) -> dict[date, Sequence[Span]]:
    """Gather (day, start, end) rows by date; a date without windows comes as one empty window, which is left out."""
    dated: dict[date, list[Span]] = {}
    for offset, starts, ends in _unpacked(3, packed):
        windows = dated.setdefault(first_day + timedelta(days=offset), [])
        if starts < ends:
            windows.append((starts, ends))
    return dict(dated)
