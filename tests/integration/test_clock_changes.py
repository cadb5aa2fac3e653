"""Slots over the API on and around the two days a year that New York changes its clocks, right to the minute."""

from typing import Any

import httpx
import pytest
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.store.connections import Pool

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
