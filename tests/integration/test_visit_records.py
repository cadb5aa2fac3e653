"""What is kept of a visit: every change with who made it, and everyone who looked."""

from typing import Any

import asyncpg
import httpx
import pytest

from scheduler.domain.clinics import Clinic
from scheduler.services.visit_records import list_visits
from scheduler.store.connections import Pool
from tests.integration.requests import ASH, JO, TEN, act, book, book_held, hold

pytestmark = pytest.mark.usefixtures("monday")

TWO = "2026-12-08T14:00:00-05:00"


async def history_of(desk: httpx.AsyncClient, visit: dict[str, Any]) -> list[dict[str, Any]]:
    response = await desk.get(f"/api/v1/visits/{visit['id']}/history")
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def test_a_history_tells_who_changed_what_when_and_from_what_to_what(
    public: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    visit = (await book_held(public, await hold(public, "eval-run", TEN, therapist="rivera"))).json()
    moved = (await act(desk, visit, "reschedule", starts_at=TWO, therapist="okafor")).json()
    cancelled = (await act(desk, moved, "cancel", reason="asked by phone", by="patient")).json()
    await act(desk, cancelled, "undo")
    told = await history_of(desk, visit)
    assert [(one["action"], one["actor"]["kind"], one["actor"]["name"], one["version"]) for one in told] == [
        ("hold.placed", "public", "public", 1),
        ("visit.booked", "public", "public", 1),
        ("visit.rescheduled", "key", "front desk", 2),
        ("visit.cancelled", "key", "front desk", 3),
        ("visit.undone", "key", "front desk", 4),
    ]
    details = told[2]["details"]
    assert details["from"]["therapist"] == "rivera"
    assert details["from"]["starts_at"].startswith("2026-12-08T15:00:00")
    assert details["to"]["therapist"] == "okafor"
    assert told[3]["details"]["reason"] == "asked by phone"
    assert told[3]["details"]["from"] == "booked"
    assert told[4]["details"] == {"from": "cancelled", "to": "booked"}
    assert all(one["at"].endswith("-05:00") for one in told)
    assert sorted(one["at"] for one in told) == [one["at"] for one in told]


async def test_a_history_tells_times_in_utc_whatever_the_offset_that_a_caller_sent(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "eval-run", "2026-12-08T20:30:00+05:30", therapist="rivera")).json()
    moved = await act(desk, visit, "reschedule", starts_at="2026-12-09T00:30:00+05:30")
    assert moved.status_code == 200, moved.text
    assert moved.json()["starts_at"] == TWO
    booked, rescheduled = [one["details"] for one in await history_of(desk, visit)]
    assert booked["starts_at"] == rescheduled["from"]["starts_at"] == "2026-12-08T15:00:00Z"
    assert rescheduled["to"]["starts_at"] == "2026-12-08T19:00:00Z"


async def test_the_request_id_leads_from_a_history_to_the_logs(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "eval-run", TEN)).json()
    await desk.post(
        f"/api/v1/visits/{visit['id']}/confirm", headers={"If-Match": '"1"', "X-Request-Id": "desk-call-0007"}
    )
    assert (await history_of(desk, visit))[-1]["request_id"] == "desk-call-0007"


async def test_whoever_looks_at_a_patients_visit_leaves_a_trace_that_is_no_change(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    ash = (await book(desk, "eval-run", TEN)).json()
    jo = (await book(desk, "eval", TWO, patient=JO)).json()
    await desk.get(f"/api/v1/visits/{ash['id']}")
    await desk.get("/api/v1/visits", params={"from": "2026-12-08", "to": "2026-12-09"})
    assert [one["action"] for one in await history_of(desk, ash)] == ["visit.booked"]
    rows = await pool.fetch(
        "select action, actor, visit_id, patient_id, details from audit_events where action <> 'visit.booked' "
        "and action like 'visit%' order by at"
    )
    assert [row["action"] for row in rows] == ["visit.read", "visits.listed", "visit.history_read"]
    assert {row["actor"] for row in rows} == {"key:front desk"}
    read, listed, _ = rows
    assert (str(read["visit_id"]), str(read["patient_id"])) == (ash["id"], ash["patient"]["id"])
    assert listed["details"]["patients"] == [ash["patient"]["id"], jo["patient"]["id"]]


async def test_an_unknown_visit_has_no_history_and_nobody_read_it(desk: httpx.AsyncClient, pool: Pool) -> None:
    response = await desk.get("/api/v1/visits/00000000-0000-7000-8000-000000000000/history")
    assert (response.status_code, response.json()["code"]) == (404, "not-found")
    assert await pool.fetchval("select count(*) from audit_events where action like '%read'") == 0


async def test_a_clinics_whole_day_is_one_statement(desk: httpx.AsyncClient, pool: Pool, clinic: Clinic) -> None:
    for starts_at, patient in ((TEN, ASH), (TWO, JO), ("2026-12-08T16:00:00-05:00", ASH)):
        assert (await book(desk, "follow-up", starts_at, patient=patient)).status_code == 201
    statements: list[str] = []

    def note(record: asyncpg.connection.LoggedQuery) -> None:
        statements.append(record.query)

    async with pool.acquire() as connection:
        # The driver learns about types once for each connection; that is none of this statement's.
        await list_visits(
            connection, clinic, starts_from=None, starts_before=None, therapist_id=None, patient_id=None,
            status=None, after=None, limit=1,
        )  # fmt: skip
        connection.add_query_logger(note)
        found, more = await list_visits(
            connection, clinic, starts_from=None, starts_before=None, therapist_id=None, patient_id=None,
            status=None, after=None, limit=50,
        )  # fmt: skip
        connection.remove_query_logger(note)
    assert len(statements) == 1
    assert not more
    assert [one.patient.display_name for one in found] == ["Ash S.", "Jo P.", "Ash S."]
    assert [[reminder.template for reminder in one.reminders] for one in found] == [
        ["reminder_72h", "reminder_24h"],
        [],
        ["reminder_72h", "reminder_24h"],
    ]
