"""The links by which patients look after their visits. Of a token only the hash is kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.own_visits import LastChange
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Visit
from scheduler.store.connections import Connection
from scheduler.store.patients import PATIENT_COLUMNS
from scheduler.store.rows import to_struct
from scheduler.store.visits import VISIT_COLUMNS


class LinkedVisit(msgspec.Struct, frozen=True, kw_only=True):
    """What a token leads to: a visit, at which clinic, whose it is, and what made it what it is now."""

    clinic_id: UUID
    visit: Visit
    patient: Patient
    last_change: LastChange | None


class OtherVisit(msgspec.Struct, frozen=True, kw_only=True):
    """Another visit of the same patient, and which generation of its link opens it."""

    id: UUID
    starts_at: datetime
    generation: int


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


async def fetch_next_visit(
    connection: Connection, clinic_ids: Sequence[UUID], token_hash: bytes, *, now: datetime
) -> tuple[UUID, Visit, Patient] | None:
    """Return the clinic, the visit and the patient of the first visit to come of whoever once got a token, or None.

    It is one whose own link opens. A revoked token leads nowhere.
    """
    row = await connection.fetchrow(
        f"""select clinic_id, {VISIT_COLUMNS}, (select to_jsonb(patient) from (
                select {PATIENT_COLUMNS} from patients where clinic_id = visits.clinic_id and id = visits.patient_id
            ) as patient) as patient
        from visits
        where status in ('booked', 'confirmed') and starts_at > $3 and (clinic_id, patient_id) in (
                select was.clinic_id, was.patient_id from visit_links join visits as was
                    on was.clinic_id = visit_links.clinic_id and was.id = visit_id
                where visit_links.clinic_id = any($1::uuid[]) and token_hash = $2 and revoked_at is null)
            and exists (
                select 1 from visit_links where visit_links.clinic_id = visits.clinic_id and visit_id = visits.id
                    and revoked_at is null)
        order by starts_at limit 1""",
        list(clinic_ids),
        token_hash,
        now,
    )
    if row is None:
        return None
    fields: dict[str, Any] = dict(row.items())
    clinic_id, patient = fields.pop("clinic_id"), fields.pop("patient")
    return clinic_id, msgspec.convert(fields, Visit), msgspec.convert(patient, Patient)


async def list_others(
    connection: Connection, clinic_id: UUID, patient_id: UUID, *, but: UUID, now: datetime, limit: int
) -> list[OtherVisit]:
    """Return the visits to come of a patient that have a link which opens, but one, in order of start."""
    rows = await connection.fetch(
        """select id, starts_at, max(generation) as generation from visits join visit_links
            on visit_links.clinic_id = visits.clinic_id and visit_id = visits.id and revoked_at is null
        where visits.clinic_id = $1 and patient_id = $2 and id <> $3 and status in ('booked', 'confirmed')
            and starts_at > $4
        group by id, starts_at order by starts_at, id limit $5""",
        clinic_id,
        patient_id,
        but,
        now,
        limit,
    )
    return [to_struct(row, OtherVisit) for row in rows]


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
