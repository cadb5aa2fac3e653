"""The mails of one visit, from its booking to its cancellation, as two calendars take them up."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.services.delivery import Post
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of
from tests.integration.mailing import mailing, send_all
from tests.integration.requests import act, book
from tests.simulators.calendars import READERS, PatientCalendar, Reader
from tests.simulators.smtp import DROP_AFTERWARDS, Received, SmtpSimulator, parts_of, refusal

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TEN = datetime.fromisoformat("2026-12-08T10:00:00-05:00")
MOVED = datetime.fromisoformat("2026-12-10T10:30:00-05:00")
ASH: dict[str, Any] = {
    "given_name": "Ash",
    "family_name": "Sample",
    "phone": "201 555 0142",
    "email": "ash@example.com",
}


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
async def server() -> AsyncIterator[SmtpSimulator]:
    async with SmtpSimulator() as simulator:
        yield simulator


@pytest.fixture
async def post(settings: Settings, pool: Pool, clinic: Clinic, server: SmtpSimulator) -> AsyncIterator[Post]:
    async with mailing(settings, pool, clinic, server) as ready:
        yield ready


def invited(received: Received) -> list[bytes]:
    """Return the calendar files of a mail: the one beside the text and the attached one."""
    files = [
        part for part in parts_of(received.message) if part.get_content_type() in ("text/calendar", "application/ics")
    ]
    return [content for part in files if isinstance(content := part.get_payload(decode=True), bytes)]


async def book_move_and_cancel(desk: httpx.AsyncClient, post: Post) -> dict[str, Any]:
    """Let a visit be booked, confirmed, moved and cancelled, each with its mail; return it as booked."""
    visit = (await book(desk, "follow-up", TEN.isoformat(), patient=ASH)).json()
    await send_all(post, NOW + timedelta(minutes=1))
    confirmed = (await act(desk, visit, "confirm")).json()
    moved = (await act(desk, confirmed, "reschedule", starts_at=MOVED.isoformat())).json()
    await send_all(post, NOW + timedelta(minutes=2))
    await act(desk, moved, "cancel", reason="asked by phone")
    await send_all(post, NOW + timedelta(minutes=3))
    return visit


@pytest.mark.parametrize("reader", READERS)
async def test_a_visit_is_one_event_that_moves_and_goes(
    desk: httpx.AsyncClient, post: Post, server: SmtpSimulator, reader: Reader
) -> None:
    visit = await book_move_and_cancel(desk, post)
    told = [reader(invited(mail)[0]) for mail in server.received]
    assert [one.method for one in told] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [one.starts_at for one in told] == [TEN, MOVED, MOVED]
    assert {one.ends_at - one.starts_at for one in told} == {timedelta(minutes=45)}
    assert {one.uid for one in told} == {f"{visit['id']}@fair-lawn.example"}
    assert {one.organizer for one in told} == {"mailto:appointments@fair-lawn.example"}
    assert {one.attendees for one in told} == {("mailto:ash@example.com",)}
    assert {one.summary for one in told} == {"Appointment - Twin Boro Physical Therapy Fair Lawn"}
    versions = [one.sequence for one in told]
    assert versions == sorted(set(versions)), "each change raises the sequence"
    files = [invited(mail)[0] for mail in server.received]
    for order in permutations([*files, files[0], files[1]]):
        calendar = PatientCalendar(reader)
        calendar.take(order)
        assert calendar.events == []
    calendar = PatientCalendar(reader)
    calendar.take(files[:2])
    assert [one.starts_at for one in calendar.events] == [MOVED]


async def test_both_copies_in_a_mail_say_the_same_and_nothing_of_why(
    desk: httpx.AsyncClient, post: Post, server: SmtpSimulator
) -> None:
    await book(desk, "eval-run", TEN.isoformat(), patient=ASH)
    await send_all(post, NOW + timedelta(minutes=1))
    beside, attached = invited(server.received[0])
    assert beside == attached
    words = beside.replace(b"\r\n ", b"").decode().replace("Twin Boro Physical Therapy", "").lower()
    for secret in (
        "hip",
        "pain",
        "run",
        "eval",
        "first visit",
        "rivera",
        "okafor",
        "lind",
        "shoes",
        "insurance",
        "sample,",
    ):
        assert secret not in words


async def test_a_retry_and_a_second_copy_are_the_same_mail_with_the_same_sequence(
    desk: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    visit = (await book(desk, "follow-up", TEN.isoformat(), patient=ASH)).json()
    server.faults["rcpt"].append(refusal("451 4.7.1 Greylisted"))
    server.faults["message"].append(DROP_AFTERWARDS)
    await send_all(post, NOW + timedelta(minutes=1))
    await send_all(post, NOW + timedelta(minutes=10))
    # Nobody knows whether it arrived; the one that follows is to look like the one that did. Meanwhile the visit was
    # confirmed, which nobody is written to about.
    await act(desk, visit, "confirm")
    await pool.execute("update messages set state = 'pending', next_check_at = null where state = 'unknown'")
    await send_all(post, NOW + timedelta(minutes=20))
    first, second = server.received
    assert first.message["Message-ID"] == second.message["Message-ID"]
    for reader in READERS:
        assert [reader(invited(mail)[0]).sequence for mail in (first, second)] == [visit["version"]] * 2


async def test_a_reminder_does_not_bring_back_what_a_patient_took_out_of_the_calendar(
    desk: httpx.AsyncClient, post: Post, server: SmtpSimulator
) -> None:
    await book(desk, "follow-up", TEN.isoformat(), patient=ASH)
    await send_all(post, NOW + timedelta(minutes=1))
    await send_all(post, TEN - timedelta(hours=71))
    booked, reminder = server.received
    assert len(invited(booked)) == 2
    assert invited(reminder) == []


async def test_the_file_of_the_booking_page_is_the_event_of_the_mails(
    app: Any, desk: httpx.AsyncClient, post: Post, server: SmtpSimulator
) -> None:
    async with client_of(app) as browser:
        chosen = await browser.post("/book/holds", data={"type": "follow-up", "start": TEN.isoformat()})
        url = chosen.headers["location"]
        page = await browser.get(url)
        token = page.text.partition('name="token" value="')[2].partition('"')[0]
        await browser.post(url, data=ASH | {"token": token})
        file = (await browser.get(f"{url}/visit.ics")).content
    await send_all(post, NOW + timedelta(minutes=1))
    visit = (await desk.get(f"/api/v1/visits/{url.rpartition('/')[2]}")).json()
    await act(desk, visit, "reschedule", starts_at=MOVED.isoformat())
    await send_all(post, NOW + timedelta(minutes=2))
    for reader in READERS:
        calendar = PatientCalendar(reader)
        calendar.take([file])
        assert [event.starts_at for event in calendar.events] == [TEN]
        calendar.take(invited(server.received[-1]))
        assert [event.starts_at for event in calendar.events] == [MOVED]
