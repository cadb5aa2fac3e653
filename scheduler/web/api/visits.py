"""Visits: book, read, move, cancel, and follow the patient through the day."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.datastructures import State
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
from scheduler.web.callers import Caller, FromCaller, FromNow
from scheduler.web.idempotency import answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import (
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
    async def create(
        self,
        request: Request[Any, Any, State],
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        data: JSONBody[VisitBody],
    ) -> Response[VisitAnswer]:
        if not caller.public:
            caller.require("visits:write")

        async def produce() -> Response[VisitAnswer]:
            run = read_booking(connection, caller, data, now)
            response = await _respond(connection, caller, await run(), status_code=201)
            response.headers["Location"] = f"/api/v1/visits/{response.content.id}"
            return response

        return await answer_once(request, connection, caller, produce)

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
            for value, pointer in ((from_, "?from"), (to, "?to"))
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
        self,
        request: Request[Any, Any, State],
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        visit_id: FromPath[UUID],
        data: JSONBody[RescheduleBody],
    ) -> Response[VisitAnswer]:
        caller.require("visits:write")
        version = read_version(request.headers.get("if-match"))

        async def run() -> BookedVisit:
            problems = Problems()
            starts_at = read_start(data.starts_at, "/starts_at", problems, now=now, staff=True)
            therapist = read_therapist(data.therapist, "/therapist", problems, caller.clinic)
            problems.settle()
            return await services.reschedule(
                connection, caller.clinic, visit_id, starts_at, version=version, therapist=therapist,
                notify=data.notify, actor=caller.actor, now=now,
            )  # fmt: skip

        return await _change(request, connection, caller, run)

    @post("/{visit_id:uuid}/cancel", operation_id="cancelVisit", summary="Cancel a visit", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def cancel(
        self,
        request: Request[Any, Any, State],
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        visit_id: FromPath[UUID],
        data: JSONBody[CancelBody],
    ) -> Response[VisitAnswer]:
        caller.require("visits:write")
        version = read_version(request.headers.get("if-match"))

        async def run() -> BookedVisit:
            return await services.cancel(
                connection, caller.clinic, visit_id, version=version, reason=data.reason, by=data.by,
                notify=data.notify, actor=caller.actor, now=now,
            )  # fmt: skip

        return await _change(request, connection, caller, run)

    @post("/{visit_id:uuid}/confirm", operation_id="confirmVisit", summary="The patient will come", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def confirm(
        self, request: Request[Any, Any, State], connection: FromConnection, caller: FromCaller, now: FromNow,
        visit_id: FromPath[UUID],
    ) -> Response[VisitAnswer]:  # fmt: skip
        return await _step(request, connection, caller, now, visit_id, "confirm")

    @post("/{visit_id:uuid}/arrive", operation_id="checkInVisit", summary="The patient is here", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def arrive(
        self, request: Request[Any, Any, State], connection: FromConnection, caller: FromCaller, now: FromNow,
        visit_id: FromPath[UUID],
    ) -> Response[VisitAnswer]:  # fmt: skip
        return await _step(request, connection, caller, now, visit_id, "arrive")

    @post("/{visit_id:uuid}/complete", operation_id="completeVisit", summary="The visit is over", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def complete(
        self, request: Request[Any, Any, State], connection: FromConnection, caller: FromCaller, now: FromNow,
        visit_id: FromPath[UUID],
    ) -> Response[VisitAnswer]:  # fmt: skip
        return await _step(request, connection, caller, now, visit_id, "complete")

    @post("/{visit_id:uuid}/no-show", operation_id="markNoShow", summary="The patient did not come", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def no_show(
        self, request: Request[Any, Any, State], connection: FromConnection, caller: FromCaller, now: FromNow,
        visit_id: FromPath[UUID],
    ) -> Response[VisitAnswer]:  # fmt: skip
        return await _step(request, connection, caller, now, visit_id, "no_show")

    @post("/{visit_id:uuid}/undo", operation_id="undoVisit", summary="Take back the last change of status",
          status_code=200, responses=_CHANGE)  # fmt: skip
    async def undo(
        self, request: Request[Any, Any, State], connection: FromConnection, caller: FromCaller, now: FromNow,
        visit_id: FromPath[UUID],
    ) -> Response[VisitAnswer]:  # fmt: skip
        caller.require("visits:write")
        version = read_version(request.headers.get("if-match"))

        async def run() -> BookedVisit:
            return await services.undo(
                connection, caller.clinic, visit_id, version=version, actor=caller.actor, now=now
            )

        return await _change(request, connection, caller, run)


async def _step(
    request: Request[Any, Any, State], connection: Connection, caller: Caller, now: datetime, visit_id: UUID,
    action: Action,
) -> Response[VisitAnswer]:  # fmt: skip
    caller.require("visits:write")
    version = read_version(request.headers.get("if-match"))

    async def run() -> BookedVisit:
        return await services.change_status(
            connection, caller.clinic, visit_id, action, version=version, actor=caller.actor, now=now
        )

    return await _change(request, connection, caller, run)


async def _change(
    request: Request[Any, Any, State],
    connection: Connection,
    caller: Caller,
    run: Callable[[], Awaitable[BookedVisit]],
) -> Response[VisitAnswer]:
    async def produce() -> Response[VisitAnswer]:
        return await _respond(connection, caller, await run())

    return await answer_once(request, connection, caller, produce)


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
