"""Dates with hours of their own, a therapist's or the whole clinic's, over the API."""

import httpx
import pytest

from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.requests import DAY, NOW
from tests.integration.scheduling import RIVERA, apply_again, audited, fields, starts

pytestmark = pytest.mark.usefixtures("monday")


async def test_an_override_replaces_its_date_and_goes_again(desk: httpx.AsyncClient, pool: Pool) -> None:
    body = {"windows": [{"from": "17:00", "to": "18:00"}, {"from": "18:00", "to": "18:30"}], "reason": "Late shift"}
    answer = await desk.put(f"{RIVERA}/overrides/{DAY}", json=body)
    assert answer.status_code == 200, answer.text
    override = {
        "therapist": "rivera", "date": DAY, "reason": "Late shift", "set_by": "desk",
        "windows": [{"from": "17:00", "to": "18:30", "ends_next_day": False}],
    }  # fmt: skip
    assert answer.json() == {**override, "affected_visits": []}
    assert (await desk.get(f"{RIVERA}/overrides/{DAY}")).json() == {**override, "affected_visits": []}
    assert (await desk.get(f"{RIVERA}/overrides")).json() == {"items": [override], "next_cursor": None}
    assert await starts(desk) == ["17:00", "17:15", "17:30", "17:45"]
    assert (await desk.put(f"{RIVERA}/overrides/{DAY}", json={})).json()["windows"] == []
    assert await starts(desk) == []
    assert (await desk.delete(f"{RIVERA}/overrides/{DAY}")).json() == {"affected_visits": []}
    assert (await starts(desk))[0] == "08:00"
    for gone in (await desk.delete(f"{RIVERA}/overrides/{DAY}"), await desk.get(f"{RIVERA}/overrides/{DAY}")):
        assert (gone.status_code, gone.json()["code"]) == (404, "not-found")
    assert [(details["before"], details["after"]) for details in await audited(pool, "override.set")] == [
        (None, f"override on {DAY} (17:00-18:30)"),
        (f"override on {DAY} (17:00-18:30)", f"override on {DAY} (all day off)"),
    ]
    (removed,) = await audited(pool, "override.removed")
    assert (removed["before"], removed["after"]) == (f"override on {DAY} (all day off)", None)


async def test_what_the_desk_took_out_the_file_does_not_bring_back(
    desk: httpx.AsyncClient, pool: Pool, settings: Settings
) -> None:
    lind = "/api/v1/therapists/lind/overrides"
    assert [item["date"] for item in (await desk.get(lind)).json()["items"]] == ["2026-12-12", "2026-12-23"]
    assert (await desk.delete(f"{lind}/2026-12-23")).status_code == 200
    assert (await desk.put(f"{lind}/2026-12-12", json={})).status_code == 200
    assert (await desk.delete("/api/v1/closures/2026-12-25")).status_code == 200
    half_day = {"windows": [{"from": "08:00", "to": "10:00"}]}
    assert (await desk.put("/api/v1/closures/2026-12-24", json=half_day)).status_code == 200
    assert await apply_again(pool, settings) == [
        "therapist lind: override on 2026-12-12 stays as the front desk left it",
        "therapist lind: override on 2026-12-23 stays as the front desk left it",
        "clinic fair-lawn: closure on 2026-12-24 stays as the front desk left it",
        "clinic fair-lawn: closure on 2026-12-25 stays as the front desk left it",
    ]
    assert await starts(desk, "2026-12-12", "lind") == []
    assert await starts(desk, "2026-12-23", "lind")
    assert await starts(desk, "2026-12-25", "lind")
    # What it took out and sets again is in force again.
    assert (await desk.put(f"{lind}/2026-12-23", json={})).status_code == 200
    assert await starts(desk, "2026-12-23", "lind") == []


async def test_lists_of_dates_go_on_where_they_stopped(desk: httpx.AsyncClient) -> None:
    page = {"limit": 4}
    seen: list[str] = []
    for _ in range(4):
        answer = (await desk.get("/api/v1/closures", params=page)).json()
        seen += [item["date"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        page = {"limit": 4, "cursor": answer["next_cursor"]}
    assert len(seen) == 10
    assert (seen[0], seen[-1]) == ("2026-11-26", "2027-12-24")
    year = (await desk.get("/api/v1/closures", params={"from": "2026-12-25", "to": "2027-05-31"})).json()["items"]
    assert [item["date"] for item in year] == ["2026-12-25", "2027-01-01"]
    for name, value in (("from", "soon"), ("to", "0001-01-01"), ("cursor", "x")):
        assert list(fields(await desk.get("/api/v1/closures", params={name: value}))) == [f"?{name}"]


async def test_a_closure_closes_everybodys_day_and_opens_again(desk: httpx.AsyncClient, pool: Pool) -> None:
    half = {"windows": [{"from": "07:00", "to": "09:00"}], "reason": "Burst pipe"}
    closed = await desk.put(f"/api/v1/closures/{DAY}", json=half)
    assert closed.status_code == 200, closed.text
    assert closed.json()["windows"] == [{"from": "07:00", "to": "09:00", "ends_next_day": False}]
    assert await starts(desk) == ["08:00", "08:15"]
    assert await starts(desk, therapist="lind") == []
    assert (await desk.delete(f"/api/v1/closures/{DAY}")).status_code == 200
    assert await starts(desk, therapist="lind")
    assert (await desk.delete(f"/api/v1/closures/{DAY}")).status_code == 404
    assert [(details["before"], details["after"]) for details in await audited(pool, "closure.removed")] == [
        (f"closure on {DAY} (07:00-09:00)", None)
    ]


@pytest.mark.parametrize("address", [f"{RIVERA}/overrides", "/api/v1/closures"])
async def test_dates_that_cannot_be_meant_are_refused(desk: httpx.AsyncClient, address: str) -> None:
    for day, code in (
        ("tomorrow", "date-invalid"),
        ("2026-02-30", "date-invalid"),
        ("0001-01-01", "date-out-of-range"),
        ("9999-12-31", "date-out-of-range"),
        ("2026-11-22", "date-in-the-past"),
        ("2029-12-08", "date-too-far"),
    ):
        assert fields(await desk.put(f"{address}/{day}", json={})) == {"day": code}
    assert (await desk.put(f"{address}/2026-11-23", json={})).status_code == 200
    backward = await desk.put(f"{address}/{DAY}", json={"windows": [{"from": "12:00", "to": "11:00"}]})
    assert fields(backward) == {"/windows/0/to": "range-empty"}
    wordy = await desk.put(f"{address}/{DAY}", json={"reason": "x" * 201})
    assert list(fields(wordy)) == ["/reason"]
    assert fields(await desk.put(f"{address}/{DAY}")) == {"": "missing"}


async def test_what_the_clinic_says_of_today_minds_a_closure(
    desk: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    async def today() -> list[tuple[str, str]]:
        answer = await public.get("/api/v1/clinic")
        return [(each["opens"], each["closes"]) for each in answer.json()["today"]]

    usual = await today()
    ((opens, closes),) = usual
    address = f"/api/v1/closures/{NOW.date()}"
    some = [{"from": "00:00", "to": "09:30"}, {"from": "12:00", "to": "12:30"}]
    await desk.put(address, json={"windows": some, "reason": "a burst pipe"})
    assert await today() == [(opens, "09:30"), ("12:00", "12:30")]
    await desk.put(address, json={"reason": "a burst pipe"})
    assert await today() == []
    await desk.delete(address)
    assert await today() == [(opens, closes)]


async def test_a_closure_is_about_one_date(desk: httpx.AsyncClient) -> None:
    night = {"windows": [{"from": "20:00", "to": "02:00", "ends_next_day": True}]}
    assert fields(await desk.put(f"/api/v1/closures/{DAY}", json=night)) == {
        "/windows/0/ends_next_day": "unknown-field"
    }
