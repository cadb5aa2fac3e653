"""Visits: book, read, move, cancel, and follow the patient through the day."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from scheduler.domain.visits import Action, Status
from scheduler.errors import HoldExpired, HoldNotFound, NotFound, PhoneUnproven, VersionRequired, WrongStatus
from scheduler.services import visit_records
from scheduler.services import visits as services
from scheduler.services.readings import note_reading
from scheduler.store.booked_visits import BookedVisit
from scheduler.store.connections import Connection
from scheduler.web.api.booking_bodies import read_booking
from scheduler.web.api.visit_bodies import (
    CancelBody,
    RescheduleBody,
    VisitAnswer,
    VisitBody,
    VisitHistory,
    VisitPage,
    as_told_to_strangers,
    history_entry,
    visit_answer,
)
from scheduler.web.api.visit_links import tell_link, with_links
from scheduler.web.callers import Caller, FromCaller
from scheduler.web.cursors import read_cursor, write_cursor
from scheduler.web.idempotency import FromPosting, Posting, answer_once
from scheduler.web.limits import limit_bookings, limit_changes
from scheduler.web.problem_docs import BEYOND_LIMITS, EITHER, NO_PLACE, PROBLEMS
from scheduler.web.reading import (
    IfMatch,
    Problems,
    read_bounds,
    read_patient,
    read_start,
    read_therapist,
    read_version,
)

_CHANGE = PROBLEMS(403, 404, WrongStatus, 412, 422, 428)
_MOVE = PROBLEMS(403, 404, WrongStatus, *NO_PLACE, 412, 422, 428)

FromConnection = NamedDependency[Connection]


class VisitController(Controller):
    """Booking is public from a hold; everything else is for the front desk's keys."""

    path = "/api/v1/visits"
    tags = ["Visits"]  # noqa: RUF012 - Litestar reads it from the class

    @post(operation_id="bookVisit", summary="Book a visit", guards=[limit_changes], security=EITHER,
          responses=PROBLEMS(
              403, PhoneUnproven, HoldNotFound, NotFound, HoldExpired, *NO_PLACE, *BEYOND_LIMITS, 429
          ))  # fmt: skip
    async def create(self, posting: FromPosting, data: JSONBody[VisitBody]) -> Response[VisitAnswer]:
        """Book what a hold keeps, as anybody may, or any open time directly, by key.

        A hold that ran out is still booked while its time is free. The patient's messages are planned with the visit.
        By key the limits that bind patients (notice, horizon, grid) do not apply, and a reason lets two visits overlap.
        """
        connection, caller = posting.connection, posting.caller
        if not caller.public:
            caller.require("visits:write")
        generation: int | None = None

        async def produce() -> Response[VisitAnswer]:
            secret_key = posting.request.app.state.settings.secret_key
            run = read_booking(connection, caller, data, posting.now, secret_key=secret_key)
            if caller.public and data.patient is not None:
                await limit_bookings(posting.request, caller.clinic, data.patient.phone)
            nonlocal generation
            booked = await run()
            generation = booked.link_generation
            response = _tell(caller, booked, status_code=201)
            if caller.public and data.patient is not None:
                said = read_patient(data.patient, "/patient", Problems(), caller.clinic, posting.now)
                response.content = as_told_to_strangers(response.content, caller.clinic, said)
            response.headers["Location"] = f"/api/v1/visits/{response.content.id}"
            return response

        return await tell_link(posting, await answer_once(posting, produce), generation=generation)

    @get(operation_id="listVisits", summary="Visits in order of start", responses=PROBLEMS(403, 422))
    async def index(
        self,
        connection: FromConnection,
        caller: FromCaller,
        state: State,
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
        therapist: FromQuery[str | None] = None,
        patient_id: FromQuery[UUID | None] = None,
        status: FromQuery[Status | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> VisitPage:
        """List visits from the earliest start on: of a time, a therapist, a patient, or in a status. Holds are none."""
        caller.require("visits:read")
        clinic, problems = caller.clinic, Problems()
        who = read_therapist(therapist, "?therapist", problems, clinic)
        starts_from, starts_before = read_bounds(from_, to, problems, clinic)
        after = read_cursor(cursor, problems) if cursor is not None else None
        problems.settle()
        found, more = await visit_records.list_visits(
            connection, clinic, starts_from=starts_from, starts_before=starts_before,
            therapist_id=who.id if who else None, patient_id=patient_id, status=status, after=after, limit=limit,
        )  # fmt: skip
        await note_reading(connection, clinic, caller.actor, "visits.listed", [one.patient.id for one in found])
        return VisitPage(
            items=await with_links(connection, caller, [visit_answer(clinic, one) for one in found], state.settings),
            next_cursor=write_cursor(found[-1].visit.starts_at, found[-1].visit.id) if more else None,
        )

    @get("/{visit_id:uuid}", operation_id="getVisit", summary="A visit", responses=PROBLEMS(403, 404))
    async def show(
        self, connection: FromConnection, caller: FromCaller, state: State, visit_id: FromPath[UUID]
    ) -> Response[VisitAnswer]:
        """Read a visit with its reminders; its version is the ETag that a change must send."""
        caller.require("visits:read")
        booked = await visit_records.read_visit(connection, caller.clinic, visit_id, actor=caller.actor)
        response = _tell(caller, booked)
        response.content = (await with_links(connection, caller, [response.content], state.settings))[0]
        return response

    @get("/{visit_id:uuid}/history", operation_id="getVisitHistory", summary="Every change of a visit",
         responses=PROBLEMS(403, 404))  # fmt: skip
    async def history(self, connection: FromConnection, caller: FromCaller, visit_id: FromPath[UUID]) -> VisitHistory:
        """Tell who changed the visit, when and from what to what, first to last; a hold it began as comes first."""
        caller.require("visits:read")
        events = await visit_records.read_history(connection, caller.clinic, visit_id, actor=caller.actor)
        return VisitHistory(items=[history_entry(caller.clinic, event) for event in events])

    @post("/{visit_id:uuid}/reschedule", operation_id="rescheduleVisit", summary="Move a visit", status_code=200,
          responses=_MOVE)  # fmt: skip
    async def reschedule(
        self, posting: FromPosting, visit_id: FromPath[UUID], data: JSONBody[RescheduleBody], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        """Move a visit to another start in one step. The old time is kept where the new one is refused.

        Without a therapist it stays with the one it has. What was planned for the old time is replaced.
        """
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

        return await _change(posting, visit_id, if_match, run)

    @post("/{visit_id:uuid}/cancel", operation_id="cancelVisit", summary="Cancel a visit", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def cancel(
        self, posting: FromPosting, visit_id: FromPath[UUID], data: JSONBody[CancelBody], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        """Cancel a visit that has not begun, free its time at once, and tell the patient unless `notify` is false."""
        caller, now = posting.caller, posting.now

        async def run(version: int) -> BookedVisit:
            return await services.cancel(
                posting.connection, caller.clinic, visit_id, version=version, reason=data.reason, by=data.by,
                notify=data.notify, actor=caller.actor, now=now,
            )  # fmt: skip

        return await _change(posting, visit_id, if_match, run)

    @post("/{visit_id:uuid}/confirm", operation_id="confirmVisit", summary="The patient will come", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def confirm(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        """Note that the patient will come, as they said by telephone; a second time changes nothing."""
        return await _step(posting, visit_id, if_match, "confirm")

    @post("/{visit_id:uuid}/arrive", operation_id="checkInVisit", summary="The patient is here", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def arrive(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        """Check the patient in, from an hour before the start on."""
        return await _step(posting, visit_id, if_match, "arrive")

    @post("/{visit_id:uuid}/complete", operation_id="completeVisit", summary="The visit is over", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def complete(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        """Close a visit of a patient who was checked in."""
        return await _step(posting, visit_id, if_match, "complete")

    @post("/{visit_id:uuid}/no-show", operation_id="markNoShow", summary="The patient did not come", status_code=200,
          responses=_CHANGE)  # fmt: skip
    async def no_show(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        """Note that the patient did not come; only once the visit should have begun."""
        return await _step(posting, visit_id, if_match, "no_show")

    @post("/{visit_id:uuid}/undo", operation_id="undoVisit", summary="Take back the last change of status",
          status_code=200, responses=_MOVE)  # fmt: skip
    async def undo(
        self, posting: FromPosting, visit_id: FromPath[UUID], if_match: IfMatch = None
    ) -> Response[VisitAnswer]:
        """Take back the last change of status within ten minutes, where the time is still free."""

        async def run(version: int) -> BookedVisit:
            caller = posting.caller
            return await services.undo(
                posting.connection, caller.clinic, visit_id, version=version, actor=caller.actor, now=posting.now
            )

        return await _change(posting, visit_id, if_match, run)


async def _step(posting: Posting, visit_id: UUID, if_match: str | None, action: Action) -> Response[VisitAnswer]:
    async def run(version: int) -> BookedVisit:
        caller = posting.caller
        return await services.change_status(
            posting.connection, caller.clinic, visit_id, action, version=version, actor=caller.actor, now=posting.now
        )

    return await _change(posting, visit_id, if_match, run)


async def _change(
    posting: Posting, visit_id: UUID, if_match: str | None, run: Callable[[int], Awaitable[BookedVisit]]
) -> Response[VisitAnswer]:
    """Answer a change of the version that the caller saw, once."""
    posting.caller.require("visits:write")
    if if_match is None:
        booked = await visit_records.find_visit(posting.connection, posting.caller.clinic, visit_id)
        raise VersionRequired(etag=f'"{booked.visit.version}"')
    version = read_version(if_match)

    async def produce() -> Response[VisitAnswer]:
        return await _respond(posting, await run(version))

    return await tell_link(posting, await answer_once(posting, produce))


async def _respond(posting: Posting, changed: BookedVisit) -> Response[VisitAnswer]:
    """Answer with the visit as it now stands, its reminders included."""
    return _tell(
        posting.caller, await visit_records.find_visit(posting.connection, posting.caller.clinic, changed.visit.id)
    )


def _tell(caller: Caller, booked: BookedVisit, *, status_code: int = 200) -> Response[VisitAnswer]:
    answer = visit_answer(caller.clinic, booked)
    return Response(answer, status_code=status_code, headers={"ETag": f'"{answer.version}"'})
