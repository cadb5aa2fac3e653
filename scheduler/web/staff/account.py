"""A person's own account: another password, another phone, signed out everywhere."""

import io
from datetime import datetime
from typing import Any

import segno
from litestar import Response, get, post
from litestar.di import NamedDependency

from scheduler.errors import NotFound, SignInRefused
from scheduler.services import staff_accounts as services
from scheduler.store.connections import Pool
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.limits import limit_changes
from scheduler.web.pages.render import PageRequest, read_form, see_other
from scheduler.web.staff.render import staff_page
from scheduler.web.staff.session import ACCOUNT, FromStaff, StaffMember, settings_of

FromPool = NamedDependency[Pool]

_INVALID = 422

_DONE = {"password": "Your password was changed. Other screens were signed out.", "phone": "Your new phone is set up."}


@get("/account")
async def show_account(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[str]:
    """Show who is signed in, and what they can change."""
    return await _account_page(request, staff, pool, done=_DONE.get(request.query_params.get("did", ""), ""))


@post("/account/password", status_code=200, guards=[limit_changes])
async def change_password(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[Any]:
    """Change the password, for the one before it."""
    form = await read_form(request)
    old, new = form.get("old_password", ""), form.get("new_password", "")
    problems: dict[str, str] = {}
    if new != form.get("again", ""):
        problems["again"] = "The two new passwords are not the same."
    else:
        try:
            async with unit_of_work(pool) as connection:
                problem = await services.change_password(
                    connection, staff.clinic, staff.session, old=old, new=new, actor=staff.actor
                )
        except SignInRefused:
            problems |= {"old_password": "That is not your password."}
        else:
            if problem is None:
                return see_other(f"{ACCOUNT}?did=password")
            problems["new_password"] = problem
    return await _account_page(request, staff, pool, problems=problems)


@post("/account/phone", status_code=200)
async def offer_phone(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[Any]:
    """Begin to set up another phone; the one before it works until the new one has shown a code."""
    async with unit_of_work(pool) as connection:
        await services.offer_second_factor(
            connection, staff.clinic, staff.session, secret_key=settings_of(request).secret_key, anew=True
        )
    return see_other(f"{ACCOUNT}#phone")


@post("/account/phone/code", status_code=200, guards=[limit_changes])
async def take_phone(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[Any]:
    """Take the new phone's first code, with the password, and use that phone from now on."""
    form = await read_form(request)
    try:
        await _take(request, staff, pool, form, now)
    except SignInRefused:
        words = "The password or the code does not fit. Type the code that your phone shows now."
        return await _account_page(request, staff, pool, problems={"code": words})
    return see_other(f"{ACCOUNT}?did=phone")


async def _take(request: PageRequest, staff: StaffMember, pool: Pool, form: dict[str, str], now: datetime) -> None:
    async with unit_of_work(pool) as connection:
        await services.take_second_factor(
            connection,
            staff.clinic,
            staff.session,
            password=form.get("password", ""),
            code=form.get("code", ""),
            secret_key=settings_of(request).secret_key,
            now=now,
            actor=staff.actor,
        )


@get("/account/phone.svg")
async def draw_code(request: PageRequest, staff: FromStaff, pool: FromPool) -> Response[bytes]:
    """Draw the QR code of the phone that is being set up. Raises NotFound where none is."""
    offered = await _offered(request, staff, pool)
    if offered is None:
        raise NotFound
    picture = io.BytesIO()
    # Dark on light in either colour scheme, as cameras want it.
    segno.make(offered[1], error="m").save(picture, kind="svg", scale=5, border=4, dark="#000", light="#fff")
    return Response(picture.getvalue(), media_type="image/svg+xml")


async def _offered(request: PageRequest, staff: StaffMember, pool: Pool) -> tuple[str, str] | None:
    async with reading(pool) as connection:
        return await services.offer_second_factor(
            connection, staff.clinic, staff.session, secret_key=settings_of(request).secret_key, anew=False
        )


async def _account_page(
    request: PageRequest, staff: StaffMember, pool: Pool, *, done: str = "", problems: dict[str, str] | None = None
) -> Response[str]:
    offered = await _offered(request, staff, pool)
    return staff_page(
        staff,
        "staff/account.html",
        title="Error: Your account" if problems else "Your account",
        section="account",
        status=_INVALID if problems else 200,
        done=done,
        problems=problems or {},
        secret=offered[0] if offered else None,
    )


ACCOUNT_PAGES = [show_account, change_password, offer_phone, take_phone, draw_code]
