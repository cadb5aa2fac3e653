"""The page behind the link in each reminder by email: it turns these off, and on again.

Looking at it changes nothing, because programs follow links in mail. A link that we did not make looks like any other
one, and does nothing.
"""

from typing import cast
from urllib.parse import parse_qsl
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec.structs import replace

from scheduler.domain.clinics import Clinic
from scheduler.services.directory import Directory
from scheduler.services.unsubscribes import find_wish, read_token, turn_reminders
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.units import reading, unit_of_work
from scheduler.web.limits import limit_changes, limit_reads
from scheduler.web.pages.render import PageRequest, Visitor, page

FromVisitor = NamedDependency[Visitor]
FromPool = NamedDependency[Pool]


@get("/u/{token:str}", guards=[limit_reads])
async def show_reminders(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, token: FromPath[str]
) -> Response[str]:
    """Say whether reminders are on, with a button for the other."""
    return await _reminders_page(pool, visitor, _owner(request, token), wanted=True)


@post("/u/{token:str}", status_code=200, guards=[limit_changes])
async def set_reminders(
    request: PageRequest, visitor: FromVisitor, pool: FromPool, token: FromPath[str]
) -> Response[str]:
    """Turn reminders off, or on where the page's own button says so.

    Mail programs post here for their users (RFC 8058): from elsewhere, without a cookie, as whichever kind of form, and
    without following where an answer sends them. The token is all that they need to have.
    """
    wanted = dict(parse_qsl((await request.body()).decode("latin-1"))).get("reminders") == "on"
    owner = _owner(request, token)
    if owner:
        async with unit_of_work(pool) as connection:
            await turn_reminders(connection, *owner, wanted=wanted, actor=visitor.actor)
    return await _reminders_page(pool, visitor, owner, wanted=wanted)


def _owner(request: PageRequest, token: str) -> tuple[Clinic, UUID] | None:
    """Return whose link it is. One address serves the mail of all clinics, so the token tells the clinic."""
    state = request.app.state
    return read_token(cast("Settings", state.settings).secret_key, cast("Directory", state.directory).clinics, token)


async def _reminders_page(
    pool: Pool, visitor: Visitor, owner: tuple[Clinic, UUID] | None, *, wanted: bool
) -> Response[str]:
    """Return the page as things stand now; as ``wanted`` where that is nobody's."""
    if owner:
        clinic, patient_id = owner
        async with reading(pool) as connection:
            patient, known = await find_wish(connection, clinic, patient_id)
        wanted = known if patient else wanted
        spoken = clinic.settings.languages
        # The mail was in the patient's language; what they choose on the page comes first.
        languages = [visitor.language] if "lang" in dict(visitor.query) else [patient.language] if patient else []
        language = next((one for one in (*languages, visitor.language) if one in spoken), spoken[0])
        visitor = replace(visitor, clinic=clinic, language=language)
    # The page does not name its own address, so the token is not in it.
    return page(visitor, "unsubscribe.html", here="?", wanted=wanted)


UNSUBSCRIBE = [show_reminders, set_reminders]
