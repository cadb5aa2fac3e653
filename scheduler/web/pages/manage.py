"""A visit by its private link: what its patient sees of it, and what they may do. Plain forms, no script.

GET and HEAD change nothing, because programs follow links in messages. Every form carries the version of the visit that
the patient saw, and a key made from the token, so that no other site can have a browser send one.
"""

import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, cast

import msgspec
import structlog
from litestar import Response, Router, get, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from scheduler.domain.clinics import Clinic, Language
from scheduler.domain.links import form_key
from scheduler.domain.own_visits import PATIENT
from scheduler.errors import (
    NotFound,
    PlacementRefused,
    RateLimited,
    SchedulerError,
    TooLateToChange,
    TooSoon,
    VersionMismatch,
    WrongStatus,
)
from scheduler.services import own_visits as services
from scheduler.services.directory import Directory
from scheduler.services.links import find_owner, list_other_visits, open_link, text_link
from scheduler.services.own_visits import OwnVisit
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.limits import limit_changes, limit_codes, limit_reads
from scheduler.web.pages.manage_views import FORBIDDEN, Link, cancel_page, link_wish, move_page, visit_page
from scheduler.web.pages.render import LANGUAGE_COOKIE, PageRequest, Visitor, read_form, see_other
from scheduler.web.pages.times import ANYBODY, read_slot
from scheduler.web.pages.views import CONFLICT, visit_file

# Ends the address of the calendar file.
_CALENDAR = ".ics"

_LONGEST_VERSION = 9

_log = structlog.get_logger(__name__)

_Change = Callable[[Connection, Link, int], Awaitable[None]]


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a private link, before anybody knows whether the link opens."""

    request: PageRequest
    visitor: Visitor
    pool: Pool
    now: datetime
    token: str


def provide_door(
    request: PageRequest,
    visitor: NamedDependency[Visitor],
    pool: NamedDependency[Pool],
    now: FromNow,
    token: FromPath[str],
) -> Door:
    """Gather what every page of a link needs."""
    return Door(request=request, visitor=visitor, pool=pool, now=now, token=token)


FromDoor = NamedDependency[Door]


@get("/")
async def show_visit(door: FromDoor) -> Response[Any]:
    """The visit as it stands, or with ``.ics`` after the token its calendar file."""
    if door.token.endswith(_CALENDAR):
        return await _calendar(msgspec.structs.replace(door, token=door.token.removesuffix(_CALENDAR)))
    settings = _settings(door)
    async with reading(door.pool) as connection:
        link = await _open(door, connection)
        others = await list_other_visits(
            connection, link.own, secret_key=settings.secret_key, base_url=settings.public_base_url, now=door.now
        )
    return visit_page(link, did=dict(door.visitor.query).get("did"), others=others)


@post("/", status_code=200, guards=[limit_changes])
async def ask_for_link(door: FromDoor) -> Response[Any]:
    """Text whoever once got this link the one of their next visit, to the number on file.

    The answer is the same whoever that is, and comes before anybody looks.
    """
    return Response(
        None, status_code=303, headers={"Location": "?texted=yes"}, background=BackgroundTask(_text_link, door)
    )


@get("/cancel")
async def ask_before_cancelling(door: FromDoor) -> Response[Any]:
    """Whether the visit is to be cancelled, and why."""
    link = await _look(door)
    return cancel_page(link) if "cancel" in link.own.outlook.may else see_other(link.url)


@get("/move", guards=[limit_reads])
async def choose_new_time(door: FromDoor) -> Response[Any]:
    """When the visit may be instead, and with whom."""
    link = await _look(door)
    if "move" not in link.own.outlook.may:
        return see_other(link.url)
    return await move_page(link, door.pool, link_wish(link, dict(door.visitor.query)), now=door.now)


@get(["/confirm", "/undo", "/preferences"])
async def go_back(door: FromDoor) -> Response[Any]:
    """Whoever asks again for what answered a form wants to see the visit."""
    return see_other((await _look(door)).url)


@post("/confirm", status_code=200, guards=[limit_changes])
async def confirm(door: FromDoor) -> Response[Any]:
    """The patient will come."""

    async def change(connection: Connection, link: Link, version: int) -> None:
        await services.confirm(connection, link.own, version=version, actor=link.visitor.actor, now=door.now)

    return await _change(door, "confirmed", change, lambda own: own.visit.status == "confirmed")


@post("/cancel", status_code=200, guards=[limit_changes])
async def cancel(door: FromDoor) -> Response[Any]:
    """The patient will not come."""
    reason = (await read_form(door.request)).get("reason", "")

    async def change(connection: Connection, link: Link, version: int) -> None:
        await services.cancel(
            connection, link.own, version=version, reason=reason, actor=link.visitor.actor, now=door.now
        )

    return await _change(door, "cancelled", change, lambda own: own.visit.status == "cancelled")


@post("/undo", status_code=200, guards=[limit_changes])
async def undo(door: FromDoor) -> Response[Any]:
    """The patient will come after all."""

    async def change(connection: Connection, link: Link, version: int) -> None:
        await services.undo(connection, link.own, version=version, actor=link.visitor.actor, now=door.now)

    return await _change(door, "kept", change, lambda own: own.visit.status != "cancelled")


@post("/move", status_code=200, guards=[limit_changes])
async def move(door: FromDoor) -> Response[Any]:
    """The patient comes at another time; until that is theirs, the old one is."""
    form = await read_form(door.request)
    starts_at = read_slot(form.get("start", ""), door.now)

    async def change(connection: Connection, link: Link, version: int) -> None:
        if starts_at <= door.now:
            raise TooSoon
        await services.move(
            connection, link.own, starts_at, link_wish(link, form).who,
            version=version, actor=link.visitor.actor, now=door.now,
        )  # fmt: skip

    try:
        return await _change(door, "moved", change, lambda own: own.visit.starts_at == starts_at)
    except PlacementRefused as refused:
        link = await _look(door)
        wish = link_wish(link, {"who": form.get("who", ANYBODY)})
        return await move_page(link, door.pool, wish, now=door.now, refused=(starts_at, refused))


@post("/preferences", status_code=200, guards=[limit_changes])
async def set_preferences(door: FromDoor) -> Response[Any]:
    """Which messages reach the patient, and in which language; these are of no visit, so no version is asked for."""
    form = await read_form(door.request)
    async with unit_of_work(door.pool) as connection:
        link = await _open(door, connection)
        if not _is_ours(link, form):
            return visit_page(link, status=FORBIDDEN, notice="visit.not.again")
        own, actor = link.own, link.visitor.actor
        if "texts" in form:
            await services.turn_texts(connection, own, wanted=form["texts"] == "on", actor=actor, now=door.now)
        if "emails" in form:
            await services.turn_emails(connection, own, wanted=form["emails"] == "on", actor=actor)
        spoken: dict[str, Language] = {one: one for one in own.clinic.settings.languages}
        language = spoken.get(form.get("language", ""))
        if language is not None:
            await services.speak(connection, own, language, actor=actor, now=door.now)
    return see_other(f"{link.url}?did=saved" + (f"&lang={language}" if language else ""))


async def _text_link(door: Door) -> None:
    token = door.token.removesuffix(_CALENDAR)
    try:
        async with reading(door.pool) as connection:
            owner = await find_owner(connection, _clinics(door), token, now=door.now)
        if owner is None:
            return
        clinic, visit, patient = owner
        await limit_codes(door.request, clinic, patient.phone)
        async with unit_of_work(door.pool) as connection:
            await text_link(connection, clinic, visit, patient, now=door.now)
    except RateLimited:
        _log.info("link.not_texted")
    except Exception as problem:  # noqa: BLE001 - nobody waits for an answer any more
        _log.warning("link.not_texted", problem=type(problem).__name__)


async def _look(door: Door) -> Link:
    """Open the link to look at its visit. Raises LinkExpired."""
    async with reading(door.pool) as connection:
        return await _open(door, connection)


async def _open(door: Door, connection: Connection) -> Link:
    """Return what the link opens, in the language that the patient chose here, or else in theirs."""
    visitor, settings = door.visitor, _settings(door)
    own = await open_link(connection, _clinics(door), door.token, door.now)
    chosen = "lang" in dict(visitor.query) or LANGUAGE_COOKIE in door.request.cookies
    spoken = own.clinic.settings.languages
    language = visitor.language if chosen else own.patient.language
    visitor = msgspec.structs.replace(
        visitor,
        clinic=own.clinic,
        language=language if language in spoken else spoken[0],
        actor=msgspec.structs.replace(visitor.actor, name=PATIENT),
    )
    return Link(token=door.token, key=form_key(settings.secret_key, door.token), visitor=visitor, own=own)


def _clinics(door: Door) -> list[Clinic]:
    """Return the clinics whose links open where this one was opened."""
    directory = cast("Directory", door.request.app.state.directory)
    return directory.linked_at(door.request.headers.get("host", ""), _settings(door).public_base_url)


def _settings(door: Door) -> Settings:
    return door.request.app.state.settings


async def _change(door: Door, did: str, change: _Change, came_true: Callable[[OwnVisit], bool]) -> Response[Any]:
    """Do what a form asks and go back to the visit, or show the visit as it is now and say why nothing was done.

    A form that was sent twice is done once: where one change came in between and made true what is asked for, it was
    this form's own. Raises LinkExpired or PlacementRefused.
    """
    form = await read_form(door.request)
    text = form.get("version", "")
    version = int(text) if text.isdecimal() and text.isascii() and len(text) <= _LONGEST_VERSION else 0
    refusal: SchedulerError
    try:
        async with unit_of_work(door.pool) as connection:
            link = await _open(door, connection)
            if not _is_ours(link, form):
                return visit_page(link, status=FORBIDDEN, notice="visit.not.again")
            await change(connection, link, version)
        return see_other(f"{link.url}?did={did}")
    except (VersionMismatch, WrongStatus, TooLateToChange) as refused:
        refusal = refused
    except PlacementRefused:
        if did == "moved":
            raise
        return visit_page(await _look(door), status=CONFLICT, notice="visit.not.gone")
    link = await _look(door)
    if isinstance(refusal, VersionMismatch) and link.own.visit.version == version + 1 and came_true(link.own):
        return see_other(f"{link.url}?did={did}")
    late = isinstance(refusal, TooLateToChange)
    return visit_page(link, status=CONFLICT, notice="visit.not.late" if late else "visit.not.changed")


def _is_ours(link: Link, form: dict[str, str]) -> bool:
    return hmac.compare_digest(link.key.encode(), form.get("key", "").encode())


async def _calendar(door: Door) -> Response[bytes]:
    link = await _look(door)
    if link.own.visit.status == "cancelled" or not link.own.outlook.told:
        raise NotFound
    return visit_file(door.request, link.visitor, link.own.visit, now=door.now)


MANAGE = Router(
    path="/m/{token:str}",
    route_handlers=[
        show_visit,
        ask_for_link,
        ask_before_cancelling,
        choose_new_time,
        go_back,
        confirm,
        cancel,
        undo,
        move,
        set_preferences,
    ],
    dependencies={"door": Provide(provide_door, sync_to_thread=False)},
)
