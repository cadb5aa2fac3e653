"""Every answer that is not a success, as RFC 9457 problem+json, from the one table in ``errors``."""

import re
from collections.abc import Iterable
from typing import Any, cast

import asyncpg
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from scheduler.errors import (
    BodyTooLarge,
    FieldError,
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    SchedulerError,
    TooBusy,
    Unauthorized,
    UnsupportedMediaType,
)
from scheduler.web.application import allowed
from scheduler.web.headers import name_request
from scheduler.web.pages.errors import page_error
from scheduler.web.reading import NOT_BLANK

_log = structlog.get_logger(__name__)

# What the framework raises by itself, by status, as what we call it.
_BY_STATUS: dict[int, type[SchedulerError]] = {
    error.status: error
    for error in (
        MalformedRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        BodyTooLarge,
        UnsupportedMediaType,
        TooBusy,
    )
}

# The database is full, slow, away or in somebody's way: trying again shortly is the right thing to do.
_PASSING = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    # No room on the disk or in memory, or too many connections.
    asyncpg.InsufficientResourcesError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
)

RETRY_AFTER_SECONDS = 1

# How msgspec says where something is: "... - at `$.data.patient.phone`".
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_BLANK = ("Expected `str` of length >= 1", f"Expected `str` matching regex {NOT_BLANK!r}")
_MISSING_PARAMETER = re.compile(r"Missing required (?P<source>\w+) parameter '(?P<name>[^']*)'.*", re.DOTALL)


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer any exception with its problem, or with a page where a person looks; the unforeseen is only logged."""
    name_request(request.scope)
    problem = as_problem(error)
    return page_error(request, problem) or problem_response(request, problem)


def as_problem(error: Exception) -> SchedulerError:
    """Return the business error that an exception amounts to."""
    match error:
        case SchedulerError():
            return error
        case ValidationException():
            return InvalidRequest(*_field_errors(error))
        case HTTPException(status_code=MethodNotAllowed.status):
            return MethodNotAllowed(allow=allowed((error.headers or {}).get("allow", "").split(", ")))
        case HTTPException(status_code=status) if status in _BY_STATUS:
            return _BY_STATUS[status]()
        case HTTPException(status_code=status) if status < SchedulerError.status:
            return MalformedRequest()
        case _ if isinstance(error, _PASSING):
            _log.warning("database.unavailable", problem=type(error).__name__)
            return TooBusy()
        case _:
            _log.error("request.failed", exc_info=error)
            return SchedulerError("Nothing was changed.")


def problem_response(request: Request[Any, Any, Any], problem: SchedulerError) -> Response[Any]:
    """Return the problem as a response, with the headers that go with its status."""
    settings = request.app.state.settings
    headers: dict[str, str] = {}
    if problem.status in (TooBusy.status, RateLimited.status):
        headers["Retry-After"] = str(problem.members.get("retry_after_seconds", RETRY_AFTER_SECONDS))
    if problem.status == Unauthorized.status:
        headers["WWW-Authenticate"] = "Bearer"
    if "etag" in problem.members:
        headers["ETag"] = problem.members["etag"]
    if isinstance(problem, MethodNotAllowed) and "allow" in problem.members:
        headers["Allow"] = ", ".join(problem.members["allow"])
    body = {
        "type": f"{settings.public_base_url}/problems/{problem.code}",
        "code": problem.code,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail or problem.title,
        "instance": f"urn:request:{name_request(request.scope)}",
        **problem.members,
    }
    return Response(body, status_code=problem.status, headers=headers, media_type="application/problem+json")


def _field_errors(error: ValidationException) -> list[FieldError]:
    if missing := _MISSING_PARAMETER.fullmatch(error.detail):
        pointer = missing["name"] if missing["source"] == "header" else f"?{missing['name']}"
        return [FieldError(pointer, "missing", "This parameter is needed.")]
    found: list[FieldError] = []
    for entry in cast("list[dict[str, str]]", error.extra or []):
        message, source, key = entry.get("message", ""), entry.get("source"), entry.get("key", "")
        if message == "'data'":
            return [FieldError("", "missing", "Send a JSON body.")]
        in_body = source == "body" or key.startswith("data")
        parts = _PLACE.fullmatch(message)
        what, where = (parts["what"], parts["where"] or "") if parts else (message, "")
        path = [part for part in re.split(r"[.\[\]]+", where or key) if part and part != "data"]
        code, detail = "invalid", what
        if unknown := _UNKNOWN_FIELD.fullmatch(what):
            path.append(unknown["name"])
            code, detail = "unknown-field", "There is no such field."
        elif missing := _MISSING_FIELD.fullmatch(what):
            path.append(missing["name"])
            code, detail = "missing", "This field is needed."
        elif what in _BLANK:
            detail = "Say it in words: this must not be blank."
        pointer = _pointer(path) if in_body else "?" + ".".join(path)
        found.append(FieldError(pointer, code, detail.replace("`", "")[:200]))
    return found or [FieldError("", "invalid", "The request does not have the form it needs.")]


def _pointer(path: Iterable[str]) -> str:
    """Return where something stands in a body, as RFC 6901 has it; the body as a whole is the empty text."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
