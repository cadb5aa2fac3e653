"""How often the public may ask, the same across processes; callers with a key are never counted."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar

from scheduler.app import create_app
from scheduler.domain.clinics import Clinic, Limits
from scheduler.services.limits import subject_of
from scheduler.settings import Settings
from scheduler.settings.forms import networks
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Connection, Pool
from scheduler.store.limits import forget_limits, take
from scheduler.store.locks import lock_clinic
from tests.integration.conftest import client_of, make_key, running
from tests.integration.limiting import CLIENT, DAYS, Limit, at, booked, hold_on, refused
from tests.integration.requests import ASH, book_held, hold

pytestmark = pytest.mark.usefixtures("monday")

SLOTS = {"visit_type": "follow-up", "from": "2026-12-08", "to": "2026-12-09"}


@pytest.fixture
async def second_app(settings: Settings, clinic: Clinic) -> AsyncIterator[Litestar]:
    """Yield another process's application, as far as anything that is not in the database goes."""
    async with running(create_app(settings, refresh=False)) as other:
        assert [one.id for one in other.state.directory.clinics] == [clinic.id]
        yield other


async def let_go_of_nothing(client: httpx.AsyncClient) -> httpx.Response:
    return await client.delete(f"/api/v1/holds/{uuid4()}", headers={"Hold-Token": "unknown"})


async def test_a_change_that_was_refused_counts_like_any_other(public: httpx.AsyncClient, limit: Limit) -> None:
    await limit(changes_per_minute=3)
    assert [(await let_go_of_nothing(public)).status_code for _ in range(3)] == [404] * 3
    assert refused(await let_go_of_nothing(public)) <= 20


async def test_every_change_of_the_public_counts_whatever_it_is(public: httpx.AsyncClient, limit: Limit) -> None:
    await limit(changes_per_minute=4)
    held = (await hold_on(public, DAYS[0])).json()
    token = {"Hold-Token": held["token"]}
    assert (await public.post(f"/api/v1/holds/{held['id']}/extend", headers=token)).status_code == 200
    assert (await book_held(public, held)).status_code == 201
    assert (await public.delete(f"/api/v1/holds/{held['id']}", headers=token)).status_code == 409
    for request in (
        hold_on(public, DAYS[1]),
        public.post(f"/api/v1/holds/{held['id']}/extend", headers=token),
        book_held(public, held),
        public.delete(f"/api/v1/holds/{held['id']}", headers=token),
    ):
        refused(await request)


async def test_a_refusal_comes_before_any_work(public: httpx.AsyncClient, limit: Limit, pool: Pool) -> None:
    await limit(changes_per_minute=1)
    assert (await hold_on(public, DAYS[0])).status_code == 201
    refused(await hold_on(public, DAYS[1]))
    refused(await public.post("/api/v1/visits", content=b"this is not even JSON"))
    assert await pool.fetchval("select count(*) from visits") == 1
    assert await pool.fetchval("select count(*) from audit_events where action = 'hold.placed'") == 1


async def test_nobody_waits_to_be_counted_while_the_same_client_books(
    public: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await lock_clinic(connection, clinic.id, exclusive=True)
        placing = asyncio.create_task(hold_on(public, DAYS[0]))
        await asyncio.sleep(0.2)
        assert (await let_go_of_nothing(public)).status_code == 404
        assert not placing.done()
    assert (await placing).status_code == 201


async def test_what_was_used_up_comes_back_with_time(clinic: Clinic, pool: Pool) -> None:
    async def one() -> float:
        async with pool.acquire() as connection:
            return await take(connection, clinic.id, "changes", b"somebody", units=1, most=7, seconds=60)

    assert [await one() for _ in range(7)] == [0] * 7
    assert 8 < await one() < 60 / 7 + 0.001
    await pool.execute("update rate_limits set full_at = full_at - interval '9 s'")
    assert await one() == 0
    assert await one() > 0
    # However long nobody asked, no more than all of it has come back.
    await pool.execute("update rate_limits set full_at = full_at - interval '1 day'")
    assert [await one() for _ in range(7)] == [0] * 7
    assert await one() > 0


async def test_a_hundred_at_once_get_exactly_what_there_is(clinic: Clinic, pool: Pool) -> None:
    async def one() -> float:
        async with pool.acquire() as connection:
            return await take(connection, clinic.id, "changes", b"somebody", units=1, most=30, seconds=60)

    waits = await asyncio.gather(*(one() for _ in range(100)))
    assert waits.count(0) == 30
    assert all(0 < wait <= 60 for wait in waits if wait)


async def test_who_began_before_another_and_comes_after_it_gets_the_last_of_it(clinic: Clinic, pool: Pool) -> None:
    async def one(connection: Connection) -> float:
        return await take(connection, clinic.id, "changes", b"somebody", units=1, most=2, seconds=60)

    async with pool.acquire() as early, pool.acquire() as late, early.transaction():
        await early.execute("select now()")
        assert await one(late) == 0
        assert await one(early) == 0
    async with pool.acquire() as connection:
        assert await one(connection) > 0


async def test_two_processes_share_one_limit_of_changes(
    app: Litestar, second_app: Litestar, limit: Limit, pool: Pool
) -> None:
    await limit(changes_per_minute=5)
    async with pool.acquire() as connection:
        second_app.state.directory.replace(await load_clinics(connection))
    async with client_of(app) as here, client_of(second_app) as there:
        answers = [await let_go_of_nothing((here, there)[number % 2]) for number in range(8)]
    assert Counter(answer.status_code for answer in answers) == {404: 5, 429: 3}


async def test_two_processes_share_one_limit_of_reads(
    app: Litestar, second_app: Litestar, limit: Limit, pool: Pool
) -> None:
    await limit(reads_per_minute=48)
    async with pool.acquire() as connection:
        second_app.state.directory.replace(await load_clinics(connection))
    async with client_of(app) as here, client_of(second_app) as there:
        answers = await asyncio.gather(
            *((here, there)[number % 2].get("/api/v1/slots", params=SLOTS) for number in range(100))
        )
        statuses = Counter(answer.status_code for answer in answers)
        # Four come back in five seconds, should the machine take that long.
        assert statuses[200] in (48, 52)
        assert statuses[200] + statuses[429] == 100
        assert refused(await here.get("/api/v1/slots/days", params=SLOTS)) <= 6
        assert refused(await there.get("/api/v1/slots/days", params=SLOTS)) <= 6


async def test_whatever_is_offered_to_the_public_is_counted(public: httpx.AsyncClient, limit: Limit) -> None:
    await limit(reads_per_minute=5)
    paths = ("clinic", "visit-types", "therapists", "slots", "slots/days")
    for path in paths:
        answer = await public.get(f"/api/v1/{path}", params=SLOTS if "slots" in path else {})
        assert answer.status_code == 200, answer.text
    for path in paths:
        refused(await public.get(f"/api/v1/{path}", params=SLOTS if "slots" in path else {}))


async def test_hardly_any_read_asks_the_database_whether_it_may(
    app: Litestar, public: httpx.AsyncClient, limit: Limit
) -> None:
    await limit(reads_per_minute=240)
    assert (await public.get("/api/v1/slots", params=SLOTS)).status_code == 200
    async with app.state.limits_pool.acquire(), app.state.limits_pool.acquire():
        # There is no connection left to ask by, and nobody waits for one.
        async with asyncio.timeout(2):
            answers = [await public.get("/api/v1/slots", params=SLOTS) for _ in range(19)]
    assert {answer.status_code for answer in answers} == {200}


async def test_who_goes_on_after_a_refusal_is_refused_without_the_database(
    app: Litestar, public: httpx.AsyncClient, limit: Limit
) -> None:
    await limit(reads_per_minute=2, changes_per_minute=2)
    for _ in range(2):
        assert (await public.get("/api/v1/slots", params=SLOTS)).status_code == 200
        assert (await let_go_of_nothing(public)).status_code == 404
    assert 20 < refused(await public.get("/api/v1/slots", params=SLOTS)) <= 30
    assert 20 < refused(await let_go_of_nothing(public)) <= 30
    async with app.state.limits_pool.acquire(), app.state.limits_pool.acquire(), asyncio.timeout(2):
        assert 20 < refused(await public.get("/api/v1/slots", params=SLOTS)) <= 30
        assert 20 < refused(await let_go_of_nothing(public)) <= 30


async def test_clients_do_not_use_up_each_others_share(app: Litestar, limit: Limit) -> None:
    await limit(changes_per_minute=1, reads_per_minute=1)
    async with at(app, CLIENT) as one, at(app, "203.0.113.10") as other:
        for client in (one, other):
            assert (await let_go_of_nothing(client)).status_code == 404
            refused(await let_go_of_nothing(client))
            assert (await client.get("/api/v1/slots", params=SLOTS)).status_code == 200
            refused(await client.get("/api/v1/slots", params=SLOTS))


async def test_behind_a_proxy_that_is_trusted_clients_are_told_apart(
    app: Litestar, limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limit(changes_per_minute=1)
    proxied = msgspec.structs.replace(app.state.settings, trusted_proxies=networks("10.0.0.0/8"))
    monkeypatch.setattr(app.state, "settings", proxied)
    async with at(app, "10.0.0.7") as proxy, at(app, "192.0.2.1") as stranger:
        for forwarded in ("203.0.113.9", "1.2.3.4, 203.0.113.10", "2001:db8::1"):
            proxy.headers["X-Forwarded-For"] = stranger.headers["X-Forwarded-For"] = forwarded
            assert (await let_go_of_nothing(proxy)).status_code == 404
            refused(await let_go_of_nothing(proxy))
        # Whoever is not the proxy stays one client, whatever they write.
        answers = []
        for number in range(3):
            stranger.headers["X-Forwarded-For"] = f"198.51.100.{number}"
            answers.append((await let_go_of_nothing(stranger)).status_code)
        assert answers == [404, 429, 429]


async def test_the_desk_is_never_limited(
    app: Litestar, desk: httpx.AsyncClient, public: httpx.AsyncClient, limit: Limit
) -> None:
    await limit(
        changes_per_minute=1, reads_per_minute=1, holds_at_once=1, bookings_per_phone_per_day=1,
        online_visits_per_phone=1,
    )  # fmt: skip
    for day in DAYS[:4]:
        assert (await booked(desk, day, ASH)).status_code == 201
        assert (await hold_on(desk, day)).status_code == 201
        assert (await desk.get("/api/v1/slots", params=SLOTS)).status_code == 200
    # What the desk booked takes nothing from what the patient may book.
    held = await hold(public, "follow-up", f"{DAYS[5]}T11:00:00-05:00")
    async with at(app, CLIENT) as elsewhere:
        assert (await book_held(elsewhere, held)).status_code == 201


async def test_a_key_that_is_none_helps_nobody_past_a_limit(public: httpx.AsyncClient, limit: Limit) -> None:
    await limit(changes_per_minute=1, reads_per_minute=1)
    public.headers["Authorization"] = "Bearer tbs_nonsense"
    assert (await hold_on(public, DAYS[0])).status_code == 401
    assert (await public.get("/api/v1/slots", params=SLOTS)).status_code == 401
    assert (await public.get("/book/t/eval-run")).status_code == 200
    assert (await public.get("/book/t/eval-run")).status_code == 429


async def test_who_was_counted_cannot_be_read_from_the_database(app: Litestar, pool: Pool, settings: Settings) -> None:
    async with at(app, CLIENT) as client:
        assert (await booked(client, DAYS[0], ASH)).status_code == 201
        await client.get("/api/v1/slots", params=SLOTS)
    rows = {row["name"]: row["subject"] for row in await pool.fetch("select name, subject from rate_limits")}
    client_subject = subject_of(settings.secret_key, "client", CLIENT)
    phone_subject = subject_of(settings.secret_key, "phone", "+12015550142")
    assert rows == {"changes": client_subject, "reads": client_subject, "bookings": phone_subject}


async def test_subjects_to_whom_all_was_given_back_are_forgotten(clinic: Clinic, pool: Pool) -> None:
    async with pool.acquire() as connection:
        for subject in (b"long ago", b"just now"):
            await take(connection, clinic.id, "changes", subject, units=1, most=1, seconds=60)
        await connection.execute("update rate_limits set full_at = now() where subject = 'long ago'::bytea")
        await forget_limits(connection)
    assert [row["subject"] for row in await pool.fetch("select subject from rate_limits")] == [b"just now"]


async def test_a_clinic_that_was_applied_before_there_were_limits_has_the_usual_ones(
    clinic: Clinic, pool: Pool
) -> None:
    await pool.execute("update clinics set settings = settings - 'limits' where id = $1", clinic.id)
    async with pool.acquire() as connection:
        assert (await load_clinics(connection))[0].settings.limits == Limits()


async def test_a_key_of_any_scope_is_no_part_of_the_public(
    app: Litestar, pool: Pool, clinic: Clinic, limit: Limit
) -> None:
    await limit(reads_per_minute=1)
    key = await make_key(pool, clinic, "messages:read")
    async with client_of(app, Authorization=f"Bearer {key}") as client:
        for _ in range(3):
            assert (await client.get("/api/v1/slots", params=SLOTS)).status_code == 200
