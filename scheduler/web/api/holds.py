"""Holds: a time kept for a few minutes while a patient types."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody

from scheduler.domain.clinics import Clinic
from scheduler.domain.visits import Visit
from scheduler.errors import HoldExpired, HoldNotFound, WrongStatus
from scheduler.services.holds import extend_hold, place_hold, release_hold, token_of
from scheduler.store.connections import Connection
from scheduler.web.callers import FromCaller
from scheduler.web.idempotency import FromPosting, Posting, answer_once
from scheduler.web.limits import client_subject, limit_changes
from scheduler.web.problem_docs import BEYOND_LIMITS, EITHER, NO_PLACE, PROBLEMS
from scheduler.web.reading import DateTimeText, Problems, read_start, read_therapist, read_visit_type

HoldToken = Annotated[str, HeaderParameter(name="Hold-Token", description="The token that came with the hold")]


class HoldBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A start to keep. Without a therapist the least loaded one of that day is chosen."""

    visit_type: Annotated[str, msgspec.Meta(examples=["eval-run"])]
    starts_at: DateTimeText
    therapist: str | None = None


class HoldAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hold. The token is told once, when the hold is made."""

    id: UUID
    visit_type: str
    starts_at: datetime
    ends_at: datetime
    therapist: str
    room: str | None
    expires_at: datetime
    token: str | None = None


class HoldController(Controller):
    """Public: keep a time, keep it longer, let it go."""

    path = "/api/v1/holds"
    tags = ["Holds"]  # noqa: RUF012 - Litestar reads it from the class
    guards = (limit_changes,)

    @post(operation_id="createHold", summary="Hold a time", security=EITHER,
          responses=PROBLEMS(403, *NO_PLACE, *BEYOND_LIMITS, 429))  # fmt: skip
    async def create(self, posting: FromPosting, data: JSONBody[HoldBody]) -> Response[HoldAnswer]:
        """Keep a start for a few minutes, so that nobody else takes it while somebody types.

        Without a therapist the least loaded one of that day is chosen. The token is told in this answer alone.
        """
        caller, now = posting.caller, posting.now
        if not caller.public:
            caller.require("visits:write")

        async def produce() -> Response[HoldAnswer]:
            problems = Problems()
            visit_type = read_visit_type(data.visit_type, "/visit_type", problems, caller.clinic)
            therapist = read_therapist(data.therapist, "/therapist", problems, caller.clinic)
            starts_at = read_start(data.starts_at, "/starts_at", problems, now=now, staff=not caller.public)
            problems.settle()
            assert visit_type is not None  # noqa: S101 - settled above
            hold = await place_hold(
                posting.connection,
                caller.clinic,
                visit_type,
                starts_at,
                therapist=therapist,
                secret_key=posting.request.app.state.settings.secret_key,
                client=client_subject(posting.request) if caller.public else None,
                actor=caller.actor,
                now=now,
            )
            answer = hold_answer(caller.clinic, hold.visit, hold.expires_at)
            return Response(answer, status_code=201, headers={"Location": f"/api/v1/holds/{answer.id}"})

        return _with_token(posting, await answer_once(posting, produce))

    @post("/{hold_id:uuid}/extend", operation_id="extendHold", summary="Hold it longer, at most ten times",
          status_code=200, responses=PROBLEMS(HoldNotFound, HoldExpired, WrongStatus, 429))  # fmt: skip
    async def extend(
        self, posting: FromPosting, hold_id: FromPath[UUID], hold_token: HoldToken
    ) -> Response[HoldAnswer]:
        """Let the hold's time begin anew. One that ran out cannot be extended."""
        clinic, actor = posting.caller.clinic, posting.caller.actor

        async def produce() -> Response[HoldAnswer]:
            visit, expires_at = await extend_hold(posting.connection, clinic, hold_id, hold_token, actor=actor)
            return Response(hold_answer(clinic, visit, expires_at), status_code=200)

        return await answer_once(posting, produce)

    @delete("/{hold_id:uuid}", operation_id="releaseHold", summary="Let it go",
            responses=PROBLEMS(HoldNotFound, WrongStatus, 429))  # fmt: skip
    async def release(
        self,
        connection: NamedDependency[Connection],
        caller: FromCaller,
        hold_id: FromPath[UUID],
        hold_token: HoldToken,
    ) -> None:
        """Free the time at once. A hold that ran out may be let go as well, one that became a visit may not."""
        await release_hold(connection, caller.clinic, hold_id, hold_token, actor=caller.actor)


def _with_token(posting: Posting, response: Response[Any]) -> Response[HoldAnswer]:
    """Add the token to the answer, which is kept without it where there is an Idempotency-Key."""
    content = response.content
    answer = content if isinstance(content, HoldAnswer) else msgspec.json.decode(content, type=HoldAnswer)
    token = answer.token or token_of(posting.request.app.state.settings.secret_key, answer.id)
    response.content = msgspec.structs.replace(answer, token=token)
    return response


def hold_answer(clinic: Clinic, visit: Visit, expires_at: datetime) -> HoldAnswer:
    """Return a hold as the API tells it, in clinic time and with the clinic's codes."""
    room = clinic.rooms_by_id.get(visit.room_id) if visit.room_id else None
    return HoldAnswer(
        id=visit.id,
        visit_type=visit.visit_type,
        starts_at=clinic.local(visit.starts_at),
        ends_at=clinic.local(visit.ends_at),
        therapist=clinic.therapist_code(visit.therapist_id),
        room=room.code if room else None,
        expires_at=clinic.local(expires_at),
    )
