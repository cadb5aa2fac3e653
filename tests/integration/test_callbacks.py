"""What Twilio reports about our texts: believed when it is signed, in any order, and once."""

import base64
import hmac
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar

from scheduler.channels.twilio_reports import Report
from scheduler.domain.clinics import Clinic
from scheduler.services.callbacks import take_report
from tests.integration.conftest import client_of
from tests.integration.requests import ASH, book, messages_of
from tests.integration.texting import Line
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, Fault

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TEN = "2026-12-08T10:00:00-05:00"
VISIT_AT = datetime.fromisoformat(TEN)
SID = "SM" + "a" * 32
BASE = "https://clinic.example"
FIELDS = {
    "AccountSid": ACCOUNT_SID, "MessageSid": SID, "MessageStatus": "delivered", "To": "+12015550142",
    "From": OUR_NUMBER, "ErrorCode": "", "Body": " señor & 100% + 👍 ", "ApiVersion": "2010-04-01",
}  # fmt: skip


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as moving:
        yield moving


@pytest.fixture
async def outside(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Yield somebody who calls the hooks as a proxy passes it on: under a name that nobody was told."""
    before = app.state.settings
    app.state.settings = msgspec.structs.replace(
        before, twilio_account_sid=ACCOUNT_SID, twilio_auth_token=AUTH_TOKEN,
        twilio_auth_token_secondary="the-next-token", public_base_url=BASE,
    )  # fmt: skip
    async with client_of(app) as client:
        yield client
    app.state.settings = before


def signed(url: str, fields: Mapping[str, str], token: str = AUTH_TOKEN, algorithm: str = "sha1") -> str:
    """Sign as Twilio's documentation says, by other code than its library's."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), algorithm)).decode()


async def call(
    client: httpx.AsyncClient, path: str, fields: Mapping[str, str], signature: str | None, **headers: str
) -> httpx.Response:
    sent: dict[str, str | bytes] = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    if signature is not None:
        sent["X-Twilio-Signature"] = signature.encode("latin-1")
    return await client.post(path, content=urlencode(fields), headers=sent)  # pyright: ignore[reportArgumentType]


async def booked_text(desk: httpx.AsyncClient, patient: dict[str, Any] = ASH) -> dict[str, Any]:
    """Book, and return the text that says so as it is planned."""
    visit = (await book(desk, "follow-up", TEN, patient=patient)).json()
    return next(one for one in await messages_of(desk, visit) if one["channel"] == "sms" and one["kind"] == "booked")


async def reminder_of(desk: httpx.AsyncClient, line: Line, patient: dict[str, Any] = ASH) -> dict[str, Any]:
    """Book, let everything up to the reminder of the day before leave, and return that."""
    visit = (await book(desk, "follow-up", TEN, patient=patient)).json()
    await line.send()
    await line.send(VISIT_AT - timedelta(hours=23))
    return next(one for one in await messages_of(desk, visit) if one["template"] == "reminder_24h")


async def message(desk: httpx.AsyncClient, message_id: str) -> dict[str, Any]:
    return (await desk.get(f"/api/v1/messages/{message_id}")).json()["message"]


PATHS = ["/hooks/twilio/status/019ae0c4-8b00-7000-8000-000000000009", "/hooks/twilio/inbound"]


@pytest.mark.parametrize("path", PATHS)
async def test_what_nobody_signed_is_refused_and_nothing_is_told(outside: httpx.AsyncClient, path: str) -> None:
    good = signed(BASE + path, FIELDS)
    refused = {
        "no signature": await call(outside, path, FIELDS, None),
        "an empty signature": await call(outside, path, FIELDS, ""),
        "no base64": await call(outside, path, FIELDS, "ñ\x7f"),
        "another token": await call(outside, path, FIELDS, signed(BASE + path, FIELDS, "wrong")),
        "no token at all": await call(outside, path, FIELDS, signed(BASE + path, FIELDS, "")),
        "a field more": await call(outside, path, {**FIELDS, "Extra": ""}, good),
        "a blank field less": await call(outside, path, {**FIELDS, "ErrorCode": "0"}, good),
        "a field dropped": await call(outside, path, {k: v for k, v in FIELDS.items() if k != "ErrorCode"}, good),
        "a trimmed body": await call(outside, path, {**FIELDS, "Body": FIELDS["Body"].strip()}, good),
        "the address in the clear": await call(outside, path, FIELDS, signed(f"http://clinic.example{path}", FIELDS)),
        "the host it was asked at": await call(outside, path, FIELDS, signed(f"http://clinic.test{path}", FIELDS)),
        "a slash more": await call(outside, f"{path}/", FIELDS, good),
        "a query more": await call(outside, f"{path}?a=b", FIELDS, good),
        "another algorithm": await call(
            outside, path, FIELDS, good, **{"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256"}
        ),
        "an unknown algorithm": await call(
            outside, path, FIELDS, good, **{"X-Twilio-Webhooks-Signature-Settings": "algorithm=NONE"}
        ),
        "another account": await call(
            outside, path, other := {**FIELDS, "AccountSid": "AC" + "6" * 32}, signed(BASE + path, other)
        ),
    }  # fmt: skip
    assert {why: answer.status_code for why, answer in refused.items()} == dict.fromkeys(refused, 403)
    assert {answer.json()["code"] for answer in refused.values()} == {"signature-invalid"}


@pytest.mark.parametrize("token", [AUTH_TOKEN, "the-next-token"])
@pytest.mark.parametrize("query", ["", "?a=b%20c&d="])
async def test_what_twilio_signed_is_read_whatever_host_and_proxy_say(
    outside: httpx.AsyncClient, token: str, query: str
) -> None:
    path = f"/hooks/twilio/inbound{query}"
    fields = {**FIELDS, "From": "+12015550199"}
    signature = signed(BASE + path, fields, token)
    answer = await call(outside, path, fields, signature, **{"Host": "10.0.0.5:8000", "X-Forwarded-Proto": "http"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text.endswith("<Response/>")


async def test_a_port_in_the_signed_address_and_the_newer_algorithm_are_understood(outside: httpx.AsyncClient) -> None:
    path, fields = "/hooks/twilio/inbound", {**FIELDS, "From": "+12015550199"}
    assert (await call(outside, path, fields, signed(f"{BASE}:443{path}", fields))).status_code == 200
    newer = {"X-Twilio-Webhooks-Signature-Settings": "key=k, algorithm=HMAC_SHA256"}
    assert (await call(outside, path, fields, signed(BASE + path, fields, algorithm="sha256"), **newer)).is_success


async def test_without_a_token_nothing_is_believed(public: httpx.AsyncClient) -> None:
    path = "/hooks/twilio/inbound"
    fields = {**FIELDS, "AccountSid": ""}
    assert (await call(public, path, fields, signed(f"http://127.0.0.1:8000{path}", fields, ""))).status_code == 403


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_a_body_that_is_no_form_is_refused(outside: httpx.AsyncClient, kind: str) -> None:
    headers = {"X-Twilio-Signature": "x", **({"Content-Type": kind} if kind else {})}
    answer = await outside.post("/hooks/twilio/inbound", content=b'{"a": 1}', headers=headers)
    assert answer.status_code == 415


async def test_a_body_of_any_bytes_is_answered_and_never_an_error_of_ours(outside: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": "x"}
    for body in (b"", b"\xff\xfe=\x00", b"%ff=%ed%a0%80&&&=", b"a" * 60_000, b"a=1&" * 10_000):
        answer = await outside.post("/hooks/twilio/inbound", content=body, headers=headers)
        assert answer.status_code == 403, body[:20]
    for bad in ({}, {"MessageSid": "\x00"}, {"MessageSid": SID}):
        fields = {"AccountSid": ACCOUNT_SID, **bad}
        for path in PATHS:
            assert (await call(outside, path, fields, signed(BASE + path, fields))).status_code == 400


async def test_a_message_that_is_not_ours_is_answered_the_same_whatever_is_said_of_it(
    outside: httpx.AsyncClient,
) -> None:
    answers: set[tuple[int, str]] = set()
    for of in (str(uuid4()), str(uuid4()), "17", "%00", "a b"):
        path = f"/hooks/twilio/status/{of}"
        answer = await call(outside, path, FIELDS, signed(BASE + path.replace(" ", "%20"), FIELDS))
        answers.add((answer.status_code, answer.json()["detail"]))
    assert answers == {(404, "There is no such message.")}


async def test_a_report_needs_no_key_and_is_not_counted(line: Line, desk: httpx.AsyncClient) -> None:
    planned = await booked_text(desk)
    await line.send()
    sid = line.twilio.accepted[0].sid
    answers = {await line.twilio.report(line.url, planned["id"], sid, "delivered") for _ in range(60)}
    assert answers == {204}
    assert [row["status"] for row in await line.rows("select status from provider_events")] == ["delivered"]


async def test_a_text_is_followed_to_the_phone(line: Line, desk: httpx.AsyncClient) -> None:
    line.twilio.callbacks = ("queued", "sending", "sent", "delivered")
    planned = await booked_text(desk)
    await line.send()
    found = await message(desk, planned["id"])
    assert (found["state"], found["provider_id"]) == ("delivered", line.twilio.accepted[0].sid)
    assert line.twilio.callback_answers == [204, 204, 204, 204]


async def test_a_report_before_the_answer_decides_and_the_late_answer_changes_nothing(
    line: Line, desk: httpx.AsyncClient
) -> None:
    line.twilio.callbacks = ("sent", "delivered")
    line.twilio.faults.append(Fault(status=500, accepted=True, delay=0.5))
    planned = await booked_text(desk, ASH | {"email": None})
    await line.send()
    assert (await message(desk, planned["id"]))["state"] == "delivered"
    assert len(line.twilio.accepted) == 1
    (attempt,) = await line.rows("select outcome, provider_id from message_attempts")
    assert attempt == {"outcome": "accepted", "provider_id": line.twilio.accepted[0].sid}


@pytest.mark.parametrize("state", ["pending", "sending", "unknown", "dead", "expired", "suppressed", "failed"])
async def test_whatever_we_thought_of_a_text_that_twilio_has_it_is_sent(
    line: Line, desk: httpx.AsyncClient, state: str
) -> None:
    planned = await booked_text(desk, ASH | {"email": None})
    await line.pool.execute(
        """update messages set state = $2, lease_token = case when $2 = 'sending' then gen_random_uuid() end,
            lease_until = case when $2 = 'sending' then now() end,
            next_check_at = case when $2 = 'unknown' then now() end where id = $1""",
        UUID(planned["id"]), state,
    )  # fmt: skip
    assert await line.twilio.report(line.url, planned["id"], SID, "sent") == 204
    found = await message(desk, planned["id"])
    assert (found["state"], found["provider_id"], found["reason"]) == ("sent", SID, None)
    await line.send()
    assert line.twilio.accepted == []


async def test_a_text_that_was_voided_stays_so_and_the_report_is_kept(line: Line, desk: httpx.AsyncClient) -> None:
    planned = await booked_text(desk)
    await line.pool.execute("update messages set state = 'cancelled' where id = $1", UUID(planned["id"]))
    assert await line.twilio.report(line.url, planned["id"], SID, "delivered") == 204
    assert (await message(desk, planned["id"]))["state"] == "cancelled"
    (kept,) = await line.rows("select status, message_id from provider_messages")
    assert kept == {"status": "delivered", "message_id": UUID(planned["id"])}


async def test_two_ids_for_one_text_are_both_kept_and_no_error(
    line: Line, desk: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    planned = await booked_text(desk, ASH | {"email": None})
    await line.send()
    assert await line.twilio.report(line.url, planned["id"], SID, "delivered") == 204
    kept = await line.rows("select provider_id from provider_messages where message_id = $1", UUID(planned["id"]))
    assert {row["provider_id"] for row in kept} == {SID, line.twilio.accepted[0].sid}
    assert (await message(desk, planned["id"]))["state"] == "delivered"
    assert "message.doubled" in "".join(capfd.readouterr())
    (task,) = (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]
    assert (task["kind"], task["message_id"]) == ("sent-twice", planned["id"])
    assert "scheduler_messages_doubled 1.0" in (await desk.get("/metrics")).text


async def test_another_clinics_texts_are_found_by_their_own_ids(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    planned = await booked_text(desk)
    line.app.state.directory.replace([msgspec.structs.replace(clinic, id=uuid4(), code="other")])
    assert await line.twilio.report(line.url, planned["id"], SID, "delivered") == 404


STATUSES = [
    "scheduled", "accepted", "queued", "sending", "sent", "canceled", "failed", "undelivered", "delivered", "read",
    "something-new",
]  # fmt: skip
FINAL = {
    "canceled": "failed",
    "failed": "failed",
    "undelivered": "undelivered",
    "delivered": "delivered",
    "read": "delivered",
}
ORDER = ["canceled", "failed", "undelivered", "delivered", "read"]


def outcome_of(reports: list[tuple[str, str]]) -> str:
    """Say again, plainly, what a list of reports amounts to: the last word of ``ORDER`` that anybody said."""
    final = [status for status in ORDER if any(said == status for _, said in reports)]
    return FINAL[final[-1]] if final else "sent"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    reports=st.lists(
        st.tuples(st.sampled_from([SID, "SM" + "b" * 32]), st.sampled_from(STATUSES)), min_size=1, max_size=8
    ),
    state=st.sampled_from(["pending", "sending", "unknown", "sent", "dead"]),
    data=st.data(),
)
async def test_reports_in_any_order_and_number_come_to_the_same(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic, reports: list[tuple[str, str]], state: str, data: st.DataObject
) -> None:
    # The visit is booked by the first example, and serves them all.
    found = await line.pool.fetchval("select id from messages where channel = 'sms' and kind = 'booked'")
    message_id = found or UUID((await booked_text(desk))["id"])
    shuffled = data.draw(st.permutations(reports + reports[:3]))
    ends: list[dict[str, Any]] = []
    for order in (reports, shuffled):
        async with line.pool.acquire() as connection:
            trial = connection.transaction()
            await trial.start()
            await connection.execute(
                """update messages set state = $2, lease_token = case when $2 = 'sending' then gen_random_uuid() end,
                    next_check_at = case when $2 = 'unknown' then now() end where id = $1""",
                message_id, state,
            )  # fmt: skip
            for sid, status in order:
                code = "30007" if status in ("failed", "undelivered", "canceled") else None
                report = Report(provider_id=sid, status=status, error_code=code)
                await take_report(connection, [clinic], message_id, report, now=NOW)
            row = await connection.fetchrow(
                "select state, provider_id, error_code, reason, lease_token, next_check_at from messages where id = $1",
                message_id,
            )
            await trial.rollback()
        assert row is not None
        # Two ids that are equally far are both the message's; which of them it shows is the first one's luck.
        end = dict(row.items())
        del end["provider_id"]
        ends.append(end)
    assert ends[0]["state"] == outcome_of(reports)
    assert ends[0] == ends[1]


async def tasks(desk: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]


async def test_a_reminder_that_did_not_arrive_goes_by_email_and_is_a_task(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    reminder = await reminder_of(desk, line)
    clock.move_to(VISIT_AT - timedelta(hours=22))
    sid = line.twilio.accepted[-1].sid
    for status in ("sent", "undelivered", "undelivered"):
        assert await line.twilio.report(line.url, reminder["id"], sid, status, ErrorCode="30007") == 204
    found = await message(desk, reminder["id"])
    assert (found["state"], found["error_code"]) == ("undelivered", "30007")
    assert found["reason"] == "The phone company took the text for an unwanted one."
    await line.send()
    instead = [one for one in await messages_of(desk, {"id": reminder["visit_id"]}) if one["channel"] == "email"]
    assert [one["state"] for one in instead if one["template"] == "reminder_24h"] == ["sent"]
    (task,) = await tasks(desk)
    assert (task["kind"], task["message_id"], task["visit_id"]) == (
        "undeliverable",
        reminder["id"],
        reminder["visit_id"],
    )
    assert task["patient"]["display_name"] == "Ash S."
    assert task["reason"] == "The phone company took the text for an unwanted one. An email says the same."


async def test_a_text_that_arrives_after_all_takes_back_what_stood_in_for_it(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    reminder = await reminder_of(desk, line)
    clock.move_to(VISIT_AT - timedelta(hours=22))
    sid = line.twilio.accepted[-1].sid
    await line.twilio.report(line.url, reminder["id"], sid, "undelivered", ErrorCode="30007")
    await line.twilio.report(line.url, reminder["id"], sid, "delivered")
    assert (await message(desk, reminder["id"]))["state"] == "delivered"
    assert await tasks(desk) == []
    (instead,) = await line.rows("select state from messages where fallback_of is not null")
    assert instead["state"] == "cancelled"


@pytest.mark.parametrize("code", ["30003", "30008", "30500", "30001", "30022"])
async def test_a_phone_out_of_reach_is_tried_once_more_within_the_hour_and_then_no_more(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, code: str
) -> None:
    reminder = await reminder_of(desk, line, ASH | {"email": None})
    failed_at = VISIT_AT - timedelta(hours=22)
    clock.move_to(failed_at)
    await line.twilio.report(line.url, reminder["id"], line.twilio.accepted[-1].sid, "undelivered", ErrorCode=code)
    assert await tasks(desk) == []
    (again,) = await line.rows("select id, not_before, state from messages where resend_of = $1", UUID(reminder["id"]))
    assert failed_at + timedelta(minutes=30) <= again["not_before"] <= failed_at + timedelta(minutes=61)
    assert (await message(desk, reminder["id"]))["handled_by"] == "system"

    clock.move_to(failed_at + timedelta(minutes=62))
    await line.send()
    before = len(line.twilio.accepted)
    await line.twilio.report(line.url, again["id"], line.twilio.accepted[-1].sid, "undelivered", ErrorCode=code)
    clock.move_to(failed_at + timedelta(hours=4))
    await line.send()
    assert len(line.twilio.accepted) == before
    (task,) = await tasks(desk)
    assert task["message_id"] == str(again["id"])


async def test_a_second_try_that_would_come_too_late_is_not_made(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    reminder = await reminder_of(desk, line, ASH | {"email": None})
    await line.pool.execute("update messages set expires_at = $2 where id = $1", UUID(reminder["id"]), VISIT_AT)
    clock.move_to(VISIT_AT - timedelta(minutes=80))
    await line.twilio.report(line.url, reminder["id"], line.twilio.accepted[-1].sid, "undelivered", ErrorCode="30003")
    assert await line.rows("select 1 from messages where resend_of is not null") == []
    assert [task["message_id"] for task in await tasks(desk)] == [reminder["id"]]


async def test_a_failure_that_is_reported_in_two_ways_is_one_failure(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    reminder = await reminder_of(desk, line)
    clock.move_to(VISIT_AT - timedelta(hours=22))
    for status in ("failed", "undelivered"):
        await line.twilio.report(line.url, reminder["id"], line.twilio.accepted[-1].sid, status, ErrorCode="30003")
    assert len(await line.rows("select 1 from messages where resend_of is not null")) == 1
    assert await line.rows("select 1 from messages where fallback_of is not null") == []
    assert await tasks(desk) == []


@pytest.mark.parametrize("code", ["30005", "30006"])
async def test_a_number_that_takes_no_texts_gets_no_more_of_them(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, code: str
) -> None:
    planned = await booked_text(desk)
    await line.send()
    sent = len(line.twilio.accepted)
    await line.twilio.report(line.url, planned["id"], line.twilio.accepted[0].sid, "failed", ErrorCode=code)
    clock.move_to(VISIT_AT - timedelta(hours=23))
    await line.send()
    assert len(line.twilio.accepted) == sent
    (reminder,) = await line.rows(
        "select state, reason from messages where template = 'reminder_24h' and channel = 'sms'"
    )
    assert reminder["state"] == "suppressed"


async def test_a_sender_that_carriers_refuse_makes_texts_rest(line: Line, desk: httpx.AsyncClient) -> None:
    planned = await booked_text(desk)
    await line.send()
    await line.twilio.report(line.url, planned["id"], line.twilio.accepted[0].sid, "failed", ErrorCode="30034")
    (pause,) = await line.rows("select channel, reason from channel_pauses")
    assert pause == {"channel": "sms", "reason": "The clinic's number is not registered with the carriers."}


async def test_who_told_twilio_to_stop_is_on_record_as_having_stopped(line: Line, desk: httpx.AsyncClient) -> None:
    planned = await booked_text(desk)
    await line.send()
    await line.twilio.report(line.url, planned["id"], line.twilio.accepted[0].sid, "failed", ErrorCode="21610")
    last = await line.rows("select granted, method from consents where channel = 'sms' order by recorded_at")
    assert last[-1] == {"granted": False, "method": "provider"}
    (reminder,) = await line.rows("select state from messages where template = 'reminder_24h' and channel = 'sms'")
    assert reminder["state"] == "suppressed"


async def test_nobody_is_called_about_a_visit_that_has_begun_or_moved(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    reminder = await reminder_of(desk, line)
    clock.move_to(VISIT_AT + timedelta(minutes=1))
    await line.twilio.report(line.url, reminder["id"], line.twilio.accepted[-1].sid, "undelivered", ErrorCode="30007")
    assert (await message(desk, reminder["id"]))["state"] == "undelivered"
    assert await tasks(desk) == []
    assert await line.rows("select 1 from messages where fallback_of is not null") == []


async def test_a_task_is_crossed_off_once_and_told_by_whom(line: Line, desk: httpx.AsyncClient) -> None:
    planned = await booked_text(desk, ASH | {"email": None})
    await line.send()
    await line.twilio.report(line.url, planned["id"], line.twilio.accepted[0].sid, "failed", ErrorCode="30007")
    (task,) = await tasks(desk)
    assert task["open"] is True
    for _ in range(2):
        handled = (await desk.post(f"/api/v1/tasks/{task['id']}/handled")).json()
        assert (handled["open"], handled["handled_by"]) == (False, "key:front desk")
    assert await tasks(desk) == []
    assert len((await desk.get("/api/v1/tasks", params={"kind": "undeliverable"})).json()["items"]) == 1
    assert (await desk.get("/api/v1/tasks", params={"kind": "wants-to-move"})).json()["items"] == []
    trace = await line.rows("select actor from audit_events where action = 'task.handled'")
    assert trace == [{"actor": "key:front desk"}]
    assert (await desk.post(f"/api/v1/tasks/{uuid4()}/handled")).status_code == 404
    assert (await desk.get("/api/v1/tasks", params={"kind": "nothing"})).status_code == 422


async def test_callbacks_are_answered_in_milliseconds(
    desk: httpx.AsyncClient, outside: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = await booked_text(desk, ASH | {"email": None})
    path = f"/hooks/twilio/status/{planned['id']}"
    calls = {
        "reports": [
            (path, {**FIELDS, "MessageSid": f"SM{number // 4:032x}", "MessageStatus": STATUSES[number % 4 + 1]})
            for number in range(100)
        ],
        "texts": [
            (
                "/hooks/twilio/inbound",
                {
                    **FIELDS,
                    "MessageSid": f"SM{number:032x}",
                    "From": "+12015550142",
                    "Body": "R" if number % 2 else "C",
                },
            )
            for number in range(100)
        ],
    }
    for what, requests in calls.items():
        taken: list[float] = []
        for where, fields in requests:
            signature = signed(BASE + where, fields)
            began = time.perf_counter()
            assert (await call(outside, where, fields, signature)).is_success
            taken.append((time.perf_counter() - began) * 1000)
        taken.sort()
        with capsys.disabled():
            print(f"\n{what}: p50 {taken[49]:.1f} ms, p99 {taken[98]:.1f} ms")  # noqa: T201 - figures to be read
        assert taken[49] < 100
