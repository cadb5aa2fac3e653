"""The same request twice, at once or after a crash, is one booking and one answer."""

import asyncio
from typing import Any

import httpx
import msgspec
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.store.connections import Pool
from scheduler.store.idempotency import TAKE, StoredAnswer, store_answer, take_key
from scheduler.store.locks import idempotency_lock
from tests.integration.requests import ASH, book_held, hold

START = "2027-01-12T10:00:00-05:00"


def request(starts_at: str = START) -> dict[str, Any]:
    return {"visit_type": "follow-up", "starts_at": starts_at, "patient": ASH}


async def test_a_repeated_booking_replays_the_first_answer(desk: httpx.AsyncClient, pool: Pool) -> None:
    headers = {"Idempotency-Key": "one-booking"}
    first = await desk.post("/api/v1/visits", json=request(), headers=headers)
    again = await desk.post("/api/v1/visits", json=request(), headers=headers)
    assert first.status_code == again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["location"] == first.headers["location"]
    assert await pool.fetchval("select count(*) from visits") == 1


async def test_a_key_used_for_another_request_is_refused(desk: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "one-booking"}
    await desk.post("/api/v1/visits", json=request(), headers=headers)
    other = await desk.post("/api/v1/visits", json=request("2027-01-12T11:00:00-05:00"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_fifty_at_once_make_one_booking_and_one_set_of_messages(desk: httpx.AsyncClient, pool: Pool) -> None:
    async def once() -> httpx.Response:
        return await desk.post("/api/v1/visits", json=request(), headers={"Idempotency-Key": "rush"})

    answers = await asyncio.gather(*(once() for _ in range(50)))
    codes = {answer.status_code for answer in answers}
    assert codes <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency-in-flight"}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert await pool.fetchval("select count(*) from visits") == 1
    assert await pool.fetchval("select count(*) from messages where kind = 'booked'") == 2


async def test_an_answer_that_was_kept_in_the_instant_before_is_not_written_over(pool: Pool, clinic: Clinic) -> None:
    first, second = (StoredAnswer(bytes(32), 201, {"ETag": tag}, b"{}") for tag in "12")
    async with pool.acquire() as connection:
        assert await store_answer(connection, clinic.id, "key:desk", "one", first)
        assert not await store_answer(connection, clinic.id, "key:desk", "one", second)
        assert await take_key(connection, clinic.id, "key:desk", "one") == (True, first)
        assert await take_key(connection, clinic.id, "key:desk", "another") == (True, None)
        await connection.execute("update idempotency_keys set created_at = created_at - interval '24 hours'")
        assert await take_key(connection, clinic.id, "key:desk", "one") == (True, None)
        assert await store_answer(connection, clinic.id, "key:desk", "one", second)
        assert await take_key(connection, clinic.id, "key:desk", "one") == (True, second)


async def test_an_answer_that_is_kept_in_the_instant_of_asking_is_found(pool: Pool, clinic: Clinic) -> None:
    answer = StoredAnswer(bytes(32), 201, {}, b"{}")
    async with pool.acquire() as first, pool.acquire() as second, second.transaction():
        async with first.transaction():
            assert await take_key(first, clinic.id, "key:desk", "one") == (True, None)
            await store_answer(first, clinic.id, "key:desk", "one", answer)
            # The second one's statement has begun, and with it what it can see, before the first one commits.
            lock = idempotency_lock(clinic.id, "key:desk", "one")
            begun = await second.cursor(TAKE, clinic.id, "key:desk", "one", lock)
        assert await begun.fetchrow() == (True, *msgspec.structs.astuple(answer))


async def test_a_replay_of_a_hold_needs_the_holds_token(public: httpx.AsyncClient) -> None:
    held = await hold(public, "follow-up", START)
    headers = {"Idempotency-Key": "a-key-that-nobody-guesses"}
    extend = f"/api/v1/holds/{held['id']}/extend"
    assert (await public.post(extend, headers={**headers, "Hold-Token": held["token"]})).status_code == 200
    other = await public.post(extend, headers={**headers, "Hold-Token": "wrong"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_a_key_that_somebody_has_is_not_waited_for(pool: Pool, clinic: Clinic) -> None:
    async with pool.acquire() as first, pool.acquire() as second, first.transaction():
        assert await take_key(first, clinic.id, "key:desk", "one") == (True, None)
        assert await take_key(second, clinic.id, "key:desk", "one") == (False, None)


async def test_a_refusal_is_not_kept_because_it_changed_nothing(desk: httpx.AsyncClient) -> None:
    taken = await hold(desk, "follow-up", START, therapist="rivera")
    headers = {"Idempotency-Key": "patience"}
    body = request() | {"therapist": "rivera"}
    assert (await desk.post("/api/v1/visits", json=body, headers=headers)).status_code == 409
    await desk.delete(f"/api/v1/holds/{taken['id']}", headers={"Hold-Token": taken["token"]})
    assert (await desk.post("/api/v1/visits", json=body, headers=headers)).status_code == 201


async def test_two_callers_with_the_same_key_do_not_meet(desk: httpx.AsyncClient, public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", START)
    headers = {"Idempotency-Key": "0b9a44c0-common-to-both"}
    by_desk = await desk.post("/api/v1/visits", json=request(), headers=headers)
    public.headers.update(headers)
    by_patient = await book_held(public, held, {**ASH, "phone": "201 555 0144"})
    assert by_desk.status_code == by_patient.status_code == 201
    assert by_desk.json()["id"] != by_patient.json()["id"]


async def test_the_public_needs_a_key_that_nobody_guesses(public: httpx.AsyncClient) -> None:
    response = await public.post(
        "/api/v1/holds", json={"visit_type": "eval-run", "starts_at": START}, headers={"Idempotency-Key": "mine"}
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "too-short"


async def test_a_replay_does_not_depend_on_what_time_it_is(desk: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "late"}
    first = await desk.post("/api/v1/visits", json=request(), headers=headers)
    with time_machine.travel("2027-02-01T10:00:00-05:00", tick=True):
        again = await desk.post("/api/v1/visits", json=request(), headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_a_key_that_is_no_key_is_refused_by_name(desk: httpx.AsyncClient) -> None:
    response = await desk.post("/api/v1/visits", json=request(), headers={"Idempotency-Key": "a b"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "Idempotency-Key"
