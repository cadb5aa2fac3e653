"""What a person sees where a program would get problem+json."""

from typing import Any, cast

from litestar import Request, Response

from scheduler.errors import (
    HoldNotFound,
    LinkExpired,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    SchedulerError,
    TooBusy,
    UnderMaintenance,
)
from scheduler.web.pages.render import PageRequest, page, provide_visitor

# Programs call these, whatever their Accept header says.
_NOT_PAGES = ("/api/", "/health/", "/hooks/", "/schema/", "/static/")

_SERVER_ERROR = 500

# Nobody sits and waits for longer than this.
_LONG_SECONDS = 15 * 60

_WORDS: dict[type[SchedulerError], str] = {
    HoldNotFound: "hold-not-found",
    LinkExpired: "link-expired",
    MethodNotAllowed: "not-found",
    NotFound: "not-found",
    RateLimited: "rate-limited",
    TooBusy: "too-busy",
    UnderMaintenance: "maintenance",
}


# About a visit by its private link other things are said than about a booking.
_OF_LINKS = {"failed": "visit-failed", "too-busy": "visit-busy", "wrong": "visit-failed"}


def page_error(request: Request[Any, Any, Any], problem: SchedulerError) -> Response[Any] | None:
    """Return a page that says what went wrong and what to do now, or None where a program is asking."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page or f"{request.scope['path']}/".startswith(_NOT_PAGES):
        return None
    fallback = "failed" if problem.status >= _SERVER_ERROR else "wrong"
    headers: dict[str, str] = {}
    if isinstance(problem, TooBusy | RateLimited):
        headers["Retry-After"] = str(problem.members.get("retry_after_seconds", 1))
    if "allow" in problem.members:
        headers["Allow"] = ", ".join(problem.members["allow"])
    words = _WORDS.get(type(problem), fallback)
    if problem.members.get("retry_after_seconds", 0) > _LONG_SECONDS:
        words = "call-instead"
    # The page of a link has its token in the address, which must be nowhere else: "?" is the address it has.
    linked = request.scope["path"].startswith("/m/")
    words = _OF_LINKS.get(words, words) if linked else words
    return page(
        provide_visitor(cast("PageRequest", request)),
        "error.html",
        status=problem.status,
        here="?" if linked and request.method == "GET" else "/book",
        headers=headers,
        words=words,
        texting=_texting(request) if words == "link-expired" else "",
    )


def _texting(request: Request[Any, Any, Any]) -> str:
    """Return where to ask for a new link by text, which is the link's own address; or that it was asked for.

    The address is said without the token in it, so that the page of every link that does not open is the same.
    """
    if "texted" in request.query_params:
        return "texted"
    below = request.scope["path"].strip("/").count("/") > 1
    return "./" if below else "?"
