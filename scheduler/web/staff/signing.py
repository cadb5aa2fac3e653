"""Signing in, in two steps, and out."""

from datetime import timedelta
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from scheduler.domain.staff import Session
from scheduler.errors import FormExpired, SignInRefused, TooManyTries
from scheduler.services.staff import (
    SignedIn,
    csrf_token,
    give_code,
    hide_names,
    new_token,
    set_search_key,
    sign_in,
    sign_out,
)
from scheduler.store.connections import Pool
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.limits import limit_changes, limit_reads
from scheduler.web.pages import dates
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.staff.errors import sign_in_address
from scheduler.web.staff.render import door_page
from scheduler.web.staff.session import (
    HOME,
    SIGN_IN,
    FromStaff,
    check_form,
    cookie_name,
    door_of,
    find_session,
    make_cookie,
    safe_next,
    session_token,
    settings_of,
)

FromPool = NamedDependency[Pool]

CODE = f"{SIGN_IN}/code"

# A cookie of somebody who is not signed in yet, so that no other site can sign them in as somebody else.
_FORM_COOKIE = "staff-form"


@get(SIGN_IN, guards=[limit_reads])
async def ask_who(request: PageRequest) -> Response[Any]:
    """Ask for a name and a password; whoever is signed in already goes on."""
    session = await find_session(request)
    query = request.query_params
    back = safe_next(query.get("next", ""))
    if session:
        return see_other(_code_address(back) if session.needs_second_factor else back)
    return _sign_in_page(request, back=back, lost="lost" in query, out="out" in query)


@post(SIGN_IN, status_code=200, guards=[limit_changes])
async def take_password(request: PageRequest, pool: FromPool, now: FromNow) -> Response[Any]:
    """Take a name and a password, and lead to the second step, or on."""
    form = await read_form(request)
    back, username = safe_next(form.get("next", "")), form.get("username", "")
    door = door_of(request)
    try:
        await check_form(request, csrf_token(door.secret_key, _form_token(request)))
        signed_in = await sign_in(pool, door, username, form.get("password", ""))
    except FormExpired:
        words = "This page was open for too long. Please try once more."
        return _sign_in_page(request, back=back, problem=words, username=username, status=FormExpired.status)
    except SignInRefused:
        words = "The username or the password does not fit."
        return _sign_in_page(request, back=back, problem=words, username=username, status=SignInRefused.status)
    except TooManyTries as problem:
        return _sign_in_page(
            request, back=back, problem=_wait(request, problem, now), username=username, status=problem.status,
            headers={"Retry-After": str(problem.members["retry_after_seconds"])},
        )  # fmt: skip
    return _go_on(request, signed_in, back)


@get(CODE, guards=[limit_reads])
async def ask_for_code(request: PageRequest) -> Response[Any]:
    """Ask for the code from the phone."""
    session = await find_session(request)
    back = safe_next(request.query_params.get("next", ""))
    if session is None:
        return see_other(sign_in_address(back))
    return _code_page(request, session, back=back) if session.needs_second_factor else see_other(back)


@post(CODE, status_code=200, guards=[limit_changes])
async def take_code(request: PageRequest, pool: FromPool, now: FromNow) -> Response[Any]:
    """Take the code and let the person in."""
    form = await read_form(request)
    back = safe_next(form.get("next", ""))
    session, door = await find_session(request), door_of(request)
    clinic = next((one for one in door.clinics if session and one.id == session.clinic_id), None)
    if session is None or clinic is None:
        return see_other(sign_in_address(back))
    if not session.needs_second_factor:
        return see_other(back)
    try:
        await check_form(request, csrf_token(door.secret_key, session_token(request)))
        return _go_on(request, await give_code(pool, door, clinic, session, form.get("code", ""), now), back)
    except FormExpired:
        return see_other(_code_address(back))
    except SignInRefused as problem:
        words = "That code does not fit. Type the one that your phone shows now; each is good once."
        return _code_page(request, session, back=back, problem=words, status=problem.status)
    except TooManyTries as problem:
        return _code_page(
            request, session, back=back, problem=_wait(request, problem, now), status=problem.status,
            headers={"Retry-After": str(problem.members["retry_after_seconds"])},
        )  # fmt: skip


@post("/sign-out", status_code=200)
async def leave(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[Any]:
    """End this session, or with ``everywhere`` all that the person has."""
    everywhere = (await read_form(request)).get("everywhere") == "yes"
    async with unit_of_work(pool) as connection:
        await sign_out(connection, staff.clinic, staff.session, staff.actor, everywhere=everywhere)
    return see_other(f"{SIGN_IN}?out=1", [make_cookie(settings_of(request), "staff", "", gone=True)])


@post("/preferences", status_code=200)
async def set_preferences(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[Any]:
    """Hide names, or let "/" lead to the search (``hide_names``, ``search_key``: yes or no); go back to the form."""
    form = await read_form(request)
    async with unit_of_work(pool) as connection:
        if "hide_names" in form:
            hide = form["hide_names"] == "yes"
            await hide_names(connection, staff.clinic, staff.session, staff.actor, hide=hide)
        if "search_key" in form:
            on = form["search_key"] == "yes"
            await set_search_key(connection, staff.clinic, staff.session, staff.actor, on=on)
    return see_other(safe_next(form.get("here", "")))


def _go_on(request: PageRequest, signed_in: SignedIn, back: str) -> Response[Any]:
    cookies = [make_cookie(settings_of(request), "staff", signed_in.token)]
    return see_other(_code_address(back) if signed_in.needs_second_factor else back, cookies)


def _code_address(back: str) -> str:
    return sign_in_address(back).replace(SIGN_IN, CODE, 1)


def _sign_in_page(
    request: PageRequest,
    *,
    back: str,
    problem: str = "",
    username: str = "",
    lost: bool = False,
    out: bool = False,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    settings, door = settings_of(request), door_of(request)
    token = _form_token(request) or new_token()
    return door_page(
        door.clinics[0],
        "staff/sign_in.html",
        title=f"{'Error: ' if problem else ''}Sign in",
        status=status,
        headers=headers,
        cookies=[make_cookie(settings, _FORM_COOKIE, token)],
        csrf=csrf_token(door.secret_key, token),
        back=back,
        problem=problem,
        username=username,
        lost=lost,
        out=out,
        away=back != HOME,
        preview=door.preview,
    )


def _code_page(
    request: PageRequest,
    session: Session,
    *,
    back: str,
    problem: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    door = door_of(request)
    return door_page(
        next((one for one in door.clinics if one.id == session.clinic_id), door.clinics[0]),
        "staff/code.html",
        title=f"{'Error: ' if problem else ''}Sign in",
        status=status,
        headers=headers,
        csrf=csrf_token(door.secret_key, session_token(request)),
        back=back,
        problem=problem,
    )


def _form_token(request: PageRequest) -> str:
    return request.cookies.get(cookie_name(settings_of(request), _FORM_COOKIE), "")


def _wait(request: PageRequest, problem: TooManyTries, now: Any) -> str:
    clinic = door_of(request).clinics[0]
    # The minute after, because a clock that shows no seconds would otherwise send people here too soon.
    until = now + timedelta(seconds=problem.members["retry_after_seconds"] + 59)
    return f"Too many tries. Wait until {dates.clock(clinic.local(until), 'en')}, then try again."


SIGNING = [ask_who, take_password, ask_for_code, take_code]
