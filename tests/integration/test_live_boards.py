"""Whatever changes a day tells the boards that show it, whichever path wrote it, and nothing of a patient."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services import live
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.services.live import BOARDS, LiveBoards
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.listening import MISSED, listen
from tests.integration.test_boards import DAY, book

NEXT = DAY + timedelta(days=1)

Heard = Callable[[], Awaitable[set[str]]]


@pytest.fixture
async def heard(dsn: str, clinic: Clinic) -> AsyncIterator[Heard]:
    """Yield what returns everything that was told since it was asked last, without the clinic's id."""
    told: list[str] = []
    connection = await asyncpg.connect(dsn)

    def note(_connection: Any, _process: int, _channel: str, payload: object) -> None:
        told.append(str(payload))

    await connection.add_listener(BOARDS, note)

    async def since() -> set[str]:
        # What is notified before this returns has been heard by then: the server tells them in order.
        await connection.execute("select 1")
        await asyncio.sleep(0.05)
        lines = {line.removeprefix(f"{clinic.id} ") for line in told}
        told.clear()
        return lines

    yield since
    await connection.close()


async def test_everything_that_happens_to_a_visit_is_told_with_its_date_alone(
    desk: httpx.AsyncClient, heard: Heard
) -> None:
    visit = await book(desk, "09:00")
    assert await heard() == {str(DAY)}

    async def act(action: str, version: int, body: Any = None) -> None:
        headers = {"If-Match": f'"{version}"'}
        response = await desk.post(f"/api/v1/visits/{visit['id']}/{action}", json=body, headers=headers)
        assert response.status_code == 200, response.text

    await act("confirm", 1)
    assert await heard() == {str(DAY)}
    await act("reschedule", 2, {"starts_at": f"{NEXT}T10:00:00-05:00"})
    assert await heard() == {str(DAY), str(NEXT)}
    await act("cancel", 3, {"reason": "by phone"})
    assert await heard() == {str(NEXT)}
    await act("undo", 4)
    assert await heard() == {str(NEXT)}


async def test_a_hold_is_told_when_it_begins_is_extended_and_ends(public: httpx.AsyncClient, heard: Heard) -> None:
    day = (datetime.now(UTC) + timedelta(days=5)).date()
    query = {"visit_type": "eval", "from": str(day), "to": str(day + timedelta(days=4))}
    slots = await public.get("/api/v1/slots", params=query)
    start = slots.json()["items"][0]["starts_at"]
    body = {"visit_type": "eval", "starts_at": start}
    hold = (await public.post("/api/v1/holds", json=body)).json()
    token = {"Hold-Token": hold["token"]}
    assert await heard() == {start[:10]}
    await public.post(f"/api/v1/holds/{hold['id']}/extend", headers=token)
    assert await heard() == {start[:10]}
    await public.delete(f"/api/v1/holds/{hold['id']}", headers=token)
    assert await heard() == {start[:10]}


async def test_the_schedule_is_told_of_a_date_or_of_all(desk: httpx.AsyncClient, heard: Heard) -> None:
    await desk.put(f"/api/v1/closures/{DAY}", json={"windows": [], "reason": "Snow"})
    assert await heard() == {str(DAY)}
    await desk.delete(f"/api/v1/closures/{DAY}")
    assert await heard() == {str(DAY)}
    await desk.put(f"/api/v1/therapists/lind/overrides/{NEXT}", json={"windows": [], "reason": ""})
    assert await heard() == {str(NEXT)}
    away = {"from": f"{DAY}T15:00:00-05:00", "to": f"{DAY}T18:00:00-05:00", "reason": "course"}
    absence = await desk.post("/api/v1/therapists/okafor/time-off", json=away)
    assert await heard() == {""}
    await desk.delete(f"/api/v1/therapists/okafor/time-off/{absence.json()['id']}")
    assert await heard() == {""}
    hours = {"windows": [{"weekday": "monday", "from": "08:00", "to": "12:00"}]}
    response = await desk.put("/api/v1/therapists/lind/hours", json=hours)
    assert response.status_code == 200, response.text
    assert await heard() == {""}


async def test_a_dry_run_tells_nobody(desk: httpx.AsyncClient, heard: Heard) -> None:
    await desk.put(f"/api/v1/closures/{DAY}?dry_run=true", json={"windows": [], "reason": "Snow"})
    assert await heard() == set()


async def test_what_became_of_a_message_is_told_and_what_is_on_its_way_is_not(
    desk: httpx.AsyncClient, pool: Pool, heard: Heard
) -> None:
    patient = {"email": "ash@example.com"}
    visit = UUID((await book(desk, "09:00", patient=patient))["id"])
    await heard()

    async def becomes(state: str, **more: Any) -> set[str]:
        changes = "".join(f", {name} = '{value}'" for name, value in more.items())
        await pool.execute(
            f"""update messages set state = $2{changes} where id = (
                select id from messages where visit_id = $1 and state <> 'cancelled' order by id limit 1)""",
            visit, state,
        )  # fmt: skip
        return await heard()

    assert await becomes("sending", lease_token=new_id()) == set()
    await pool.execute("update messages set lease_token = null, state = 'sent' where state = 'sending'")
    assert await heard() == {str(DAY)}
    assert await becomes("failed") == {str(DAY)}
    assert await becomes("failed", handled_at="2027-01-01") == {str(DAY)}
    assert await becomes("failed", reason="the same again") == set()


async def test_names_and_opt_outs_are_told_of_all_dates_and_a_note_of_its_own(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, heard: Heard
) -> None:
    visit = await book(desk, "09:00")
    await heard()
    address = f"/api/v1/patients/{visit['patient']['id']}"
    await desk.patch(address, json={"family_name": "Quill"})
    assert await heard() == {""}
    await desk.patch(address, json={"language": "es"})
    assert await heard() == set()
    consent = {"channel": "sms", "granted": False, "wording_version": "2026-11", "method": "phone"}
    response = await desk.post(f"{address}/consents", json=consent)
    assert response.status_code < 300, response.text
    assert await heard() == {""}
    await pool.execute(
        "insert into visit_notes (clinic_id, id, visit_id, text, created_by) values ($1, $2, $3, 'Parks', 'staff:1')",
        clinic.id, new_id(), UUID(visit["id"]),
    )  # fmt: skip
    assert await heard() == {str(DAY)}


async def test_a_visit_past_midnight_is_told_on_both_dates(desk: httpx.AsyncClient, pool: Pool, heard: Heard) -> None:
    visit = UUID((await book(desk, "09:00"))["id"])
    await heard()
    await pool.execute(
        "update visits set starts_at = starts_at + interval '14.5 hours', ends_at = ends_at + interval '15 hours' "
        "where id = $1", visit,
    )  # fmt: skip
    assert await heard() == {str(DAY), str(NEXT)}


async def test_applying_the_clinics_file_anew_tells_nobody_where_nothing_changes(
    pool: Pool, settings: Settings, heard: Heard
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(settings.scheduler_clinic))
    assert await heard() == set()


async def follow(boards: LiveBoards, clinic_id: UUID, first: date, last: date, into: list[str]) -> None:
    async with aclosing(boards.watch(clinic_id, first, last)) as watch:
        async for what in watch:
            into.append(what)  # noqa: PERF401 - it is looked at while it grows


async def test_a_board_hears_of_its_own_dates_and_clinic_and_of_everything_once_it_may_have_missed_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "PAUSE_SECONDS", 0.0)
    boards, clinic_id, into = LiveBoards(), new_id(), list[str]()
    watching = asyncio.create_task(follow(boards, clinic_id, DAY, NEXT, into))
    await asyncio.sleep(0.01)
    boards.hear(f"{new_id()} {DAY}")
    boards.hear(f"{clinic_id} {DAY - timedelta(days=1)}")
    await asyncio.sleep(0.01)
    assert into == []
    for told in (str(DAY), str(NEXT), ""):
        boards.hear(f"{clinic_id} {told}")
        await asyncio.sleep(0.01)
    boards.hear(MISSED)
    await asyncio.sleep(0.01)
    assert into == ["changed"] * 4
    boards.close()
    await asyncio.wait_for(watching, 1)
    assert boards.watchers == 0


async def test_the_beat_says_that_the_database_is_heard_and_stops_when_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.02)
    boards, into = LiveBoards(), list[str]()
    boards.hear(MISSED)
    watching = asyncio.create_task(follow(boards, new_id(), DAY, DAY, into))
    await asyncio.sleep(0.07)
    assert into[:2] == ["beat", "beat"]
    boards.lost()
    await asyncio.sleep(0.03)
    into.clear()
    await asyncio.sleep(0.06)
    assert into == []
    boards.close()
    await asyncio.wait_for(watching, 1)


async def test_many_changes_at_once_are_told_at_once_and_then_once_more() -> None:
    boards, clinic_id, into = LiveBoards(), new_id(), list[str]()
    watching = asyncio.create_task(follow(boards, clinic_id, DAY, DAY, into))
    await asyncio.sleep(0.01)
    for _ in range(50):
        boards.hear(f"{clinic_id} {DAY}")
        # A turn for whoever watches, and no more: on a busy machine fifty short waits take longer than the pause.
        await asyncio.sleep(0)
    await asyncio.sleep(live.PAUSE_SECONDS * 1.5)
    assert into == ["changed", "changed"]
    boards.close()
    await asyncio.wait_for(watching, 1)


async def test_a_listener_that_loses_its_connection_comes_back_and_says_so(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.store.listening.LISTEN_AGAIN_SECONDS", 0.05)
    events: asyncio.Queue[str] = asyncio.Queue()

    def note(told: str) -> None:
        events.put_nowait(told or "found")

    listening = asyncio.create_task(listen(settings, {"test_boards": note}, on_lose=lambda: note("lost")))
    assert await asyncio.wait_for(events.get(), 5) == "found"
    await pool.execute("select pg_notify('test_boards', 'one')")
    assert await asyncio.wait_for(events.get(), 5) == "one"
    await pool.execute("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%test_boards%'")
    assert await asyncio.wait_for(events.get(), 5) == "lost"
    assert await asyncio.wait_for(events.get(), 5) == "found"
    await pool.execute("select pg_notify('test_boards', 'two')")
    assert await asyncio.wait_for(events.get(), 5) == "two"
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
