"""Notes on visits, for the desk: short, and of no medical kind, which the page asks for where they are typed."""

from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.errors import FieldError, InvalidRequest
from scheduler.services.visit_records import find_visit
from scheduler.services.visits import audit_visit
from scheduler.store import notes as store
from scheduler.store.connections import Connection

LONGEST_NOTE = 200


async def write_note(connection: Connection, clinic: Clinic, visit_id: UUID, text: str, *, actor: Actor) -> None:
    """Put a note on a visit in place of the one before, or none. Raises NotFound, or InvalidRequest for one too long.

    The trace says that it changed and who changed it; what it says stays in the note.
    """
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if len(line) > LONGEST_NOTE:
        raise InvalidRequest(FieldError("/note", "note-too-long", f"Use {LONGEST_NOTE} characters or fewer"))
    booked = await find_visit(connection, clinic, visit_id)
    there_was = await store.remove_notes(connection, clinic.id, visit_id, by=actor.name)
    if line:
        await store.add_note(connection, clinic.id, visit_id, line, by=actor.name)
    if line or there_was:
        action = "visit.note-written" if line else "visit.note-removed"
        await audit_visit(connection, clinic, actor, action, booked.visit, {})
