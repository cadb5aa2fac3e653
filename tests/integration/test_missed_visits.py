"""What a patient hears who missed a visit, and who calls a patient whom nothing can tell."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine

from scheduler.services.delivery import Post
from tests.integration.requests import ASH, act, book, messages_of
from tests.integration.sending import send_all, states
from tests.simulators.smtp import SmtpSimulator
from tests.simulators.twilio import TwilioSimulator

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TEN = "2026-12-08T10:00:00-05:00"
MISSED_AT = datetime.fromisoformat("2026-12-08T10:20:00-05:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


async def missed(desk: httpx.AsyncClient, at: datetime = MISSED_AT) -> dict[str, Any]:
    """Book a visit and let the desk say, at a moment, that nobody came."""
    visit = (await book(desk, "follow-up", TEN)).json()
    with time_machine.travel(at, tick=True):
        answer = await act(desk, visit, "no-show")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_who_missed_a_visit_hears_how_to_get_another_once_nobody_can_undo_it(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator, smtp: SmtpSimulator
) -> None:
    await missed(desk)
    await send_all(post, MISSED_AT + 9 * MINUTE)
    assert twilio.accepted == []
    await send_all(post, MISSED_AT + 11 * MINUTE)
    (text,) = twilio.accepted
    assert "we missed you today at 10:00 AM. To get back on schedule reply R" in text.body
    assert [mail.message["Subject"] for mail in smtp.received if "missed" in str(mail.message["Subject"])] == []


async def test_a_slip_of_the_hand_that_is_undone_tells_nobody(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = await missed(desk)
    with time_machine.travel(MISSED_AT + 5 * MINUTE, tick=True):
        assert (await act(desk, visit, "undo")).status_code == 200
    await send_all(post, MISSED_AT + 30 * MINUTE)
    assert twilio.accepted == []
    assert (await states(desk, visit))["no_show", "sms"] == "cancelled"


async def test_nobody_hears_on_another_day_that_they_were_missed_today(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = await missed(desk, datetime.fromisoformat("2026-12-08T19:55:00-05:00"))
    assert "no_show" not in {one["kind"] for one in await messages_of(desk, visit)}
    await send_all(post, datetime.fromisoformat("2026-12-09T10:00:00-05:00"))
    assert twilio.accepted == []


async def tasks_of(desk: httpx.AsyncClient) -> list[tuple[str, str]]:
    found = (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]
    return [(one["kind"], one["reason"]) for one in found]


@pytest.mark.parametrize(
    ("patient", "by", "notify", "called"),
    [
        ({"email": None, "sms_consent": None}, "clinic", True, True),
        ({"email": None, "sms_consent": None}, "clinic", False, False),
        ({"email": None, "sms_consent": None}, "patient", True, False),
        ({"email": None}, "clinic", True, False),
        ({"sms_consent": None}, "clinic", True, False),
    ],
)
async def test_whom_no_message_can_tell_that_the_clinic_cancelled_is_called(
    desk: httpx.AsyncClient, patient: dict[str, Any], by: str, notify: bool, called: bool
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=ASH | patient)).json()
    await act(desk, visit, "cancel", reason="the therapist is ill", by=by, notify=notify)
    reason = "The clinic canceled, and no text or email can tell the patient. Please call."
    assert await tasks_of(desk) == [("undeliverable", reason)] * called
