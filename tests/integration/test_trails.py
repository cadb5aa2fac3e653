"""What was written about one visit and what came back, in order, as the day board shows it beside the visit."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.domain.trails import Trail
from scheduler.errors import NotFound
from scheduler.services.trails import read_trail
from scheduler.store.connections import Pool
from scheduler.web.pages import render
from scheduler.web.staff.message_words import trail_lines
from tests.integration.requests import ASH, book, messages_of
from tests.integration.texting import Line

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TUESDAY = "2026-12-08T10:00:00-05:00"
BY_TEXT = ASH | {"email": None}

PAGE = '{% from "staff/trail.html" import trail %}{{ trail(found, lines) }}'


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as moving:
        yield moving


async def trail_of(pool: Pool, clinic: Clinic, visit_id: str) -> Trail:
    async with pool.acquire() as connection:
        return await read_trail(connection, clinic, UUID(visit_id))


def shown(trail: Trail, clinic: Clinic) -> str:
    """Return a trail as a page shows it, without its marks."""
    lines = trail_lines(trail, clinic, datetime.now(UTC))
    page = render._templates.from_string(PAGE).render(found=trail, lines=lines)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split()).replace("\u00a0", " ")


async def test_a_trail_tells_what_left_what_came_back_and_what_is_to_come(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic, clock: time_machine.Traveller
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.send()
    booked = next(one for one in await messages_of(desk, visit) if one["kind"] == "booked")
    await line.twilio.report(line.url, booked["id"], line.twilio.accepted[-1].sid, "delivered")
    clock.shift(timedelta(minutes=5))
    await line.text("+12015550142", "C")
    trail = await trail_of(line.pool, clinic, visit["id"])
    assert [(entry.kind, entry.look) for entry in trail.entries][:3] == [
        ("booked", "sent"), ("confirm", "in"), ("reply", "sent"),
    ]  # fmt: skip
    assert {entry.look for entry in trail.entries[3:]} == {"planned"}
    words = shown(trail, clinic)
    assert words.startswith("Booking by text, delivered 10:00 AM Said yes 10:05 AM Answer by text, sent 10:05 AM")
    assert "Reminder by text, planned Mon, Dec 7, 10:00 AM" in words
    assert "See to it" not in words


async def test_what_failed_and_what_nobody_understood_lead_to_the_inbox(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.send()
    booked = next(one for one in await messages_of(desk, visit) if one["kind"] == "booked")
    await line.twilio.report(line.url, booked["id"], line.twilio.accepted[-1].sid, "undelivered", ErrorCode="30004")
    await line.text("+12015550142", "Where do I park?")
    words = shown(await trail_of(line.pool, clinic, visit["id"]), clinic)
    assert "Booking by text, failed: The phone blocks the clinic's texts. See to it" in words.replace("&#39;", "'")
    assert "Wrote something we did not understand See to it" in words
    assert "park" not in words
    await desk.post(f"/api/v1/messages/{booked['id']}/handled")
    assert shown(await trail_of(line.pool, clinic, visit["id"]), clinic).count("See to it") == 1


async def test_a_visit_of_whom_nothing_was_written_and_one_that_is_none(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    quiet = {name: value for name, value in BY_TEXT.items() if name != "sms_consent"}
    visit = (await book(desk, "follow-up", TUESDAY, patient=quiet)).json()
    trail = await trail_of(line.pool, clinic, visit["id"])
    assert (trail.texts, trail.entries) == (None, [])
    assert shown(trail, clinic) == "Nothing was written about this visit yet."
    await line.text("+12015550142", "STOP")
    assert shown(await trail_of(line.pool, clinic, visit["id"]), clinic).endswith("Wants no texts.")
    with pytest.raises(NotFound):
        await trail_of(line.pool, clinic, str(uuid4()))
