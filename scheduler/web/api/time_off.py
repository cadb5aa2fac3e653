"""Absences of therapists."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.times import DAY, Span, epoch_minute
from scheduler.services import time_off as services
from scheduler.store.connections import Connection
from scheduler.store.time_off import TimeOff, list_time_off
from scheduler.web.api.schedule_bodies import (
    AffectedVisitAnswer,
    ChangeAnswer,
    DryRun,
    Limit,
    Note,
    affected_answers,
    known_therapist,
)
from scheduler.web.callers import FromCaller, FromNow
from scheduler.web.cursors import read_cursor, write_cursor
from scheduler.web.idempotency import FromPosting, answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import FURTHEST, Problems, read_bound, read_bounds

# The longest that anybody is away at a stretch; more is a slip of the keyboard.
_LONGEST = timedelta(days=366)

# A transaction for reads as well where patients are shown: that somebody looked is written down with them.
FromConnection = NamedDependency[Connection]

_BOUND = "An instant with an offset, or a clinic date, meaning its beginning: a whole day is from its date to the next"
Starts = Annotated[str, msgspec.Meta(description=_BOUND, examples=["2026-12-08"])]
Ends = Annotated[str, msgspec.Meta(description=_BOUND, examples=["2026-12-09"])]


class TimeOffBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An absence from one moment until, and without, another."""

    starts: Starts = msgspec.field(name="from")
    ends: Ends = msgspec.field(name="to")
    reason: Note = ""


class TimeOffAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An absence, in clinic time. The id is null where it was a dry run."""

    id: UUID | None
    therapist: str
    starts: Annotated[datetime, msgspec.Meta(examples=["2026-12-08T00:00:00-05:00"])] = msgspec.field(name="from")
    ends: Annotated[datetime, msgspec.Meta(examples=["2026-12-09T00:00:00-05:00"])] = msgspec.field(name="to")
    reason: str
    created_by: str
    created_at: datetime


class TimeOffChangeAnswer(TimeOffAnswer, frozen=True, kw_only=True):
    """An absence, and the visits inside it. None was moved or cancelled."""

    affected_visits: list[AffectedVisitAnswer]


_TRIED = ResponseSpec(TimeOffChangeAnswer, description="What a dry run would have made", generate_examples=False)


class TimeOffPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[TimeOffAnswer]
    next_cursor: str | None


class TimeOffController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/therapists/{code:str}/time-off"
    tags = ["Schedule"]  # noqa: RUF012 - Litestar reads it from the class

    @get(operation_id="listTimeOff", summary="A therapist's absences, from now on",
         responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def index(
        self,
        reader: NamedDependency[Connection],
        caller: FromCaller,
        now: FromNow,
        code: FromPath[str],
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> TimeOffPage:
        """List the absences of a therapist that end after `from`, which is now unless given."""
        caller.require("visits:read", "schedule:write")
        clinic, problems = caller.clinic, Problems()
        therapist = known_therapist(clinic, code)
        first, last = read_bounds(from_, to, problems, clinic, usually_from=now)
        after = read_cursor(cursor, problems) if cursor is not None else None
        problems.settle()
        found = await list_time_off(
            reader, clinic.id, therapist.id, ends_after=first, starts_before=last, after=after, limit=limit + 1
        )
        more = len(found) > limit
        return TimeOffPage(
            items=[_answer(clinic, therapist, each) for each in found[:limit]],
            next_cursor=write_cursor(found[limit - 1].starts_at, found[limit - 1].id) if more else None,
        )

    @get("/{time_off_id:uuid}", operation_id="getTimeOff", summary="An absence, and the visits still inside it",
         responses=PROBLEMS(403, 404))  # fmt: skip
    async def show(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        code: FromPath[str],
        time_off_id: FromPath[UUID],
    ) -> TimeOffChangeAnswer:
        """Read an absence, with the visits that are still inside it."""
        caller.require("visits:read", "schedule:write")
        clinic = caller.clinic
        therapist = known_therapist(clinic, code)
        absence, affected = await services.find_time_off(
            connection, clinic, therapist, time_off_id, actor=caller.actor, now=now
        )
        return TimeOffChangeAnswer(
            **msgspec.structs.asdict(_answer(clinic, therapist, absence)),
            affected_visits=affected_answers(clinic, affected),
        )

    @post(operation_id="addTimeOff", summary="Note that a therapist is away",
          responses={200: _TRIED, **PROBLEMS(403, 404, 413, 415, 422)})  # fmt: skip
    async def create(
        self, posting: FromPosting, code: FromPath[str], data: JSONBody[TimeOffBody], dry_run: DryRun = False
    ) -> Response[TimeOffChangeAnswer]:
        """A dry run answers 200, and leaves the Idempotency-Key unused."""
        caller, clinic, now = posting.caller, posting.caller.clinic, posting.now
        caller.require("schedule:write")

        async def produce() -> Response[TimeOffChangeAnswer]:
            therapist, problems = known_therapist(clinic, code), Problems()
            span = _read_span(data, problems, clinic, now)
            problems.settle()
            absence, affected = await services.add_time_off(
                posting.connection, clinic, therapist, span, reason=data.reason, dry_run=dry_run,
                actor=caller.actor, now=now,
            )  # fmt: skip
            answer = TimeOffChangeAnswer(
                **msgspec.structs.asdict(_answer(clinic, therapist, absence, exists=not dry_run)),
                affected_visits=affected_answers(clinic, affected),
            )
            if dry_run:
                return Response(answer, status_code=200)
            address = f"/api/v1/therapists/{therapist.code}/time-off/{absence.id}"
            return Response(answer, status_code=201, headers={"Location": address})

        # The same key then makes the change that was tried out.
        return await answer_once(posting, produce, keep=not dry_run)

    @delete("/{time_off_id:uuid}", operation_id="removeTimeOff", summary="The therapist is not away after all",
            status_code=200, responses=PROBLEMS(403, 404))  # fmt: skip
    async def remove(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        code: FromPath[str],
        time_off_id: FromPath[UUID],
        dry_run: DryRun = False,
    ) -> ChangeAnswer:
        """Take an absence back: the weekly hours apply again."""
        caller.require("schedule:write")
        affected = await services.remove_time_off(
            connection, caller.clinic, known_therapist(caller.clinic, code), time_off_id, dry_run=dry_run,
            actor=caller.actor, now=now,
        )  # fmt: skip
        return ChangeAnswer(affected_visits=affected_answers(caller.clinic, affected))


def _read_span(data: TimeOffBody, problems: Problems, clinic: Clinic, now: datetime) -> Span:
    """Return the absence's epoch minutes: not over yet, and not years long or away."""
    starts = read_bound(data.starts, "/from", problems, clinic)
    ends = read_bound(data.ends, "/to", problems, clinic)
    if problems:
        return starts, ends
    if ends <= starts:
        problems.add("/to", "range-empty", "This must be after `from`; a whole day is from its date to the next")
    elif ends - starts > _LONGEST.days * DAY:
        problems.add("/to", "range-too-long", f"An absence is at most {_LONGEST.days} days long")
    elif ends <= epoch_minute(now):
        problems.add("/to", "time-in-the-past", "This time is past")
    elif ends > epoch_minute(now + FURTHEST):
        problems.add("/to", "time-too-far", "This time is more than two years ahead")
    return starts, ends


def _answer(clinic: Clinic, therapist: Therapist, absence: TimeOff, *, exists: bool = True) -> TimeOffAnswer:
    return TimeOffAnswer(
        id=absence.id if exists else None,
        therapist=therapist.code,
        starts=clinic.local(absence.starts_at),
        ends=clinic.local(absence.ends_at),
        reason=absence.reason,
        created_by=absence.created_by,
        created_at=clinic.local(absence.created_at),
    )
