"""The net under the reminders: what is missing is planned, once; what the ladder has no more is taken back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
import time_machine

from scheduler.domain.clinics import Clinic, Reminder
from scheduler.ids import new_id
from scheduler.services.delivery import Post
from scheduler.services.planner import plan_ahead, plan_everywhere
from scheduler.store.clinics import update_clinic
from scheduler.store.connections import Pool
from scheduler.store.planner import count_forgotten
from tests.integration.bulk import add_visits
from tests.integration.requests import ASH, JO, act, book, messages_of
from tests.integration.sending import send_all, states
from tests.simulators.twilio import TwilioSimulator

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TEN = "2026-12-08T10:00:00-05:00"
TWO = "2026-12-08T14:00:00-05:00"
VISIT_AT = datetime.fromisoformat(TEN)
BY_TEXT_ALONE = ASH | {"email": None}
DAY = ("reminder_24h", "sms")
SOON = ("reminder_2h", "sms")


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


def before(hours: float) -> datetime:
    """Return a moment so many hours before the visit."""
    return (VISIT_AT - timedelta(hours=hours)).astimezone(UTC)


async def plan(pool: Pool, clinic: Clinic, now: datetime) -> int:
    async with pool.acquire() as connection, connection.transaction():
        return await plan_ahead(connection, clinic, now=now)


async def with_ladder(pool: Pool, clinic: Clinic, *rungs: Reminder) -> Clinic:
    """Return the clinic as it is once its file has another ladder."""
    changed = msgspec.structs.replace(clinic.settings, reminders=rungs)
    async with pool.acquire() as connection:
        await update_clinic(connection, clinic.id, 0, clinic.timezone, changed)
    return msgspec.structs.replace(clinic, settings=changed)


async def agree_to_more(desk: httpx.AsyncClient, patient: dict[str, Any], *, granted: bool = True) -> httpx.Response:
    body = {"channel": "sms", "scope": "frequent", "granted": granted, "wording_version": "2026-11", "method": "phone"}
    return await desk.post(f"/api/v1/patients/{patient['id']}/consents", json=body)


async def test_what_a_booking_planned_is_not_planned_again(desk: httpx.AsyncClient, pool: Pool, clinic: Clinic) -> None:
    visit = (await book(desk, "eval-run", TEN)).json()
    planned = await messages_of(desk, visit)
    for hours in (100, 72, 48, 24, 12, 1):
        assert await plan(pool, clinic, before(hours)) == 0
    assert await messages_of(desk, visit) == planned


async def test_a_reminder_that_was_lost_is_planned_a_day_and_a_half_before_its_moment(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    before_it_was_lost = (await states(desk, visit)).keys()
    await pool.execute("delete from messages where kind = 'reminder'")
    assert await plan(pool, clinic, before(24 + 36.1)) == 0
    assert await plan(pool, clinic, before(24 + 36)) == 1
    assert (await states(desk, visit)).keys() == before_it_was_lost


async def test_planners_side_by_side_and_over_again_plan_once(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visits = [
        (await book(desk, "follow-up", f"2026-12-08T{hour}:00:00-05:00", patient=ASH | {"phone": f"201 555 01{hour}"}))
        for hour in (10, 11, 14)
    ]
    assert {visit.status_code for visit in visits} == {201}
    rows = "select dedupe_key from messages where kind = 'reminder' and channel = 'sms' order by 1"
    planned = await pool.fetch(rows)
    assert len(planned) == 3
    await pool.execute("delete from messages where kind = 'reminder'")
    for _ in range(3):
        await asyncio.gather(*(plan_everywhere(pool, [clinic], now=before(25)) for _ in range(5)))
    assert await pool.fetch(rows) == planned


async def test_every_reminder_of_a_busy_day_is_planned_though_not_all_are_written_at_once(
    pool: Pool, clinic: Clinic
) -> None:
    await add_visits(pool, clinic, 450, starts_at=VISIT_AT)
    assert [await plan(pool, clinic, before(25)) for _ in range(2)] == [450, 0]
    changed = await with_ladder(pool, clinic, Reminder(template="reminder_24h", channel="sms", lead_minutes=12 * 60))
    assert [await plan(pool, changed, before(25)) for _ in range(2)] == [450, 0]
    counted = await pool.fetch(
        """select state, lead_minutes, count(*) as rows, count(distinct visit_id) as visits from messages
        group by state, lead_minutes order by state"""
    )
    assert [tuple(row) for row in counted] == [("cancelled", 24 * 60, 450, 450), ("pending", 12 * 60, 450, 450)]


async def test_a_planner_that_finds_another_at_work_leaves_it_to_that_one(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)
    await pool.execute("delete from messages where kind = 'reminder'")
    async with pool.acquire() as connection, connection.transaction():
        assert await plan_ahead(connection, clinic, now=before(25)) == 1
        assert await plan(pool, clinic, before(25)) == 0


async def test_after_a_lost_hour_a_reminder_goes_late_while_it_helps(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, post: Post, twilio: TwilioSimulator
) -> None:
    await book(desk, "follow-up", TWO, patient=BY_TEXT_ALONE)
    await send_all(post, NOW + timedelta(minutes=1))
    await pool.execute("delete from messages where kind = 'reminder'")
    assert await plan(pool, clinic, before(19)) == 1
    await send_all(post, before(19))
    assert [text.body.partition(": ")[2][:14] for text in twilio.accepted] == ["you are booked", "visit tomorrow"]


async def test_a_rung_that_the_ladder_gained_reaches_visits_that_were_booked_before(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    new = Reminder(template="reminder_72h", channel="sms", lead_minutes=48 * 60)
    changed = await with_ladder(pool, clinic, *clinic.settings.reminders, new)
    assert await plan(pool, changed, before(60)) == 1
    assert (await states(desk, visit))["reminder_72h", "sms"] == "pending"


async def test_a_rung_that_the_ladder_lost_is_taken_back_with_a_reason_and_may_come_back(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    changed = await with_ladder(pool, clinic)
    assert await plan(pool, changed, before(25)) == 0
    (message,) = [one for one in await messages_of(desk, visit) if one["kind"] == "reminder"]
    assert (message["state"], message["reason"]) == (
        "cancelled", "The visit was moved, or the clinic sends this reminder no more.",
    )  # fmt: skip
    assert await plan(pool, clinic, before(25)) == 1
    assert (await states(desk, visit))[DAY] in ("pending", "cancelled")
    assert [one["state"] for one in await messages_of(desk, visit) if one["kind"] == "reminder"] == [
        "pending", "cancelled",
    ]  # fmt: skip


async def test_what_was_sent_again_by_hand_or_stands_in_for_a_text_is_left_alone(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    (reminder,) = [one for one in await messages_of(desk, visit) if one["kind"] == "reminder"]
    await pool.execute("update messages set state = 'failed' where id = $1", reminder["id"])
    again = (await desk.post(f"/api/v1/messages/{reminder['id']}/resend")).json()
    changed = await with_ladder(pool, clinic)
    await plan(pool, changed, before(25))
    assert (await desk.get(f"/api/v1/messages/{again['id']}")).json()["message"]["state"] == "pending"


async def test_nothing_is_planned_for_visits_that_are_off_nor_for_patients_out_of_reach(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    await act(desk, visit, "cancel", reason="ill", by="patient")
    await book(desk, "follow-up", TEN, patient=JO)
    await pool.execute("delete from messages where kind = 'reminder'")
    assert await plan(pool, clinic, before(25)) == 0


async def test_consent_to_more_texts_adds_the_one_of_two_hours_before_and_taking_it_back_voids_it(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TWO, patient=BY_TEXT_ALONE)).json()
    assert SOON not in await states(desk, visit)
    answer = await agree_to_more(desk, visit["patient"])
    assert (answer.status_code, answer.json()["scope"]) == (201, "frequent")
    assert (await states(desk, visit))[SOON] == "pending"
    assert await plan(pool, clinic, before(-1)) == 0
    await agree_to_more(desk, visit["patient"], granted=False)
    assert (await states(desk, visit))[SOON] == "cancelled"
    assert await plan(pool, clinic, before(-1)) == 0


async def test_who_agrees_to_more_texts_is_told_so_once(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TWO, patient=BY_TEXT_ALONE)).json()
    for _ in range(2):
        await agree_to_more(desk, visit["patient"])
    await send_all(post, NOW + timedelta(minutes=1))
    assert [text.body.partition(": ")[2][:14] for text in twilio.accepted] == ["you are booked", "you agreed to "]


async def test_nobody_is_told_that_they_agreed_who_takes_no_texts(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TWO, patient=BY_TEXT_ALONE | {"sms_consent": None})).json()
    await agree_to_more(desk, visit["patient"])
    await send_all(post, NOW + timedelta(minutes=1))
    assert twilio.accepted == []


async def test_more_texts_are_agreed_to_over_texts_alone(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    body = {"channel": "email", "scope": "frequent", "granted": True, "wording_version": "2026-11"}
    refused = await desk.post(f"/api/v1/patients/{visit['patient']['id']}/consents", json=body)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/scope"]
    unknown = await desk.post(f"/api/v1/patients/{visit['patient']['id']}/consents", json=body | {"scope": "all"})
    assert unknown.status_code == 422


async def test_a_patient_who_turned_reminders_off_still_hears_that_a_visit_moved(
    desk: httpx.AsyncClient, post: Post, twilio: TwilioSimulator
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    body = {"channel": "sms", "scope": "reminders", "granted": False, "wording_version": "2026-11", "method": "phone"}
    assert (await desk.post(f"/api/v1/patients/{visit['patient']['id']}/consents", json=body)).status_code == 201
    await send_all(post, NOW + timedelta(minutes=1))
    await send_all(post, before(23))
    assert [text.body.partition(": ")[2][:14] for text in twilio.accepted] == ["you are booked"]
    assert (await states(desk, visit))[DAY] == "suppressed"


@pytest.mark.parametrize(("confirmed", "heard"), [(False, 4), (True, 3)])
async def test_the_text_of_two_hours_before_is_for_visits_that_nobody_confirmed(
    desk: httpx.AsyncClient,
    post: Post,
    twilio: TwilioSimulator,
    *,
    confirmed: bool,
    heard: int,
) -> None:
    """Also where the confirmation comes when no planner looks any more. The others say what was agreed to."""
    visit = (await book(desk, "follow-up", TWO, patient=BY_TEXT_ALONE)).json()
    await agree_to_more(desk, visit["patient"])
    await send_all(post, NOW + timedelta(minutes=1))
    await send_all(post, before(19))
    if confirmed:
        await act(desk, visit, "confirm")
    await send_all(post, before(-2.5))
    assert len(twilio.accepted) == heard
    assert (await states(desk, visit))[SOON] == ("cancelled" if confirmed else "sent")


async def test_a_confirmation_takes_the_texts_back_within_a_minute_and_undoing_it_brings_them_back(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    with time_machine.travel(before(90), tick=True):
        visit = (await book(desk, "eval-run", TEN)).json()
        confirmed = (await act(desk, visit, "confirm")).json()
        await plan(pool, clinic, datetime.now(UTC))
        reminders = {
            (one["template"], one["channel"]): (one["state"], one["reason"])
            for one in await messages_of(desk, visit)
            if one["kind"] == "reminder"
        }
        assert reminders == {
            ("reminder_72h", "email"): ("pending", None),
            ("reminder_72h", "sms"): ("cancelled", "The patient has confirmed."),
            DAY: ("cancelled", "The patient has confirmed."),
        }
        await act(desk, confirmed, "undo")
        standing = [one for one in await messages_of(desk, visit) if one["state"] == "pending"]
        assert len([one for one in standing if one["kind"] == "reminder"]) == 3


async def test_what_falls_due_while_a_visit_was_cancelled_by_mistake_goes_once_that_is_undone(
    desk: httpx.AsyncClient,
) -> None:
    visit = (await book(desk, "follow-up", TEN, patient=BY_TEXT_ALONE)).json()
    with time_machine.travel(before(24.05), tick=True):
        cancelled = (await act(desk, visit, "cancel", reason="wrong one", by="patient", notify=False)).json()
    with time_machine.travel(before(23.95), tick=True):
        await act(desk, cancelled, "undo")
    assert [one["state"] for one in await messages_of(desk, visit) if one["kind"] == "reminder"] == [
        "pending", "cancelled",
    ]  # fmt: skip


async def test_a_visit_on_a_day_that_the_clinic_closed_is_cancelled_in_those_words(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    closed = await desk.put("/api/v1/closures/2026-12-08", json={"windows": [], "reason": "Snow"})
    assert closed.status_code in (200, 201), closed.text
    await act(desk, visit, "cancel", reason="snow", by="clinic")
    assert {one["template"] for one in await messages_of(desk, visit)} >= {"closure"}


async def forgotten(pool: Pool, now: datetime) -> int:
    async with pool.acquire() as connection:
        return await count_forgotten(connection, now)


async def test_a_visit_of_which_nobody_will_be_reminded_makes_the_service_unready(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    await book(desk, "follow-up", TEN)
    assert await forgotten(pool, before(40)) == 0
    await pool.execute("delete from messages where kind = 'reminder'")
    assert [await forgotten(pool, before(hours)) for hours in (50, 47, 25, 23)] == [0, 1, 1, 0]
    await pool.execute(
        """update visits set starts_at = now() + interval '30 hours', ends_at = now() + interval '31 hours',
            booked_at = now() - interval '9 days', status_changed_at = now() - interval '9 days'"""
    )
    checks = {one["name"]: one for one in (await desk.get("/health/ready")).json()["checks"]}
    assert checks["reminders"] == {
        "name": "reminders", "ok": False, "detail": "Visits 24 to 48 hours ahead of which nobody will be reminded: 1.",
    }  # fmt: skip
    metrics = (await desk.get("/metrics")).text
    assert "scheduler_visits_without_reminder 1.0" in metrics


async def test_a_planner_that_promises_nothing_tells_the_desk_of_whom_it_forgets_once(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    """As if its rules had a fault: what the clinic's file promises is read again by other code."""
    visit = (await book(desk, "follow-up", TEN)).json()
    faulty = msgspec.structs.replace(clinic, settings=msgspec.structs.replace(clinic.settings, reminders=()))
    await plan(pool, clinic, before(40))
    assert await pool.fetchval("select count(*) from desk_tasks") == 0
    for hours in (35, 34):
        await plan(pool, faulty, before(hours))
    (task,) = (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]
    assert (task["kind"], task["visit_id"]) == ("not-reminded", visit["id"])
    assert "call the patient" in task["reason"]
    await desk.post(f"/api/v1/tasks/{task['id']}/handled")
    await plan(pool, faulty, before(33))
    assert await pool.fetchval("select count(*) from desk_tasks") == 1


@pytest.mark.parametrize(
    "excuse",
    [
        "update messages set state = 'sent', sent_at = now() where kind = 'reminder'",
        "update messages set state = 'suppressed' where kind = 'reminder'",
        "update messages set state = 'expired' where kind = 'reminder'",
        "delete from messages; update visits set status = 'confirmed'",
        "delete from messages; update visits set status = 'cancelled'",
        "delete from messages; update patients set phone = '+12015550199', email = null",
        # Told 25 hours ahead: nothing was promised.
        "delete from messages; update visits set booked_at = starts_at - interval '25 hours'",
        "delete from messages; update visits set status_changed_at = starts_at - interval '23 hours'",
    ],
)
async def test_what_was_said_or_left_out_for_a_reason_is_not_forgotten(
    desk: httpx.AsyncClient, pool: Pool, excuse: str
) -> None:
    await book(desk, "follow-up", TEN)
    await pool.execute(excuse)
    assert await forgotten(pool, before(25)) == 0


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        ("delete from messages", 1),
        ("update messages set state = 'cancelled'", 1),
        ("delete from messages; update patients set email = null", 1),
        ("delete from messages; delete from consents", 0),
    ],
)
async def test_a_patient_who_can_be_reached_in_one_way_is_not_forgotten_in_it(
    desk: httpx.AsyncClient, pool: Pool, loss: str, found: int
) -> None:
    """The email of three days before is of no more use a day and a half before."""
    await book(desk, "follow-up", TEN)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = 'replica'")
        await connection.execute(loss)
    assert await forgotten(pool, before(30)) == found


async def test_what_is_wrong_at_one_clinic_leaves_the_others_reminded(pool: Pool, clinic: Clinic) -> None:
    gone = msgspec.structs.replace(clinic, id=new_id())
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await plan_everywhere(pool, [gone, clinic])
    assert await pool.fetchval("select count(*) from job_runs where clinic_id = $1", clinic.id) == 1
