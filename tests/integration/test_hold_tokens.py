"""The token of a hold is told to whoever made it, and lies nowhere in the database."""

from uuid import UUID, uuid4

import httpx

from scheduler.services.holds import token_of
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.requests import book_held

HOLD = {"visit_type": "eval-run", "starts_at": "2027-01-12T10:00:00-05:00"}


async def test_a_hold_that_is_asked_for_twice_is_told_with_its_token_that_nobody_kept(
    public: httpx.AsyncClient, pool: Pool
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first = await public.post("/api/v1/holds", json=HOLD, headers=headers)
    again = await public.post("/api/v1/holds", json=HOLD, headers=headers)
    assert first.status_code == again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert again.json() == first.json()
    kept = bytes(await pool.fetchval("select body from idempotency_keys")).decode()
    assert first.json()["id"] in kept
    assert "token" not in kept
    everything = await pool.fetchval("select string_agg(visits::text, '') from visits")
    assert first.json()["token"] not in everything
    assert (await book_held(public, again.json())).status_code == 201


async def test_an_answer_kept_by_an_earlier_release_is_told_as_it_was(public: httpx.AsyncClient, pool: Pool) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    await public.post("/api/v1/holds", json=HOLD, headers=headers)
    await pool.execute(
        """update idempotency_keys
        set body = convert_to((convert_from(body, 'UTF8')::jsonb || '{"token": "of-old"}')::text, 'UTF8')"""
    )
    again = await public.post("/api/v1/holds", json=HOLD, headers=headers)
    assert again.json()["token"] == "of-old"


async def test_a_token_is_of_one_hold_and_needs_the_secret(public: httpx.AsyncClient, settings: Settings) -> None:
    held = (await public.post("/api/v1/holds", json=HOLD)).json()
    hold_id = UUID(held["id"])
    assert held["token"] == token_of(settings.secret_key, hold_id)
    guesses = [token_of("another secret of enough letters", hold_id), token_of(settings.secret_key, uuid4()), ""]
    for guess in guesses:
        response = await public.delete(f"/api/v1/holds/{hold_id}", headers={"Hold-Token": guess})
        assert (response.status_code, response.json()["code"]) == (404, "hold-not-found")
