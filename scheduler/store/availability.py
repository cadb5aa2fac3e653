"""Everything that decides whether a visit fits, read in one round trip as arrays of integers."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from uuid import UUID

from scheduler.domain.calendars import Calendar, PlaceCalendar, TherapistCalendar, WeeklyWindow
from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.times import Span, instant_at, local_dates
from scheduler.store.connections import Connection

# Minutes are counted from the epoch for instants and from local midnight for windows; dates are counted from $4.
# Holds count while the database's clock says that they have not run out.
_CALENDAR = """
with taken as (
    select resource_id, array_agg(array[(extract(epoch from lower(during)) / 60)::int4,
                                        (extract(epoch from upper(during)) / 60)::int4]) as spans
    from (
        select resource_id, visit_id, kind, expires_at, during from occupancy
        where clinic_id = $1 and during && tstzrange($2, $3) and not overbooked
        union all
        select resource_id, visit_id, kind, expires_at, during from occupancy
        where clinic_id = $1 and during && tstzrange($2, $3) and overbooked
    ) as occupied
    where (kind = 'visit' or expires_at > now()) and visit_id is distinct from $9
    group by resource_id
)
select 'therapist' as what, therapists.id, '' as kind, position, taken.spans as busy,
    (select array_agg(array[weekday, starts_minute, ends_minute, greatest(valid_from, $4) - $4,
                            least(valid_until, $5) - $4])
     from working_windows where clinic_id = $1 and therapist_id = therapists.id
        and valid_from <= $5 and valid_until >= $4) as weekly,
    (select array_agg(array[date - $4, coalesce(lower(part), 0), coalesce(upper(part), 0)])
     from overrides left join lateral unnest(windows) as part on true
     where clinic_id = $1 and therapist_id = therapists.id and date between $4 and $5 and not removed) as dated,
    (select array_agg(array[floor(extract(epoch from lower(during)) / 60)::int4,
                            ceil(extract(epoch from upper(during)) / 60)::int4])
     from time_off where clinic_id = $1 and therapist_id = therapists.id and during && tstzrange($2, $3)) as absent,
    coalesce(credential in ('PT', $11), true) and exists (
        select 1 from therapist_visit_types
        where clinic_id = $1 and therapist_id = therapists.id and visit_type = $12) as performs
from therapists left join taken on resource_id = id
where clinic_id = $1 and active and ($6::uuid is null or id = $6)
union all
select 'room', id, kind, position, spans, null, null, null, null
from rooms left join taken on resource_id = id where clinic_id = $1 and active and kind = $7
union all
select 'equipment', id, kind, position, spans, null, null, null, null
from equipment left join taken on resource_id = id where clinic_id = $1 and active and kind = any($8::text[])
union all
select 'closure', null, '', 0, null, null,
    array_agg(array[date - $4, coalesce(lower(part), 0), coalesce(upper(part), 0)]), null, null
from closures left join lateral unnest(windows) as part on true
where clinic_id = $1 and date between $4 and $5 and not removed
union all
select 'patient', resource_id, '', 0, spans, null, null, null, null from taken where resource_id = $10
order by position
"""


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
    start, end = bounds
    days = local_dates(start, end, clinic.zone)
    # The day before matters as well: a window of it may run past midnight.
    first_day = days[0] - timedelta(days=1)
    rows = await connection.fetch(
        _CALENDAR,
        clinic.id,
        instant_at(start, clinic.zone).astimezone(UTC),
        instant_at(end, clinic.zone).astimezone(UTC),
        first_day,
        days[-1],
        therapist_id,
        visit_type.room_kind,
        visit_type.equipment_kinds,
        without_visit,
        patient_id,
        visit_type.credential,
        visit_type.code,
    )
    places: dict[str, list[PlaceCalendar]] = {"room": [], "equipment": []}
    therapists: list[TherapistCalendar] = []
    closures: dict[date, Sequence[Span]] = {}
    patient_busy: Sequence[Span] = ()
    for row in rows:
        busy = row["busy"] or ()
        match row["what"]:
            case "therapist":
                therapists.append(
                    TherapistCalendar(
                        id=row["id"],
                        weekly=[_weekly(window, first_day) for window in row["weekly"] or ()],
                        overrides=_by_date(row["dated"], first_day),
                        time_off=row["absent"] or (),
                        busy=busy,
                        performs=row["performs"],
                    )
                )
            case "closure":
                closures = _by_date(row["dated"], first_day)
            case "patient":
                patient_busy = busy
            case what:
                places[what].append(PlaceCalendar(id=row["id"], kind=row["kind"], busy=busy))
    return Calendar(
        start=start,
        end=end,
        therapists=therapists,
        rooms=places["room"],
        equipment=places["equipment"],
        closures=closures,
        patient_busy=patient_busy,
    )


def _weekly(window: list[int], first_day: date) -> WeeklyWindow:
    weekday, starts, ends, valid_from, valid_until = window
    return WeeklyWindow(
        weekday, starts, ends, first_day + timedelta(days=valid_from), first_day + timedelta(days=valid_until)
    )


def _by_date(rows: list[list[int]] | None, first_day: date) -> dict[date, Sequence[Span]]:
    """Gather (day, start, end) rows by date; a date without windows comes as one empty window, which is left out."""
    dated: dict[date, list[Span]] = {}
    for offset, starts, ends in rows or ():
        windows = dated.setdefault(first_day + timedelta(days=offset), [])
        if starts < ends:
            windows.append((starts, ends))
    return dict(dated)
