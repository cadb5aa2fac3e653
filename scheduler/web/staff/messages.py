"""The desk's inbox: what failed, what patients wrote, and what was left to the desk, each with what to do about it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from scheduler.domain.inbox import How, Item, Sort
from scheduler.domain.patients import read_email, read_phone
from scheduler.errors import (
    FieldError,
    InvalidRequest,
    MessageOutdated,
    MessageWrongState,
    NotFound,
    PatientExists,
    SchedulerError,
)
from scheduler.services import inbox as services
from scheduler.services.messages import resend
from scheduler.services.staff_names import name_actors
from scheduler.store.connections import Connection, Pool
from scheduler.store.inbox import Phone
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages import dates
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.staff import message_words as words
from scheduler.web.staff.inbox_looks import MESSAGES, look_at, read_id, row_look
from scheduler.web.staff.render import HTMX, staff_page
from scheduler.web.staff.session import FromStaff, StaffMember, roles, safe_next

FromPool = NamedDependency[Pool]

DESK = roles("desk", "admin")

# As addresses and forms name them.
_SORTS_BY_NAME: dict[str, Sort] = {sort: sort for sort in words.SORTS}
_HOWS: dict[str, How] = {how: how for how in get_args(How)}

_INVALID, _CONFLICT = 422, 409

# What somebody was slower than, or what cannot be done any more.
_REFUSED = (NotFound, MessageWrongState, MessageOutdated)


@get("/messages")
async def show_inbox(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[str]:
    """Show what is open, with the numbers to call about one thing."""
    did = words.DID.get(request.query_params.get("did", ""), "")
    return await _inbox_page(staff, pool, now, did=did)


@get("/messages/news")
async def show_news(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[str]:
    """Say whether anything has come to be open since the page was made."""
    since = _moment(request.query_params.get("since", ""))
    async with reading(pool) as connection:
        fresh = await services.count_new(connection, staff.clinic, since)
    return staff_page(staff, "staff/messages_news.html", title="", fresh=fresh)


@post("/messages/{sort:str}/{item_id:uuid}/off", status_code=200, guards=[DESK])
async def take_off(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, sort: FromPath[str], item_id: FromPath[UUID]
) -> Response[Any]:
    """Take something off the list, because somebody called (``how``: called), or saw to it without."""
    form = await read_form(request)
    how = _HOWS.get(form.get("how", ""))
    if sort not in _SORTS_BY_NAME or how is None:
        raise NotFound
    try:
        async with unit_of_work(pool) as connection:
            seen = await services.cross_off(
                connection, staff.clinic, _SORTS_BY_NAME[sort], item_id, how, actor=staff.actor
            )
            names = await name_actors(connection, staff.clinic, [seen.by])
    except _REFUSED as problem:
        return await _refused(staff, pool, now, problem)
    if seen.by != staff.actor.name:
        when = words.near(staff.clinic.local(seen.at), staff.clinic.local(now))
        alert = f"Seen to by {names[seen.by]} already, {when}. Nothing was changed."
        return await _inbox_page(staff, pool, now, alert=alert, status=_CONFLICT)
    return see_other(back_to(form, did=how, undo=f"{sort}/{item_id}"))


@post("/messages/{sort:str}/{item_id:uuid}/back", status_code=200, guards=[DESK])
async def put_back(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, sort: FromPath[str], item_id: FromPath[UUID]
) -> Response[Any]:
    """Put back on the list what was taken off it by a slip of the hand."""
    if sort not in _SORTS_BY_NAME:
        raise NotFound
    form = await read_form(request)
    try:
        async with unit_of_work(pool) as connection:
            await services.put_back(connection, staff.clinic, _SORTS_BY_NAME[sort], item_id, actor=staff.actor, now=now)
    except NotFound as problem:
        return await _refused(staff, pool, now, problem)
    return see_other(back_to(form, did="back"))


@post("/messages/{message_id:uuid}/resend", status_code=200, guards=[DESK])
async def send_again(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, message_id: FromPath[UUID]
) -> Response[Any]:
    """Send a message that failed once more."""
    form = await read_form(request)
    try:
        async with unit_of_work(pool) as connection:
            await resend(connection, staff.clinic, message_id, actor=staff.actor, now=now)
    except _REFUSED as problem:
        return await _refused(staff, pool, now, problem)
    return see_other(back_to(form, did="resent"))


@get("/messages/{message_id:uuid}/fix", guards=[DESK])
async def ask_address(staff: FromStaff, pool: FromPool, now: FromNow, message_id: FromPath[UUID]) -> Response[str]:
    """Ask for the phone or the email to which a message that failed should have gone."""
    return await _fix_page(staff, pool, now, message_id)


@post("/messages/{message_id:uuid}/fix", status_code=200, guards=[DESK])
async def take_address(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, message_id: FromPath[UUID]
) -> Response[Any]:
    """Take the new address and send the message there."""
    form = await read_form(request)
    problem, note = "", ""
    try:
        async with unit_of_work(pool) as connection:
            item = await services.find_item(connection, staff.clinic, message_id, now=now)
            fixed = await services.fix(
                connection, staff.clinic, message_id, _read_address(item, form), agreed=form.get("agreed") == "yes",
                actor=staff.actor, now=now,
            )  # fmt: skip
        if fixed.sent:
            return see_other(f"{MESSAGES}?did=fixed")
        note = f"The new address was saved, and the message was not sent again. {fixed.reason}"
    except InvalidRequest as refused:
        problem = f"{refused.members['errors'][0]['detail']}."
    except PatientExists:
        problem = "Another patient of this name has that number already. Is it one person, twice on file?"
    except _REFUSED as refused:
        return await _refused(staff, pool, now, refused)
    if note:
        return await _inbox_page(staff, pool, now, alert=note)
    return await _fix_page(staff, pool, now, message_id, form=form, problem=problem)


def back_to(form: dict[str, str], *, did: str, undo: str = "") -> str:
    """Return the address of the list on which a form was, which then says what was done and lets it be undone."""
    here = urlsplit(safe_next(form.get("here", "")))
    kept = [(name, value) for name, value in parse_qsl(here.query) if name not in ("did", "call", "undo")]
    listed = here.path in (MESSAGES, "/staff/ops") or here.path.startswith("/staff/day/")
    path = here.path if listed else MESSAGES
    return f"{path}?{urlencode([*kept, ('did', did), *([('undo', undo)] if undo else [])])}"


def undo_address(query: Mapping[str, str]) -> str:
    """Return where to send that something is put back, or "" where nothing was taken off just now."""
    sort, _, item_id = query.get("undo", "").partition("/")
    return f"{MESSAGES}/{sort}/{item_id}/back" if sort in _SORTS_BY_NAME and read_id(item_id) else ""


async def _inbox_page(
    staff: StaffMember, pool: Pool, now: datetime, *, did: str = "", alert: str = "", status: int = 200
) -> Response[str]:
    # What answers a form is no page to come back to.
    here = staff.here if urlsplit(staff.here).path == MESSAGES else MESSAGES
    query = dict(parse_qsl(urlsplit(here).query))
    undo = undo_address(query) if did else ""
    only, calling = query.get("only", ""), read_id(query.get("call", ""))
    phones: list[Phone] = []
    async with unit_of_work(pool) as connection:
        inbox = await services.read_inbox(connection, staff.clinic, actor=staff.actor, now=now)
        shown = [item for item in inbox.items if only in ("", item.sort)]
        called = next((item for item in shown if item.id == calling), None)
        if called is not None and staff.is_any("desk", "admin"):
            phones = await services.read_phones(connection, staff.clinic, called, actor=staff.actor)
        elif calling is not None and not alert:
            alert = "That is off the list already: somebody has seen to it."
    return staff_page(
        msgspec.structs.replace(staff, here=here),
        "staff/messages.html",
        title="Messages",
        htmx=HTMX,
        section="messages",
        status=status,
        items=[
            look_at(
                item,
                staff,
                now,
                call=_address(only=only, call=str(item.id)),
                phones=phones if item is called else None,
            )
            for item in shown
        ],
        tabs=_tabs(inbox.counts, only),
        total=inbox.total,
        more=inbox.total - len(inbox.items),
        close=_address(only=only),
        zone=dates.zone_name(staff.clinic, "en"),
        may=staff.is_any("desk", "admin"),
        did=did,
        undo=undo,
        alert=alert,
        since=now.isoformat(),
    )


def _tabs(counts: dict[Sort, int], only: str) -> list[dict[str, Any]]:
    tabs = [
        ("", "All", sum(counts.values())),
        *((sort, label, counts.get(sort, 0)) for sort, label in words.SORTS.items()),
    ]
    return [
        {"address": _address(only=sort), "label": label, "count": count, "current": sort == only}
        for sort, label, count in tabs
    ]


def _address(*, only: str = "", call: str = "") -> str:
    query = urlencode([(name, value) for name, value in (("only", only), ("call", call)) if value])
    anchor = f"#i{call}" if call else ""
    return f"{MESSAGES}?{query}{anchor}" if query else MESSAGES


async def _refused(staff: StaffMember, pool: Pool, now: datetime, problem: SchedulerError) -> Response[str]:
    alert = f"{problem.detail or problem.title} Nothing was changed."
    return await _inbox_page(staff, pool, now, alert=alert, status=_CONFLICT)


async def _fix_page(
    staff: StaffMember,
    pool: Pool,
    now: datetime,
    message_id: UUID,
    *,
    form: dict[str, str] | None = None,
    problem: str = "",
) -> Response[str]:
    try:
        async with unit_of_work(pool) as connection:
            item, patient = await _addressee(connection, staff, message_id, now)
    except NotFound as refused:
        return await _refused(staff, pool, now, refused)
    field = _field(item)
    address = words.shown_phone(patient.phone) if field == "phone" else patient.email or ""
    heading = words.step_words(item, "fix")
    return staff_page(
        staff,
        "staff/fix.html",
        title=f"Error: {heading}" if problem else heading,
        section="messages",
        status=_INVALID if problem else 200,
        heading=heading,
        row=row_look(item, staff, now),
        action=f"{MESSAGES}/{message_id}/fix",
        field_name=field,
        value=form.get(field, "") if form else address,
        agreed=bool(form and form.get("agreed") == "yes"),
        problems={field: problem} if problem else {},
        back=MESSAGES,
    )


async def _addressee(connection: Connection, staff: StaffMember, message_id: UUID, now: datetime) -> Any:
    item = await services.find_item(connection, staff.clinic, message_id, now=now)
    return item, await services.find_addressee(connection, staff.clinic, item, actor=staff.actor)


def _field(item: Item) -> str:
    """Return the field in which the address of a message stands."""
    return "phone" if item.message and item.message.channel == "sms" else "email"


def _read_address(item: Item, form: dict[str, str]) -> str:
    """Return the phone or the email that somebody typed, as it is kept. Raises InvalidRequest."""
    problems: list[FieldError] = []
    field = _field(item)
    address = (read_phone if field == "phone" else read_email)(form.get(field, ""), f"/{field}", problems)
    if problems:
        raise InvalidRequest(*problems)
    return address


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return moment if moment.tzinfo else datetime.now(UTC)


MESSAGE_PAGES = [show_inbox, show_news, take_off, put_back, send_again, ask_address, take_address]
