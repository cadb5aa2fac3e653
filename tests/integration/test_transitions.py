"""Every action on a visit of every status, over HTTP: what the API contract allows happens, and nothing else does.

The tables are written out by hand from the contract; none of them is the one that the service goes by.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import time_machine

from scheduler.store.connections import Pool
from scheduler.store.holds import expire_holds
from tests.integration.requests import ASH, JO, act, book, book_held, first_slot, hold

# A Tuesday morning, five minutes after the visits here began: they can be checked in, and missed.
NOW = datetime.fromisoformat("2026-12-08T10:05:00-05:00")
BEGUN = "2026-12-08T10:00:00-05:00"
TOMORROW = "2026-12-09"

ACTIONS = ("reschedule", "confirm", "cancel", "arrive", "complete", "no-show", "undo")

LEADS_TO = {
    ("booked", "confirm"): "confirmed",
    ("booked", "reschedule"): "booked",
    ("booked", "cancel"): "cancelled",
    ("booked", "arrive"): "arrived",
    ("booked", "no-show"): "no_show",
    ("confirmed", "confirm"): "confirmed",
    ("confirmed", "reschedule"): "booked",
    ("confirmed", "cancel"): "cancelled",
    ("confirmed", "arrive"): "arrived",
    ("confirmed", "no-show"): "no_show",
    ("arrived", "complete"): "completed",
}

# What a refusal says may be done instead; besides these undo, where there is something to take back.
ALLOWED = {
    "booked": {"confirm", "reschedule", "cancel", "arrive", "no-show"},
    "confirmed": {"confirm", "reschedule", "cancel", "arrive", "no-show"},
    "arrived": {"complete"},
    "completed": set[str](),
    "no_show": set[str](),
    "cancelled": set[str](),
}

# What was done to a visit after it was booked, the status that it has then, and the one that undo goes back to.
PASTS: list[tuple[tuple[str, ...], str, str | None]] = [
    ((), "booked", None),
    (("confirm",), "confirmed", "booked"),
    (("arrive",), "arrived", "booked"),
    (("confirm", "arrive"), "arrived", "confirmed"),
    (("arrive", "complete"), "completed", "arrived"),
    (("confirm", "arrive", "complete"), "completed", "arrived"),
    (("no-show",), "no_show", "booked"),
    (("confirm", "no-show"), "no_show", "confirmed"),
    (("cancel",), "cancelled", "booked"),
    (("confirm", "cancel"), "cancelled", "confirmed"),
    # What was undone has nothing more to take back.
    (("confirm", "undo"), "booked", None),
    (("arrive", "complete", "undo"), "arrived", None),
    (("cancel", "undo"), "booked", None),
    (("confirm", "cancel", "undo"), "confirmed", None),
]

TABLES = ("visits", "occupancy", "messages", "audit_events", "patients", "consents", "idempotency_keys")


@pytest.fixture(autouse=True)
def tuesday() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.mark.parametrize(("past", "status", "before"), PASTS, ids=["-".join(row[0]) or "booked" for row in PASTS])
async def test_an_action_leads_where_the_table_says_or_nowhere(
    past: tuple[str, ...], status: str, before: str | None, desk: httpx.AsyncClient, pool: Pool
) -> None:
    for number, action in enumerate(ACTIONS):
        visit = await booked(desk, number)
        for step in past:
            visit = await done(desk, visit, step)
        assert visit["status"] == status
        expected = before if action == "undo" else LEADS_TO.get((status, action))
        was = await everything(pool)
        answer = await try_to(desk, visit, action)
        if expected is None:
            assert answer.status_code == 409, f"{action}: {answer.text}"
            problem = answer.json()
            assert (problem["code"], problem["visit_status"]) == ("wrong-status", status), action
            assert set(problem["allowed"]) == ALLOWED[status] | ({"undo"} if before else set()), action
            assert await everything(pool) == was, action
        else:
            assert answer.status_code == 200, f"{action}: {answer.text}"
            assert answer.json()["status"] == expected, action
            changes = (status, action) != ("confirmed", "confirm")
            assert answer.json()["version"] == visit["version"] + changes, action
            assert (await everything(pool) != was) == changes, action


@pytest.mark.parametrize("ended", ["never", "released", "ran out", "swept"])
async def test_a_hold_is_no_visit_that_anything_could_happen_to(
    ended: str, public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    held = await held_tomorrow(public, pool, ended)
    was = await everything(pool)
    for action in ACTIONS:
        answer = await try_to(desk, {**held, "version": 1}, action)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), action
    assert (await desk.get(f"/api/v1/visits/{held['id']}")).status_code == 404
    assert await everything(pool) == was


_OVER = {"extend": "wrong-status", "release": "wrong-status", "book for another": "hold-not-found"}

# What becomes of a hold, by how it ended: its status in the database, or the code of the refusal.
HOLDS = {
    "never": {"extend": "held", "release": "expired", "book": "booked"},
    "released": {"extend": "hold-expired", "release": "expired", "book": "booked"},
    "ran out": {"extend": "hold-expired", "release": "expired", "book": "booked"},
    "swept": {"extend": "hold-expired", "release": "expired", "book": "booked"},
    # To book twice for the same patient is one visit.
    "booked": {**_OVER, "book": "booked"},
    "cancelled": {**_OVER, "book": "cancelled"},
}


@pytest.mark.parametrize(("ended", "action"), [(ended, action) for ended, row in HOLDS.items() for action in row])
async def test_a_hold_ends_once(
    ended: str, action: str, public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    held = await held_tomorrow(public, pool, ended)
    if ended in ("booked", "cancelled"):
        visit = (await book_held(public, held)).json()
        if ended == "cancelled":
            await done(desk, visit, "cancel")
    was = await everything(pool)
    token = {"Hold-Token": held["token"]}
    match action:
        case "extend":
            answer = await public.post(f"/api/v1/holds/{held['id']}/extend", headers=token)
        case "release":
            answer = await public.delete(f"/api/v1/holds/{held['id']}", headers=token)
        case _:
            answer = await book_held(public, held, ASH if action == "book" else JO)
    expected = HOLDS[ended][action]
    if answer.is_success:
        assert await pool.fetchval("select status from visits where id = $1", held["id"]) == expected
    else:
        assert answer.json()["code"] == expected
        assert answer.json().get("allowed", []) == []
    # A second release and a second booking for the same patient are harmless, for they change nothing.
    is_change = answer.is_success and (ended, action) not in {
        ("released", "release"), ("swept", "release"), ("booked", "book"), ("cancelled", "book"),
    }  # fmt: skip
    assert (await everything(pool) != was) == is_change


@pytest.mark.parametrize(("action", "opens_at"), [("arrive", timedelta(minutes=-60)), ("no-show", timedelta())])
async def test_what_is_done_at_the_door_has_its_hour(
    action: str, opens_at: timedelta, desk: httpx.AsyncClient, pool: Pool, tuesday: time_machine.Traveller
) -> None:
    visit = await booked(desk, 0, starts_at=f"{TOMORROW}T10:00:00-05:00")
    opening = datetime.fromisoformat(visit["starts_at"]) + opens_at
    tuesday.move_to(opening - timedelta(seconds=1))
    was = await everything(pool)
    early = await try_to(desk, visit, action)
    assert (early.status_code, early.json()["code"]) == (409, "wrong-status")
    assert action not in early.json()["allowed"]
    assert await everything(pool) == was
    tuesday.move_to(opening)
    assert (await try_to(desk, visit, action)).status_code == 200


async def test_a_move_cannot_be_undone_but_by_another_move(desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = await done(desk, await done(desk, await booked(desk, 0), "confirm"), "reschedule")
    was = await everything(pool)
    answer = await try_to(desk, visit, "undo")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong-status")
    assert await everything(pool) == was


@pytest.mark.parametrize("past", [past for past, _, before in PASTS if before], ids="-".join)
async def test_the_time_to_undo_runs_out(
    past: tuple[str, ...], desk: httpx.AsyncClient, pool: Pool, tuesday: time_machine.Traveller
) -> None:
    visit = await booked(desk, 0)
    for step in past:
        visit = await done(desk, visit, step)
    tuesday.shift(timedelta(minutes=10, seconds=1))
    was = await everything(pool)
    late = await try_to(desk, visit, "undo")
    assert (late.status_code, late.json()["code"]) == (409, "wrong-status")
    assert await everything(pool) == was
    tuesday.shift(timedelta(seconds=-1))
    assert (await try_to(desk, visit, "undo")).status_code == 200


async def test_a_hold_that_ran_out_is_booked_in_whatever_room_is_left(
    public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    held = await held_tomorrow(public, pool, "ran out", visit_type="eval")
    other = "okafor" if held["therapist"] == "rivera" else "rivera"
    taken = await book(desk, "eval", held["starts_at"], therapist=other, room=held["room"], patient=JO)
    assert taken.status_code == 201, taken.text
    visit = await book_held(public, held)
    assert visit.status_code == 201, visit.text
    assert (visit.json()["therapist"], visit.json()["starts_at"]) == (held["therapist"], held["starts_at"])
    assert visit.json()["room"] != held["room"]


async def test_an_overbooked_visit_that_moved_to_a_free_time_is_never_squeezed_in_again(
    desk: httpx.AsyncClient,
) -> None:
    moved = await done(desk, await booked(desk, 0), "reschedule")
    assert moved["overbook_reason"] is None
    cancelled = await done(desk, moved, "cancel")
    taken = await book(desk, "follow-up", moved["starts_at"], therapist=moved["therapist"])
    assert taken.status_code == 201, taken.text
    refused = await try_to(desk, cancelled, "undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "slot-taken")


async def booked(desk: httpx.AsyncClient, number: int, starts_at: str = BEGUN) -> dict[str, Any]:
    """Book a visit of a patient of its own, over whatever else there is at that time."""
    patient = {"given_name": "Ash", "family_name": "Sample", "phone": f"201 555 01{number:02}"}
    answer = await book(
        desk, "follow-up", starts_at, therapist="rivera", overbook={"reason": "Sample"}, patient=patient
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def try_to(desk: httpx.AsyncClient, visit: dict[str, Any], action: str) -> httpx.Response:
    match action:
        case "cancel":
            return await act(desk, visit, action, reason="Sample")
        case "reschedule":
            slot = await first_slot(desk, "follow-up", TOMORROW, therapist="rivera")
            return await act(desk, visit, action, starts_at=slot["starts_at"], therapist="rivera")
        case _:
            return await act(desk, visit, action)


async def done(desk: httpx.AsyncClient, visit: dict[str, Any], action: str) -> dict[str, Any]:
    answer = await try_to(desk, visit, action)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def held_tomorrow(
    public: httpx.AsyncClient, pool: Pool, ended: str, visit_type: str = "follow-up"
) -> dict[str, Any]:
    """Hold a slot at an hour at which two work, and let the hold end in the way that is told; it may go on living."""
    held = await hold(public, visit_type, "2026-12-10T10:00:00-05:00")
    if ended == "released":
        answer = await public.delete(f"/api/v1/holds/{held['id']}", headers={"Hold-Token": held["token"]})
        assert answer.status_code == 204
    if ended in ("ran out", "swept"):
        await pool.execute("update occupancy set expires_at = now() - interval '1 second'")
    if ended == "swept":
        async with pool.acquire() as connection:
            assert await expire_holds(connection) == 1
    return held


async def everything(pool: Pool) -> list[list[asyncpg.Record]]:
    """Return every row that an action could change."""
    return [await pool.fetch(f'select * from "{table}" order by 1, 2, 3') for table in TABLES]
