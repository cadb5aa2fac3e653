"""A time kept while somebody types: booked, let go, or run out."""

from typing import Any

import httpx
import pytest
import time_machine

from scheduler.store.connections import Pool
from tests.integration.requests import DAY, JO, TEN, book_held, first_slot, hold, occupied

pytestmark = pytest.mark.usefixtures("monday")


async def let_run_out(pool: Pool, held: dict[str, Any]) -> None:
    await pool.execute("update occupancy set expires_at = now() - interval '1 second' where visit_id = $1", held["id"])


async def test_a_patient_holds_a_slot_and_books_it(public: httpx.AsyncClient, pool: Pool) -> None:
    slot = await first_slot(public, "eval-run", DAY)
    held = await hold(public, "eval-run", slot["starts_at"])
    assert held["starts_at"] == slot["starts_at"]
    response = await book_held(public, held)
    assert response.status_code == 201, response.text
    visit = response.json()
    assert response.headers["etag"] == '"1"'
    assert response.headers["location"] == f"/api/v1/visits/{visit['id']}"
    assert (visit["status"], visit["starts_at"], visit["therapist"], visit["room"]) == (
        "booked",
        slot["starts_at"],
        held["therapist"],
        held["room"],
    )
    assert visit["equipment"] == ["treadmill-1"]
    assert visit["patient"]["display_name"] == "Ash S."
    # The therapist, the room, the treadmill and the patient.
    assert await occupied(pool, visit["id"]) == 4


async def test_a_held_slot_is_not_offered_to_anybody_else(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    again = await public.post(
        "/api/v1/holds", json={"visit_type": "eval-run", "starts_at": TEN, "therapist": held["therapist"]}
    )
    assert again.status_code == 409
    assert again.json()["code"] == "slot-taken"
    alternatives = again.json()["alternatives"]
    assert 1 <= len(alternatives) <= 5
    assert TEN not in [slot["starts_at"] for slot in alternatives]
    assert {slot["therapist"] for slot in alternatives} == {held["therapist"]}


async def test_a_released_hold_frees_its_slot_at_once(public: httpx.AsyncClient, pool: Pool) -> None:
    held = await hold(public, "eval-run", TEN)
    response = await public.delete(f"/api/v1/holds/{held['id']}", headers={"Hold-Token": held["token"]})
    assert response.status_code == 204
    assert await occupied(pool, held["id"]) == 0
    await hold(public, "eval-run", TEN, therapist=held["therapist"])


async def test_a_hold_answers_only_to_its_token(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    for token in ("wrong", held["token"][:-1]):
        forged = await book_held(public, {**held, "token": token})
        assert (forged.status_code, forged.json()["code"]) == (404, "hold-not-found")
    unknown = await book_held(public, {**held, "id": "01a206f9-fd71-7771-a54c-6c959606910c"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "hold-not-found")


async def test_a_hold_can_be_extended_ten_times(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    headers = {"Hold-Token": held["token"]}
    for _ in range(10):
        extended = await public.post(f"/api/v1/holds/{held['id']}/extend", headers=headers)
        assert extended.status_code == 200, extended.text
        assert "token" not in extended.json()
    refused = await public.post(f"/api/v1/holds/{held['id']}/extend", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong-status")


async def test_a_hold_that_ran_out_makes_way(public: httpx.AsyncClient, pool: Pool) -> None:
    held = await hold(public, "eval-run", TEN)
    await let_run_out(pool, held)
    taken = await hold(public, "eval-run", TEN, therapist=held["therapist"])
    late = await book_held(public, held)
    assert (late.status_code, late.json()["code"]) == (409, "hold-expired")
    assert late.json()["alternatives"]
    assert (await book_held(public, taken, JO)).status_code == 201


async def test_a_hold_that_ran_out_is_booked_while_its_time_is_still_free(
    public: httpx.AsyncClient, pool: Pool
) -> None:
    held = await hold(public, "eval-run", TEN)
    await let_run_out(pool, held)
    response = await book_held(public, held)
    assert response.status_code == 201, response.text
    assert response.json()["starts_at"] == TEN


async def test_the_same_hold_booked_twice_is_one_visit(public: httpx.AsyncClient, pool: Pool) -> None:
    held = await hold(public, "eval-run", TEN)
    first, second = await book_held(public, held), await book_held(public, held)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert await pool.fetchval("select count(*) from visits where status = 'booked'") == 1
    assert (await book_held(public, held, JO)).status_code == 404


async def test_a_hold_that_ran_out_gives_no_way_around_notice_or_into_the_past(
    public: httpx.AsyncClient, pool: Pool
) -> None:
    held = await hold(public, "eval-run", TEN)
    await let_run_out(pool, held)
    for moment in (f"{DAY}T09:55:00-05:00", "2026-12-10T10:00:00-05:00"):
        with time_machine.travel(moment, tick=True):
            late = await book_held(public, held)
        assert (late.status_code, late.json()["code"]) == (409, "too-soon")
    assert await pool.fetchval("select count(*) from visits where status = 'booked'") == 0
