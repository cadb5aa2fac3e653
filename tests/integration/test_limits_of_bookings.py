"""What one client and one phone may hold and book."""

import asyncio
from collections import Counter
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from scheduler.store.connections import Pool
from tests.integration.limiting import CLIENT, DAYS, Limit, at, booked, hold_on, refused
from tests.integration.requests import ASH, JO, book_held

pytestmark = pytest.mark.usefixtures("monday")


async def test_a_client_keeps_only_so_many_times_at_once_on_whatever_days(
    public: httpx.AsyncClient, limit: Limit, pool: Pool
) -> None:
    await limit(holds_at_once=3)
    answers = await asyncio.gather(*(hold_on(public, day) for day in DAYS))
    assert Counter(answer.status_code for answer in answers) == {201: 3, 429: 7}
    assert await pool.fetchval("select count(*) from visits where status = 'held'") == 3
    # The first of them runs out within the clinic's ten minutes; then there is room for another.
    await pool.execute(
        """update occupancy set expires_at = now() + interval '90 s'
        where visit_id = (select id from visits order by id limit 1)"""
    )
    assert 85 < refused(await hold_on(public, DAYS[0])) <= 90
    await pool.execute(
        """update occupancy set expires_at = now() - interval '1 s'
        where visit_id = (select id from visits order by id limit 1)"""
    )
    assert (await hold_on(public, DAYS[8])).status_code == 201
    refused(await hold_on(public, DAYS[9]))


async def test_a_time_that_is_booked_or_let_go_is_no_longer_kept_nor_whose_it_was(
    app: Litestar, public: httpx.AsyncClient, limit: Limit, pool: Pool
) -> None:
    await limit(holds_at_once=1)
    assert (await booked(public, DAYS[0], ASH)).status_code == 201
    held = (await hold_on(public, DAYS[1])).json()
    refused(await hold_on(public, DAYS[2]))
    async with at(app, CLIENT) as elsewhere:
        assert (await hold_on(elsewhere, DAYS[2])).status_code == 201
    await public.delete(f"/api/v1/holds/{held['id']}", headers={"Hold-Token": held["token"]})
    assert (await hold_on(public, DAYS[3])).status_code == 201
    kept = await pool.fetch("select status, hold_client is not null as known from visits")
    assert {(row["status"], row["known"]) for row in kept} == {("booked", False), ("expired", False), ("held", True)}


async def test_a_phone_books_only_so_often_a_day_from_wherever_and_however_it_is_written(
    app: Litestar, limit: Limit
) -> None:
    clinic = await limit(bookings_per_phone_per_day=2)
    writings = ["201 555 0142", "(201) 555-0142", "+1 201.555.0142"]
    answers: list[httpx.Response] = []
    for number, phone in enumerate(writings):
        async with at(app, f"203.0.113.{number}") as client:
            answers.append(await booked(client, DAYS[number], {**ASH, "phone": phone}))
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert 11 * 3600 < refused(answers[2]) <= 12 * 3600
    assert clinic.settings.phone in answers[2].json()["detail"]
    async with at(app, CLIENT) as client:
        assert (await booked(client, DAYS[3], JO)).status_code == 201


async def test_a_booking_that_is_sent_again_under_its_key_does_not_use_up_the_phone(
    public: httpx.AsyncClient, limit: Limit
) -> None:
    await limit(bookings_per_phone_per_day=1)
    held = (await hold_on(public, DAYS[0])).json()
    public.headers["Idempotency-Key"] = str(uuid4())
    answers = [await book_held(public, held) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_phone_has_only_so_many_visits_to_come_also_when_they_are_booked_at_once(
    public: httpx.AsyncClient, limit: Limit, pool: Pool
) -> None:
    clinic = await limit(online_visits_per_phone=2)
    holds = [(await hold_on(public, day)).json() for day in DAYS[:5]]
    answers = await asyncio.gather(*(book_held(public, held) for held in holds))
    assert Counter(answer.status_code for answer in answers) == {201: 2, 429: 3}
    assert await pool.fetchval("select count(*) from visits where status = 'booked'") == 2
    told = next(answer for answer in answers if answer.status_code == 429)
    assert clinic.settings.phone in told.json()["detail"]
    # Not when one of them is over: a stranger who types this number must not learn when somebody comes.
    assert refused(told) == 24 * 3600
    # The same click twice is the same visit, and one that is cancelled makes room.
    first = next(held for held, answer in zip(holds, answers, strict=True) if answer.status_code == 201)
    again = await book_held(public, first)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    await pool.execute("update visits set status = 'cancelled' where id = $1", first["id"])
    later = next(held for held, answer in zip(holds, answers, strict=True) if answer.status_code == 429)
    assert (await book_held(public, later)).status_code == 201


@pytest.mark.parametrize(("language", "words"), [("en", "Please wait a moment"), ("es", "Por favor espere un momento")])
async def test_a_patient_who_is_limited_sees_a_page_that_says_what_to_do(
    public: httpx.AsyncClient, limit: Limit, language: str, words: str
) -> None:
    clinic = await limit(reads_per_minute=1, changes_per_minute=1)
    public.headers.update({"Accept": "text/html", "Accept-Language": language})
    assert (await public.get("/book/t/eval-run")).status_code == 200
    form = {"type": "eval-run", "start": f"{DAYS[0]}T09:00:00-05:00"}
    assert (await public.post("/book/holds", data=form)).status_code == 303
    for response in (
        await public.get("/book/t/eval-run"),
        await public.get("/book"),
        await public.post("/book/holds", data=form),
    ):
        assert response.status_code == 429
        assert response.headers["content-type"].startswith("text/html")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert words in response.text
        assert clinic.settings.phone in response.text


async def test_a_page_sends_a_phone_that_has_booked_enough_to_the_telephone(
    public: httpx.AsyncClient, limit: Limit
) -> None:
    await limit(bookings_per_phone_per_day=1)
    assert (await booked(public, DAYS[0], ASH)).status_code == 201
    public.headers["Accept"] = "text/html"
    form = {"type": "follow-up", "start": f"{DAYS[1]}T10:00:00-05:00"}
    step = (await public.post("/book/holds", data=form)).headers["location"]
    token = next(value.partition(".")[0] for name, value in public.cookies.items() if name.startswith("hold-"))
    typed = {"token": token, "given_name": "Ash", "family_name": "Sample", "phone": "2015550142"}
    response = await public.post(step, data=typed)
    assert response.status_code == 429
    assert "Please call us to book" in response.text
