"""Absences of therapists, over the API."""

from datetime import datetime

import httpx
import pytest
import time_machine

from scheduler.store.connections import Pool
from tests.integration.requests import DAY
from tests.integration.scheduling import RIVERA, audited, fields, starts

pytestmark = pytest.mark.usefixtures("monday")


async def test_time_off_comes_is_listed_and_goes(desk: httpx.AsyncClient, pool: Pool) -> None:
    body = {"from": f"{DAY}T09:00:00-05:00", "to": f"{DAY}T16:00:00-05:00", "reason": "Course"}
    added = await desk.post(f"{RIVERA}/time-off", json=body)
    assert added.status_code == 201, added.text
    absence = {key: value for key, value in added.json().items() if key != "affected_visits"}
    assert absence.items() >= {**body, "therapist": "rivera", "created_by": "key:front desk"}.items()
    assert added.headers["location"] == f"{RIVERA}/time-off/{absence['id']}"
    assert (await desk.get(added.headers["location"])).json() == added.json()
    assert await starts(desk) == ["08:00", "08:15", "16:00", "16:15"]
    assert (await desk.get(f"{RIVERA}/time-off")).json() == {"items": [absence], "next_cursor": None}
    assert (await desk.get("/api/v1/therapists/lind/time-off")).json()["items"] == []
    stranger = f"/api/v1/therapists/lind/time-off/{absence['id']}"
    assert (await desk.delete(stranger)).status_code == 404
    assert (await desk.delete(added.headers["location"])).json() == {"affected_visits": []}
    assert (await desk.delete(added.headers["location"])).status_code == 404
    assert len(await starts(desk)) > 10
    (details,) = await audited(pool, "time-off.added")
    assert datetime.fromisoformat(details["after"]["from"]) == datetime.fromisoformat(body["from"])
    assert (await audited(pool, "time-off.removed"))[0]["before"] == details["after"]


async def test_dates_mean_whole_days(desk: httpx.AsyncClient) -> None:
    added = (await desk.post(f"{RIVERA}/time-off", json={"from": DAY, "to": "2026-12-09"})).json()
    assert (added["from"], added["to"]) == (f"{DAY}T00:00:00-05:00", "2026-12-09T00:00:00-05:00")
    assert await starts(desk) == []
    assert await starts(desk, "2026-12-09")


async def test_a_repeated_post_is_one_absence_and_a_dry_run_uses_no_key_up(desk: httpx.AsyncClient, pool: Pool) -> None:
    body, headers = {"from": DAY, "to": "2026-12-09"}, {"Idempotency-Key": "away"}
    tried = await desk.post(f"{RIVERA}/time-off", json=body, headers=headers, params={"dry_run": True})
    assert tried.status_code == 200
    first, again = [await desk.post(f"{RIVERA}/time-off", json=body, headers=headers) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert await pool.fetchval("select count(*) from time_off") == 1


async def test_absences_are_listed_in_order_a_page_at_a_time(desk: httpx.AsyncClient) -> None:
    for day in (9, 1, 20, 5):
        body = {"from": f"2026-12-{day:02}", "to": f"2026-12-{day + 1:02}"}
        assert (await desk.post(f"{RIVERA}/time-off", json=body)).status_code == 201
    first = (await desk.get(f"{RIVERA}/time-off", params={"limit": 3})).json()
    rest = (await desk.get(f"{RIVERA}/time-off", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [item["from"][8:10] for item in first["items"] + rest["items"]] == ["01", "05", "09", "20"]
    assert rest["next_cursor"] is None
    within = await desk.get(f"{RIVERA}/time-off", params={"from": "2026-12-02", "to": "2026-12-09"})
    assert [item["from"][8:10] for item in within.json()["items"]] == ["05"]
    with time_machine.travel("2026-12-06T10:00:00-05:00", tick=True):
        coming = (await desk.get(f"{RIVERA}/time-off")).json()["items"]
    assert [item["from"][8:10] for item in coming] == ["09", "20"]
    backward = await desk.get(f"{RIVERA}/time-off", params={"from": "2026-12-09", "to": "2026-12-02"})
    assert fields(backward) == {"?to": "range-empty"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"from": DAY, "to": DAY}, {"/to": "range-empty"}),
        ({"from": DAY, "to": "2026-12-01"}, {"/to": "range-empty"}),
        ({"from": "2026-11-01", "to": "2026-11-20"}, {"/to": "time-in-the-past"}),
        ({"from": DAY, "to": "2027-12-31"}, {"/to": "range-too-long"}),
        ({"from": "2028-12-01", "to": "2028-12-02"}, {"/to": "time-too-far"}),
        ({"from": f"{DAY}T09:00:00", "to": "late"}, {"/from": "time-without-offset", "/to": "time-invalid"}),
        ({"from": DAY}, {"/to": "missing"}),
        ({"from": DAY, "to": "2026-12-09", "therapist": "lind"}, {"/therapist": "unknown-field"}),
    ],
)
async def test_absences_that_cannot_be_meant_are_refused(
    desk: httpx.AsyncClient, body: dict[str, str], problem: dict[str, str]
) -> None:
    assert fields(await desk.post(f"{RIVERA}/time-off", json=body)) == problem
