"""Accounts are made and closed from the command line, and a person sets up their own phone."""

import base64
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from litestar import Litestar

from scheduler.domain import totp
from scheduler.domain.actors import COMMAND_LINE
from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import Role
from scheduler.errors import ConfigurationError
from scheduler.services import staff_accounts as services
from scheduler.services.staff_accounts import Credentials
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool
from tests.integration.staffing import PASSWORD, Person, Screen, at_the_desk, hire

ACCOUNT = "/staff/account"


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection:
        yield connection


async def add(
    connection: Connection, clinic: Clinic, settings: Settings, username: str = "ana", role: Role = "desk", **more: str
) -> Credentials:
    return await services.add(
        connection, clinic, username=username, display_name=more.get("name", "Ana Morales"), role=role,
        therapist=more.get("therapist"), secret_key=settings.secret_key, actor=COMMAND_LINE,
    )  # fmt: skip


def person(made: Credentials) -> Person:
    """Return the person as what was printed lets them in."""
    assert made.password
    assert made.totp_uri
    assert made.totp_secret
    secret = re.search(r"[?&]secret=([A-Z2-7]+)", made.totp_uri)
    assert secret
    assert secret[1] == made.totp_secret.replace(" ", "")
    return Person(username=made.username, password=made.password, secret=base64.b32decode(secret[1]))


async def test_what_is_printed_once_lets_its_person_in_who_then_chooses_a_password(
    connection: Connection, clinic: Clinic, settings: Settings, app: Litestar, pool: Pool
) -> None:
    made = await add(connection, clinic, settings, "Ana.Morales@fair-lawn.example")
    assert made.username == "ana.morales@fair-lawn.example"
    async with at_the_desk(app) as screen:
        assert (await screen.sign_in(person(made))).headers["location"] == "/staff"
        assert (await screen.open("/staff/day/2026-12-08")).headers["location"] == ACCOUNT
    kept = await pool.fetchval("select staff_accounts::text from staff_accounts")
    assert made.password not in kept
    assert "$argon2id$" in kept
    secret = person(made).secret
    assert secret.hex() not in kept, "a copy of the database does not hold the second factor"


@pytest.mark.parametrize(
    ("account", "sentence"),
    [
        ({"username": "a b"}, "a b: a username is letters"),
        ({"username": ""}, ": a username is letters"),
        ({"name": " "}, "--name"),
        ({"name": "x" * 81}, "--name"),
        ({"role": "owner"}, "--role owner: choose one of desk, therapist, admin"),
        ({"role": "therapist"}, "--therapist: a therapist's account"),
        ({"therapist": "rivera"}, "--therapist: a therapist's account"),
        ({"role": "therapist", "therapist": "nobody"}, "--therapist nobody: choose one of rivera"),
        ({"username": "TAKEN"}, "an account called taken exists already"),
    ],
)
async def test_an_account_that_cannot_be_is_one_sentence(
    account: dict[str, str], sentence: str, connection: Connection, clinic: Clinic, settings: Settings, pool: Pool
) -> None:
    await hire(pool, clinic, settings, "taken")
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        await add(connection, clinic, settings, **account)  # pyright: ignore[reportArgumentType]


async def test_a_name_is_free_again_after_its_account_was_closed(
    connection: Connection, clinic: Clinic, settings: Settings
) -> None:
    await add(connection, clinic, settings)
    await services.deactivate(connection, clinic, "ana", actor=COMMAND_LINE)
    with pytest.raises(ConfigurationError, match="no working account called ana"):
        await services.deactivate(connection, clinic, "ana", actor=COMMAND_LINE)
    await add(connection, clinic, settings)
    assert [account.deactivated for account in await services.show(connection, clinic)] == [True, False]


async def test_another_role_holds_from_the_next_click_on_and_leaves_a_row(
    connection: Connection, clinic: Clinic, settings: Settings, app: Litestar, pool: Pool
) -> None:
    ana = await hire(pool, clinic, settings)
    async with at_the_desk(app) as screen:
        await screen.sign_in(ana)
        opened: list[int] = []
        changes: list[tuple[Role, str | None]] = [
            ("admin", None), ("therapist", "rivera"), ("therapist", "okafor"), ("desk", None),
        ]  # fmt: skip
        for role, therapist in changes:
            await services.set_role(connection, clinic, "Ana", role=role, therapist=therapist, actor=COMMAND_LINE)
            opened += [
                (await screen.open(page)).status_code for page in ("/staff/messages", "/staff/reports", "/staff/audit")
            ]
    assert opened == [200, 200, 200, 200, 403, 403, 200, 403, 403, 200, 200, 403]
    rows = await pool.fetch("select actor, details from audit_events where action = 'staff.role-changed' order by id")
    told = [(row["actor"], row["details"]["from"]["role"], *row["details"]["to"].values()) for row in rows]
    assert told == [
        ("command line", "desk", "admin", None),
        ("command line", "admin", "therapist", "rivera"),
        ("command line", "therapist", "therapist", "okafor"),
        ("command line", "therapist", "desk", None),
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"role": "owner"}, "--role owner: choose one of desk, therapist, admin"),
        ({"role": "therapist"}, "--therapist: a therapist's account"),
        ({"role": "admin", "therapist": "rivera"}, "--therapist: a therapist's account"),
        ({"role": "therapist", "therapist": "nobody"}, "--therapist nobody: choose one of rivera"),
        ({"role": "desk"}, "ana is desk already"),
        ({"role": "admin", "username": "nobody"}, "there is no working account called nobody"),
    ],
)
async def test_a_role_that_cannot_be_is_one_sentence_and_changes_nothing(
    change: dict[str, Any], sentence: str, connection: Connection, clinic: Clinic, settings: Settings, pool: Pool
) -> None:
    await hire(pool, clinic, settings)
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        await services.set_role(
            connection, clinic, change.get("username", "ana"), role=change["role"], therapist=change.get("therapist"),
            actor=COMMAND_LINE,
        )  # fmt: skip
    assert [account.role for account in await services.show(connection, clinic)] == ["desk"]


async def test_a_reset_ends_sessions_and_what_opened_before(
    connection: Connection, clinic: Clinic, settings: Settings, app: Litestar, pool: Pool
) -> None:
    ana = await hire(pool, clinic, settings)
    async with at_the_desk(app) as screen:
        await screen.sign_in(ana)
        await services.reset_totp(connection, clinic, "ana", secret_key=settings.secret_key, actor=COMMAND_LINE)
        assert (await screen.open(ACCOUNT)).status_code == 303
        answer = await screen.send("/staff/sign-in", "/staff/sign-in", username="ana", password=ana.password)
        refused = await screen.send(answer.headers["location"], "/staff/sign-in/code", code=ana.code(1))
        assert refused.status_code == 401
        made = await services.reset_password(connection, clinic, "ana", actor=COMMAND_LINE)
        assert made.totp_secret is None
        refused = await screen.send("/staff/sign-in", "/staff/sign-in", username="ana", password=ana.password)
        assert refused.status_code == 401
    done = await pool.fetch("select action, actor from audit_events where action like 'staff.%reset' order by id")
    assert [tuple(row) for row in done] == [
        ("staff.second-factor-reset", "command line"),
        ("staff.password-reset", "command line"),
    ]


async def test_another_phone_counts_once_it_has_shown_a_code(
    screen: Screen, pool: Pool, settings: Settings, app: Litestar, clinic: Clinic
) -> None:
    assert (await screen.open("/staff/account/phone.svg")).status_code == 404
    await screen.send(ACCOUNT, "/staff/account/phone")
    page = (await screen.open(ACCOUNT)).text
    picture = await screen.open("/staff/account/phone.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "style" not in picture.text
    (account,) = await pool.fetch("select id, totp_next_salt from staff_accounts")
    secret = totp.secret_of(settings.secret_key, account["id"], account["totp_next_salt"])
    assert totp.written(secret) in page
    new = Person(username="desk", password=PASSWORD, secret=secret)
    for fields in ({"password": "wrong", "code": new.code()}, {"password": PASSWORD, "code": "000000"}):
        told = await screen.send(ACCOUNT, "/staff/account/phone/code", **fields)
        assert (told.status_code, "does not fit" in told.text) == (422, True)
    done = await screen.send(ACCOUNT, "/staff/account/phone/code", password=PASSWORD, code=new.code())
    assert "Your new phone is set up." in (await screen.follow(done)).text
    await pool.execute("update staff_accounts set totp_step = 0")
    async with at_the_desk(app) as other:
        assert (await other.sign_in(new)).status_code == 303
    assert "staff.second-factor-changed" in {
        row["action"] for row in await pool.fetch("select action from audit_events where clinic_id = $1", clinic.id)
    }


@pytest.fixture
async def screen(app: Litestar, pool: Pool, clinic: Clinic, settings: Settings) -> AsyncIterator[Screen]:
    async with at_the_desk(app) as screen:
        await screen.sign_in(await hire(pool, clinic, settings, "desk"))
        yield screen


async def test_the_samples_have_the_same_password_each_time_until_somebody_changes_it(
    connection: Connection, clinic: Clinic, settings: Settings
) -> None:
    first = await services.ensure_samples(connection, clinic, secret_key=settings.secret_key)
    assert first
    assert await services.ensure_samples(connection, clinic, secret_key=settings.secret_key) == first
    assert len(await services.show(connection, clinic)) == len(services.SAMPLE)
    await services.reset_password(connection, clinic, "desk", actor=COMMAND_LINE)
    assert await services.ensure_samples(connection, clinic, secret_key=settings.secret_key) is None


def test_codes_are_those_of_the_standard() -> None:
    # RFC 6238, appendix B, SHA-1: the last six of its eight digits.
    secret = b"12345678901234567890"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert totp.code_at(secret, seconds // totp.STEP_SECONDS) == code
    now = datetime.fromtimestamp(1111111109, UTC)
    step = 1111111109 // totp.STEP_SECONDS
    assert totp.matching_step(secret, "081 804", now, after=0) == step
    assert totp.matching_step(secret, "081804", now, after=step) is None
    for around in (-1, 1):
        assert totp.matching_step(secret, totp.code_at(secret, step + around), now, after=0) == step + around
    for far in (-2, 2):
        assert totp.matching_step(secret, totp.code_at(secret, step + far), now, after=0) is None
