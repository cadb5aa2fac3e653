"""Signing in and out: a name and a password, then a code from the person's phone, then a session in the database.

What is wrong is never told: an unknown name, a wrong password and a closed account get one answer after the same work.
Tries are counted before they are looked at, by name and client, and whoever fails often waits.
"""

import hashlib
import hmac
import math
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from scheduler.domain import totp
from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import (
    FIRST_PAUSE,
    LONGEST_PASSWORD,
    LONGEST_PAUSE,
    SECOND_FACTOR_MINUTES,
    TRIES_OF_CLIENT,
    TRIES_OF_CODE,
    TRIES_OF_NAME,
    Account,
    Session,
    Tries,
    actor_name,
    read_username,
)
from scheduler.errors import SignInRefused, TooManyTries
from scheduler.ids import new_id
from scheduler.services.passwords import is_password
from scheduler.store import staff as store
from scheduler.store import staff_sessions as sessions
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection, Pool
from scheduler.store.units import reading, unit_of_work

_TOKEN_BYTES = 32


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was opened: the token for the cookie, which is not kept, and whether a code is still to come."""

    token: str
    needs_second_factor: bool


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody wants in: at one of these clinics, from this client, named in rows by ``request_id``.

    ``preview`` opens to accounts without a second factor, which only the sample of `make run` has. ``client`` is a
    keyed hash, as ``services.limits.subject_of`` makes it.
    """

    clinics: Sequence[Clinic]
    client: bytes
    secret_key: str
    preview: bool
    request_id: str | None


async def sign_in(pool: Pool, door: Door, username: str, password: str) -> SignedIn:
    """Open a session for a name and a password. Raises SignInRefused or TooManyTries.

    The caller limits how much a client may ask for at all.
    """
    name = read_username(username)
    counter = door.clinics[0]
    subjects = [
        (_subject(door, "name and client", name.encode() + b"\0" + door.client), TRIES_OF_CLIENT),
        (_subject(door, "name", name.encode()), TRIES_OF_NAME),
    ]
    async with reading(pool) as connection:
        for subject, allowed in subjects:
            await _count(connection, counter, subject, allowed)
        account = await store.find_account(connection, [clinic.id for clinic in door.clinics], name)
    # No connection is kept meanwhile: this takes longer than all that a database does here.
    fits = await is_password(account.password_hash if account else None, password[: LONGEST_PASSWORD + 1])
    opens = account is not None and (account.totp_salt is not None or door.preview)
    if account is None or not fits or not opens:
        async with unit_of_work(pool) as connection:
            await add_audit_event(
                connection,
                account.clinic_id if account else counter.id,
                actor="public",
                action="staff.sign-in-refused",
                request_id=door.request_id,
                details={"staff_id": account.id if account else None},
            )
        raise SignInRefused
    clinic = next(clinic for clinic in door.clinics if clinic.id == account.clinic_id)
    async with unit_of_work(pool) as connection:
        await store.forget_tries(connection, counter.id, [subject for subject, _ in subjects])
        return await _open(connection, clinic, account, door, second_factor=account.totp_salt is not None)


async def give_code(pool: Pool, door: Door, clinic: Clinic, session: Session, code: str, now: datetime) -> SignedIn:
    """Take the second step: a code from the person's phone. Raises SignInRefused or TooManyTries.

    The session that follows has another token, so that one which somebody else knew beforehand is worth nothing.
    """
    subject = _subject(door, "code", session.account_id.bytes)
    async with reading(pool) as connection:
        await _count(connection, clinic, subject, TRIES_OF_CODE)
    signed_in: SignedIn | None = None
    async with unit_of_work(pool) as connection:
        account = await store.fetch_account(connection, clinic.id, session.account_id)
        if account is None or account.totp_salt is None or account.deactivated:
            raise SignInRefused
        secret = totp.secret_of(door.secret_key, account.id, account.totp_salt)
        step = totp.matching_step(secret, code, now, after=account.totp_step)
        if step is None or not await store.use_totp_step(connection, clinic.id, account.id, step):
            await trace(connection, clinic, session, "staff.code-refused", request_id=door.request_id)
        else:
            await store.forget_tries(connection, clinic.id, [subject])
            await sessions.end_session(connection, clinic.id, session.id)
            signed_in = await _open(connection, clinic, account, door, second_factor=False)
    # Not before the row about it was written for good.
    if signed_in is None:
        raise SignInRefused
    return signed_in


async def recognise(connection: Connection, token: str, *, active: bool) -> Session | None:
    """Return whose session has this token, or None where it has ended; ``active`` as in ``fetch_session``.

    What the look-up of a digest may tell by its time is said in ``services.api_keys``.
    """
    return await sessions.fetch_session(connection, _hash(token), active=active)


async def sign_out(connection: Connection, clinic: Clinic, session: Session, actor: Actor, *, everywhere: bool) -> None:
    """End this session, or all that the person has."""
    if everywhere:
        await sessions.end_sessions(connection, clinic.id, session.account_id)
    else:
        await sessions.end_session(connection, clinic.id, session.id)
    action = "staff.signed-out-everywhere" if everywhere else "staff.signed-out"
    await trace(connection, clinic, session, action, request_id=actor.request_id)


async def hide_names(connection: Connection, clinic: Clinic, session: Session, actor: Actor, *, hide: bool) -> None:
    """Show initials instead of names from now on, or names again."""
    await sessions.set_hide_names(connection, clinic.id, session.id, hide=hide)
    action = "staff.names-hidden" if hide else "staff.names-shown"
    await trace(connection, clinic, session, action, request_id=actor.request_id)


async def set_search_key(connection: Connection, clinic: Clinic, session: Session, actor: Actor, *, on: bool) -> None:
    """Let "/" lead this person to the search from now on, or not."""
    await store.set_search_key(connection, clinic.id, session.account_id, on=on)
    action = "staff.search-key-on" if on else "staff.search-key-off"
    await trace(connection, clinic, session, action, request_id=actor.request_id)


async def trace(
    connection: Connection, clinic: Clinic, session: Session, action: str, *, request_id: str | None
) -> None:
    """Write down what a person did with their own account."""
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor_name(session.account_id),
        action=action,
        request_id=request_id,
        details={"staff_id": session.account_id},
    )


def csrf_token(secret_key: str, token: str) -> str:
    """Return what a form must carry to be one of ours: made from the cookie's token, which no other site can read."""
    return hmac.new(secret_key.encode(), b"staff form:" + token.encode(), "sha256").hexdigest()


def new_token() -> str:
    return secrets.token_urlsafe(_TOKEN_BYTES)


async def _open(
    connection: Connection, clinic: Clinic, account: Account, door: Door, *, second_factor: bool
) -> SignedIn:
    token, limits = new_token(), clinic.settings.staff
    short = timedelta(minutes=SECOND_FACTOR_MINUTES)
    await sessions.add_session(
        connection,
        clinic.id,
        new_id(),
        account.id,
        token_hash=_hash(token),
        lasts=short if second_factor else timedelta(hours=limits.session_hours),
        idle=short if second_factor else timedelta(minutes=limits.idle_minutes),
        needs_second_factor=second_factor,
    )
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor_name(account.id),
        action="staff.password-accepted" if second_factor else "staff.signed-in",
        request_id=door.request_id,
        details={"staff_id": account.id},
    )
    return SignedIn(token=token, needs_second_factor=second_factor)


async def _count(connection: Connection, clinic: Clinic, subject: bytes, allowed: Tries) -> None:
    wait = await store.take_try(
        connection,
        clinic.id,
        subject,
        free=allowed.free,
        first_pause=FIRST_PAUSE,
        longest_pause=LONGEST_PAUSE,
    )
    if wait:
        raise TooManyTries(retry_after_seconds=math.ceil(wait))


def _subject(door: Door, kind: str, what: bytes) -> bytes:
    return hmac.digest(door.secret_key.encode(), f"sign-in {kind}:".encode() + what, "sha256")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
