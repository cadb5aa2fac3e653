"""The problems of ``errors`` as the OpenAPI document tells them."""

from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from scheduler import errors


class FieldProblem(msgspec.Struct, frozen=True):
    """One field that cannot be used: a JSON pointer into the body, or ``?name`` for a parameter."""

    pointer: str
    code: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details; ``code`` is stable, and the members beyond ``instance`` depend on it."""

    type: str
    code: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] | None = None
    alternatives: list[dict[str, Any]] | None = None
    conflict: str | None = None
    allowed: list[str] | None = None
    etag: str | None = None


def every_error() -> list[type[errors.SchedulerError]]:
    """Return every business error with a code of its own, sorted by status and code."""
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.SchedulerError) and "code" in vars(value)
    ]
    return sorted(found, key=lambda error: (error.status, error.code))


_TITLES = {
    400: "The request could not be read",
    401: "A valid API key is needed",
    403: "The key lacks the scope",
    404: "There is no such thing",
    409: "It cannot be done as things are",
    412: "The visit was changed meanwhile",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "Some of what was sent cannot be used",
    428: "If-Match is needed",
    429: "Too many requests; see Retry-After",
    500: "Something went wrong on our side",
    503: "Too busy for a moment; see Retry-After",
}


def PROBLEMS(*statuses: int) -> dict[int, ResponseSpec]:  # noqa: N802 - reads as the constant it makes
    """Return the problems of an operation for its ``responses``: those named, and those that any may give."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=_TITLES[status],
            media_type="application/problem+json",  # pyright: ignore[reportArgumentType] - any media type will do
            generate_examples=False,
        )
        for status in sorted({400, 401, 500, 503, *statuses})
    }
