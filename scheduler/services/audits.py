"""Who saw and changed what, for administrators; that they looked is part of it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.actors import COMMAND_LINE, SYSTEM, Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.own_visits import PATIENT
from scheduler.domain.patients import Patient
from scheduler.domain.staff import actor_name
from scheduler.services.staff_names import name_actors
from scheduler.store.api_keys import list_api_keys
from scheduler.store.audit import AuditEvent, add_audit_event
from scheduler.store.audit_pages import AuditFilter, fetch_starts, list_events
from scheduler.store.connections import Connection, Pool
from scheduler.store.patients import fetch_patients
from scheduler.store.staff import list_accounts
from scheduler.store.units import reading

# An export goes out in pieces of so many rows, so that a year of them needs no memory.
_PIECE = 1000


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the trace: what to call actors, who patients are, when visits begin, and whether older rows follow."""

    events: list[AuditEvent]
    names: dict[str, str]
    patients: dict[UUID, Patient]
    starts: dict[UUID, datetime]
    more: bool


async def read_page(
    connection: Connection, clinic: Clinic, wanted: AuditFilter, *, before: UUID | None, limit: int, actor: Actor
) -> AuditPage:
    """Return the newest rows that are wanted, and note who looked, at whom."""
    found = await list_events(connection, clinic.id, wanted, before=before, limit=limit + 1)
    events = found[:limit]
    about = {event.patient_id for event in events} | {wanted.patient_id}
    patients = await fetch_patients(connection, clinic.id, [one for one in about if one])
    await _note(connection, clinic, actor, "audit.listed", wanted, patients=sorted(patients))
    return AuditPage(
        events=events,
        names=await name_actors(connection, clinic, {event.actor for event in events}),
        patients=patients,
        starts=await fetch_starts(connection, clinic.id, [event.visit_id for event in events if event.visit_id]),
        more=len(found) > limit,
    )


async def begin_export(connection: Connection, clinic: Clinic, wanted: AuditFilter, *, actor: Actor) -> None:
    """Note that rows are about to be taken out; ``export_rows`` follows, once that is committed."""
    await _note(connection, clinic, actor, "audit.exported", wanted)


async def export_rows(pool: Pool, clinic: Clinic, wanted: AuditFilter) -> AsyncIterator[tuple[AuditEvent, str]]:
    """Yield every row that is wanted with what to call its actor, the newest first; no connection is kept between."""
    before: UUID | None = None
    while True:
        async with reading(pool) as connection:
            events = await list_events(connection, clinic.id, wanted, before=before, limit=_PIECE)
            names = await name_actors(connection, clinic, {event.actor for event in events})
        for event in events:
            yield event, names[event.actor]
        if len(events) < _PIECE:
            return
        before = events[-1].id


async def list_actors(connection: Connection, clinic: Clinic) -> list[tuple[str, str]]:
    """Return whoever may have left a row, as (actor, what to call them): people first, then keys, then the rest."""
    people = [
        (actor_name(account.id), f"{account.display_name}{' (closed)' if account.deactivated else ''}")
        for account in await list_accounts(connection, clinic.id)
    ]
    keys = dict.fromkeys(f"key:{key.name}" for key in await list_api_keys(connection, clinic.id))
    others = [PATIENT, "public", SYSTEM.name, COMMAND_LINE.name]
    names = await name_actors(connection, clinic, [*keys, *others])
    return people + [(key, f"{names[key]} (API key)") for key in keys] + [(other, names[other]) for other in others]


async def _note(
    connection: Connection, clinic: Clinic, actor: Actor, action: str, wanted: AuditFilter, **details: Any
) -> None:
    await add_audit_event(
        connection, clinic.id, actor=actor.name, action=action, patient_id=wanted.patient_id,
        request_id=actor.request_id,
        details={"from": wanted.starts, "to": wanted.ends, "of": wanted.actor, "kind": wanted.kind, **details},
    )  # fmt: skip
