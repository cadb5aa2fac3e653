"""Whoever signs in at /staff is who they say; whoever does not fit learns nothing, and waits longer each time."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
import time_machine
from litestar import Litestar

from scheduler.app import create_app
from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import FIRST_PAUSE, LONGEST_PAUSE, TRIES_OF_CLIENT, TRIES_OF_CODE, TRIES_OF_NAME
from scheduler.services.passwords import hash_password
from scheduler.services.staff_accounts import ensure_samples
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool
from scheduler.store.staff import take_try
from tests.integration.conftest import client_of, make_key, running
from tests.integration.staffing import PAGE, Person, Screen, at_the_desk, hidden_fields, hire

PAGES = ["/staff", "/staff/day/2026-12-08", "/staff/account"]


@pytest.fixture
async def ana(pool: Pool, clinic: Clinic, settings: Settings) -> Person:
    return await hire(pool, clinic, settings)


@pytest.fixture
async def screen(app: Litestar, clinic: Clinic) -> AsyncIterator[Screen]:
    """Yield a browser whose address may ask for as much as a test does: the tries are what is looked at here."""
    limits = msgspec.structs.replace(clinic.settings.limits, changes_per_minute=10_000, reads_per_minute=10_000)
    settings = msgspec.structs.replace(clinic.settings, limits=limits)
    app.state.directory.replace([msgspec.structs.replace(clinic, settings=settings)])
    async with at_the_desk(app) as screen:
        yield screen


async def actions(pool: Pool) -> list[str]:
    rows = await pool.fetch("select action from audit_events where action like 'staff.%' order by id")
    return [row["action"] for row in rows]


async def try_password(screen: Screen, username: str, password: str) -> httpx.Response:
    return await screen.send("/staff/sign-in", "/staff/sign-in", username=username, password=password)


async def test_a_password_and_a_code_open_the_page_that_was_asked_for(screen: Screen, ana: Person, pool: Pool) -> None:
    turned_away = await screen.open("/staff/day/2026-12-08?sel=7")
    assert turned_away.status_code == 303
    assert turned_away.headers["location"] == "/staff/sign-in?next=%2Fstaff%2Fday%2F2026-12-08%3Fsel%3D7"
    page = await screen.follow(turned_away)
    answer = await screen.client.post(
        "/staff/sign-in", data={**hidden_fields(page.text), "username": " ANA ", "password": ana.password}, headers=PAGE
    )
    half_in = dict(screen.client.cookies)
    assert (await screen.open("/staff/day/2026-12-08")).status_code == 303, "the second step is still to come"
    asked = await screen.follow(answer)
    code = {**hidden_fields(asked.text), "code": f"{ana.code()[:3]} {ana.code()[3:]}"}
    let_in = await screen.client.post("/staff/sign-in/code", data=code, headers=PAGE)
    assert let_in.headers["location"] == "/staff/day/2026-12-08?sel=7"
    assert screen.client.cookies["staff"] != half_in["staff"], "what somebody else knew beforehand is worth nothing"
    assert "Ana Morales" in (await screen.follow(let_in)).text
    screen.client.cookies["staff"] = half_in["staff"]
    assert (await screen.open("/staff/account")).status_code == 303
    assert await actions(pool) == ["staff.password-accepted", "staff.signed-in"]
    assert await pool.fetchval(
        "select actor = 'staff:' || (select id from staff_accounts) from audit_events where action = 'staff.signed-in'"
    )


@pytest.mark.parametrize("page", PAGES)
async def test_nobody_who_is_not_signed_in_sees_a_page(page: str, screen: Screen) -> None:
    turned_away = await screen.open(page)
    assert turned_away.status_code == 303
    assert turned_away.headers["location"].startswith("/staff/sign-in")
    around = {"HX-Request": "true", "HX-Current-URL": "http://clinic.test/staff/account?a=1"}
    fragment = await screen.open(page, **around)
    assert fragment.status_code == 401
    assert fragment.headers["hx-redirect"] == "/staff/sign-in?next=%2Fstaff%2Faccount%3Fa%3D1"
    assert (await screen.client.get(page, headers={"Accept": "text/event-stream"})).status_code == 401


async def test_a_patients_token_or_a_key_of_the_api_finds_nothing_there(
    screen: Screen, pool: Pool, clinic: Clinic, ana: Person
) -> None:
    await screen.sign_in(ana)
    for token in (await make_key(pool, clinic, "admin"), "a-token-of-a-patient"):
        for page in PAGES:
            answer = await screen.open(page, Authorization=f"Bearer {token}")
            assert answer.status_code == 404


@pytest.mark.parametrize("username", ["ana", "nobody", "", "a\x00b", "ana" * 100, "ÄÖÜ"])
async def test_what_does_not_fit_gets_one_answer(username: str, screen: Screen, ana: Person, pool: Pool) -> None:
    answer = await try_password(screen, username, "not the password")
    assert answer.status_code == 401
    assert "The username or the password does not fit." in answer.text
    assert "staff" not in screen.client.cookies
    assert (await actions(pool))[-1] == "staff.sign-in-refused"
    wrong = await try_password(screen, ana.username, "not the password")
    differing = [
        (one, other)
        for one, other in zip(answer.text.splitlines(), wrong.text.splitlines(), strict=True)
        if one != other and 'id="username"' not in one
    ]
    assert differing == []


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(screen: Screen, ana: Person, pool: Pool) -> None:
    # As dear as those of real accounts.
    await pool.execute("update staff_accounts set password_hash = $1", await hash_password(ana.password))
    times: dict[str, list[float]] = {ana.username: [], "nobody": []}
    for _ in range(5):
        for username, taken in times.items():
            await pool.execute("delete from staff_sign_in_tries")
            began = time.perf_counter()
            await try_password(screen, username, "not the password")
            taken.append(time.perf_counter() - began)
    # Without the hash of nobody's password the unknown name takes a tenth of the time.
    assert min(times["nobody"]) > 0.5 * min(times[ana.username])
    assert statistics.median(times["nobody"]) > 0.5 * statistics.median(times[ana.username])


async def test_after_a_few_tries_a_client_waits_and_so_does_one_who_tries_an_unknown_name(
    screen: Screen, ana: Person, pool: Pool
) -> None:
    expected = {ana.username: [30, 60, 120, 240, 480, 960, 1920, 3600, 3600], "nobody": [30, 60]}
    for username, growing in expected.items():
        for _ in range(TRIES_OF_CLIENT.free):
            assert (await try_password(screen, username, "wrong")).status_code == 401
        waits: list[int] = []
        for _ in growing:
            told = await try_password(screen, username, "wrong")
            assert told.status_code == 429
            assert "Too many tries. Wait until" in told.text
            waits.append(int(told.headers["retry-after"]))
            await pool.execute("update staff_sign_in_tries set next_at = now() where next_at > now()")
            assert (await try_password(screen, username, "wrong")).status_code == 401
        # A few seconds of each have gone by on a busy machine.
        assert waits == pytest.approx(growing, abs=10)


async def test_the_right_password_waits_too_and_then_begins_anew(screen: Screen, ana: Person, pool: Pool) -> None:
    for _ in range(TRIES_OF_CLIENT.free):
        await try_password(screen, ana.username, "wrong")
    assert (await try_password(screen, ana.username, ana.password)).status_code == 429
    await pool.execute("update staff_sign_in_tries set next_at = now()")
    assert (await try_password(screen, ana.username, ana.password)).status_code == 303
    assert await pool.fetchval("select count(*) from staff_sign_in_tries") == 0


async def test_guesses_that_come_at_once_are_counted_before_they_are_looked_at(screen: Screen, ana: Person) -> None:
    hidden = hidden_fields((await screen.open("/staff/sign-in")).text)
    guesses = [
        screen.client.post(
            "/staff/sign-in", data={**hidden, "username": ana.username, "password": f"guess {number}"}, headers=PAGE
        )
        for number in range(12)
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*guesses))
    assert statuses == [401] * TRIES_OF_CLIENT.free + [429] * (12 - TRIES_OF_CLIENT.free)


async def test_a_try_that_began_before_another_and_comes_after_it_is_one_of_the_free_ones(
    pool: Pool, clinic: Clinic
) -> None:
    async def one(connection: Connection) -> float:
        pauses = {"first_pause": FIRST_PAUSE, "longest_pause": LONGEST_PAUSE}
        return await take_try(connection, clinic.id, b"somebody", free=3, **pauses)

    async with pool.acquire() as early, pool.acquire() as late, early.transaction():
        await early.execute("select now()")
        assert [await one(late), await one(early)] == [0, 0]
    async with pool.acquire() as connection:
        assert await one(connection) == 0
        assert await one(connection) > 0


async def test_one_client_cannot_keep_a_person_out_by_guessing(app: Litestar, ana: Person) -> None:
    async with at_the_desk(app) as screen:
        for _ in range(TRIES_OF_CLIENT.free + 1):
            await try_password(screen, ana.username, "wrong")
    # The person sits elsewhere, so they are another client.
    async with client_of(app) as client:
        client._transport.client = ("198.51.100.7", 1234)  # pyright: ignore
        assert (await Screen(client).sign_in(ana)).status_code == 303
    assert TRIES_OF_NAME.free >= 5 * TRIES_OF_CLIENT.free


async def test_a_code_is_good_once_and_only_about_now(screen: Screen, ana: Person, app: Litestar) -> None:
    await screen.sign_in(ana)
    async with at_the_desk(app) as other:
        answer = await try_password(other, ana.username, ana.password)
        for code in (ana.code(), ana.code(-2), ana.code(+3), "", "12345", "ab cdef", "\uff11" * 6):
            told = await other.send(answer.headers["location"], "/staff/sign-in/code", code=code)
            assert told.status_code in (401, 429)
            assert (await other.open("/staff/account")).status_code == 303
            if told.status_code == 429:
                break
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=30), tick=True):
        async with at_the_desk(app) as other:
            answer = await try_password(other, ana.username, ana.password)
            hidden = hidden_fields((await other.open(answer.headers["location"])).text)
            late = await other.client.post("/staff/sign-in/code", data={**hidden, "code": ana.code()}, headers=PAGE)
            assert late.status_code == 429, "the guesses before it are counted by account, not by session"


async def test_codes_cannot_be_guessed_in_a_row(screen: Screen, ana: Person, pool: Pool) -> None:
    answer = await try_password(screen, ana.username, ana.password)
    right = {ana.code(step) for step in range(-2, 4)}
    wrong = next(code for code in ("000000", "111111", "222222", "333333", "444444") if code not in right)
    for _ in range(TRIES_OF_CODE.free):
        told = await screen.send(answer.headers["location"], "/staff/sign-in/code", code=wrong)
        assert (told.status_code, "does not fit" in told.text) == (401, True)
    assert (await screen.send(answer.headers["location"], "/staff/sign-in/code", code=ana.code())).status_code == 429
    assert (await actions(pool)).count("staff.code-refused") == TRIES_OF_CODE.free


async def test_a_sign_in_of_another_site_signs_nobody_in(screen: Screen, ana: Person) -> None:
    fields = {"username": ana.username, "password": ana.password}
    assert (await screen.client.post("/staff/sign-in", data=fields, headers=PAGE)).status_code == 403
    hidden = hidden_fields((await screen.open("/staff/sign-in")).text)
    crossed = {**PAGE, "Sec-Fetch-Site": "cross-site"}
    assert (await screen.client.post("/staff/sign-in", data={**hidden, **fields}, headers=crossed)).status_code == 403
    assert "staff" not in screen.client.cookies


@pytest.mark.parametrize(
    "address",
    ["https://elsewhere.example/", "//elsewhere.example", "/book", "/staff/../book", "/staffing", "/staff\\x",
     "javascript:1", "/staff/sign-out", "/staff/x\r\nSet-Cookie:x=1"],
)  # fmt: skip
async def test_after_signing_in_nobody_is_led_elsewhere(address: str, screen: Screen, ana: Person) -> None:
    page = await screen.client.get("/staff/sign-in", params={"next": address}, headers=PAGE)
    hidden = {**hidden_fields(page.text), "next": address}
    fields = {**hidden, "username": ana.username, "password": ana.password}
    answer = await screen.client.post("/staff/sign-in", data=fields, headers=PAGE)
    assert answer.headers["location"] == "/staff/sign-in/code"


async def test_a_closed_account_or_one_without_a_second_factor_opens_nothing(
    screen: Screen, pool: Pool, clinic: Clinic, settings: Settings, ana: Person
) -> None:
    await pool.execute("update staff_accounts set deactivated_at = now()")
    assert (await try_password(screen, ana.username, ana.password)).status_code == 401
    public = msgspec.structs.replace(settings, public_base_url="https://clinic.example")
    async with pool.acquire() as connection:
        password = await ensure_samples(connection, clinic, secret_key=settings.secret_key)
    assert password is not None
    async with running(create_app(public)) as app, at_the_desk(app) as other:
        asked = await other.open("/staff/sign-in")
        # This client speaks HTTP, so it keeps no cookie that is for HTTPS alone.
        cookie = asked.headers["set-cookie"]
        assert cookie.startswith("__Host-staff-form=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))
        fields = {**hidden_fields(asked.text), "username": "desk", "password": password}
        headers = {**PAGE, "Cookie": cookie.partition(";")[0]}
        assert (await other.client.post("/staff/sign-in", data=fields, headers=headers)).status_code == 401
    # In a preview on this machine it does.
    assert (await try_password(screen, "desk", password)).headers["location"] == "/staff"
    assert "Front Desk" in (await screen.open("/staff/account")).text


async def test_no_page_keeps_what_was_typed_but_the_username(screen: Screen, ana: Person) -> None:
    told = await try_password(screen, ana.username, "a very secret mistake")
    assert 'value="ana"' in told.text
    assert "secret mistake" not in told.text
    assert told.headers["cache-control"] == "no-store"
