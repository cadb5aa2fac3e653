"""Live visits in a stretch of time and everything that they and their patients keep busy."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.explain import Taken
from scheduler.domain.times import Span
from scheduler.domain.visits import LIVE, Visit
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct
from scheduler.store.visits import VISIT_COLUMNS

# No visit lasts longer, so those that begin earlier need not be looked at.
_LONGEST_VISIT = "interval '1 day'"


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """A resource (a therapist, room, device or patient) and the epoch minutes for which a visit keeps it busy."""

    resource_id: UUID
    visit_id: UUID
    span: Span


async def fetch_live_visits(
    connection: Connection, clinic_id: UUID, starts: datetime, ends: datetime, *, therapist_id: UUID | None = None
) -> list[Visit]:
    """Return the live visits, holds aside, that meet [starts, ends), in order of start; of one therapist or of all."""
    rows = await connection.fetch(
        f"""select {VISIT_COLUMNS} from visits
        where clinic_id = $1 and starts_at < $3 and starts_at > $2::timestamptz - {_LONGEST_VISIT} and ends_at > $2
            and status = any($4::text[]) and patient_id is not null
            and ($5::uuid is null or therapist_id = $5)
        order by starts_at, id""",
        clinic_id,
        starts,
        ends,
        list(LIVE),
        therapist_id,
    )
    return [to_struct(row, Visit) for row in rows]


async def fetch_busy(
    connection: Connection, clinic_id: UUID, visit_ids: Sequence[UUID], patient_ids: Sequence[UUID]
) -> list[Busy]:
    """Return what these visits keep busy, and everything that keeps these patients busy."""
    rows = await connection.fetch(
        """select resource_id, visit_id, array[(extract(epoch from lower(during)) / 60)::int4,
                                               (extract(epoch from upper(during)) / 60)::int4] as span
        from occupancy
        where clinic_id = $1 and (visit_id = any($2::uuid[]) or resource_id = any($3::uuid[]))""",
        clinic_id,
        visit_ids,
        patient_ids,
    )
    return [to_struct(row, Busy) for row in rows]


async def fetch_taken(
    connection: Connection, clinic_id: UUID, therapist_id: UUID, starts: datetime, ends: datetime
) -> list[Taken]:
    """Return the visits and unexpired holds that keep a therapist busy in [starts, ends), in order."""
    rows = await connection.fetch(
        """select visits.id as visit_id, expires_at as held_until,
            array[(extract(epoch from lower(during)) / 60)::int4,
                  (extract(epoch from upper(during)) / 60)::int4] as span,
            array[(extract(epoch from starts_at) / 60)::int4, (extract(epoch from ends_at) / 60)::int4] as own_time
        from occupancy join visits on visits.clinic_id = occupancy.clinic_id and visits.id = visit_id
        where occupancy.clinic_id = $1 and resource_id = $2 and during && tstzrange($3, $4)
            and (kind = 'visit' or expires_at > now())
        order by starts_at, visits.id""",
        clinic_id,
        therapist_id,
        starts,
        ends,
    )
    return [to_struct(row, Taken) for row in rows]
