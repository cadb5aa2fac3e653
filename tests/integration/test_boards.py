"""The day board as the database knows it: one statement, whatever is on it, and who looked."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from scheduler.domain.actors import Actor
from scheduler.domain.boards import Card, Gap, Off
from scheduler.domain.clinics import Clinic
from scheduler.errors import InvalidRequest
from scheduler.services.boards import ReadBoard, find_places, other_days, read_day, read_week
from scheduler.services.notes import LONGEST_NOTE, write_note
from scheduler.services.openings import SlotWish, find_openings
from scheduler.services.visit_cards import last_change, read_card
from scheduler.services.visit_records import find_visit
from scheduler.store.connections import Connection, Pool
from scheduler.store.notes import fetch_note

# A Tuesday on which all four of the sample clinic work.
DAY = date(2027, 3, 9)
NOW = datetime(2027, 3, 9, 12, 0, tzinfo=UTC)
ANA = Actor(name="staff:00000000-0000-0000-0000-000000000001", staff=True)
BEN = Actor(name="staff:00000000-0000-0000-0000-000000000002", staff=True)


@pytest.fixture
async def connection(pool: Pool, clinic: Clinic) -> AsyncIterator[Connection]:  # noqa: ARG001 - it is applied first
    async with pool.acquire() as connection:
        yield connection


async def book(desk: httpx.AsyncClient, at: str, therapist: str = "rivera", **changes: Any) -> dict[str, Any]:
    """Book somebody for a time of the day, "HH:MM", and return the visit."""
    patient = {"given_name": "Ash", "family_name": "Quillfeather", "phone": "201 555 0142"}
    body = {
        "visit_type": "follow-up",
        "starts_at": f"{DAY}T{at}:00-05:00",
        "therapist": therapist,
        "patient": patient | changes.pop("patient", {}),
        **changes,
    }
    response = await desk.post("/api/v1/visits", json=body)
    assert response.status_code == 201, response.text
    return response.json()


def lines(read: ReadBoard, clinic: Clinic, therapist: str) -> list[str]:
    """Return a therapist's column as words."""
    column = next(each for each in read.board.columns if each.therapist_id == clinic.therapists[therapist].id)
    told: list[str] = []
    for item in column.items:
        begins = read.board.hours[0] * 60 + item.spot.row * 5
        what = item.visit.status if isinstance(item, Card) else item.kind
        told.append(f"{begins // 60}:{begins % 60:02} {what}")
    return told


async def looks(connection: Connection, action: str) -> int:
    return await connection.fetchval("select count(*) from audit_events where action = $1", action)


async def test_a_day_is_read_with_everything_on_it(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    visit = await book(desk, "09:00")
    gone = await book(desk, "11:00", patient={"given_name": "Bo", "phone": "201 555 0143"})
    await desk.post(f"/api/v1/visits/{gone['id']}/cancel", json={"reason": "by phone"}, headers={"If-Match": '"1"'})
    away = {"from": f"{DAY}T15:00:00-05:00", "to": f"{DAY}T18:00:00-05:00", "reason": "course"}
    absence = await desk.post("/api/v1/therapists/okafor/time-off", json=away)
    closed = {"windows": [{"from": "07:00", "to": "16:00"}], "reason": "Half day"}
    await desk.put(f"/api/v1/closures/{DAY}", json=closed)
    async with connection.transaction():
        await write_note(connection, clinic, UUID(visit["id"]), "  Brings\tthe brace ", actor=ANA)

    read = await read_day(connection, clinic, DAY, actor=ANA, now=NOW)

    assert lines(read, clinic, "rivera") == [
        "7:00 starts", "8:00 open", "9:00 booked", "9:45 open", "12:00 break", "12:45 open", "16:00 closed",
    ]  # fmt: skip
    assert "15:00 out" in lines(read, clinic, "okafor")
    outs = [item for item in read.board.columns[1].items if isinstance(item, Off) and item.kind == "out"]
    assert [str(item.absence_id) for item in outs] == [absence.json()["id"]]
    reasons = {item.reason for column in read.board.columns for item in column.items if isinstance(item, Off)}
    assert "Half day" in reasons
    card = read.board.cards[0].visit
    assert (card.id, card.note, card.opened) == (UUID(visit["id"]), "Brings the brace", True)
    assert card.patient is not None
    assert (card.patient.given_name, card.patient.family_name) == ("Ash", "Quillfeather")
    assert [each.cancel_reason for each in read.cancelled] == ["by phone"]


async def test_overrides_replace_the_weekly_hours_of_their_date(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    windows = {"windows": [{"from": "10:00", "to": "11:00"}], "reason": "short day"}
    await desk.put(f"/api/v1/therapists/rivera/overrides/{DAY}", json=windows)
    await desk.put(f"/api/v1/therapists/lind/overrides/{DAY}", json={"windows": [], "reason": ""})
    read = await read_day(connection, clinic, DAY, actor=ANA, now=NOW)
    assert lines(read, clinic, "rivera") == ["7:00 starts", "10:00 open", "11:00 off"]
    assert lines(read, clinic, "lind") == ["7:00 off"]


async def test_a_week_is_one_therapists_and_has_a_column_for_each_day(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    await book(desk, "09:00")
    await book(desk, "09:00", "okafor", patient={"given_name": "Bo", "phone": "201 555 0143"})
    read = await read_week(connection, clinic, clinic.therapists["rivera"], DAY, actor=ANA, now=NOW)
    assert [column.visits for column in read.board.columns] == [0, 1, 0, 0, 0, 0, 0]
    assert [column.day.isoweekday() for column in read.board.columns] == [1, 2, 3, 4, 5, 6, 7]


async def test_what_was_booked_online_is_new_until_somebody_of_the_staff_opens_it(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    visit = UUID((await book(desk, "09:00"))["id"])
    await connection.execute("update visits set created_by = 'public'")

    async def is_new() -> bool:
        return (await read_day(connection, clinic, DAY, actor=BEN, now=NOW)).board.cards[0].visit.new

    assert await is_new()
    # What other software read, nobody has seen.
    assert (await desk.get(f"/api/v1/visits/{visit}")).status_code == 200
    assert await is_new()
    await read_card(connection, clinic, visit, actor=ANA, now=NOW)
    assert not await is_new()


async def test_who_watches_a_day_leaves_one_trace_until_somebody_new_is_on_it_or_a_while_has_passed(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    now = datetime.now(UTC)
    await read_day(connection, clinic, DAY, actor=ANA, now=now)
    assert await looks(connection, "board.listed") == 0, "an empty day tells of nobody"
    await book(desk, "09:00")
    for _ in range(3):
        await read_day(connection, clinic, DAY, actor=ANA, now=now)
    assert await looks(connection, "board.listed") == 1
    await read_day(connection, clinic, DAY, actor=BEN, now=now)
    assert await looks(connection, "board.listed") == 2, "somebody else looked"
    await book(desk, "11:00", patient={"given_name": "Bo", "phone": "201 555 0143"})
    await read_day(connection, clinic, DAY, actor=ANA, now=now)
    assert await looks(connection, "board.listed") == 3, "somebody new is on it"
    await read_day(connection, clinic, DAY, actor=ANA, now=now + timedelta(minutes=16))
    assert await looks(connection, "board.listed") == 4, "a quarter of an hour is another look"


async def test_a_visit_that_stays_open_on_a_screen_was_read_once(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    visit = UUID((await book(desk, "09:00"))["id"])
    now = datetime.now(UTC)
    for _ in range(3):
        await read_card(connection, clinic, visit, actor=ANA, now=now)
    assert await looks(connection, "visit.read") == 1
    await read_card(connection, clinic, visit, actor=BEN, now=now)
    assert await looks(connection, "visit.read") == 2


async def test_a_visit_on_the_move_finds_the_gaps_that_fit_and_the_days_after(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    visit = await book(desk, "11:15", "rivera", visit_type="follow-up")
    await book(desk, "13:00", "rivera", visit_type="eval", patient={"given_name": "Bo", "phone": "201 555 0143"})
    booked = await find_visit(connection, clinic, UUID(visit["id"]))
    places = await find_places(connection, clinic, booked, DAY, now=NOW)
    read = await read_day(connection, clinic, DAY, moving=places, actor=ANA, now=NOW)
    rivera = read.board.columns[0]
    moves = [item.starts_at.strftime("%H:%M") for item in rivera.items if isinstance(item, Gap) and item.kind == "move"]
    assert moves == ["08:00", "08:45", "09:30", "10:15", "14:15", "15:00", "15:45"]
    assert {item.kind for item in read.board.columns[3].items if isinstance(item, Gap)} == {"move"}
    later = await other_days(connection, clinic, booked, DAY, now=NOW)
    assert [(slot.starts_at.strftime("%a %H:%M"), slot.therapist) for slot in later] == [
        ("Wed 11:15", "rivera"), ("Thu 11:15", "rivera"), ("Fri 11:15", "rivera"), ("Mon 11:15", "rivera"),
    ]  # fmt: skip


async def test_the_next_evaluations_after_four_with_anyone(connection: Connection, clinic: Clinic) -> None:
    wish = SlotWish(visit_type=clinic.visit_types["eval"], first_day=DAY, starts_from=16 * 60)
    found = await find_openings(connection, clinic, wish, limit=3, now=NOW)
    assert [slot.starts_at.strftime("%a %H:%M") for slot in found] == ["Tue 16:00", "Tue 16:15", "Tue 16:30"]
    rare = SlotWish(
        visit_type=clinic.visit_types["eval"], first_day=DAY, therapist=clinic.therapists["okafor"],
        weekdays=frozenset({6}), starts_before=8 * 60 + 1,
    )  # fmt: skip
    found = await find_openings(connection, clinic, rare, limit=3, now=NOW)
    assert [slot.starts_at.strftime("%Y-%m-%d %H:%M") for slot in found] == [
        "2027-03-13 08:00", "2027-03-20 08:00", "2027-03-27 08:00",
    ]  # fmt: skip
    nobody = SlotWish(visit_type=clinic.visit_types["eval"], first_day=DAY, starts_from=22 * 60)
    assert await find_openings(connection, clinic, nobody, limit=3, now=NOW) == []


async def test_a_note_is_replaced_removed_and_traced_without_its_words(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    visit = UUID((await book(desk, "09:00"))["id"])
    for text in ("Brings the brace", "Parks at the back", ""):
        async with connection.transaction():
            await write_note(connection, clinic, visit, text, actor=ANA)
        note = await fetch_note(connection, clinic.id, visit)
        assert (note.text if note else "") == text
    assert await connection.fetchval("select count(*) from visit_notes") == 2
    traces = await connection.fetch(
        "select action, details::text as details from audit_events where actor = $1 order by id", ANA.name
    )
    assert [row["action"] for row in traces] == ["visit.note-written", "visit.note-written", "visit.note-removed"]
    assert not any("brace" in row["details"] for row in traces)
    with pytest.raises(InvalidRequest):
        await write_note(connection, clinic, visit, "x" * (LONGEST_NOTE + 1), actor=ANA)


async def test_the_last_change_tells_whoever_was_slower_what_happened(
    connection: Connection, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    visit = await book(desk, "09:00")
    assert await last_change(connection, clinic, UUID(visit["id"]), version=1) is None
    moved = {"starts_at": f"{DAY}T10:00:00-05:00"}
    await desk.post(f"/api/v1/visits/{visit['id']}/reschedule", json=moved, headers={"If-Match": '"1"'})
    await desk.get(f"/api/v1/visits/{visit['id']}")
    change = await last_change(connection, clinic, UUID(visit["id"]), version=1)
    assert change is not None
    assert (change.event.action, change.by) == ("visit.rescheduled", "front desk")
