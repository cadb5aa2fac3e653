"""What a person sees where a program would get problem+json."""

from typing import Any, cast

from litestar import Request, Response

from scheduler.errors import HoldNotFound, MethodNotAllowed, NotFound, SchedulerError, TooBusy
from scheduler.web.pages.render import PageRequest, page, provide_visitor

# Programs call these, whatever their Accept header says.
_NOT_PAGES = ("/api/", "/health/", "/hooks/", "/schema/", "/static/")

_SERVER_ERROR = 500

_WORDS: dict[type[SchedulerError], str] = {
    HoldNotFound: "hold-not-found",
    MethodNotAllowed: "not-found",
    NotFound: "not-found",
    TooBusy: "too-busy",
}


def page_error(request: Request[Any, Any, Any], problem: SchedulerError) -> Response[Any] | None:
    """Return a page that says what went wrong and what to do now, or None where a program is asking."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page or f"{request.scope['path']}/".startswith(_NOT_PAGES):
        return None
    fallback = "failed" if problem.status >= _SERVER_ERROR else "wrong"
    headers: dict[str, str] = {}
    if isinstance(problem, TooBusy):
        headers["Retry-After"] = "1"
    if "allow" in problem.members:
        headers["Allow"] = ", ".join(problem.members["allow"])
    return page(
        provide_visitor(cast("PageRequest", request)),
        "error.html",
        status=problem.status,
        here="/book",
        headers=headers,
        words=_WORDS.get(type(problem), fallback),
    )
