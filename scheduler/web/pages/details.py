"""Booking, the third step: who it is for; and where the clinic wants that, the code that was texted to their phone."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from scheduler.domain.patients import BY_PAGE, PatientDetails
from scheduler.errors import HoldExpired, PlacementRefused, WrongStatus
from scheduler.services.bookings import Booking, book_hold
from scheduler.services.holds import extend_hold
from scheduler.services.phone_codes import is_proven, make_proof, may_send, send_code, try_code
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.holds import HeldVisit
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.limits import limit_bookings, limit_changes, limit_codes
from scheduler.web.pages.own_holds import OwnHold, find_own, hold_cookie, let_go
from scheduler.web.pages.patients import TRAP, Typed, read_code, read_details, read_typed
from scheduler.web.pages.render import PageRequest, Visitor, page, read_form, see_other
from scheduler.web.pages.views import (
    UNPROCESSABLE,
    details_page,
    hold_url,
    is_booked,
    kept_until,
    refused_page,
    trapped_page,
    type_and_therapist,
)


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A request about a hold of this browser: what it is now, what was typed, and what that makes of the patient.

    ``wrong`` is what is wrong with it by field; the details are of use without any.
    """

    request: PageRequest
    visitor: Visitor
    pool: Pool
    now: datetime
    own: OwnHold
    held: HeldVisit
    form: dict[str, str]
    typed: Typed
    details: PatientDetails
    wrong: dict[str, str]

    @property
    def settings(self) -> Settings:
        return self.request.app.state.settings

    @property
    def asks_for_language(self) -> bool:
        return "lang" in dict(self.visitor.query)

    def show(self, *, errors: dict[str, str] | None = None) -> Response[str]:
        """Return the third step with what was typed."""
        until = kept_until(self.held)
        return details_page(self.visitor, self.held.visit, self.own, until, typed=self.typed, errors=errors)


async def provide_submission(
    request: PageRequest,
    visitor: NamedDependency[Visitor],
    pool: NamedDependency[Pool],
    now: FromNow,
    hold_id: FromPath[UUID],
) -> Submission:
    """Read the form of the third step, which our own page has sent. Raises HoldNotFound."""
    own, held = await find_own(request, visitor, pool, hold_id)
    form = await read_form(request)
    own.check(form.get("token"))
    typed = read_typed(form)
    details, wrong = read_details(typed, visitor, now)
    return Submission(
        request=request, visitor=visitor, pool=pool, now=now, own=own, held=held, form=form, typed=typed,
        details=details, wrong=wrong,
    )  # fmt: skip


FromSubmission = NamedDependency[Submission]
_SUBMISSION = {"sent": Provide(provide_submission)}


@get("/book/h/{hold_id:uuid}")
async def enter_details(
    request: PageRequest, visitor: NamedDependency[Visitor], pool: NamedDependency[Pool], hold_id: FromPath[UUID]
) -> Response[Any]:
    """Step 3: who."""
    own, held = await find_own(request, visitor, pool, hold_id)
    if is_booked(held.visit):
        return see_other(f"{hold_url(own)}/done")
    return details_page(visitor, held.visit, own, kept_until(held))


@post("/book/h/{hold_id:uuid}", status_code=200, guards=[limit_changes], dependencies=_SUBMISSION)
async def book_visit(sent: FromSubmission) -> Response[Any]:
    """Book what is held, or say what is wrong with what was typed, or that the time is gone; or ask for a code."""
    if is_booked(sent.held.visit):
        return see_other(f"{hold_url(sent.own)}/done")
    if sent.asks_for_language or "edit" in sent.form:
        return sent.show()
    if sent.form.get(TRAP):
        return trapped_page(sent.visitor)
    if sent.wrong:
        return sent.show(errors=sent.wrong)
    if sent.visitor.clinic.settings.phone_code and not _is_proven(sent):
        return await _ask_for_code(sent, again=False)
    return await _book(sent)


@get("/book/h/{hold_id:uuid}/code")
async def go_back(hold_id: FromPath[UUID]) -> Response[Any]:
    """Whoever asks again for what answered a form begins with the details."""
    return see_other(f"/book/h/{hold_id}")


@post("/book/h/{hold_id:uuid}/code", status_code=200, guards=[limit_changes], dependencies=_SUBMISSION)
async def enter_code(sent: FromSubmission) -> Response[Any]:
    """Book where the code is right; else say what is wrong with it, or send a new one."""
    if is_booked(sent.held.visit):
        return see_other(f"{hold_url(sent.own)}/done")
    if sent.wrong or not sent.visitor.clinic.settings.phone_code:
        return sent.show(errors=sent.wrong)
    if sent.asks_for_language:
        return _code_page(sent)
    if "again" in sent.form:
        return await _ask_for_code(sent, again=True)
    code = read_code(sent.form.get("code", ""))
    return await _book(sent, code) if code else _code_page(sent, error=sent.visitor.say("code.missing"))


@post("/book/h/{hold_id:uuid}/extend", status_code=200, guards=[limit_changes], dependencies=_SUBMISSION)
async def hold_longer(sent: FromSubmission) -> Response[Any]:
    """Keep the time for longer and show step 3 again, with what was typed."""
    until, own, visit = kept_until(sent.held), sent.own, sent.held.visit
    try:
        async with unit_of_work(sent.pool) as connection:
            _, until = await extend_hold(connection, sent.visitor.clinic, own.id, own.token, actor=sent.visitor.actor)
    except (HoldExpired, WrongStatus):
        # Held for as long as it could be; the page says until when, and booking it is still open.
        pass
    cookie = hold_cookie(sent.visitor, own)
    if not sent.typed.anything or is_booked(visit):
        return see_other(hold_url(own), [cookie])
    return details_page(sent.visitor, visit, own, until, typed=sent.typed, cookies=[cookie])


async def _book(sent: Submission, code: str | None = None) -> Response[Any]:
    """Book, where a code is given in the same transaction that uses it up, so that two taps book once."""
    visitor, visit, typed, settings = sent.visitor, sent.held.visit, sent.typed, sent.settings
    clinic, phone = visitor.clinic, sent.details.phone
    await limit_bookings(sent.request, clinic, phone)
    booking = Booking(
        details=sent.details,
        # An empty box says nothing: it takes back no consent that was given before.
        sms_consent=True if typed.texts else None,
        wording_version=clinic.settings.consent_wording_version,
        consent_method=BY_PAGE,
    )
    if kept_until(sent.held) is None:
        # The same browser may have taken the same time once more, in another window.
        await let_go(sent.request, sent.pool, visitor)
    tried, left = "right", 0
    try:
        async with unit_of_work(sent.pool) as connection:
            if code is not None:
                tried, left = await try_code(
                    connection, clinic, visit.id, phone, code, secret_key=settings.secret_key, now=sent.now
                )
            if tried == "right":
                await book_hold(
                    connection, clinic, booking, visit.id, sent.own.token, secret_key=settings.secret_key,
                    actor=visitor.actor, now=sent.now, phone_proven=True,
                )  # fmt: skip
    except PlacementRefused as refused:
        if code is not None:
            # Another time needs no other code.
            typed = msgspec.structs.replace(typed, proof=make_proof(settings.secret_key, clinic, phone, sent.now))
        visit_type, therapist = type_and_therapist(visitor, visit)
        return await refused_page(
            visitor, sent.pool, visit_type, visit.starts_at, refused, lost_with=therapist, now=sent.now, typed=typed
        )
    return see_other(f"{hold_url(sent.own)}/done") if tried == "right" else await _not_right(sent, tried, left)


async def _not_right(sent: Submission, tried: str, left: int) -> Response[Any]:
    """Say what is wrong with a code. One that is gone was used by the other of two taps, or is for another phone."""
    say = sent.visitor.say
    if tried == "none":
        own, held = await find_own(sent.request, sent.visitor, sent.pool, sent.own.id)
        return see_other(f"{hold_url(own)}/done") if is_booked(held.visit) else await _ask_for_code(sent, again=False)
    if tried == "wrong":
        return _code_page(sent, error=say("code.wrong.one") if left == 1 else say("code.wrong", count=left))
    return _code_page(sent, error=say("code.expired") if tried == "expired" else say("code.spent"))


async def _ask_for_code(sent: Submission, *, again: bool) -> Response[Any]:
    """Text a code, unless one is on its way, and ask for it."""
    clinic, phone, secret_key = sent.visitor.clinic, sent.details.phone, sent.settings.secret_key
    async with reading(sent.pool) as connection:
        sending = await may_send(
            connection, clinic, sent.own.id, phone, again=again, secret_key=secret_key, now=sent.now
        )
    if sending == "never":
        return _code_page(sent, error=sent.visitor.say("code.never"))
    if sending == "soon":
        return _code_page(sent, notice=sent.visitor.say("code.soon"))
    if sending == "waiting":
        return _code_page(sent)
    await limit_codes(sent.request, clinic, phone)
    async with unit_of_work(sent.pool) as connection:
        await send_code(
            connection, clinic, sent.own.id, phone, sent.visitor.language, secret_key=secret_key, now=sent.now
        )
    return _code_page(sent, notice=sent.visitor.say("code.new") if again else None)


def _code_page(sent: Submission, *, error: str | None = None, notice: str | None = None) -> Response[str]:
    return page(
        sent.visitor,
        "code.html",
        status=UNPROCESSABLE if error else 200,
        here=hold_url(sent.own),
        hold=sent.own,
        url=hold_url(sent.own),
        typed=sent.typed,
        ending=sent.details.phone[-2:],
        # What was wrong can be mended; what a new code took the place of is of no more use.
        code=sent.form.get("code", "") if error else "",
        errors={"code": error} if error else {},
        notice=notice,
    )


def _is_proven(sent: Submission) -> bool:
    return is_proven(sent.settings.secret_key, sent.visitor.clinic, sent.details.phone, sent.typed.proof, sent.now)


DETAILS = [enter_details, book_visit, go_back, enter_code, hold_longer]
