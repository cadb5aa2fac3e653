"""What patients wrote back, for a person to see to."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from scheduler.domain.clinics import Clinic
from scheduler.services.inbound import Received, handle_inbound, list_inbound
from scheduler.store.connections import Connection
from scheduler.web.api.visit_bodies import PatientAnswer
from scheduler.web.callers import FromCaller
from scheduler.web.idempotency import FromPosting, answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import Problems, read_uuid


class InboundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A text that came in. ``meaning`` is what it was taken for, ``patient`` whose number it came from if known."""

    id: UUID
    received_at: datetime
    sender: str
    patient: PatientAnswer | None
    text: str
    meaning: str | None
    needs_attention: bool
    handled_at: datetime | None
    handled_by: str | None


class InboundPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of texts that came in; ``next_cursor`` leads to the next one, null on the last."""

    items: list[InboundAnswer]
    next_cursor: str | None


class InboundController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/inbound"
    tags = ["Messages"]  # noqa: RUF012 - Litestar reads it from the class

    @get(operation_id="listInbound", summary="Texts from patients, newest first", responses=PROBLEMS(403, 422))
    async def index(
        self,
        connection: NamedDependency[Connection],
        caller: FromCaller,
        needs_attention: FromQuery[bool | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> InboundPage:
        """List what patients wrote back. Those that need attention were not understood, and nobody has seen to them."""
        caller.require("messages:read")
        problems = Problems()
        after = read_uuid(cursor, "?cursor", problems) if cursor is not None else None
        problems.settle()
        found, more = await list_inbound(
            connection, caller.clinic, needs_attention=needs_attention, after=after, limit=limit, actor=caller.actor
        )
        return InboundPage(
            items=[inbound_answer(caller.clinic, received) for received in found],
            next_cursor=str(found[-1].message.id) if more else None,
        )

    @post("/{inbound_id:uuid}/handled", operation_id="handleInbound", summary="Cross off a text from a patient",
          status_code=200, responses=PROBLEMS(403, 404))  # fmt: skip
    async def handled(self, posting: FromPosting, inbound_id: FromPath[UUID]) -> Response[InboundAnswer]:
        """Note that a person has seen to a text from a patient; again changes nothing."""
        caller = posting.caller
        caller.require("messages:write")

        async def produce() -> Response[InboundAnswer]:
            received = await handle_inbound(posting.connection, caller.clinic, inbound_id, actor=caller.actor)
            return Response(inbound_answer(caller.clinic, received), status_code=200)

        return await answer_once(posting, produce)


def inbound_answer(clinic: Clinic, received: Received) -> InboundAnswer:
    """Return a text that came in as the API tells it, in clinic time."""
    message, patient = received.message, received.patient
    return InboundAnswer(
        id=message.id,
        received_at=clinic.local(message.received_at),
        sender=message.sender,
        patient=PatientAnswer(id=patient.id, display_name=patient.display_name) if patient else None,
        text=message.body,
        meaning=message.meaning,
        needs_attention=message.open,
        handled_at=clinic.local(message.handled_at) if message.handled_at else None,
        handled_by=message.handled_by,
    )
