"""What the clinic changes reaches the patient, once, or somebody calls: whatever comes between writing and sending."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.services.doubts import settle_doubts
from scheduler.services.planner import plan_ahead
from tests.integration.requests import ASH, NOW, TEN, act, book, messages_of
from tests.integration.texting import Line
from tests.simulators.twilio import BROKEN

VISIT_AT = datetime.fromisoformat(TEN)
WEDNESDAY, FRIDAY = "2026-12-09T10:00:00-05:00", "2026-12-11T10:00:00-05:00"
PHONE = "+12015550142"
BY_TEXT: dict[str, Any] = ASH | {"email": None}
SILENT = {name: BY_TEXT[name] for name in ("given_name", "family_name", "phone")}

# In the evening a text waits for nine in the morning.
EVENING = datetime.fromisoformat("2026-12-03T20:30:00-05:00")
MORNING = datetime.fromisoformat("2026-12-04T09:01:00-05:00")


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as moving:
        yield moving


@pytest.fixture
async def visit(line: Line, desk: httpx.AsyncClient) -> dict[str, Any]:
    """Book a visit of somebody who is reached by text alone, and let them know."""
    booked = (await book(desk, "follow-up", TEN, therapist="rivera", patient=BY_TEXT)).json()
    await line.send()
    return booked


async def change(desk: httpx.AsyncClient, visit: dict[str, Any], action: str, **body: Any) -> dict[str, Any]:
    answer = await act(desk, visit, action, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def reasons(desk: httpx.AsyncClient) -> list[str]:
    """Return why somebody at the desk should call, for each open task."""
    return [task["reason"] for task in (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]]


async def plan(line: Line, clinic: Clinic) -> None:
    async with line.pool.acquire() as connection, connection.transaction():
        await plan_ahead(connection, clinic, now=datetime.now(UTC))


async def test_with_another_therapist_the_word_of_a_move_still_goes(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    clock.move_to(EVENING)
    moved = await change(desk, visit, "reschedule", starts_at=WEDNESDAY)
    await change(desk, moved, "reschedule", starts_at=WEDNESDAY, therapist="marsh")
    clock.move_to(MORNING)
    await line.send()
    assert ["moved to" in text for text in line.heard(PHONE)] == [False, True]


async def test_with_another_therapist_a_reminder_that_is_due_still_goes(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    clock.move_to(VISIT_AT - timedelta(hours=23))
    await change(desk, visit, "reschedule", starts_at=TEN, therapist="okafor")
    await plan(line, clinic)
    await line.send()
    assert ["tomorrow" in text for text in line.heard(PHONE)] == [False, True]


async def test_a_move_is_told_though_it_was_canceled_by_mistake_in_between(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    clock.move_to(EVENING)
    moved = await change(desk, visit, "reschedule", starts_at=WEDNESDAY)
    gone = await change(desk, moved, "cancel", reason="by mistake", by="clinic")
    await change(desk, gone, "undo")
    clock.move_to(MORNING)
    await line.send()
    assert "Dec 9" in line.heard(PHONE)[-1]


async def test_who_is_moved_there_and_back_in_the_night_hears_nothing(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    clock.move_to(EVENING)
    moved = await change(desk, visit, "reschedule", starts_at=WEDNESDAY)
    await change(desk, moved, "reschedule", starts_at=TEN)
    clock.move_to(MORNING)
    await line.send()
    assert len(line.heard(PHONE)) == 1
    assert await reasons(desk) == []


@pytest.mark.parametrize("how", ["stops texts", "has another number"])
@pytest.mark.parametrize("what", ["cancel", "reschedule"])
async def test_who_can_no_longer_be_told_what_the_clinic_did_is_called(
    what: str, how: str, line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    clock.move_to(EVENING)
    asked = {"cancel": {"reason": "ill", "by": "clinic"}, "reschedule": {"starts_at": WEDNESDAY}}
    await change(desk, visit, what, **asked[what])
    if how == "stops texts":
        await line.text(PHONE, "STOP")
    else:
        await desk.patch(f"/api/v1/patients/{visit['patient']['id']}", json={"phone": "201 555 0188"})
    clock.move_to(MORNING)
    await line.send()
    assert len(line.heard(PHONE)) == 1
    assert await reasons(desk) == ["The patient cannot be written to this way now."]


async def test_a_move_that_nobody_can_be_told_of_is_a_task(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=SILENT)).json()
    quiet = await change(desk, visit, "reschedule", starts_at=WEDNESDAY, notify=False)
    assert await reasons(desk) == []
    await change(desk, quiet, "reschedule", starts_at=FRIDAY)
    assert await reasons(desk) == [
        "The clinic moved the visit, and no text or email can tell the patient. Please call."
    ]


@pytest.mark.usefixtures("visit")
async def test_a_text_that_did_not_arrive_leaves_its_room_to_the_next(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    clock.move_to(VISIT_AT - timedelta(hours=24, minutes=30))
    other = (await book(desk, "follow-up", FRIDAY, patient=BY_TEXT)).json()
    await line.send()
    (text,) = [one for one in await messages_of(desk, other) if one["kind"] == "booked"]
    await line.twilio.report(line.url, text["id"], line.twilio.accepted[-1].sid, "undelivered", ErrorCode="30007")
    clock.move_to(VISIT_AT - timedelta(hours=23))
    await line.send()
    assert "tomorrow" in line.heard(PHONE)[-1]


@pytest.mark.usefixtures("visit")
async def test_who_is_not_reminded_because_of_another_text_is_called_once(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    clock.move_to(VISIT_AT - timedelta(hours=24, minutes=30))
    await book(desk, "follow-up", FRIDAY, patient=BY_TEXT)
    await line.send()
    clock.move_to(VISIT_AT - timedelta(hours=23))
    await line.send()
    assert "tomorrow" not in line.heard(PHONE)[-1]
    assert await reasons(desk) == ["This phone has had as many texts as it may get in a day or a week."]


async def test_who_was_told_this_morning_that_they_are_booked_is_not_called_for_want_of_a_reminder(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    # Booked at half past two in the night before the day before: both texts are due at nine.
    clock.move_to(VISIT_AT - timedelta(hours=31, minutes=30))
    booked = (await book(desk, "follow-up", TEN, patient=BY_TEXT)).json()
    clock.move_to(VISIT_AT - timedelta(hours=23))
    await line.send()
    texts = {text["kind"]: text["state"] for text in await messages_of(desk, booked)}
    assert texts == {"booked": "sent", "reminder": "suppressed"}
    assert len(line.heard(PHONE)) == 1
    assert await reasons(desk) == []


@pytest.mark.usefixtures("visit")
async def test_who_is_not_reminded_because_nothing_could_leave_is_called(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    clock.move_to(VISIT_AT - timedelta(hours=11))
    await line.send()
    assert await reasons(desk) == ["Too late to be of use."]


async def test_who_has_confirmed_is_not_called_because_nothing_could_leave(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    await change(desk, visit, "confirm")
    clock.move_to(VISIT_AT - timedelta(hours=11))
    await line.send()
    assert await reasons(desk) == []


@pytest.mark.parametrize("how", ["stops texts", "has another number"])
async def test_a_reminder_that_was_held_back_as_it_was_due_goes_once_it_may(
    how: str, line: Line, desk: httpx.AsyncClient, clinic: Clinic, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    address = f"/api/v1/patients/{visit['patient']['id']}"
    words = {"stops texts": ("STOP", "START"), "has another number": ("201 555 0188", "201 555 0142")}[how]
    for minutes, word in zip((-5, 2), words, strict=True):
        clock.move_to(VISIT_AT - timedelta(days=1) + timedelta(minutes=minutes))
        if how == "stops texts":
            await line.text(PHONE, word)
        else:
            assert (await desk.patch(address, json={"phone": word})).status_code == 200
    await plan(line, clinic)
    await line.send()
    assert len([text for text in line.heard(PHONE) if "tomorrow" in text]) == 1


async def test_a_cancellation_in_doubt_is_not_told_again_by_the_next_one(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    line.twilio.faults.append(BROKEN)
    gone = await change(desk, visit, "cancel", reason="asked by phone")
    await line.send()
    clock.shift(timedelta(minutes=1))
    back = await change(desk, gone, "undo")
    clock.shift(timedelta(minutes=1))
    await change(desk, back, "cancel", reason="asked by phone")
    for _ in range(5):
        clock.shift(timedelta(minutes=4))
        await settle_doubts(line.post, now=datetime.now(UTC))
        await line.send()
    assert ["is canceled" in text for text in line.heard(PHONE)] == [False, True]


@pytest.mark.parametrize("visit_type", ["eval", "follow-up"])
async def test_no_second_email_goes_where_one_said_the_same_beside_the_text(
    visit_type: str, line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = (await book(desk, visit_type, TEN)).json()
    await line.send()
    kind = "booked"
    if visit_type == "eval":
        kind = "reminder"
        clock.move_to(VISIT_AT - timedelta(hours=72) + timedelta(minutes=1))
        await line.send()
    else:
        await change(desk, visit, "confirm")
    (text,) = [
        one
        for one in await messages_of(desk, visit)
        if (one["kind"], one["channel"], one["state"]) == (kind, "sms", "sent")
    ]
    await line.twilio.report(line.url, text["id"], line.twilio.accepted[-1].sid, "undelivered", ErrorCode="30007")
    await line.send()
    emails = [one for one in await messages_of(desk, visit) if (one["kind"], one["channel"]) == (kind, "email")]
    assert len(emails) == 1
    assert len(await reasons(desk)) == 1


async def test_nobody_is_thanked_for_an_agreement_that_they_took_back(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, visit: dict[str, Any]
) -> None:
    clock.move_to(EVENING)
    for granted in (True, False):
        said = {"channel": "sms", "scope": "frequent", "granted": granted, "method": "phone"}
        address = f"/api/v1/patients/{visit['patient']['id']}/consents"
        assert (await desk.post(address, json=said | {"wording_version": "2026-11"})).status_code == 201
    clock.move_to(MORNING)
    await line.send()
    assert len(line.heard(PHONE)) == 1
