"""People of the staff and their browsers, for every test of pages below /staff."""

import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
from argon2 import PasswordHasher
from litestar import Litestar

from scheduler.domain import totp
from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import Role, initials_of
from scheduler.ids import new_id
from scheduler.settings import Settings
from scheduler.store import staff as store
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of

PASSWORD = "seven green bicycles"

# A hash says itself how dear it is to check, and one that is cheap saves each test half a second.
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

PAGE = {"Accept": "text/html"}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with an account, the password that they chose, and the secret in their phone."""

    username: str
    password: str
    secret: bytes

    def code(self, steps: int = 0) -> str:
        """Return what the phone shows now, or so many half-minutes later."""
        return totp.code_at(self.secret, int(datetime.now(UTC).timestamp()) // totp.STEP_SECONDS + steps)


async def hire(
    pool: Pool,
    clinic: Clinic,
    settings: Settings,
    username: str = "ana",
    *,
    name: str = "Ana Morales",
    role: Role = "desk",
    therapist: str | None = None,
) -> Person:
    """Make an account whose person has chosen a password and set up a phone."""
    account_id, salt = new_id(), secrets.token_bytes(totp.SALT_BYTES)
    async with pool.acquire() as connection:
        await store.add_account(
            connection, clinic.id, account_id, username=username, display_name=name, initials=initials_of(name),
            role=role, therapist_id=clinic.therapists[therapist].id if therapist else None, password_hash=_CHEAP,
            must_change_password=False, totp_salt=salt,
        )  # fmt: skip
    secret = totp.secret_of(settings.secret_key, account_id, salt)
    return Person(username=username, password=PASSWORD, secret=secret)


class Screen:
    """A browser at the desk. It sends what its pages' forms hold, as a person who presses their buttons does."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def open(self, address: str, **headers: str) -> httpx.Response:
        return await self.client.get(address, headers={**PAGE, **headers})

    async def send(self, form_on: str, address: str, **fields: str) -> httpx.Response:
        """Send a form of one page, with its hidden fields, to where it goes."""
        hidden = hidden_fields((await self.open(form_on)).text)
        return await self.client.post(address, data={**hidden, **fields}, headers=PAGE)

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == 303, answer.text
        return await self.open(answer.headers["location"])

    async def sign_in(self, person: Person, *, back: str = "") -> httpx.Response:
        """Sign in with both steps and return the last answer, which leads on."""
        page = f"/staff/sign-in?next={back}" if back else "/staff/sign-in"
        answer = await self.send(page, "/staff/sign-in", username=person.username, password=person.password)
        assert answer.status_code == 303, answer.text
        return await self.send(answer.headers["location"], "/staff/sign-in/code", code=person.code())


def hidden_fields(page: str) -> dict[str, str]:
    """Return the hidden fields of a page; those of several forms on one page are the same."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


@asynccontextmanager
async def at_the_desk(app: Litestar) -> AsyncGenerator[Screen]:
    """Yield a browser at which nobody is signed in yet."""
    async with client_of(app) as client:
        yield Screen(client)


@asynccontextmanager
async def signed_in(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, role: Role = "desk", **account: Any
) -> AsyncGenerator[Screen]:
    """Yield a browser at which somebody with this role is signed in."""
    account.setdefault("username", role)
    if role == "therapist":
        account.setdefault("therapist", "rivera")
    person = await hire(pool, clinic, settings, role=role, **account)
    async with at_the_desk(app) as screen:
        assert (await screen.sign_in(person)).status_code == 303
        yield screen
