"""Slots over the API on and around the two days a year that New York changes its clocks, right to the minute."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.requests import JO, book
from tests.integration.staffing import signed_in

SATURDAY, SUNDAY = 6, 7


@pytest.fixture(autouse=True)
def winter_2027() -> Any:
    with time_machine.travel("2027-03-10T12:00:00-05:00", tick=True):
        yield


async def set_windows(pool: Pool, clinic: Clinic, *windows: tuple[int, int, int]) -> None:
    """Give Rivera these windows (weekday, start, end in minutes) and no others."""
    therapist_id = clinic.therapists["rivera"].id
    await pool.execute("delete from working_windows where therapist_id = $1", therapist_id)
    await pool.executemany(
        """insert into working_windows (clinic_id, id, therapist_id, weekday, starts_minute, ends_minute)
        values ($1, $2, $3, $4, $5, $6)""",
        [(clinic.id, new_id(), therapist_id, *window) for window in windows],
    )


async def starts(client: httpx.AsyncClient, day: str, to: str) -> list[str]:
    response = await client.get(
        "/api/v1/slots", params={"visit_type": "follow-up", "therapist": "rivera", "from": day, "to": to}
    )
    assert response.status_code == 200, response.text
    return [item["starts_at"] for item in response.json()["items"]]


async def test_the_night_the_clocks_go_forward_has_no_two_oclock(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await set_windows(pool, clinic, (SUNDAY, 60, 4 * 60))
    assert clinic.visit_types["follow-up"].duration_minutes == 45
    found = await starts(desk, "2027-03-14", "2027-03-15")
    assert found == [
        "2027-03-14T01:00:00-05:00",
        "2027-03-14T01:15:00-05:00",
        "2027-03-14T01:30:00-05:00",
        "2027-03-14T01:45:00-05:00",
        "2027-03-14T03:00:00-04:00",
        "2027-03-14T03:15:00-04:00",
    ]


async def test_the_night_the_clocks_go_back_has_one_oclock_twice_in_order(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await set_windows(pool, clinic, (SUNDAY, 60, 3 * 60))
    found = await starts(desk, "2027-11-07", "2027-11-08")
    assert found == [
        "2027-11-07T01:00:00-04:00",
        "2027-11-07T01:15:00-04:00",
        "2027-11-07T01:30:00-04:00",
        "2027-11-07T01:45:00-04:00",
        "2027-11-07T01:00:00-05:00",
        "2027-11-07T01:15:00-05:00",
        "2027-11-07T01:30:00-05:00",
        "2027-11-07T01:45:00-05:00",
        "2027-11-07T02:00:00-05:00",
        "2027-11-07T02:15:00-05:00",
    ]


async def test_both_one_oclocks_can_be_booked(desk: httpx.AsyncClient, pool: Pool, clinic: Clinic) -> None:
    await set_windows(pool, clinic, (SUNDAY, 60, 3 * 60))
    for offset in ("-04:00", "-05:00"):
        held = await desk.post(
            "/api/v1/holds",
            json={
                "visit_type": "follow-up",
                "starts_at": f"2027-11-07T01:00:00{offset}",
                "therapist": "rivera",
            },
        )
        assert held.status_code == 201, held.text
        assert held.json()["starts_at"] == f"2027-11-07T01:00:00{offset}"


@pytest.mark.parametrize(
    ("saturday", "monday", "before", "after"),
    [("2027-03-13", "2027-03-15", "-05:00", "-04:00"), ("2027-11-06", "2027-11-08", "-04:00", "-05:00")],
)
async def test_opening_time_stays_where_the_clock_says_on_either_side_of_the_change(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, saturday: str, monday: str, before: str, after: str
) -> None:
    await set_windows(pool, clinic, (SATURDAY, 9 * 60, 10 * 60), (1, 9 * 60, 10 * 60))
    assert await starts(desk, saturday, f"{saturday}T23:00:00{before}") == [
        f"{saturday}T09:00:00{before}",
        f"{saturday}T09:15:00{before}",
    ]
    assert await starts(desk, monday, f"{monday}T23:00:00{after}") == [
        f"{monday}T09:00:00{after}",
        f"{monday}T09:15:00{after}",
    ]


async def test_a_window_over_midnight_crosses_the_change_of_clocks(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await set_windows(pool, clinic, (SATURDAY, 23 * 60 + 30, 24 * 60 + 3 * 60 + 15))
    found = await starts(desk, "2027-03-13", "2027-03-15")
    assert found[0] == "2027-03-13T23:30:00-05:00"
    assert found[-1] == "2027-03-14T01:30:00-05:00"
    assert len(found) == 9


async def test_the_days_of_the_change_are_counted_as_one_day_each(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await set_windows(pool, clinic, (SUNDAY, 0, 24 * 60))
    for day, to, starts_of_day in (("2027-03-14", "2027-03-15", 23 * 4), ("2027-11-07", "2027-11-08", 25 * 4)):
        response = await desk.get(
            "/api/v1/slots/days",
            params={"visit_type": "follow-up", "therapist": "rivera", "from": day, "to": to},
        )
        (counted,) = response.json()["items"]
        # Forty-five minutes must fit before midnight, so the last two quarter hours of the day are not starts.
        assert (counted["date"], counted["open"]) == (day, starts_of_day - 2)


async def book_on_the_board(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, visit_type: str, starts_at: str, **details: str
) -> None:
    day = starts_at[:10]
    async with signed_in(app, pool, clinic, settings) as screen:
        answer = await screen.send(
            f"/staff/day/{day}?new=1&patient=new", "/staff/visits", kind=visit_type, to=f"rivera {starts_at}",
            **{"given_name": "Night", "family_name": "Owl", "phone": "2015550142", "texts": "no", **details},
        )  # fmt: skip
        assert answer.status_code == 303, answer.text


async def test_a_visit_that_the_board_books_over_the_gap_is_as_long_as_any(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, desk: httpx.AsyncClient
) -> None:
    await set_windows(pool, clinic, (SUNDAY, 0, 8 * 60))
    await book_on_the_board(app, pool, clinic, settings, "eval", "2027-03-14T01:45:00-05:00")
    visit = (await desk.get("/api/v1/visits", params={"from": "2027-03-14", "to": "2027-03-15"})).json()["items"][0]
    assert (visit["starts_at"], visit["ends_at"]) == ("2027-03-14T01:45:00-05:00", "2027-03-14T03:45:00-04:00")
    over = await book(desk, "follow-up", "2027-03-14T03:00:00-04:00", therapist="rivera", patient=JO)
    assert (over.status_code, over.json()["code"]) == (409, "slot-taken")


@pytest.mark.parametrize("starts_at", ["2027-11-07T01:00:00-05:00", "2027-11-07T01:30:00-04:00"])
async def test_a_visit_that_the_board_books_in_the_hour_that_comes_twice_is_as_long_as_any(
    starts_at: str, app: Litestar, pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    with time_machine.travel("2027-11-03T12:00:00-04:00", tick=True):
        await set_windows(pool, clinic, (SUNDAY, 0, 8 * 60))
        await book_on_the_board(app, pool, clinic, settings, "follow-up", starts_at)
    visit = await pool.fetchrow("select starts_at, ends_at - starts_at as lasts from visits")
    assert visit is not None
    assert visit["starts_at"] == datetime.fromisoformat(starts_at)
    assert visit["lasts"] == timedelta(minutes=45)
    lengths = await pool.fetch("select distinct upper(during) - lower(during) as lasts from occupancy")
    assert {row["lasts"] for row in lengths} <= {timedelta(minutes=minutes) for minutes in (45, 50, 55, 60)}


async def test_a_visit_moves_on_the_board_over_the_gap(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, desk: httpx.AsyncClient
) -> None:
    await set_windows(pool, clinic, (SUNDAY, 0, 8 * 60))
    visit = (await book(desk, "eval", "2027-03-14T05:00:00-04:00", therapist="rivera")).json()
    async with signed_in(app, pool, clinic, settings) as screen:
        page = f"/staff/day/2027-03-14?move={visit['id']}"
        address = f"/staff/visits/{visit['id']}/move"
        moved = await screen.send(page, address, to="rivera 2027-03-14T01:45:00-05:00", version="1")
    assert moved.status_code == 303, moved.text
    # An hour, and then a quarter of one to write it up in.
    busy_until = await pool.fetchval("select max(upper(during)) from occupancy")
    assert busy_until == datetime.fromisoformat("2027-03-14T04:00:00-04:00")


async def test_the_board_and_the_api_remind_at_the_same_time(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, desk: httpx.AsyncClient
) -> None:
    start = "2027-03-15T10:00:00-04:00"
    await book_on_the_board(app, pool, clinic, settings, "follow-up", start, email="owl@example.com")
    await book(desk, "follow-up", start, therapist="okafor", patient=JO | {"email": "jo@example.com"})
    due = await pool.fetch("select not_before, address from messages where kind = 'reminder' and channel = 'email'")
    assert len(due) == 2
    assert len({row["not_before"] for row in due}) == 1
