"""What a person of the staff sees where something cannot be done, and the way to the sign-in."""

from typing import Any, cast
from urllib.parse import quote, urlsplit

import msgspec
from litestar import Request, Response

from scheduler.errors import (
    Forbidden,
    FormExpired,
    NotFound,
    PasswordChangeNeeded,
    RateLimited,
    SchedulerError,
    SignInNeeded,
    TooBusy,
    Unauthorized,
)
from scheduler.services.directory import Directory
from scheduler.web.headers import name_request
from scheduler.web.pages.render import see_other
from scheduler.web.problems import as_problem, problem_response
from scheduler.web.staff.render import door_page, staff_page
from scheduler.web.staff.session import (
    ACCOUNT,
    HOME,
    SIGN_IN,
    address_of,
    form_page,
    is_fragment,
    safe_next,
    staff_if_any,
)

_SERVER_ERROR = 500


class Words(msgspec.Struct, frozen=True):
    """What happened, and what to do now."""

    title: str
    advice: str


_WORDS: dict[type[SchedulerError], Words] = {
    NotFound: Words("There is nothing here", "It may have been removed, or the address is not complete."),
    Forbidden: Words("Your account may not do that", "Ask an administrator of the clinic if it should."),
    FormExpired: Words(
        "Nothing was changed", "The page was open in another session. Go back, reload the page and try again."
    ),
    TooBusy: Words("We are too busy for a moment", "Nothing was changed. Try again in a few seconds."),
    RateLimited: Words("Too many requests", "Nothing was changed. Wait a moment and try again."),
}
_FAILED = Words("Something went wrong on our side", "Nothing was changed. Try again; if it stays, tell the operator")


def on_staff_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer any exception below /staff: with the way to the sign-in, a page, a fragment, or problem+json."""
    request_id = name_request(request.scope)
    problem = as_problem(error)
    if isinstance(problem, SignInNeeded):
        return _to_sign_in(request, problem)
    if isinstance(problem, PasswordChangeNeeded):
        return see_other(ACCOUNT)
    fragment = is_fragment(request)
    if not fragment and "text/html" not in request.headers.get("accept", ""):
        return problem_response(request, problem)
    words = _WORDS.get(type(problem))
    if words is None and problem.status >= _SERVER_ERROR:
        words = Words(_FAILED.title, f"{_FAILED.advice} this number: {request_id}")
    words = words or Words(problem.title, problem.detail if problem.detail != problem.title else "Nothing was changed.")
    template = "staff/error_fragment.html" if fragment else "staff/error.html"
    clinic = cast("Directory", request.app.state.directory).for_host(request.headers.get("host", ""))
    headers: dict[str, str] = {}
    if isinstance(problem, TooBusy | RateLimited):
        headers["Retry-After"] = str(problem.members.get("retry_after_seconds", 1))
    if "allow" in problem.members:
        headers["Allow"] = ", ".join(problem.members["allow"])
    # A page cannot be asked for with a key, so no 401 here may ask a browser for one.
    status = Forbidden.status if problem.status == Unauthorized.status else problem.status
    if staff := staff_if_any(request):
        return staff_page(staff, template, title=words.title, status=status, headers=headers, words=words)
    return door_page(clinic, template, title=words.title, status=status, headers=headers, words=words)


def _to_sign_in(request: Request[Any, Any, Any], problem: SchedulerError) -> Response[Any]:
    """Lead to the sign-in, and from there back; a fragment or stream gets 401, with the way for htmx."""
    if is_fragment(request):
        around = urlsplit(request.headers.get("hx-current-url", ""))
        back = safe_next(f"{around.path}?{around.query}" if around.query else around.path)
        return Response(
            "", status_code=problem.status, headers={"HX-Redirect": sign_in_address(back)}, media_type="text/html"
        )
    if request.method in ("GET", "HEAD"):
        return see_other(sign_in_address(safe_next(address_of(request))))
    return see_other(sign_in_address(safe_next(form_page(request)), lost=True))


def sign_in_address(back: str, *, lost: bool = False) -> str:
    """Return the address of the sign-in that leads to another one. ``lost``: something was not done."""
    query = [f"next={quote(back, safe='')}"] if back != HOME else []
    query += ["lost=1"] if lost else []
    return f"{SIGN_IN}?{'&'.join(query)}" if query else SIGN_IN
