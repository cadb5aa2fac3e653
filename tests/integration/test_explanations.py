"""Why a time is not open, start by start."""

from typing import Any

import httpx
import pytest

from tests.integration.requests import DAY, book, first_slot, hold
from tests.integration.scheduling import RIVERA, fields, starts

pytestmark = pytest.mark.usefixtures("monday")


async def test_a_day_is_explained_start_by_start(desk: httpx.AsyncClient, public: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", f"{DAY}T09:00:00-05:00", therapist="rivera")).json()
    held = await hold(public, "follow-up", f"{DAY}T11:00:00-05:00", therapist="rivera")
    await desk.post(f"{RIVERA}/time-off", json={"from": f"{DAY}T13:00:00-05:00", "to": f"{DAY}T14:00:00-05:00"})
    await desk.put(f"{RIVERA}/overrides/{DAY}", json={"windows": [{"from": "08:00", "to": "16:00"}]})
    await desk.put(f"/api/v1/closures/{DAY}", json={"windows": [{"from": "07:00", "to": "15:00"}]})
    asked = {"therapist": "rivera", "date": DAY, "visit_type": "follow-up"}
    answer = await desk.get("/api/v1/availability/explain", params=asked)
    assert answer.status_code == 200, answer.text
    items = {item["starts_at"][11:16]: item for item in answer.json()["items"]}
    assert len(items) == 96
    told = ("00:00", "08:00", "09:30", "11:15", "12:30", "15:15", "16:00")
    assert {clock: items[clock]["reasons"] for clock in told} == {
        "00:00": ["closed", "outside-hours"],
        "08:00": [],
        "09:30": ["therapist-busy"],
        "11:15": ["held"],
        "12:30": ["time-off"],
        "15:15": ["closed"],
        "16:00": ["closed", "override"],
    }
    assert items["09:30"]["visits"] == [visit["id"]]
    assert (items["11:15"]["visits"], items["11:15"]["held_until"]) == ([held["id"]], held["expires_at"])
    assert [clock for clock, item in items.items() if item["open"]] == await starts(desk)
    assert [clock for clock, item in items.items() if item["online"]["open"]] == await starts(public)


async def test_what_binds_patients_alone_is_told_apart(desk: httpx.AsyncClient, public: httpx.AsyncClient) -> None:
    async def online(day: str, clock: str, visit_type: str = "follow-up") -> Any:
        asked = {"therapist": "rivera", "date": day, "visit_type": visit_type}
        items = (await desk.get("/api/v1/availability/explain", params=asked)).json()["items"]
        (item,) = [item for item in items if item["starts_at"][11:16] == clock]
        assert item["open"], item
        return item["online"]

    assert await online("2026-11-23", "13:00") == {"open": False, "reasons": ["too-soon"]}
    assert await online("2026-11-24", "10:15") == {"open": True, "reasons": []}
    assert await online("2027-03-24", "10:15") == {"open": False, "reasons": ["too-far-ahead"]}
    assert await online(DAY, "10:15", "re-eval") == {"open": False, "reasons": ["not-bookable-online"]}
    assert (await first_slot(public, "follow-up", "2026-11-24", therapist="rivera"))["starts_at"][11:16] == "10:15"


@pytest.mark.parametrize(("day", "starts_of_day"), [("2027-03-14", 92), ("2027-11-07", 100)])
async def test_the_days_on_which_the_clocks_change_are_explained_whole(
    desk: httpx.AsyncClient, day: str, starts_of_day: int
) -> None:
    await desk.put(f"{RIVERA}/overrides/{day}", json={"windows": [{"from": "00:00", "to": "24:00"}]})
    asked = {"therapist": "rivera", "date": day, "visit_type": "follow-up"}
    items = (await desk.get("/api/v1/availability/explain", params=asked)).json()["items"]
    assert len({item["starts_at"] for item in items}) == starts_of_day
    assert [item["open"] for item in items] == [True] * (starts_of_day - 2) + [False] * 2


async def test_a_question_that_cannot_be_answered_says_why(desk: httpx.AsyncClient) -> None:
    asked = {"therapist": "nobody", "date": "2026-13-01", "visit_type": "massage"}
    assert fields(await desk.get("/api/v1/availability/explain", params=asked)) == {
        "?therapist": "therapist-unknown", "?date": "date-invalid", "?visit_type": "visit-type-unknown",
    }  # fmt: skip
    half = await desk.get("/api/v1/availability/explain", params={"date": DAY, "therapist": "rivera"})
    assert fields(half) == {"?visit_type": "missing"}
    marsh = {"therapist": "marsh", "date": DAY, "visit_type": "eval"}
    items = (await desk.get("/api/v1/availability/explain", params=marsh)).json()["items"]
    assert all(item["reasons"][0] == "not-qualified" for item in items)
