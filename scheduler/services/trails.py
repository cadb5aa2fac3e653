"""What was written to a patient about a visit, and what they wrote back."""

from uuid import UUID

from scheduler.domain.clinics import Clinic
from scheduler.domain.trails import Trail
from scheduler.errors import NotFound
from scheduler.store import trails as store
from scheduler.store.connections import Connection


async def read_trail(connection: Connection, clinic: Clinic, visit_id: UUID) -> Trail:
    """Return everything written about a visit, in order; the caller notes that the visit was read. Raises NotFound."""
    trail = await store.fetch_trail(connection, clinic.id, visit_id)
    if trail is None:
        raise NotFound("There is no such visit.")
    return trail
