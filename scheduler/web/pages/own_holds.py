"""The holds that a browser has made, each known by a cookie of its own that no script and no other site can use.

The cookie is ``hold-<id>`` and says the token. It lives longer than the hold, so that a hold that ran out can still be
booked, and so that the finished booking can be looked at again.
"""

import hmac
from collections.abc import Callable
from uuid import UUID

import msgspec
from litestar.datastructures import Cookie

from scheduler.domain.visits import Visit
from scheduler.errors import HoldNotFound, WrongStatus
from scheduler.services.holds import find_hold, release_hold
from scheduler.store.connections import Pool
from scheduler.store.holds import HeldVisit
from scheduler.store.units import reading, unit_of_work
from scheduler.web.pages.render import PageRequest, Visitor, make_cookie

_PREFIX = "hold-"
_COOKIE_SECONDS = 2 * 3600

# A browser that has more of them than this is not a person booking.
_MOST = 5


class OwnHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as the browser's cookie tells it; whether it is true is for the service to say."""

    id: UUID
    token: str

    def check(self, token: str | None) -> None:
        """Raise HoldNotFound unless the form came from our own page, which has the token in it."""
        if not hmac.compare_digest(self.token.encode(), (token or "").encode()):
            raise HoldNotFound


def hold_cookie(visitor: Visitor, own: OwnHold) -> Cookie:
    """Return the cookie by which this browser proves that the hold is its own."""
    return make_cookie(visitor, f"{_PREFIX}{own.id}", own.token, path="/book", seconds=_COOKIE_SECONDS)


def own_holds(request: PageRequest) -> list[OwnHold]:
    """Return the holds whose cookies the browser sent, the latest few."""
    found: list[OwnHold] = []
    for name, value in request.cookies.items():
        if name.startswith(_PREFIX):
            try:
                hold_id = UUID(name.removeprefix(_PREFIX))
            except ValueError:
                continue
            found.append(OwnHold(id=hold_id, token=value))
    return found[-_MOST:]


def own_hold(request: PageRequest, hold_id: UUID) -> OwnHold:
    """Return the hold of this id. Raises HoldNotFound where the browser has no cookie for it."""
    for own in own_holds(request):
        if own.id == hold_id:
            return own
    raise HoldNotFound


async def find_own(request: PageRequest, visitor: Visitor, pool: Pool, hold_id: UUID) -> tuple[OwnHold, HeldVisit]:
    """Return a hold of this browser and what it is now. Raises HoldNotFound."""
    own = own_hold(request, hold_id)
    async with reading(pool) as connection:
        return own, await find_hold(connection, visitor.clinic, hold_id, own.token)


async def find_held(
    request: PageRequest, pool: Pool, visitor: Visitor, is_wanted: Callable[[Visit], bool]
) -> tuple[OwnHold, HeldVisit] | None:
    """Return a time that this browser holds at this moment and that is wanted, or None."""
    async with reading(pool) as connection:
        for own in own_holds(request):
            try:
                held = await find_hold(connection, visitor.clinic, own.id, own.token)
            except HoldNotFound:
                continue
            if held.visit.status == "held" and not held.expired and is_wanted(held.visit):
                return own, held
    return None


async def let_go(request: PageRequest, pool: Pool, visitor: Visitor) -> None:
    """Free whatever this browser still holds: whoever chooses anew wants that time back on the list."""
    for own in own_holds(request):
        try:
            async with unit_of_work(pool) as connection:
                await release_hold(connection, visitor.clinic, own.id, own.token, actor=visitor.actor)
        except (HoldNotFound, WrongStatus):
            continue
