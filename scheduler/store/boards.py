"""Some dates of a clinic as the front desk's board needs them, everything in one round trip."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from uuid import UUID

import msgspec

from scheduler.domain.board_visits import BoardVisit
from scheduler.domain.boards import Facts
from scheduler.domain.calendars import TherapistCalendar, WeeklyWindow
from scheduler.domain.clinics import Clinic
from scheduler.domain.times import Span, day_end, day_start, instant_at
from scheduler.store.connections import Connection

# The server writes the whole answer as JSON, which is read straight into what it is made of: one row, no columns.
# Minutes are counted from the epoch for instants and from local midnight for windows; dates are counted from $4.
# No visit lasts longer than a day, so those that begin earlier than that before $2 need not be looked at.
_FACTS = """
with shown as (
    select visits.*, (select min(expires_at) from occupancy where clinic_id = $1 and visit_id = visits.id
        and kind = 'hold' and visits.status = 'held') as held_until
    from visits
    where clinic_id = $1 and starts_at < $3 and starts_at > $2::timestamptz - interval '1 day' and ends_at > $2
        and status <> 'expired' and ($6::uuid is null or therapist_id = $6)
)
select jsonb_build_object(
    'therapists', coalesce((select jsonb_agg(jsonb_build_object('id', id, 'weekly', (
            select jsonb_agg(jsonb_build_array(weekday, starts_minute, ends_minute, greatest(valid_from, $4) - $4,
                                               least(valid_until, $5) - $4))
            from working_windows where clinic_id = $1 and therapist_id = therapists.id
                and valid_from <= $5 and valid_until >= $4), 'dated', (
            select jsonb_agg(jsonb_build_array(date - $4, coalesce(lower(part), 0), coalesce(upper(part), 0)))
            from overrides left join lateral unnest(windows) as part on true
            where clinic_id = $1 and therapist_id = therapists.id and date between $4 and $5 and not removed), 'away', (
            select jsonb_agg(jsonb_build_array(floor(extract(epoch from lower(during)) / 60)::int,
                                               ceil(extract(epoch from upper(during)) / 60)::int, id)
                             order by lower(during), id)
            from time_off where clinic_id = $1 and therapist_id = therapists.id and during && tstzrange($2, $3))))
        from therapists where clinic_id = $1 and ($6::uuid is null or id = $6)), '[]'),
    'closures', coalesce((select jsonb_agg(jsonb_build_array(date - $4, reason, coalesce(lower(part), 0),
                                                             coalesce(upper(part), 0)))
        from closures left join lateral unnest(windows) as part on true
        where clinic_id = $1 and date between $4 and $5 and not removed), '[]'),
    'visits', coalesce((select jsonb_agg(jsonb_build_object(
            'id', id, 'status', status, 'version', version, 'visit_type', visit_type, 'therapist_id', therapist_id,
            'starts_at', starts_at, 'ends_at', ends_at, 'created_by', created_by,
            'overbooked', overbook_reason is not null, 'cancel_reason', cancel_reason, 'held_until', held_until,
            'opened', created_by <> 'public' or exists (
                select from audit_events where clinic_id = $1 and visit_id = shown.id and action = 'visit.read'
                    and actor like 'staff:%'),
            'patient', (
                select jsonb_build_object('id', id, 'given_name', given_name, 'family_name', family_name, 'texts', (
                    select granted from consents where clinic_id = $1 and patient_id = patients.id and channel = 'sms'
                        and address = patients.phone and scope = 'visits' order by recorded_at desc, id desc limit 1))
                from patients where clinic_id = $1 and id = shown.patient_id),
            'messages', coalesce((
                select jsonb_agg(jsonb_build_object('channel', channel, 'state', state,
                    'handled', handled_at is not null) order by not_before, id)
                from messages where clinic_id = $1 and visit_id = shown.id
                    and state in ('sending', 'sent', 'delivered', 'undelivered', 'failed', 'unknown', 'dead')), '[]'),
            'note', (
                select text from visit_notes where clinic_id = $1 and visit_id = shown.id and removed_at is null
                order by id desc limit 1))
        order by starts_at, id) from shown), '[]')
)::text
"""


class _Therapist(msgspec.Struct, frozen=True):
    id: UUID
    weekly: list[tuple[int, int, int, int, int]] | None
    dated: list[tuple[int, int, int]] | None
    away: list[tuple[int, int, UUID]] | None


class _Answer(msgspec.Struct, frozen=True):
    therapists: list[_Therapist]
    closures: list[tuple[int, str, int, int]]
    visits: list[BoardVisit]


_DECODER = msgspec.json.Decoder(_Answer)


async def load_facts(
    connection: Connection, clinic: Clinic, days: Sequence[date], *, therapist_id: UUID | None = None
) -> Facts:
    """Return what is known of a run of clinic dates: of everybody, or of one therapist."""
    # The day before matters as well: a window of it may run past midnight.
    first_day = days[0] - timedelta(days=1)
    text = await connection.fetchval(
        _FACTS,
        clinic.id,
        instant_at(day_start(days[0], clinic.zone), clinic.zone).astimezone(UTC),
        instant_at(day_end(days[-1], clinic.zone), clinic.zone).astimezone(UTC),
        first_day,
        days[-1],
        therapist_id,
    )
    answer = _DECODER.decode(text)
    return Facts(
        therapists=[_calendar(each, first_day) for each in answer.therapists],
        closures=_by_date([(offset, starts, ends) for offset, _, starts, ends in answer.closures], first_day),
        closure_reasons={first_day + timedelta(days=offset): reason for offset, reason, _, _ in answer.closures},
        visits=answer.visits,
        absences={each.id: each.away or () for each in answer.therapists},
    )


def _calendar(row: _Therapist, first_day: date) -> TherapistCalendar:
    def day(offset: int) -> date:
        return first_day + timedelta(days=offset)

    return TherapistCalendar(
        id=row.id,
        weekly=[
            WeeklyWindow(weekday, starts, ends, day(since), day(until))
            for weekday, starts, ends, since, until in row.weekly or ()
        ],
        overrides=_by_date(row.dated or (), first_day),
        time_off=[(first, last) for first, last, _ in row.away or ()],
    )


def _by_date(rows: Sequence[tuple[int, int, int]], first_day: date) -> dict[date, Sequence[Span]]:
    """Gather (day, start, end) rows by date; a date without windows comes as one empty window, which is left out."""
    dated: dict[date, list[Span]] = {}
    for offset, starts, ends in rows:
        windows = dated.setdefault(first_day + timedelta(days=offset), [])
        if starts < ends:
            windows.append((starts, ends))
    return dict(dated)
