"""A session ends when nobody is there, when its day is over, and when anybody says so; its forms are its own."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import actor_name
from scheduler.services.staff_names import name_actors
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.staff_sessions import forget_sessions
from tests.integration.staffing import PAGE, PASSWORD, Person, Screen, at_the_desk, hidden_fields, hire

ACCOUNT = "/staff/account"


@pytest.fixture
async def ana(pool: Pool, clinic: Clinic, settings: Settings) -> Person:
    return await hire(pool, clinic, settings)


@pytest.fixture
async def screen(app: Litestar, ana: Person) -> AsyncIterator[Screen]:
    """Yield a browser at which Ana is signed in."""
    async with at_the_desk(app) as screen:
        await screen.sign_in(ana)
        yield screen


@pytest.fixture
async def other(app: Litestar, ana: Person, screen: Screen, pool: Pool) -> AsyncIterator[Screen]:  # noqa: ARG001 - first
    """Yield another browser at which she is signed in as well."""
    await pool.execute("update staff_accounts set totp_step = 0")
    async with at_the_desk(app) as other:
        await other.sign_in(ana)
        yield other


async def is_in(screen: Screen) -> bool:
    return (await screen.open(ACCOUNT, **{"X-Automatic": "true"})).status_code == 200


async def pass_time(pool: Pool, minutes: float) -> None:
    """Let sessions be so much older."""
    await pool.execute(
        """update staff_sessions set created_at = created_at - $1 * interval '1 minute',
            idle_at = idle_at - $1 * interval '1 minute', expires_at = expires_at - $1 * interval '1 minute'""",
        minutes,
    )


async def test_whoever_walks_away_is_signed_out_and_comes_back_to_the_same_page(
    screen: Screen, pool: Pool, ana: Person
) -> None:
    await pass_time(pool, 9.9)
    assert await is_in(screen)
    await pass_time(pool, 0.2)
    turned_away = await screen.open("/staff/day/2026-12-08?sel=7")
    assert turned_away.status_code == 303
    await pool.execute("update staff_accounts set totp_step = 0")
    let_in = await screen.sign_in(ana, back=turned_away.headers["location"].partition("next=")[2])
    assert let_in.headers["location"] == "/staff/day/2026-12-08?sel=7"


async def test_whoever_does_something_stays_but_not_for_longer_than_a_shift(screen: Screen, pool: Pool) -> None:
    for _ in range(8):
        await pass_time(pool, 9)
        assert (await screen.open(ACCOUNT)).status_code == 200
    await pool.execute("update staff_sessions set expires_at = now()")
    assert not await is_in(screen)


async def test_what_a_browser_asks_for_by_itself_keeps_nobody_signed_in(screen: Screen, pool: Pool) -> None:
    for headers in ({"X-Automatic": "true"}, {"Accept": "text/event-stream"}):
        await pool.execute("update staff_sessions set idle_at = now() + interval '5 minutes'")
        assert (await screen.client.get(ACCOUNT, headers=headers)).status_code == 200
        assert await pool.fetchval(
            "select idle_at < now() + interval '5 minutes' from staff_sessions where ended_at is null"
        )
    await screen.open(ACCOUNT)
    assert await pool.fetchval(
        "select idle_at > now() + interval '9 minutes' from staff_sessions where ended_at is null"
    )


async def test_how_long_is_what_the_clinics_file_says(app: Litestar, clinic: Clinic, ana: Person, pool: Pool) -> None:
    limits = msgspec.structs.replace(clinic.settings.staff, idle_minutes=2, session_hours=1)
    settings = msgspec.structs.replace(clinic.settings, staff=limits)
    app.state.directory.replace([msgspec.structs.replace(clinic, settings=settings)])
    async with at_the_desk(app) as screen:
        await screen.sign_in(ana)
    (lengths,) = await pool.fetch(
        """select extract(epoch from idle_at - created_at)::int as idle,
            extract(epoch from expires_at - created_at)::int as lasts
        from staff_sessions where ended_at is null"""
    )
    assert dict(lengths) == {"idle": 120, "lasts": 3600}


async def test_a_form_of_a_session_that_has_ended_changes_nothing_and_leads_back_to_its_page(
    screen: Screen, pool: Pool, ana: Person
) -> None:
    hidden = hidden_fields((await screen.open("/staff/day/2026-12-08")).text)
    await pass_time(pool, 11)
    lost = await screen.client.post("/staff/preferences", data={**hidden, "hide_names": "yes"}, headers=PAGE)
    assert lost.headers["location"] == "/staff/sign-in?next=%2Fstaff%2Fday%2F2026-12-08&lost=1"
    assert "Nothing was changed" in (await screen.follow(lost)).text
    assert not await pool.fetchval("select bool_or(hide_names) from staff_sessions")
    await pool.execute("update staff_accounts set totp_step = 0")
    assert (await screen.sign_in(ana, back=hidden["here"])).headers["location"] == "/staff/day/2026-12-08"


async def test_a_form_that_is_not_this_sessions_changes_nothing(screen: Screen, other: Screen, pool: Pool) -> None:
    theirs = hidden_fields((await other.open(ACCOUNT)).text)
    wrong = [{"here": "/staff"}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": theirs["csrf"]}, {"csrf": "ü"}]
    for fields in wrong:
        told = await screen.client.post("/staff/sign-out", data=fields, headers=PAGE)
        assert (told.status_code, "Nothing was changed" in told.text) == (403, True), fields
    mine = hidden_fields((await screen.open(ACCOUNT)).text)
    for site in ("cross-site", "same-site"):
        told = await screen.client.post("/staff/sign-out", data=mine, headers={**PAGE, "Sec-Fetch-Site": site})
        assert told.status_code == 403
    assert await is_in(screen)
    assert await pool.fetchval("select count(*) from audit_events where action = 'staff.signed-out'") == 0
    carried = {**PAGE, "X-CSRF-Token": mine["csrf"], "HX-Request": "true"}
    assert (await screen.client.post("/staff/sign-out", data={"everywhere": ""}, headers=carried)).status_code == 303


async def test_signing_out_ends_this_session_and_everywhere_ends_them_all(
    screen: Screen, other: Screen, pool: Pool
) -> None:
    cookie = screen.client.cookies["staff"]
    gone = await screen.send(ACCOUNT, "/staff/sign-out")
    assert gone.headers["location"] == "/staff/sign-in?out=1"
    assert 'staff=""' in gone.headers["set-cookie"] or "staff=;" in gone.headers["set-cookie"]
    screen.client.cookies.set("staff", cookie, domain="clinic.test")
    assert not await is_in(screen), "the cookie alone is worth nothing any more"
    assert await is_in(other)
    await pool.execute("update staff_sessions set ended_at = null")
    assert await is_in(screen)
    await other.send(ACCOUNT, "/staff/sign-out", everywhere="yes")
    assert (await is_in(screen), await is_in(other)) == (False, False)
    done = await pool.fetch("select action from audit_events where action like 'staff.signed-out%' order by id")
    assert [row["action"] for row in done] == ["staff.signed-out", "staff.signed-out-everywhere"]


async def test_another_password_needs_the_old_one_and_signs_the_other_screens_out(
    screen: Screen, other: Screen, app: Litestar, ana: Person, pool: Pool
) -> None:
    new = "nine grey umbrellas"
    refused = {
        "That is not your password.": {"old_password": "wrong", "new_password": new, "again": new},
        "The two new passwords are not the same.": {"old_password": PASSWORD, "new_password": new, "again": "else"},
        "Use 10 characters or more": {"old_password": PASSWORD, "new_password": "short", "again": "short"},
        "too easy to guess": {"old_password": PASSWORD, "new_password": "a" * 20, "again": "a" * 20},
        "Choose another one than before.": {"old_password": PASSWORD, "new_password": PASSWORD, "again": PASSWORD},
    }
    for sentence, fields in refused.items():
        told = await screen.send(ACCOUNT, "/staff/account/password", **fields)
        assert (told.status_code, sentence in told.text) == (422, True), sentence
        assert new not in told.text
    answer = await screen.send(ACCOUNT, "/staff/account/password", old_password=PASSWORD, new_password=new, again=new)
    assert "Your password was changed" in (await screen.follow(answer)).text
    assert (await is_in(screen), await is_in(other)) == (True, False)
    await pool.execute("update staff_accounts set totp_step = 0")
    async with at_the_desk(app) as third:
        assert (await third.sign_in(msgspec.structs.replace(ana, password=new))).status_code == 303
    changed = await pool.fetchval("select count(*) from audit_events where action = 'staff.password-changed'")
    assert changed == 1


async def test_a_password_that_somebody_else_made_opens_nothing_but_its_change(screen: Screen, pool: Pool) -> None:
    await pool.execute("update staff_accounts set must_change_password = true")
    sent = await screen.open("/staff/day/2026-12-08")
    assert sent.headers["location"] == ACCOUNT
    new = "nine grey umbrellas"
    await screen.send(ACCOUNT, "/staff/account/password", old_password=PASSWORD, new_password=new, again=new)
    assert (await screen.open("/staff/day/2026-12-08")).status_code == 200


async def test_hidden_names_stay_hidden_after_signing_in_again(
    screen: Screen, app: Litestar, ana: Person, pool: Pool
) -> None:
    answer = await screen.send("/staff/day/2026-12-08", "/staff/preferences", hide_names="yes")
    assert answer.headers["location"] == "/staff/day/2026-12-08"
    assert "Show names" in (await screen.follow(answer)).text
    await pool.execute("update staff_accounts set totp_step = 0")
    async with at_the_desk(app) as later:
        await later.sign_in(ana)
        assert "Show names" in (await later.open(ACCOUNT)).text


async def test_a_closed_account_is_out_at_once(screen: Screen, pool: Pool) -> None:
    await pool.execute("update staff_accounts set deactivated_at = now()")
    assert not await is_in(screen)


async def test_a_history_names_people_by_their_initials_whether_they_still_work_there_or_not(
    pool: Pool,
    clinic: Clinic,
    ana: Person,  # noqa: ARG001 - she is asked about
) -> None:
    account_id = await pool.fetchval("update staff_accounts set deactivated_at = now() returning id")
    actors = [actor_name(account_id), "public", "patient", "key:front desk", "system"]
    async with pool.acquire() as connection:
        named = await name_actors(connection, clinic, actors)
    assert [named[actor] for actor in actors] == [
        "A.M.", "the patient, online", "the patient", "front desk", "the service",
    ]  # fmt: skip


async def test_the_database_keeps_no_token_and_forgets_old_sessions(screen: Screen, pool: Pool) -> None:
    token = screen.client.cookies["staff"]
    rows = await pool.fetch("select staff_sessions::text as line from staff_sessions")
    assert not any(token in row["line"] for row in rows)
    async with pool.acquire() as connection:
        await forget_sessions(connection)
        assert await is_in(screen)
        await connection.execute("update staff_sessions set ended_at = now() - interval '31 days'")
        await forget_sessions(connection)
    assert await pool.fetchval("select count(*) from staff_sessions") == 0
