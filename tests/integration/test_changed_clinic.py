"""The clinic's file changes between a promise and its end: a booking is as the file says now, and nowhere twice."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.integration.requests import DAY, JO, TEN, act, book, book_held, hold

pytestmark = pytest.mark.usefixtures("monday")


class Office:
    """Whoever edits the clinic's file and applies it while the service runs."""

    def __init__(self, app: Litestar, pool: Pool, settings: Settings, folder: Path) -> None:
        self.app, self.pool, self.path = app, pool, folder / "clinic.toml"
        self.text = settings.scheduler_clinic.read_text(encoding="utf-8")

    async def shorten_follow_ups(self) -> None:
        head, header, tail = self.text.partition("[visit_types.follow-up]")
        assert "duration_minutes = 45" in tail
        await self._apply(head + header + tail.replace("duration_minutes = 45", "duration_minutes = 30", 1))

    async def part_with_rivera(self) -> None:
        head, _, tail = self.text.partition("[therapists.rivera]")
        rest = tail.partition("[therapists.okafor]")
        await self._apply(head + rest[1] + rest[2])

    async def _apply(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")
        async with self.pool.acquire() as connection, connection.transaction():
            await apply_files(connection, read_files(self.path))
            clinics = await load_clinics(connection)
        self.app.state.directory.replace(clinics)


@pytest.fixture
def office(app: Litestar, pool: Pool, settings: Settings, tmp_path: Path) -> Office:
    return Office(app, pool, settings, tmp_path)


async def check_ends(desk: httpx.AsyncClient, visit: dict[str, Any]) -> None:
    """Whoever comes when it ends meets nobody."""
    assert visit["ends_at"] == f"{DAY}T10:30:00-05:00"
    after = await book(desk, "follow-up", visit["ends_at"], therapist="rivera", patient=JO)
    assert after.status_code == 201, after.text


async def test_a_hold_becomes_a_visit_of_the_length_that_its_kind_has_now(
    office: Office, desk: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    held = await hold(public, "follow-up", TEN, therapist="rivera")
    await office.shorten_follow_ups()
    await check_ends(desk, (await book_held(public, held)).json())


async def test_an_undone_cancellation_is_of_the_length_that_its_kind_has_now(
    office: Office, desk: httpx.AsyncClient
) -> None:
    visit = (await book(desk, "follow-up", TEN, therapist="rivera")).json()
    cancelled = (await act(desk, visit, "cancel", reason="asked by phone")).json()
    await office.shorten_follow_ups()
    await check_ends(desk, (await act(desk, cancelled, "undo")).json())


async def test_a_cancellation_is_not_undone_with_somebody_else(office: Office, desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN, therapist="rivera")).json()
    cancelled = (await act(desk, visit, "cancel", reason="asked by phone")).json()
    await office.part_with_rivera()
    refused = await act(desk, cancelled, "undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "not-qualified")
    assert refused.json()["detail"] == "The therapist of this visit is not at the clinic any more."
