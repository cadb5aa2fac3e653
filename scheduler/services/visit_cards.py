"""A visit as the desk opens it: everything about it on one card, and who was faster when it changed meanwhile."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.board_visits import DeskAction, desk_actions
from scheduler.domain.clinics import Clinic
from scheduler.domain.trails import Trail
from scheduler.services.readings import is_reading, note_watching
from scheduler.services.staff_names import name_actors
from scheduler.services.trails import read_trail
from scheduler.services.visit_records import find_visit
from scheduler.store.audit import AuditEvent, list_visit_events
from scheduler.store.booked_visits import BookedVisit
from scheduler.store.connections import Connection
from scheduler.store.notes import Note, fetch_note


class VisitCard(msgspec.Struct, frozen=True, kw_only=True):
    """A visit, whose it is, the desk's note on it, what may be done to it now, and what was written about it.

    ``names`` are what to call those who acted.
    """

    booked: BookedVisit
    note: Note | None
    actions: frozenset[DeskAction]
    names: Mapping[str, str]
    trail: Trail


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did to a visit, and what to write after "by"."""

    event: AuditEvent
    by: str


async def read_card(
    connection: Connection, clinic: Clinic, visit_id: UUID, *, actor: Actor, now: datetime
) -> VisitCard:
    """Return a visit to somebody of the desk, and note that they looked at it. Raises NotFound."""
    booked = await find_visit(connection, clinic, visit_id)
    await note_watching(connection, clinic, actor, "visit.read", booked.patient.id, visit_id=visit_id, now=now)
    note = await fetch_note(connection, clinic.id, visit_id)
    actors = [booked.visit.created_by, *([note.created_by] if note else [])]
    return VisitCard(
        booked=booked,
        note=note,
        actions=desk_actions(booked.visit, now),
        names=await name_actors(connection, clinic, actors),
        trail=await read_trail(connection, clinic, visit_id),
    )


async def last_change(connection: Connection, clinic: Clinic, visit_id: UUID, *, version: int) -> Change | None:
    """Return what was done to a visit after the version that somebody saw, the latest of it; None if nothing was."""
    events = await list_visit_events(connection, clinic.id, [visit_id])
    later = [event for event in events if not is_reading(event.action) and event.details.get("version", 0) > version]
    if not later:
        return None
    names = await name_actors(connection, clinic, [later[-1].actor])
    return Change(event=later[-1], by=names[later[-1].actor])
