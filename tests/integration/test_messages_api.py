"""Messages that failed are seen to by a person: found, sent again while they are true, and crossed off."""

from datetime import datetime
from typing import Any

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.api_keys import create_api_key
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of
from tests.integration.requests import act, book, messages_of

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TEN = "2026-12-08T10:00:00-05:00"


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


async def second_key(pool: Pool, clinic: Clinic, *scopes: str) -> str:
    async with pool.acquire() as connection:
        return (await create_api_key(connection, clinic, "second screen", list(scopes), actor=SYSTEM))[1]


async def booked(desk: httpx.AsyncClient) -> dict[str, Any]:
    response = await book(desk, "eval-run", TEN, therapist="rivera")
    assert response.status_code == 201, response.text
    return response.json()


async def become(pool: Pool, message: dict[str, Any], state: str) -> None:
    """Let a message come to an end, or to its beginning, without a provider."""
    await pool.execute(
        """update messages set state = $2, attempts = 1, finished_at = case when $2 <> 'pending' then now() end,
            lease_token = case when $2 = 'sending' then gen_random_uuid() end,
            next_check_at = case when $2 = 'unknown' then now() end where id = $1""",
        message["id"],
        state,
    )


async def notice(desk: httpx.AsyncClient, visit: dict[str, Any], channel: str = "sms") -> dict[str, Any]:
    return next(one for one in await messages_of(desk, visit) if (one["kind"], one["channel"]) == ("booked", channel))


async def failed_notice(desk: httpx.AsyncClient, pool: Pool, state: str = "failed") -> dict[str, Any]:
    message = await notice(desk, await booked(desk))
    await become(pool, message, state)
    return message


async def audited(pool: Pool, action: str) -> list[dict[str, Any]]:
    rows = await pool.fetch("select actor, visit_id, patient_id, details from audit_events where action = $1", action)
    return [dict(row) for row in rows]


@pytest.mark.parametrize("state", ["failed", "dead", "undelivered", "suppressed"])
async def test_a_message_that_did_not_arrive_is_sent_again_as_a_new_one(
    desk: httpx.AsyncClient, pool: Pool, state: str
) -> None:
    old = await failed_notice(desk, pool, state)
    answer = await desk.post(f"/api/v1/messages/{old['id']}/resend")
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert answer.headers["location"] == f"/api/v1/messages/{new['id']}"
    assert new["id"] != old["id"]
    assert (new["state"], new["attempts"], new["resend_of"]) == ("pending", 0, old["id"])
    assert (new["text"], new["template"], new["channel"]) == (old["text"], old["template"], old["channel"])
    before = (await desk.get(f"/api/v1/messages/{old['id']}")).json()["message"]
    assert (before["state"], before["handled_by"]) == (state, "key:front desk")
    assert before["handled_at"] is not None
    [row] = await audited(pool, "message.resent")
    assert row["actor"] == "key:front desk"
    assert row["details"] == {"message": old["id"], "as": new["id"], "template": "booked", "channel": "sms"}


@pytest.mark.parametrize("state", ["pending", "sending", "sent", "delivered", "unknown", "cancelled", "expired"])
async def test_a_message_that_arrived_or_still_may_is_not_sent_again_and_not_crossed_off_before_its_end(
    desk: httpx.AsyncClient, pool: Pool, state: str
) -> None:
    message = await failed_notice(desk, pool, state)
    refused = await desk.post(f"/api/v1/messages/{message['id']}/resend")
    assert (refused.status_code, refused.json()["code"]) == (409, "message-wrong-state")
    assert refused.json()["state"] == state
    assert refused.json()["allowed"] == ["dead", "failed", "suppressed", "undelivered"]
    crossed_off = await desk.post(f"/api/v1/messages/{message['id']}/handled")
    assert crossed_off.status_code == (200 if state == "expired" else 409)


async def test_a_message_is_sent_again_once_and_what_was_sent_again_once_more(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    old = await failed_notice(desk, pool)
    second = (await desk.post(f"/api/v1/messages/{old['id']}/resend")).json()
    twice = await desk.post(f"/api/v1/messages/{old['id']}/resend")
    assert (twice.status_code, twice.json()["detail"]) == (409, "It was sent again already.")
    await become(pool, second, "failed")
    assert (await desk.post(f"/api/v1/messages/{second['id']}/resend")).json()["resend_of"] == second["id"]


async def test_sending_again_under_one_idempotency_key_sends_once(desk: httpx.AsyncClient, pool: Pool) -> None:
    old = await failed_notice(desk, pool)
    answers = [
        await desk.post(f"/api/v1/messages/{old['id']}/resend", headers={"Idempotency-Key": "again"}) for _ in "12"
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"


async def test_what_is_no_longer_so_is_not_sent_again(desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = await booked(desk)
    old = await notice(desk, visit)
    await become(pool, old, "failed")
    moved = await act(desk, visit, "reschedule", starts_at="2026-12-09T10:00:00-05:00")
    refused = await desk.post(f"/api/v1/messages/{old['id']}/resend")
    assert (refused.status_code, refused.json()["code"]) == (409, "message-outdated")
    assert refused.json()["visit_status"] == "booked"
    assert (await act(desk, moved.json(), "cancel", reason="Asked to")).status_code == 200
    assert (await desk.post(f"/api/v1/messages/{old['id']}/resend")).json()["visit_status"] == "cancelled"
    cancellation = next(one for one in await messages_of(desk, visit) if one["kind"] == "cancelled_by_patient")
    await become(pool, cancellation, "failed")
    assert (await desk.post(f"/api/v1/messages/{cancellation['id']}/resend")).status_code == 201


async def test_it_goes_where_the_patient_is_reached_today_and_in_the_hours_for_texts(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await booked(desk)
    text, email = await notice(desk, visit), await notice(desk, visit, "email")
    await become(pool, text, "failed")
    await become(pool, email, "failed")
    await pool.execute("update patients set phone = '+12015550199', email = null, language = 'es'")
    with time_machine.travel(datetime.fromisoformat("2026-11-23T23:30:00-05:00"), tick=True):
        again = (await desk.post(f"/api/v1/messages/{text['id']}/resend")).json()
    assert await pool.fetchval("select address from messages where id = $1", again["id"]) == "+12015550199"
    assert again["language"] == "es"
    assert again["due_at"] == "2026-11-24T09:00:00-05:00"
    refused = await desk.post(f"/api/v1/messages/{email['id']}/resend")
    assert refused.json()["code"] == "message-outdated"


async def test_what_would_come_too_late_is_not_sent_again(desk: httpx.AsyncClient, pool: Pool) -> None:
    old = await failed_notice(desk, pool)
    with time_machine.travel(datetime.fromisoformat("2026-12-08T10:00:00-05:00"), tick=True):
        refused = await desk.post(f"/api/v1/messages/{old['id']}/resend")
    assert refused.json()["code"] == "message-outdated"


async def test_whoever_crosses_off_a_failure_first_is_remembered(
    desk: httpx.AsyncClient, app: Litestar, pool: Pool, clinic: Clinic
) -> None:
    message = await failed_notice(desk, pool)
    listed = (await desk.get("/api/v1/messages", params={"needs_attention": "true"})).json()["items"]
    assert [one["id"] for one in listed] == [message["id"]]
    first = (await desk.post(f"/api/v1/messages/{message['id']}/handled")).json()
    async with client_of(app, Authorization=f"Bearer {await second_key(pool, clinic, 'messages:write')}") as other:
        assert (await other.post(f"/api/v1/messages/{message['id']}/handled")).json() == first
    assert (first["state"], first["handled_by"]) == ("failed", "key:front desk")
    assert (await desk.get("/api/v1/messages", params={"needs_attention": "true"})).json()["items"] == []
    rest = (await desk.get("/api/v1/messages", params={"needs_attention": "false"})).json()["items"]
    assert message["id"] in {one["id"] for one in rest}
    assert len(await audited(pool, "message.handled")) == 1


async def test_messages_are_for_keys_with_the_scope_and_of_the_own_clinic(
    public: httpx.AsyncClient, app: Litestar, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    message = await failed_notice(desk, pool)
    paths = [f"/api/v1/messages/{message['id']}/{action}" for action in ("resend", "handled")]
    paths.append(f"/api/v1/inbound/{new_id()}/handled")
    async with client_of(app, Authorization=f"Bearer {await second_key(pool, clinic, 'messages:read')}") as reader:
        for path in paths:
            assert (await public.post(path)).status_code == 401
            assert (await reader.post(path)).json()["scope"] == "messages:write"
        assert (await reader.get("/api/v1/inbound")).status_code == 200
        assert (await reader.get("/api/v1/messages")).status_code == 200
    for path in ("/api/v1/messages", "/api/v1/inbound", "/api/v1/messages/preview?kind=booked"):
        assert (await public.get(path)).status_code == 401
    unknown = new_id()
    for path in (f"messages/{unknown}/resend", f"messages/{unknown}/handled", f"inbound/{unknown}/handled"):
        assert (await desk.post(f"/api/v1/{path}")).json()["code"] == "not-found"


async def test_reading_messages_leaves_a_trace(desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = await booked(desk)
    message = await notice(desk, visit)
    await desk.get(f"/api/v1/messages/{message['id']}")
    [listed] = await audited(pool, "messages.listed")
    assert listed["details"] == {"patients": [visit["patient"]["id"]]}
    [read] = await audited(pool, "message.read")
    assert str(read["patient_id"]) == visit["patient"]["id"]


async def receive(pool: Pool, clinic: Clinic, body: str, **more: Any) -> str:
    """Put down a text that came in; which provider brought it does not matter here."""
    inbound_id = new_id()
    row = {"needs_attention": True, "patient_id": None, "received_at": NOW} | more
    await pool.execute(
        """insert into inbound_messages (clinic_id, id, provider_id, sender, recipient, body, received_at, patient_id,
            needs_attention) values ($1, $2, $3, '+12015550142', '+12015550100', $4, $5, $6, $7)""",
        clinic.id, inbound_id, f"in-{inbound_id}", body, row["received_at"], row["patient_id"], row["needs_attention"],
    )  # fmt: skip
    return str(inbound_id)


async def test_what_patients_wrote_is_listed_newest_first_and_crossed_off(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    patient = (await booked(desk))["patient"]
    await receive(pool, clinic, "C", needs_attention=False)
    question = await receive(pool, clinic, "May I bring my dog?", patient_id=patient["id"])
    stranger = await receive(
        pool, clinic, "Who is this?", received_at=datetime.fromisoformat("2026-11-22T10:00:00-05:00")
    )
    everything = (await desk.get("/api/v1/inbound")).json()["items"]
    assert [one["text"] for one in everything] == ["May I bring my dog?", "C", "Who is this?"]
    page = (await desk.get("/api/v1/inbound", params={"needs_attention": "true", "limit": 1})).json()
    assert [one["id"] for one in page["items"]] == [question]
    assert page["items"][0]["patient"] == patient
    assert page["items"][0]["received_at"] == "2026-11-23T10:00:00-05:00"
    cursor = page["next_cursor"]
    rest = (await desk.get("/api/v1/inbound", params={"needs_attention": "true", "cursor": cursor})).json()
    assert ([one["id"] for one in rest["items"]], rest["next_cursor"]) == ([stranger], None)
    [handled, again] = [(await desk.post(f"/api/v1/inbound/{question}/handled")).json() for _ in "12"]
    assert handled == again
    assert (handled["needs_attention"], handled["handled_by"]) == (False, "key:front desk")
    rest = (await desk.get("/api/v1/inbound", params={"needs_attention": "true"})).json()["items"]
    assert [one["id"] for one in rest] == [stranger]
    assert len(await audited(pool, "inbound.handled")) == 1
    assert (await audited(pool, "inbound.listed"))[0]["details"] == {"patients": [patient["id"]]}


async def test_every_text_can_be_seen_with_sample_data_and_what_it_costs(desk: httpx.AsyncClient) -> None:
    unknown = (await desk.get("/api/v1/messages/preview", params={"kind": "birthday"})).json()
    assert unknown["errors"][0]["pointer"] == "?kind"
    known = unknown["errors"][0]["detail"].partition("choose from ")[2].split(", ")
    assert "reminder_24h" in known
    for kind in known:
        for language in ("en", "es"):
            answer = await desk.get("/api/v1/messages/preview", params={"kind": kind, "language": language})
            text = answer.json()
            assert (text["encoding"], text["segments"], text["subject"]) == ("GSM-7", 1, "")
            assert text["units"] == len(text["text"])
    sample = (await desk.get("/api/v1/messages/preview", params={"kind": "rescheduled"})).json()["text"]
    assert "Mon Nov 30 9:00 AM" in sample
    assert "Mon Nov 30 10:00 AM" in sample
    email = (await desk.get("/api/v1/messages/preview", params={"kind": "booked", "channel": "email"})).json()
    assert email["subject"] != ""
    assert (email["encoding"], email["units"], email["segments"]) == (None, None, None)


async def test_the_ends_of_a_list_are_the_moments_that_were_sent(desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = (await book(desk, "eval-run", TEN)).json()
    due = datetime.fromisoformat("2026-12-01T12:00:30.500000+00:00")
    await pool.execute("update messages set not_before = $2 where visit_id = $1", visit["id"], due)

    async def listed(kind: str, first: str, last: str) -> bool:
        answer = await desk.get(f"/api/v1/{kind}", params={"from": first, "to": last})
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["items"])

    assert await listed("messages", "2026-12-01T12:00:30.5Z", "2026-12-01T12:00:31Z")
    assert await listed("messages", "2026-12-01T12:00:30Z", "2026-12-01T12:00:30.500001Z")
    assert not await listed("messages", "2026-12-01T12:00:30.500001Z", "2026-12-01T12:01:00Z")
    assert not await listed("messages", "2026-12-01T12:00:00Z", "2026-12-01T12:00:30.5Z")
    assert await listed("visits", TEN, TEN.replace(":00-05", ":01-05"))
    assert not await listed("visits", TEN.replace(":00-05", ":01-05"), TEN.replace(":00-05", ":59-05"))


async def test_a_cursor_that_is_none_is_refused(desk: httpx.AsyncClient) -> None:
    for path in ("/api/v1/messages", "/api/v1/inbound"):
        refused = await desk.get(path, params={"cursor": "the next one"})
        assert refused.json()["errors"][0]["pointer"] == "?cursor"
