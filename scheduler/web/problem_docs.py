"""The problems of ``errors`` as the OpenAPI document tells them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from scheduler import errors
from scheduler.errors import SchedulerError


class FieldProblem(msgspec.Struct, frozen=True):
    """One field that cannot be used: a JSON pointer into the body, ``?name`` for a parameter, or a header's name."""

    pointer: str
    code: str
    detail: str


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """An open slot near the start that was asked for."""

    starts_at: datetime
    ends_at: datetime
    therapist: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details. ``code`` is stable, and the members beyond ``instance`` depend on it.

    errors: every field at fault. alternatives: up to five open slots, nearest first. conflict: what is taken.
    visit_status and state: how far the visit or the message is. allowed: what can be done instead. allow: the
    methods there are. etag: the version that stands. phone and cutoff_at: whom to call, and until when a change
    online was possible. patient_id: who has these details already. scope: what the key lacks.
    retry_after_seconds: when to try again.
    """

    type: str
    code: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] | None = None
    alternatives: list[Alternative] | None = None
    conflict: Literal["therapist", "room", "equipment", "patient"] | None = None
    visit_status: str | None = None
    state: str | None = None
    allowed: list[str] | None = None
    allow: list[str] | None = None
    etag: str | None = None
    phone: str | None = None
    cutoff_at: datetime | None = None
    patient_id: UUID | None = None
    scope: str | None = None
    retry_after_seconds: int | None = None


@dataclass
class ProblemSpec(ResponseSpec):
    """The problems of one status, as the application's own document wants to know them."""

    problems: tuple[type[SchedulerError], ...] = ()


def every_error() -> list[type[SchedulerError]]:
    """Return every business error with a code of its own, sorted by status and code."""
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, SchedulerError) and "code" in vars(value)
    ]
    return sorted(found, key=lambda error: (error.status, error.code))


# What a status alone stands for, where the operation does not say more.
_USUAL: dict[int, type[SchedulerError]] = {
    400: errors.MalformedRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    408: errors.BodyTooSlow,
    412: errors.VersionMismatch,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMediaType,
    422: errors.InvalidRequest,
    428: errors.VersionRequired,
    429: errors.RateLimited,
    500: SchedulerError,
    503: errors.TooBusy,
}

# For `security`: an operation that the public may call as well as a key, though a key may lack the scope.
EITHER: list[dict[str, list[str]]] = [{}, {"key": []}]

# What refuses a place for a visit, whichever operation asks for it.
NO_PLACE = (errors.SlotTaken, errors.OutsideHours, errors.NotQualified)

# What binds patients besides, and the desk not.
BEYOND_LIMITS = (errors.TooSoon, errors.TooFarAhead, errors.NotBookableOnline)


def PROBLEMS(*problems: int | type[SchedulerError]) -> dict[int, ResponseSpec]:  # noqa: N802 - reads as the constant
    """Return the problems of an operation for its ``responses``: those named, and those that any may give.

    A status means the error that is usual for it; where there is none, as for 409, every error with that status.
    What follows from an operation's form need not be named (``web.openapi`` adds it): 404 for an id in the path,
    408, 413, 415 and 422 for what may be sent a body, 422 for parameters, and what may become of an Idempotency-Key.
    """
    by_status: dict[int, list[type[SchedulerError]]] = {}
    for problem in (400, 401, 500, 503, *problems):
        for error in _named(problem):
            found = by_status.setdefault(error.status, [])
            if error not in found:
                found.append(error)
    return {status: problem_spec(*found) for status, found in sorted(by_status.items())}


def problem_spec(*problems: type[SchedulerError]) -> ProblemSpec:
    """Return the problems of one status as a response."""
    return ProblemSpec(
        data_container=Problem,
        description="; ".join(error.title for error in problems),
        media_type="application/problem+json",
        generate_examples=False,
        problems=problems,
    )


def _named(problem: int | type[SchedulerError]) -> list[type[SchedulerError]]:
    if not isinstance(problem, int):
        return [problem]
    usual = _USUAL.get(problem)
    return [usual] if usual else [error for error in every_error() if error.status == problem]
