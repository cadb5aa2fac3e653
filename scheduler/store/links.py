"""The links by which patients look after their visits. Of a token only the hash is kept."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.own_visits import LastChange
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Visit
from scheduler.store.connections import Connection
from scheduler.store.patients import PATIENT_COLUMNS
from scheduler.store.visits import VISIT_COLUMNS


class LinkedVisit(msgspec.Struct, frozen=True, kw_only=True):
    """What a token leads to: a visit, at which clinic, whose it is, and what made it what it is now."""

    clinic_id: UUID
    visit: Visit
    patient: Patient
    last_change: LastChange | None


async def fetch_linked_visit(
    connection: Connection, clinic_ids: Sequence[UUID], token_hash: bytes
) -> LinkedVisit | None:
    """Return what a token leads to at one of the clinics, or None where it leads nowhere or was revoked."""
    row = await connection.fetchrow(
        f"""select found.*,
            (select to_jsonb(patient) from (
                select {PATIENT_COLUMNS} from patients where clinic_id = found.clinic_id and id = found.patient_id
            ) as patient) as patient,
            (select to_jsonb(change) from (
                select actor, action, details from audit_events
                where clinic_id = found.clinic_id and visit_id = found.id
                    and details ->> 'version' = found.version::text
                order by audit_events.id desc limit 1
            ) as change) as last_change
        from (
            select clinic_id, {VISIT_COLUMNS} from visits
            where patient_id is not null and (clinic_id, id) in (
                select clinic_id, visit_id from visit_links
                where clinic_id = any($1::uuid[]) and token_hash = $2 and revoked_at is null)
        ) as found""",
        list(clinic_ids),
        token_hash,
    )
    if row is None:
        return None
    fields: dict[str, Any] = dict(row.items())
    beside = {name: fields.pop(name) for name in ("clinic_id", "patient", "last_change")}
    return msgspec.convert({**beside, "visit": fields}, LinkedVisit)


async def fetch_generations(connection: Connection, clinic_id: UUID, visit_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return which generation of its link each visit has; those without a link that opens are left out."""
    rows = await connection.fetch(
        """select visit_id, max(generation) as generation from visit_links
        where clinic_id = $1 and visit_id = any($2::uuid[]) and revoked_at is null group by visit_id""",
        clinic_id,
        list(visit_ids),
    )
    return {row["visit_id"]: row["generation"] for row in rows}


async def list_unlinked(connection: Connection, clinic_id: UUID, *, limit: int) -> list[UUID]:
    """Return visits to come that never had a link, soonest first."""
    rows = await connection.fetch(
        """select id from visits
        where clinic_id = $1 and starts_at > now() and status in ('booked', 'confirmed') and not exists (
            select 1 from visit_links where visit_links.clinic_id = $1 and visit_id = visits.id)
        order by starts_at, id limit $2""",
        clinic_id,
        limit,
    )
    return [row["id"] for row in rows]


async def add_links(connection: Connection, clinic_id: UUID, links: Sequence[tuple[UUID, bytes]]) -> None:
    """Give visits their first link, each by the hash of its token; who has one keeps it."""
    await connection.execute(
        """insert into visit_links (clinic_id, token_hash, visit_id)
        select $1, token_hash, visit_id from unnest($2::uuid[], $3::bytea[]) as made (visit_id, token_hash)
        on conflict do nothing""",
        clinic_id,
        [visit_id for visit_id, _ in links],
        [token_hash for _, token_hash in links],
    )
