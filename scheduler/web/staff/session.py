"""Who of the staff is asking, and whether a form is theirs: the guards of all pages below /staff, and ``FromStaff``."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import Role, Session, actor_name
from scheduler.errors import Forbidden, FormExpired, NotFound, PasswordChangeNeeded, SignInNeeded
from scheduler.services.directory import Directory
from scheduler.services.staff import Door, csrf_token, recognise
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.staff_sessions import session_lives
from scheduler.store.units import reading
from scheduler.web.headers import name_request
from scheduler.web.limits import client_subject
from scheduler.web.pages.preview import is_previewing
from scheduler.web.pages.render import PageRequest, read_form

HOME = "/staff"
SIGN_IN = "/staff/sign-in"
ACCOUNT = "/staff/account"
SIGN_OUT = "/staff/sign-out"

# Where somebody may go whose password was made by another person.
_BEFORE_PASSWORD = (ACCOUNT, SIGN_OUT)

# Where a request's state keeps who is signed in, and the page on which the form was that it sent.
_STAFF = "staff"
_FORM_PAGE = "staff_form_page"

AnyRequest = ASGIConnection[Any, Any, Any, Any]


class StaffMember(msgspec.Struct, frozen=True, kw_only=True):
    """The person of the clinic who is signed in. ``therapist_id`` is the schedule that is theirs, if one is.

    ``csrf_token`` goes into every form; ``hide_names`` is whether patients are to be shown by their initials.
    """

    id: UUID
    clinic: Clinic
    name: str
    initials: str
    role: Role
    therapist_id: UUID | None
    actor: Actor
    csrf_token: str
    hide_names: bool
    session: Session
    # The address of what is shown, to come back to after signing in again.
    here: str

    def is_any(self, *roles: Role) -> bool:
        return self.role in roles


FromStaff = NamedDependency[StaffMember]


async def provide_staff(request: PageRequest) -> StaffMember:
    """Return who is signed in. Raises SignInNeeded, or PasswordChangeNeeded outside of their account's page."""
    return await _signed_in(request)


async def guard_staff(request: AnyRequest, _: BaseRouteHandler) -> None:
    """Let nobody in who is not signed in, and no form that is not their session's.

    An API key or a patient's token has no business here, and learns nothing: raises NotFound. Else SignInNeeded,
    PasswordChangeNeeded or FormExpired.
    """
    if "authorization" in request.headers:
        raise NotFound
    posted = cast("PageRequest", request).method == "POST"
    if posted:
        # An error is answered where nothing can be waited for, so what it may need is read now.
        form = await read_form(cast("PageRequest", request))
        request.scope["state"][_FORM_PAGE] = form.get("here", "")
    staff = await _signed_in(request)
    if staff.session.must_change_password and not request.scope["path"].startswith(_BEFORE_PASSWORD):
        raise PasswordChangeNeeded
    if posted:
        await check_form(cast("PageRequest", request), staff.csrf_token)


def roles(*allowed: Role) -> Callable[[AnyRequest, BaseRouteHandler], Awaitable[None]]:
    """Return a guard that lets these roles in. It raises Forbidden for the others."""

    async def guard_roles(request: AnyRequest, _: BaseRouteHandler) -> None:
        if not (await _signed_in(request)).is_any(*allowed):
            raise Forbidden("Your account may not open this page.")

    return guard_roles


async def check_form(request: PageRequest, token: str) -> None:
    """Raise FormExpired for a form, or a fragment's request, that does not carry the token.

    Browsers also say where a request comes from; what another site sends is refused whatever it carries.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FormExpired
    carried = request.headers.get("x-csrf-token") or (await read_form(request)).get("csrf", "")
    if not hmac.compare_digest(token.encode(), carried.encode()):
        raise FormExpired


async def still_lives(pool: Pool, staff: StaffMember) -> bool:
    """Return whether a session is still good, for a stream that outlasts the request; it does not prolong it."""
    async with reading(pool) as connection:
        return await session_lives(connection, staff.clinic.id, staff.session.id)


async def _signed_in(request: AnyRequest) -> StaffMember:
    state: dict[str, Any] = request.scope["state"]
    if _STAFF not in state:
        session = await find_session(request)
        clinic = session and cast("Directory", request.app.state.directory).by_id(session.clinic_id)
        if session is None or session.needs_second_factor or clinic is None:
            raise SignInNeeded
        state[_STAFF] = StaffMember(
            id=session.account_id,
            clinic=clinic,
            name=session.display_name,
            initials=session.initials,
            role=session.role,
            therapist_id=session.therapist_id,
            actor=Actor(name=actor_name(session.account_id), staff=True, request_id=name_request(request.scope)),
            csrf_token=csrf_token(settings_of(request).secret_key, session_token(request)),
            hide_names=session.hide_names,
            session=session,
            here=address_of(request),
        )
    return state[_STAFF]


async def find_session(request: AnyRequest) -> Session | None:
    """Return the session of the request's cookie, one that waits for its second step included.

    An account without a second factor is of a sample; its sessions end with the preview that it belongs to.
    """
    token = session_token(request)
    if not token:
        return None
    automatic = "x-automatic" in request.headers or "text/event-stream" in request.headers.get("accept", "")
    async with reading(cast("Pool", request.app.state.pool)) as connection:
        session = await recognise(connection, token, active=not automatic)
    return session if session and (session.has_second_factor or is_previewing(settings_of(request))) else None


def staff_if_any(request: AnyRequest) -> StaffMember | None:
    """Return who is signed in, where a guard found out before something went wrong."""
    return request.scope["state"].get(_STAFF)


def form_page(request: AnyRequest) -> str:
    """Return the address of the page that a form says it was on, or "" where it does not."""
    return request.scope["state"].get(_FORM_PAGE, "")


def is_fragment(request: AnyRequest) -> bool:
    """Return whether a script or a stream asks for a part of a page, not a person for a page."""
    return "hx-request" in request.headers or "text/event-stream" in request.headers.get("accept", "")


def address_of(request: AnyRequest) -> str:
    """Return the address of the page that is shown, without its host; that of the page around it for a fragment."""
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    return f"{quote(path)}?{query}" if query else quote(path)


def safe_next(address: str) -> str:
    """Return an address of ours to go on to, whatever was sent: one below /staff that no browser reads as another's."""
    fine = address.isprintable() and address.isascii() and "\\" not in address and "/.." not in address
    own = address == HOME or address.startswith((f"{HOME}/", f"{HOME}?"))
    return address if fine and own and not address.startswith((SIGN_IN, SIGN_OUT)) else HOME


def door_of(request: AnyRequest) -> Door:
    """Return where somebody wants in: the clinic of the host, or any where the host is the service's own."""
    settings = settings_of(request)
    directory = cast("Directory", request.app.state.directory)
    return Door(
        clinics=directory.linked_at(request.headers.get("host", ""), settings.public_base_url),
        client=client_subject(request),
        secret_key=settings.secret_key,
        preview=is_previewing(settings),
        request_id=name_request(request.scope),
    )


def settings_of(request: AnyRequest) -> Settings:
    return cast("Settings", request.app.state.settings)


def session_token(request: AnyRequest) -> str:
    return request.cookies.get(cookie_name(settings_of(request), "staff"), "")


def cookie_name(settings: Settings, name: str) -> str:
    """Return a cookie's name. Over TLS it has the prefix by which browsers take it from this very host alone."""
    return f"__Host-{name}" if settings.public_base_url.startswith("https:") else name


def make_cookie(settings: Settings, name: str, value: str, *, gone: bool = False) -> Cookie:
    """Return a cookie that no script reads and that goes when the browser closes; the server ends it sooner.

    ``Lax`` sends it along when somebody follows a link to a page here, as from an email of the desk's tasks; ``Strict``
    would show them the sign-in while they are signed in. No GET changes anything, and every form carries a token.
    """
    return Cookie(
        key=cookie_name(settings, name),
        value=value,
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.public_base_url.startswith("https:"),
        max_age=0 if gone else None,
    )
