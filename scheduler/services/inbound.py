"""What patients wrote back, for a person to see to."""

from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.inbox import How
from scheduler.domain.patients import Patient
from scheduler.errors import NotFound
from scheduler.services.readings import note_reading
from scheduler.store import inbound as store
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.inbound import InboundMessage
from scheduler.store.patients import fetch_patients


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A text that came in, and whose it is where that is known."""

    message: InboundMessage
    patient: Patient | None


async def list_inbound(
    connection: Connection,
    clinic: Clinic,
    *,
    needs_attention: bool | None,
    after: UUID | None,
    limit: int,
    actor: Actor,
) -> tuple[list[Received], bool]:
    """Return at most ``limit`` texts that came in, newest first, and whether more follow; note who read them."""
    found = await store.list_inbound(connection, clinic.id, is_open=needs_attention, after=after, limit=limit + 1)
    patients = (message.patient_id for message in found[:limit] if message.patient_id is not None)
    await note_reading(connection, clinic, actor, "inbound.listed", patients)
    return await _received(connection, clinic, found[:limit]), len(found) > limit


async def handle_inbound(
    connection: Connection, clinic: Clinic, inbound_id: UUID, *, actor: Actor, how: How | None = None
) -> Received:
    """Cross off a text that a person has seen to. Raises NotFound.

    One that was crossed off before stays as it is, with the name of whoever was first. ``how`` it was seen to is kept
    in the trace.
    """
    message = await store.fetch_inbound(connection, clinic.id, inbound_id)
    if message is None:
        raise NotFound("There is no such message.")
    if await store.mark_inbound_handled(connection, clinic.id, inbound_id, actor.name):
        await add_audit_event(
            connection, clinic.id, actor=actor.name, action="inbound.handled", patient_id=message.patient_id,
            request_id=actor.request_id, details={"inbound": inbound_id} | ({"how": how} if how else {}),
        )  # fmt: skip
    handled = await store.fetch_inbound(connection, clinic.id, inbound_id)
    assert handled is not None  # noqa: S101 - it was there above
    return (await _received(connection, clinic, [handled]))[0]


async def _received(connection: Connection, clinic: Clinic, messages: list[InboundMessage]) -> list[Received]:
    ids = list({message.patient_id for message in messages if message.patient_id is not None})
    patients = await fetch_patients(connection, clinic.id, ids)
    return [
        Received(message=message, patient=patients.get(message.patient_id) if message.patient_id else None)
        for message in messages
    ]
