"""A time kept for a few minutes while somebody types. The hold is a courtesy; the booking checks everything again."""

import base64
import hashlib
import hmac
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.availability import Placement
from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.domain.visits import Visit
from scheduler.errors import HoldExpired, HoldNotFound, WrongStatus
from scheduler.services.limits import check_live_holds
from scheduler.services.placement import Wish, draft, occupied_by, placed
from scheduler.services.visits import audit_visit
from scheduler.store import holds as store
from scheduler.store.connections import Connection
from scheduler.store.holds import HeldVisit
from scheduler.store.locks import lock_subject
from scheduler.store.visits import insert_visit

EXTENSIONS = 10


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as its holder gets it. The token is told once and kept only as a hash."""

    visit: Visit
    token: str
    expires_at: datetime


def token_of(secret_key: str, hold_id: UUID) -> str:
    """Return the token that comes with a hold, which can be made again and so need not be kept anywhere."""
    digest = hmac.digest(secret_key.encode(), f"hold:{hold_id}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def page_token(secret_key: str, key: str) -> str:
    """Return the token of whatever is held from one showing of a page; ``key`` is what that page alone has in it."""
    digest = hmac.digest(secret_key.encode(), f"page:{key}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def hash_token(token: str) -> bytes:
    """Return what is stored of a token: 256 bits that nobody can guess need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


async def place_hold(
    connection: Connection,
    clinic: Clinic,
    visit_type: VisitType,
    starts_at: datetime,
    *,
    therapist: Therapist | None,
    secret_key: str,
    token: str | None = None,
    client: bytes | None = None,
    actor: Actor,
    now: datetime,
) -> Hold:
    """Keep a start for the clinic's hold time. Raises PlacementRefused with alternatives.

    ``token`` is given where the same wish may come twice, as with two taps on one button: what it holds already is
    kept, or let go for another wish. ``client`` is what a client of the public is counted by; it is forgotten when the
    hold ends. Raises RateLimited where it keeps as many times as it may.
    """
    if token is not None:
        kept = await _kept(connection, clinic, token, visit_type, starts_at, therapist, actor)
        if kept is not None:
            return kept
    if client is not None:
        await check_live_holds(connection, clinic, client)
    wish = Wish(visit_type=visit_type, starts_at=starts_at, therapist=therapist, bound_at=None if actor.staff else now)

    async def write(placement: Placement) -> Hold:
        visit = draft(wish, placement, status="held", actor=actor, now=now)
        proof = token or token_of(secret_key, visit.id)
        expires_at = await insert_visit(
            connection,
            clinic.id,
            visit,
            occupied_by(wish, placement),
            token_hash=hash_token(proof),
            hold_minutes=clinic.settings.hold_minutes,
            hold_client=client,
        )
        assert expires_at is not None  # noqa: S101 - holds run out
        await audit_visit(connection, clinic, actor, "hold.placed", visit, {"starts_at": visit.starts_at})
        return Hold(visit=visit, token=proof, expires_at=expires_at)

    return await placed(connection, clinic, wish, now=now, write=write)


async def find_hold(
    connection: Connection, clinic: Clinic, hold_id: UUID, token: str, *, for_update: bool = False
) -> HeldVisit:
    """Return what began as this hold. A wrong token and an unknown id look the same: HoldNotFound."""
    held = await store.fetch_hold(connection, clinic.id, hold_id, for_update=for_update)
    known = held.token_hash if held else bytes(32)
    if not hmac.compare_digest(known, hash_token(token)) or held is None:
        raise HoldNotFound
    return held


async def extend_hold(
    connection: Connection, clinic: Clinic, hold_id: UUID, token: str, *, actor: Actor
) -> tuple[Visit, datetime]:
    """Let a hold run on, at most ten times. Raises HoldNotFound, HoldExpired or WrongStatus."""
    held = await find_hold(connection, clinic, hold_id, token, for_update=True)
    if held.visit.status == "expired" or (held.visit.status == "held" and held.expired):
        raise HoldExpired
    if held.visit.status != "held":
        raise WrongStatus("This hold has become a visit.", visit_status=held.visit.status, allowed=[])
    if held.extensions >= EXTENSIONS:
        raise WrongStatus(f"A hold can be extended {EXTENSIONS} times.", visit_status="held", allowed=[])
    expires_at = await store.extend_hold(connection, clinic.id, hold_id, clinic.settings.hold_minutes)
    await audit_visit(connection, clinic, actor, "hold.extended", held.visit, {"starts_at": held.visit.starts_at})
    return held.visit, expires_at


async def release_hold(connection: Connection, clinic: Clinic, hold_id: UUID, token: str, *, actor: Actor) -> None:
    """Free a hold at once; one that has ended already is fine. Raises HoldNotFound, or WrongStatus once booked."""
    held = await find_hold(connection, clinic, hold_id, token, for_update=True)
    if held.visit.status == "held":
        await _release(connection, clinic, held.visit, actor)
    elif held.visit.status != "expired":
        raise WrongStatus("This hold has become a visit.", visit_status=held.visit.status, allowed=[])


def is_for(visit: Visit, visit_type: VisitType, starts_at: datetime, therapist: Therapist | None) -> bool:
    """Whether a hold is what somebody wants who chooses this; without a therapist anybody will do."""
    wanted = therapist is None or therapist.id == visit.therapist_id
    return wanted and (visit.visit_type, visit.starts_at) == (visit_type.code, starts_at)


async def _kept(
    connection: Connection,
    clinic: Clinic,
    token: str,
    visit_type: VisitType,
    starts_at: datetime,
    therapist: Therapist | None,
    actor: Actor,
) -> Hold | None:
    """Return the hold that this token has already if it is the one that is wanted; let go of any other."""
    # The second of two requests at once waits here for what the first one does.
    await lock_subject(connection, clinic.id, hash_token(token))
    held = await store.fetch_live_hold(connection, clinic.id, hash_token(token))
    if held is None or held.expires_at is None:
        return None
    if is_for(held.visit, visit_type, starts_at, therapist):
        return Hold(visit=held.visit, token=token, expires_at=held.expires_at)
    await _release(connection, clinic, held.visit, actor)
    return None


async def _release(connection: Connection, clinic: Clinic, visit: Visit, actor: Actor) -> None:
    await store.expire_hold(connection, clinic.id, visit.id)
    await audit_visit(connection, clinic, actor, "hold.released", visit, {"starts_at": visit.starts_at})
