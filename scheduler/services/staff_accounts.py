"""Staff accounts: made and closed from the command line, changed by the person whose account it is."""

import base64
import hmac
import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain import totp
from scheduler.domain.actors import COMMAND_LINE, Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import (
    LONGEST_NAME,
    ROLES,
    Account,
    Role,
    Session,
    initials_of,
    password_problem,
    read_username,
)
from scheduler.errors import ConfigurationError, SignInRefused
from scheduler.ids import new_id
from scheduler.services.passwords import hash_password, is_password
from scheduler.services.staff import trace
from scheduler.store import staff as store
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.staff_sessions import end_sessions

# Four groups of four from an alphabet of 32: 80 random bits that can be read out over the telephone.
_GROUPS = 4

# What `make run` makes, so that a new user can look at everything; by username.
SAMPLE: dict[str, tuple[str, Role]] = {"desk": ("Front Desk", "desk"), "admin": ("Avery Manager", "admin")}


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown once, of an account that is new or was reset: neither is kept. None is what stayed as it was."""

    username: str
    password: str | None = None
    totp_secret: str | None = None
    totp_uri: str | None = None


async def add(
    connection: Connection,
    clinic: Clinic,
    *,
    username: str,
    display_name: str,
    role: Role,
    therapist: str | None,
    secret_key: str,
    actor: Actor,
) -> Credentials:
    """Make an account with a password for the first time, and a second factor. Raises ConfigurationError."""
    name, username = display_name.strip(), _new_username(username)
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigurationError(f"--name: a name of up to {LONGEST_NAME} characters is needed")
    therapist_id = _schedule_of(clinic, role, therapist)
    if await store.find_account(connection, [clinic.id], username):
        raise ConfigurationError(f"an account called {username} exists already; deactivate it or choose another name")
    password, salt, account_id = _one_time_password(), secrets.token_bytes(totp.SALT_BYTES), new_id()
    await store.add_account(
        connection,
        clinic.id,
        account_id,
        username=username,
        display_name=name,
        initials=initials_of(name),
        role=role,
        therapist_id=therapist_id,
        password_hash=await hash_password(password),
        must_change_password=True,
        totp_salt=salt,
    )
    await _trace(connection, clinic, account_id, "staff.added", actor, role=role)
    return _with_totp(clinic, account_id, username, salt, secret_key, password=password)


async def show(connection: Connection, clinic: Clinic) -> list[Account]:
    return await store.list_accounts(connection, clinic.id)


async def set_role(
    connection: Connection, clinic: Clinic, username: str, *, role: Role, therapist: str | None, actor: Actor
) -> None:
    """Give an account a role, and whose schedule it is. Raises ConfigurationError.

    Each request reads the account with its session, so the next one of a session that is open has the new role.
    """
    account, therapist_id = await _find(connection, clinic, username), _schedule_of(clinic, role, therapist)
    if (account.role, account.therapist_id) == (role, therapist_id):
        raise ConfigurationError(f"{account.username} is {role} already")
    await store.set_role(connection, clinic.id, account.id, role=role, therapist_id=therapist_id)
    await _trace(
        connection, clinic, account.id, "staff.role-changed", actor,
        **{"from": _told(clinic, account.role, account.therapist_id), "to": _told(clinic, role, therapist_id)},
    )  # fmt: skip


async def deactivate(connection: Connection, clinic: Clinic, username: str, *, actor: Actor) -> None:
    """Close an account and end its sessions. Raises ConfigurationError where there is none that works."""
    account = await _find(connection, clinic, username)
    await store.deactivate_account(connection, clinic.id, account.id)
    await end_sessions(connection, clinic.id, account.id)
    await _trace(connection, clinic, account.id, "staff.deactivated", actor)


async def reset_password(connection: Connection, clinic: Clinic, username: str, *, actor: Actor) -> Credentials:
    """Give an account a password that must be changed at once, and end its sessions. Raises ConfigurationError."""
    account = await _find(connection, clinic, username)
    password = _one_time_password()
    await store.set_password(connection, clinic.id, account.id, await hash_password(password), must_change=True)
    await end_sessions(connection, clinic.id, account.id)
    await _trace(connection, clinic, account.id, "staff.password-reset", actor)
    return Credentials(username=account.username, password=password)


async def reset_totp(
    connection: Connection, clinic: Clinic, username: str, *, secret_key: str, actor: Actor
) -> Credentials:
    """Give an account another second factor and end its sessions. Raises ConfigurationError."""
    account, salt = await _find(connection, clinic, username), secrets.token_bytes(totp.SALT_BYTES)
    await store.set_totp_salt(connection, clinic.id, account.id, salt)
    await end_sessions(connection, clinic.id, account.id)
    await _trace(connection, clinic, account.id, "staff.second-factor-reset", actor)
    return _with_totp(clinic, account.id, account.username, salt, secret_key)


async def change_password(
    connection: Connection, clinic: Clinic, session: Session, *, old: str, new: str, actor: Actor
) -> str | None:
    """Change the person's own password and end their other sessions; return what is wrong with the new one, or None.

    Raises SignInRefused where the old one is not theirs.
    """
    account = await store.fetch_account(connection, clinic.id, session.account_id)
    if account is None or not await is_password(account.password_hash, old):
        raise SignInRefused
    if problem := password_problem(new, account.username):
        return problem
    if hmac.compare_digest(old.encode(), new.encode()):
        return "Choose another one than before."
    await store.set_password(connection, clinic.id, account.id, await hash_password(new), must_change=False)
    await end_sessions(connection, clinic.id, account.id, keep=session.id)
    await trace(connection, clinic, session, "staff.password-changed", request_id=actor.request_id)
    return None


async def offer_second_factor(
    connection: Connection, clinic: Clinic, session: Session, *, secret_key: str, anew: bool
) -> tuple[str, str] | None:
    """Return the secret and the address of a second factor that the person is about to set up, or None.

    ``anew`` begins with another one; it counts once ``take_second_factor`` saw a code of it.
    """
    account = await store.fetch_account(connection, clinic.id, session.account_id)
    salt = account.totp_next_salt if account else None
    if anew:
        salt = secrets.token_bytes(totp.SALT_BYTES)
        await store.offer_totp_salt(connection, clinic.id, session.account_id, salt)
    if salt is None:
        return None
    made = _with_totp(clinic, session.account_id, session.username, salt, secret_key)
    return (made.totp_secret or "", made.totp_uri or "")


async def take_second_factor(
    connection: Connection,
    clinic: Clinic,
    session: Session,
    *,
    password: str,
    code: str,
    secret_key: str,
    now: datetime,
    actor: Actor,
) -> None:
    """Make what was offered the person's second factor, for a code of it and their password. Raises SignInRefused."""
    account = await store.fetch_account(connection, clinic.id, session.account_id)
    if account is None or account.totp_next_salt is None or not await is_password(account.password_hash, password):
        raise SignInRefused
    secret = totp.secret_of(secret_key, account.id, account.totp_next_salt)
    step = totp.matching_step(secret, code, now, after=0)
    if step is None:
        raise SignInRefused
    await store.set_totp_salt(connection, clinic.id, account.id, account.totp_next_salt)
    await store.use_totp_step(connection, clinic.id, account.id, step)
    await end_sessions(connection, clinic.id, account.id, keep=session.id)
    await trace(connection, clinic, session, "staff.second-factor-changed", request_id=actor.request_id)


async def ensure_samples(connection: Connection, clinic: Clinic, *, secret_key: str) -> str | None:
    """Make the sample accounts where there are none, and return their password; None where somebody changed it.

    They have no second factor, so they open nothing but a preview on this machine (``services.staff.Door``). The
    password is made from the secret of the data folder, so it is the same every time and another one elsewhere.
    """
    digest = hmac.digest(secret_key.encode(), b"sample accounts:" + clinic.id.bytes, "sha256")
    password = _grouped(digest)
    unchanged = True
    for username, (name, role) in SAMPLE.items():
        account = await store.find_account(connection, [clinic.id], username)
        if account:
            unchanged = unchanged and await is_password(account.password_hash, password)
            continue
        account_id = new_id()
        await store.add_account(
            connection,
            clinic.id,
            account_id,
            username=username,
            display_name=name,
            initials=initials_of(name),
            role=role,
            therapist_id=None,
            password_hash=await hash_password(password),
            must_change_password=False,
            totp_salt=None,
        )
        await _trace(connection, clinic, account_id, "staff.added", COMMAND_LINE, role=role)
    return password if unchanged else None


async def _find(connection: Connection, clinic: Clinic, username: str) -> Account:
    account = await store.find_account(connection, [clinic.id], read_username(username))
    if account is None:
        raise ConfigurationError(f"there is no working account called {username}")
    return account


def _schedule_of(clinic: Clinic, role: Role, therapist: str | None) -> UUID | None:
    """Return the id of the therapist whose schedule an account with a role shows. Raises ConfigurationError."""
    if role not in ROLES:
        raise ConfigurationError(f"--role {role}: choose one of {', '.join(ROLES)}")
    if (role == "therapist") != (therapist is not None):
        raise ConfigurationError("--therapist: a therapist's account, and no other, names whose schedule it is")
    if therapist is not None and therapist not in clinic.therapists:
        raise ConfigurationError(f"--therapist {therapist}: choose one of {', '.join(clinic.therapists)}")
    return clinic.therapists[therapist].id if therapist else None


def _told(clinic: Clinic, role: Role, therapist_id: UUID | None) -> dict[str, str | None]:
    return {"role": role, "therapist": clinic.therapist_code(therapist_id) if therapist_id else None}


def _new_username(text: str) -> str:
    username = read_username(text)
    if not username:
        raise ConfigurationError(
            f"{text}: a username is letters, digits and the signs . _ + @ -, and begins with a letter or digit"
        )
    return username


def _with_totp(
    clinic: Clinic, account_id: UUID, username: str, salt: bytes, secret_key: str, *, password: str | None = None
) -> Credentials:
    secret = totp.secret_of(secret_key, account_id, salt)
    return Credentials(
        username=username,
        password=password,
        totp_secret=totp.written(secret),
        totp_uri=totp.uri(secret, issuer=clinic.settings.name, username=username),
    )


def _one_time_password() -> str:
    return _grouped(secrets.token_bytes(32))


def _grouped(random: bytes) -> str:
    text = base64.b32encode(random).decode().lower()
    return "-".join(text[4 * group : 4 * group + 4] for group in range(_GROUPS))


async def _trace(
    connection: Connection, clinic: Clinic, account_id: UUID, action: str, actor: Actor, **details: Any
) -> None:
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor.name,
        action=action,
        request_id=actor.request_id,
        details={"staff_id": account_id, **details},
    )
