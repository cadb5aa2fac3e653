"""Absences of therapists, each from one instant to another."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.times import Span
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

_COLUMNS = """id, therapist_id, lower(during) as starts_at, upper(during) as ends_at, reason, created_by, created_at"""


class TimeOff(msgspec.Struct, frozen=True, kw_only=True):
    """An absence, [starts_at, ends_at) in UTC; ``created_by`` is the name of who noted it."""

    id: UUID
    therapist_id: UUID
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_by: str
    created_at: datetime


async def add_time_off(connection: Connection, clinic_id: UUID, absence: TimeOff) -> None:
    """Insert an absence; it may overlap others."""
    await connection.execute(
        """insert into time_off (clinic_id, id, therapist_id, during, reason, created_by, created_at)
        values ($1, $2, $3, tstzrange($4, $5), $6, $7, $8)""",
        clinic_id,
        absence.id,
        absence.therapist_id,
        absence.starts_at,
        absence.ends_at,
        absence.reason,
        absence.created_by,
        absence.created_at,
    )


async def remove_time_off(connection: Connection, clinic_id: UUID, absence_id: UUID) -> None:
    """Delete an absence."""
    await connection.execute("delete from time_off where clinic_id = $1 and id = $2", clinic_id, absence_id)


async def fetch_time_off(
    connection: Connection, clinic_id: UUID, therapist_id: UUID, absence_id: UUID
) -> TimeOff | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from time_off where clinic_id = $1 and therapist_id = $2 and id = $3",
        clinic_id,
        therapist_id,
        absence_id,
    )
    return to_struct(row, TimeOff) if row else None


async def list_time_off(
    connection: Connection,
    clinic_id: UUID,
    therapist_id: UUID,
    *,
    ends_after: datetime | None,
    starts_before: datetime | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[TimeOff]:
    """Return absences that meet a stretch, in order of start; ``after`` is the (start, id) of the last one seen."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from time_off
        where clinic_id = $1 and therapist_id = $2 and during && tstzrange($3, $4)
            and ($5::timestamptz is null or (lower(during), id) > ($5, $6::uuid))
        order by lower(during), id limit $7""",
        clinic_id,
        therapist_id,
        ends_after,
        starts_before,
        *(after or (None, None)),
        limit,
    )
    return [to_struct(row, TimeOff) for row in rows]


async def fetch_absences(
    connection: Connection, clinic_id: UUID, starts: datetime, ends: datetime
) -> dict[UUID, list[Span]]:
    """Return when therapists are absent in [starts, ends), as spans of epoch minutes by the therapist's id."""
    rows = await connection.fetch(
        """select therapist_id, floor(extract(epoch from lower(during)) / 60)::int4 as first,
            ceil(extract(epoch from upper(during)) / 60)::int4 as last
        from time_off where clinic_id = $1 and during && tstzrange($2, $3)""",
        clinic_id,
        starts,
        ends,
    )
    absences: dict[UUID, list[Any]] = {}
    for therapist_id, first, last in rows:
        absences.setdefault(therapist_id, []).append((first, last))
    return absences
