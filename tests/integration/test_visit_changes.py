"""What may happen to a booked visit: moved, cancelled, undone, and the day at the desk."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool
from scheduler.store.patients import fetch_patient
from scheduler.store.visits import fetch_visit
from tests.integration.requests import DAY, JO, TEN, act, book, messages_of, occupied
from tests.integration.staffing import signed_in

pytestmark = pytest.mark.usefixtures("monday")

# Every change of a visit, with the body that it needs.
CHANGES: dict[str, dict[str, Any] | None] = {
    "reschedule": {"starts_at": f"{DAY}T13:00:00-05:00"},
    "cancel": {"reason": "asked by phone"},
    **dict.fromkeys(("confirm", "arrive", "complete", "no-show", "undo")),
}


async def test_moving_keeps_the_old_slot_when_the_new_one_is_refused(desk: httpx.AsyncClient, pool: Pool) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    await book(desk, "eval-run", f"{DAY}T13:00:00-05:00", patient=JO)
    refused = await act(desk, mine, "reschedule", starts_at=f"{DAY}T13:00:00-05:00")
    assert (refused.status_code, refused.json()["code"]) == (409, "slot-taken")
    assert (await desk.get(f"/api/v1/visits/{mine['id']}")).json()["starts_at"] == TEN
    assert await occupied(pool, mine["id"]) == 4


async def test_a_visit_moves_onto_a_time_that_overlaps_its_own(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    moved = await act(desk, mine, "reschedule", starts_at=f"{DAY}T10:15:00-05:00")
    assert moved.status_code == 200, moved.text
    assert (moved.json()["id"], moved.json()["version"]) == (mine["id"], 2)
    assert moved.headers["etag"] == '"2"'
    taken = await book(desk, "eval-run", TEN, patient=JO)
    assert taken.status_code == 409


async def test_moving_voids_the_old_reminders_and_plans_new_ones(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "follow-up", TEN)).json()
    assert [reminder["template"] for reminder in mine["reminders"]] == ["reminder_72h", "reminder_24h"]
    moved = (await act(desk, mine, "reschedule", starts_at="2026-12-10T10:00:00-05:00")).json()
    assert {reminder["due_at"][:10] for reminder in moved["reminders"]} == {"2026-12-07", "2026-12-09"}
    states = {(message["template"], message["state"]) for message in await messages_of(desk, mine)}
    assert ("reminder_72h", "cancelled") in states
    assert ("reminder_24h", "cancelled") in states
    assert ("rescheduled", "pending") in states


async def test_a_visit_moved_away_and_back_is_reminded_of_once(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "follow-up", TEN)).json()
    away = (await act(desk, mine, "reschedule", starts_at="2026-12-10T10:00:00-05:00")).json()
    back = (await act(desk, away, "reschedule", starts_at=TEN)).json()
    assert [(one["template"], one["due_at"], one["state"]) for one in back["reminders"]] == [
        ("reminder_72h", "2026-12-05T10:00:00-05:00", "pending"),
        ("reminder_24h", "2026-12-07T10:00:00-05:00", "pending"),
    ]


async def test_cancelling_frees_the_slot_and_voids_every_reminder(desk: httpx.AsyncClient, pool: Pool) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = await act(desk, mine, "cancel", reason="asked by phone")
    assert cancelled.status_code == 200, cancelled.text
    assert (cancelled.json()["status"], cancelled.json()["reminders"]) == ("cancelled", [])
    assert await occupied(pool, mine["id"]) == 0
    pending = {one["template"] for one in await messages_of(desk, mine) if one["state"] == "pending"}
    assert pending == {"cancelled_by_patient"}
    assert (await book(desk, "eval-run", TEN, patient=JO)).status_code == 201


async def test_a_cancellation_is_undone_while_the_slot_is_free(desk: httpx.AsyncClient, pool: Pool) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = (await act(desk, mine, "cancel", reason="slip")).json()
    back = await act(desk, cancelled, "undo")
    assert back.status_code == 200, back.text
    assert (back.json()["status"], await occupied(pool, mine["id"])) == ("booked", 4)
    assert len(back.json()["reminders"]) == len(mine["reminders"])


async def test_a_cancellation_is_not_undone_over_somebody_elses_visit(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = (await act(desk, mine, "cancel", reason="slip")).json()
    assert (await book(desk, "eval-run", TEN, patient=JO)).status_code == 201
    refused = await act(desk, cancelled, "undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "slot-taken")


async def test_a_day_at_the_desk(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    confirmed = await act(desk, visit, "confirm")
    assert confirmed.json()["status"] == "confirmed"
    early = await act(desk, confirmed.json(), "no-show")
    assert (early.status_code, early.json()["code"]) == (409, "wrong-status")
    too_early = await act(desk, confirmed.json(), "arrive")
    assert (too_early.status_code, too_early.json()["visit_status"]) == (409, "confirmed")
    with time_machine.travel(f"{DAY}T09:00:00-05:00", tick=True):
        arrived = await act(desk, confirmed.json(), "arrive")
    assert arrived.json()["status"] == "arrived", arrived.text
    assert arrived.json()["reminders"] == []
    over = await act(desk, arrived.json(), "complete")
    assert over.json()["status"] == "completed"
    late = await act(desk, over.json(), "cancel", reason="too late")
    assert (late.status_code, late.json()["code"], late.json()["allowed"]) == (409, "wrong-status", ["undo"])


async def test_a_change_needs_the_version_that_was_seen(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    for action, body in CHANGES.items():
        blind = await desk.post(f"/api/v1/visits/{visit['id']}/{action}", json=body)
        assert (blind.status_code, blind.json()["code"], blind.json()["etag"]) == (428, "version-required", '"1"')
        assert blind.headers["ETag"] == '"1"'
        stale = await act(desk, visit | {"version": 7}, action, **body or {})
        assert (stale.status_code, stale.json()["code"], stale.json()["etag"]) == (412, "version-mismatch", '"1"')
        assert stale.headers["ETag"] == '"1"'
        nowhere = await desk.post(f"/api/v1/visits/{UUID(int=7)}/{action}", json=body)
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not-found")
    await act(desk, visit, "confirm")
    stale = await act(desk, visit, "cancel", reason="stale")
    assert (stale.status_code, stale.json()["code"], stale.json()["etag"]) == (412, "version-mismatch", '"2"')


async def test_every_change_leaves_its_trace(desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    moved = (await act(desk, visit, "reschedule", starts_at="2026-12-10T10:00:00-05:00")).json()
    await act(desk, moved, "cancel", reason="asked by phone")
    rows = await pool.fetch("select action, actor from audit_events where visit_id = $1 order by id", visit["id"])
    assert [tuple(row) for row in rows] == [
        ("visit.booked", "key:front desk"),
        ("visit.rescheduled", "key:front desk"),
        ("visit.cancelled", "key:front desk"),
    ]


async def test_an_undone_visit_is_where_the_calendar_says_it_is(desk: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute(
        """insert into equipment (clinic_id, id, code, display_name, kind, position)
        select clinic_id, gen_random_uuid(), 'treadmill-2', 'Second', kind, 2 from equipment"""
    )
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = (await act(desk, mine, "cancel", reason="slip")).json()
    other = next(code for code in ("rivera", "okafor") if code != mine["therapist"])
    theirs = (await book(desk, "eval-run", TEN, patient=JO, therapist=other)).json()
    back = (await act(desk, cancelled, "undo")).json()
    assert back["status"] == "booked", back
    for visit in (theirs, back):
        taken = {row["resource_id"] for row in await pool.fetch(
            "select resource_id from occupancy where visit_id = $1", visit["id"]
        )}  # fmt: skip
        row = await pool.fetchrow("select room_id, equipment_ids, therapist_id from visits where id = $1", visit["id"])
        assert row is not None
        assert {row["room_id"], row["therapist_id"], *row["equipment_ids"]} < taken


async def test_a_slip_is_undone_though_the_therapist_has_gone_home_since(desk: httpx.AsyncClient) -> None:
    with time_machine.travel(f"{DAY}T09:50:00-05:00", tick=True) as clock:
        visit = (await book(desk, "follow-up", TEN, therapist="rivera")).json()
        visit = (await act(desk, visit, "arrive")).json()
        clock.shift(timedelta(minutes=40))
        ill = {"from": f"{DAY}T10:40:00-05:00", "to": f"{DAY}T17:00:00-05:00", "reason": "ill"}
        assert (await desk.post("/api/v1/therapists/rivera/time-off", json=ill)).status_code == 201
        visit = (await act(desk, visit, "complete")).json()
        undone = await act(desk, visit, "undo")
    assert (undone.status_code, undone.json()["status"]) == (200, "arrived")


async def test_a_cancellation_is_not_undone_into_somebodys_time_off_and_the_board_says_so(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, desk: httpx.AsyncClient
) -> None:
    visit = (await book(desk, "follow-up", TEN, therapist="rivera")).json()
    cancelled = (await act(desk, visit, "cancel", reason="asked by phone")).json()
    away = {"from": f"{DAY}T08:00:00-05:00", "to": f"{DAY}T17:00:00-05:00", "reason": "course"}
    assert (await desk.post("/api/v1/therapists/rivera/time-off", json=away)).status_code == 201
    refused = await act(desk, cancelled, "undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "outside-hours")
    async with signed_in(app, pool, clinic, settings) as screen:
        page = f"/staff/day/{DAY}?sel={visit['id']}"
        shown = await screen.send(page, f"/staff/visits/{visit['id']}/undo", version=str(cancelled["version"]))
    assert "The therapist does not work then any more. Nothing changed." in shown.text


async def test_whoever_changes_a_visit_takes_its_patient_first(
    pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    """As whoever books does, so that the two never wait for each other."""
    visit = (await book(desk, "follow-up", TEN)).json()
    visit_id, patient_id = UUID(visit["id"]), UUID(visit["patient"]["id"])
    async with pool.acquire() as booking, pool.acquire() as moving, pool.acquire() as other:
        async with booking.transaction():
            await fetch_patient(booking, clinic.id, patient_id, for_update=True)
            waiting = asyncio.create_task(_take(moving, clinic, visit_id))
            pid = moving.get_server_pid()
            while not await other.fetchval("select pg_blocking_pids($1) <> '{}'", pid):  # noqa: ASYNC110 - PostgreSQL does
                await asyncio.sleep(0.01)
            async with other.transaction():
                free = await other.fetchval("select id from visits where id = $1 for update nowait", visit_id)
            assert free == visit_id
        assert await waiting == visit_id


async def _take(connection: Connection, clinic: Clinic, visit_id: UUID) -> UUID | None:
    async with connection.transaction():
        visit = await fetch_visit(connection, clinic.id, visit_id, for_update=True)
        return visit and visit.id
