"""Being called back instead of booking: the desk has a task, once, and a program has none."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from scheduler.store.connections import Pool
from tests.integration.conftest import client_of

ASH = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142"}


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, Accept="text/html") as client:
        yield client


async def test_the_desk_is_told_once_whom_to_call(browser: httpx.AsyncClient, desk: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await browser.post("/book/call", data=ASH)
        assert (answer.status_code, answer.headers["location"]) == (303, "/book/call?asked=yes")
    assert "We’ll call the number you gave us" in (await browser.get("/book/call?asked=yes")).text
    (task,) = (await desk.get("/api/v1/tasks", params={"kind": "call-back"})).json()["items"]
    assert task["patient"]["display_name"] == "Ash S."
    assert (await desk.post(f"/api/v1/tasks/{task['id']}/handled")).status_code == 200
    # Once somebody has called, the next wish is a new one.
    await browser.post("/book/call", data=ASH)
    assert len((await desk.get("/api/v1/tasks", params={"kind": "call-back", "open": "true"})).json()["items"]) == 1


async def test_what_is_wrong_is_said_and_kept_and_a_program_is_shown_the_telephone(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    page = await browser.post("/book/call", data={**ASH, "phone": "201"})
    assert page.status_code == 422
    assert "<title>Error:" in page.text
    assert "Enter a 10-digit mobile number" in page.text
    assert 'value="Ash"' in page.text
    spanish = await browser.post("/book/call?lang=es", data=ASH)
    assert spanish.status_code == 200
    assert 'value="Ash"' in spanish.text
    assert (await browser.post("/book/call", data={**ASH, "also": "x"})).status_code == 403
    assert await pool.fetchval("select count(*) from patients") == 0
    assert await pool.fetchval("select count(*) from desk_tasks") == 0


async def test_one_number_asks_so_often_a_day(browser: httpx.AsyncClient) -> None:
    answers = [(await browser.post("/book/call", data=ASH)).status_code for _ in range(11)]
    assert answers == [303] * 10 + [429]
