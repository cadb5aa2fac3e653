"""Clinics as rows: read whole for the running service, and piece by piece for the file that describes them."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic, ClinicSettings, Credential, Place, Therapist, VisitType
from scheduler.ids import new_id
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

# The channel of NOTIFY on which it is told that something about a clinic was applied.
APPLIED = "applied"

PlaceTable = Literal["rooms", "equipment"]


class ClinicRow(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic's own row. ``settings`` are ClinicSettings as stored, perhaps by an older release."""

    id: UUID
    code: str
    position: int
    timezone: str
    settings: dict[str, Any]


class VisitTypeRow(VisitType, frozen=True, kw_only=True):
    position: int
    active: bool = True


class TherapistRow(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    display_name: str
    credential: Credential
    languages: tuple[str, ...]
    position: int
    active: bool = True
    email: str | None = None


class StoredTherapist(TherapistRow, frozen=True, kw_only=True):
    """A therapist with what the clinic file has no say in."""

    id: UUID
    hours_set_by: Literal["file", "desk"]


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    display_name: str
    kind: str
    position: int
    active: bool = True


class _LoadedClinic(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    code: str
    timezone: str
    settings: ClinicSettings
    visit_types: list[VisitType]
    therapists: list[Therapist]
    rooms: list[Place]
    equipment: list[Place]


async def load_clinics(connection: Connection) -> list[Clinic]:
    """Return every clinic with what is active in it, all in the order of the clinic files. One round trip."""
    rows = await connection.fetch(
        """select id, code, timezone, settings,
            (select coalesce(jsonb_agg(to_jsonb(visit_types) order by position, code), '[]')
             from visit_types where clinic_id = clinics.id and active) as visit_types,
            (select coalesce(jsonb_agg(to_jsonb(therapists) || jsonb_build_object('visit_types', array(
                    select visit_type from therapist_visit_types as performed
                    where performed.clinic_id = clinics.id and therapist_id = therapists.id
                )) order by position, code), '[]')
             from therapists where clinic_id = clinics.id and active) as therapists,
            (select coalesce(jsonb_agg(to_jsonb(rooms) order by position, code), '[]')
             from rooms where clinic_id = clinics.id and active) as rooms,
            (select coalesce(jsonb_agg(to_jsonb(equipment) order by position, code), '[]')
             from equipment where clinic_id = clinics.id and active) as equipment
        from clinics order by position, code"""
    )
    return [_clinic(to_struct(row, _LoadedClinic)) for row in rows]


def _clinic(loaded: _LoadedClinic) -> Clinic:
    return Clinic(
        id=loaded.id,
        code=loaded.code,
        timezone=loaded.timezone,
        settings=loaded.settings,
        visit_types={visit_type.code: visit_type for visit_type in loaded.visit_types},
        therapists={therapist.code: therapist for therapist in loaded.therapists},
        rooms={room.code: room for room in loaded.rooms},
        equipment={device.code: device for device in loaded.equipment},
    )


async def fetch_clinic_rows(connection: Connection) -> dict[str, ClinicRow]:
    """Return every clinic's own row by its code, in order."""
    rows = await connection.fetch("select id, code, position, timezone, settings from clinics order by position, code")
    return {row["code"]: to_struct(row, ClinicRow) for row in rows}


async def add_clinic(
    connection: Connection, code: str, position: int, timezone: str, settings: ClinicSettings
) -> UUID | None:
    """Insert the clinic and return its new id, or None where the code is there; a rival's insert is waited for."""
    return await connection.fetchval(
        """insert into clinics (id, code, position, timezone, settings) values ($1, $2, $3, $4, $5)
        on conflict (code) do nothing returning id""",
        new_id(),
        code,
        position,
        timezone,
        settings,
    )


async def update_clinic(
    connection: Connection, clinic_id: UUID, position: int, timezone: str, settings: ClinicSettings
) -> None:
    """Set the clinic's own facts, note that something about it was applied now, and let every process hear of it."""
    await connection.execute(
        f"""with applied as (
            update clinics set position = $2, timezone = $3, settings = $4, applied_at = now() where id = $1
            returning id
        )
        select pg_notify('{APPLIED}', '') from applied""",
        clinic_id,
        position,
        timezone,
        settings,
    )


async def fetch_visit_types(connection: Connection, clinic_id: UUID) -> dict[str, VisitTypeRow]:
    """Return every visit type by its code, inactive ones too."""
    rows = await connection.fetch("select * from visit_types where clinic_id = $1 order by position, code", clinic_id)
    return {row["code"]: to_struct(row, VisitTypeRow) for row in rows}


async def save_visit_type(connection: Connection, clinic_id: UUID, row: VisitTypeRow) -> None:
    """Insert the visit type, or make the one of its code like it."""
    await connection.execute(
        """insert into visit_types (clinic_id, code, position, active, names, bring, about, badge, duration_minutes,
            buffer_before_minutes, buffer_after_minutes, credential, room_kind, equipment_kinds, online,
            minimum_notice_minutes, horizon_days, change_cutoff_minutes)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
        on conflict (clinic_id, code) do update set position = $3, active = $4, names = $5, bring = $6, about = $7,
            badge = $8, duration_minutes = $9, buffer_before_minutes = $10, buffer_after_minutes = $11,
            credential = $12, room_kind = $13, equipment_kinds = $14, online = $15, minimum_notice_minutes = $16,
            horizon_days = $17, change_cutoff_minutes = $18""",
        clinic_id,
        row.code,
        row.position,
        row.active,
        row.names,
        row.bring,
        row.about,
        row.badge,
        row.duration_minutes,
        row.buffer_before_minutes,
        row.buffer_after_minutes,
        row.credential,
        row.room_kind,
        row.equipment_kinds,
        row.online,
        row.minimum_notice_minutes,
        row.horizon_days,
        row.change_cutoff_minutes,
    )


async def fetch_therapists(connection: Connection, clinic_id: UUID) -> dict[str, StoredTherapist]:
    """Return every therapist by their code, inactive ones too."""
    rows = await connection.fetch("select * from therapists where clinic_id = $1 order by position, code", clinic_id)
    return {row["code"]: to_struct(row, StoredTherapist) for row in rows}


async def save_therapist(connection: Connection, clinic_id: UUID, row: TherapistRow) -> None:
    """Insert the therapist under a new id, or make the one of their code like it."""
    await connection.execute(
        """insert into therapists (clinic_id, id, code, display_name, credential, languages, position, active, email)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (clinic_id, code) do update set display_name = $4, credential = $5, languages = $6, position = $7,
            active = $8, email = $9""",
        clinic_id,
        new_id(),
        row.code,
        row.display_name,
        row.credential,
        row.languages,
        row.position,
        row.active,
        row.email,
    )


async def fetch_places(connection: Connection, clinic_id: UUID, table: PlaceTable) -> dict[str, PlaceRow]:
    """Return every room, or every piece of equipment, by its code, inactive ones too."""
    rows = await connection.fetch(f"select * from {table} where clinic_id = $1 order by position, code", clinic_id)
    return {row["code"]: to_struct(row, PlaceRow) for row in rows}


async def save_place(connection: Connection, clinic_id: UUID, table: PlaceTable, row: PlaceRow) -> None:
    """Insert the room or device under a new id, or make the one of its code like it."""
    await connection.execute(
        f"""insert into {table} (clinic_id, id, code, display_name, kind, position, active)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (clinic_id, code) do update set display_name = $4, kind = $5, position = $6, active = $7""",
        clinic_id,
        new_id(),
        row.code,
        row.display_name,
        row.kind,
        row.position,
        row.active,
    )


async def retire(
    connection: Connection,
    clinic_id: UUID,
    table: Literal["visit_types", "therapists", "rooms", "equipment"],
    code: str,
) -> None:
    """Offer it no more. The row stays, because visits refer to it."""
    await connection.execute(f"update {table} set active = false where clinic_id = $1 and code = $2", clinic_id, code)


async def fetch_performed(connection: Connection, clinic_id: UUID) -> dict[UUID, list[str]]:
    """Return the codes of the visit types that each therapist performs, by the therapist's id."""
    rows = await connection.fetch(
        """select therapist_id, array_agg(visit_type order by visit_type) as codes from therapist_visit_types
        where clinic_id = $1 group by therapist_id""",
        clinic_id,
    )
    return {row["therapist_id"]: row["codes"] for row in rows}


async def add_performed(connection: Connection, clinic_id: UUID, therapist_id: UUID, visit_type: str) -> None:
    """Let the therapist perform the visit type."""
    await connection.execute(
        "insert into therapist_visit_types (clinic_id, therapist_id, visit_type) values ($1, $2, $3)",
        clinic_id,
        therapist_id,
        visit_type,
    )


async def remove_performed(connection: Connection, clinic_id: UUID, therapist_id: UUID, visit_type: str) -> None:
    """Let the therapist perform the visit type no longer."""
    await connection.execute(
        "delete from therapist_visit_types where clinic_id = $1 and therapist_id = $2 and visit_type = $3",
        clinic_id,
        therapist_id,
        visit_type,
    )
