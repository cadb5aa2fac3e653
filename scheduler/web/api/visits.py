"""Visits: book, read, move, cancel, and follow the patient through the day."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from scheduler.domain.times import instant_at
from scheduler.domain.visits import Action, Status
from scheduler.errors import FieldError
from scheduler.services import visits as services
from scheduler.services.visits import BookedVisit
from scheduler.store.connections import Connection
from scheduler.store.messages import fetch_reminders
from scheduler.web.api.booking_bodies import read_booking
from scheduler.web.api.visit_bodies import (
    CancelBody,
    RescheduleBody,
    VisitAnswer,
    VisitBody,
    VisitPage,
    visit_answer,
)
from scheduler.web.callers import Caller, FromCaller
from scheduler.web.idempotency import FromPosting, Posting, answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import (
    FROM,
    TO,
    IfMatch,
    Problems,
    read_bound,
    read_start,
    read_therapist,
    read_version,
)

_CHANGE = PROBLEMS(403, 404, 409, 412, 413, 415, 422, 428)

FromConnection = NamedDependency[Connection]


class VisitController(Controller):
    """Booking is public from a hold; everything else is for the front desk's keys."""

    path = "/api/v1/visits"
    tags = ["Visits"]  # noqa: RUF012 - Litestar reads it from the class

    @post(operation_id="bookVisit", summary="Book a visit", responses=PROBLEMS(403, 404, 409, 413, 415, 422))
    async def create(self, posting: FromPosting, data: JSONBody[VisitBody]) -> Response[VisitAnswer]:
        connection, caller = posting.connection, posting.caller
        if not caller.public:
            caller.require("visits:write")

        async def produce() -> Response[VisitAnswer]:
            run = read_booking(connection, caller, data, posting.now)
            response = await _respond(connection, caller, await run(), status_code=201)
            response.headers["Location"] = f"/api/v1/visits/{response.content.id}"
            return response

        return await answer_once(posting, produce)

    @get(operation_id="listVisits", summary="Visits in order of start", responses=PROBLEMS(403, 422))
    async def index(
        self,
        connection: FromConnection,
        caller: FromCaller,
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
        therapist: FromQuery[str | None] = None,
        patient_id: FromQuery[UUID | None] = None,
        status: FromQuery[Status | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> VisitPage:
        caller.require("visits:read")
        clinic, problems = caller.clinic, Problems()
        who = read_therapist(therapist, "?therapist", problems, clinic)
        bounds = [
            instant_at(read_bound(value, pointer, problems, clinic), clinic.zone).astimezone(UTC) if value else None
            for value, pointer in ((from_, FROM), (to, TO))
        ]
        after = _read_cursor(cursor, problems) if cursor else None
        problems.settle()
        found, more = await services.list_visits(
            connection, clinic, starts_from=bounds[0], starts_before=bounds[1],
            therapist_id=who.id if who else None, patient_id=patient_id, status=status, after=after, limit=limit,
        )  # fmt: skip
        reminders = await fetch_reminders(connection, clinic.id, [one.visit.id for one in found])
        return VisitPage(
            items=[visit_answer(clinic, one, reminders[one.visit.id]) for one in found],
            next_cursor=_cursor(found[-1]) if more else None,
        )

    @get("/{visit_id:uuid}", operation_id="getVisit", summary="A visit", responses=PROBLEMS(403, 404))
    async def show(
        self, connection: FromConnection, caller: FromCaller, visit_id: FromPath[UUID]
    ) -> Response[VisitAnswer]:
        caller.require("visits:read")
        return await _respond(connection, caller, await services.find_visit(connection, caller.clinic, visit_id))

    @post("/{visit_id:uuid}/reschedule", operation_id="rescheduleVisit", summary="Move a visit", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def reschedule(
        self, posting: FromPosting, visit_id: FromPath[UUID], data: JSONBody[RescheduleBody], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        caller, now = posting.caller, posting.now

        async def run(version: int) -> BookedVisit:
            problems = Problems()
            starts_at = read_start(data.starts_at, "/starts_at", problems, now=now, staff=True)
            therapist = read_therapist(data.therapist, "/therapist", problems, caller.clinic)
            problems.settle()
            return await services.reschedule(
                posting.connection, caller.clinic, visit_id, starts_at, version=version, therapist=therapist,
                notify=data.notify, actor=caller.actor, now=now,
            )  # fmt: skip

        return await _change(posting, if_match, run)

    @post("/{visit_id:uuid}/cancel", operation_id="cancelVisit", summary="Cancel a visit", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def cancel(
        self, posting: FromPosting, visit_id: FromPath[UUID], data: JSONBody[CancelBody], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        caller, now = posting.caller, posting.now

        async def run(version: int) -> BookedVisit:
            return await services.cancel(
                posting.connection, caller.clinic, visit_id, version=version, reason=data.reason, by=data.by,
                notify=data.notify, actor=caller.actor, now=now,
            )  # fmt: skip

        return await _change(posting, if_match, run)

    @post("/{visit_id:uuid}/confirm", operation_id="confirmVisit", summary="The patient will come", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def confirm(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        return await _step(posting, visit_id, if_match, "confirm")

    @post("/{visit_id:uuid}/arrive", operation_id="checkInVisit", summary="The patient is here", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def arrive(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        return await _step(posting, visit_id, if_match, "arrive")

    @post("/{visit_id:uuid}/complete", operation_id="completeVisit", summary="The visit is over", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def complete(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        return await _step(posting, visit_id, if_match, "complete")

    @post("/{visit_id:uuid}/no-show", operation_id="markNoShow", summary="The patient did not come", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def no_show(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        return await _step(posting, visit_id, if_match, "no_show")

    @post("/{visit_id:uuid}/undo", operation_id="undoVisit", summary="Take back the last change of status",
          status_code=200, responses=_CHANGE)  # fmt: skip
    async def undo(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        async def run(version: int) -> BookedVisit:
            caller = posting.caller
            return await services.undo(
                posting.connection, caller.clinic, visit_id, version=version, actor=caller.actor, now=posting.now
            )

        return await _change(posting, if_match, run)


async def _step(posting: Posting, visit_id: UUID, if_match: str | None, action: Action) -> Response[VisitAnswer]:
    async def run(version: int) -> BookedVisit:
        caller = posting.caller
        return await services.change_status(
            posting.connection, caller.clinic, visit_id, action, version=version, actor=caller.actor, now=posting.now
        )

    return await _change(posting, if_match, run)


async def _change(
    posting: Posting, if_match: str | None, run: Callable[[int], Awaitable[BookedVisit]]
) -> Response[VisitAnswer]:
    """Answer a change of the version that the caller saw, once."""
    posting.caller.require("visits:write")
    version = read_version(if_match)

    async def produce() -> Response[VisitAnswer]:
        return await _respond(posting.connection, posting.caller, await run(version))

    return await answer_once(posting, produce)


async def _respond(
    connection: Connection, caller: Caller, booked: BookedVisit, *, status_code: int = 200
) -> Response[VisitAnswer]:
    reminders = await fetch_reminders(connection, caller.clinic.id, [booked.visit.id])
    answer = visit_answer(caller.clinic, booked, reminders[booked.visit.id])
    return Response(answer, status_code=status_code, headers={"ETag": f'"{answer.version}"'})


def _cursor(last: BookedVisit) -> str:
    text = f"{last.visit.starts_at.isoformat()} {last.visit.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, problems: Problems) -> tuple[datetime, UUID] | None:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        start, _, visit_id = text.rpartition(" ")
        return datetime.fromisoformat(start).astimezone(UTC), UUID(visit_id)
    except (ValueError, OverflowError, binascii.Error):
        problems.append(FieldError("?cursor", "cursor-invalid", "Use next_cursor as it was given"))
        return None
