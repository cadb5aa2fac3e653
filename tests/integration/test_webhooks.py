"""Webhooks: subscribed to, changed and removed by administrators, and nobody else's business."""

from datetime import datetime
from typing import Any

import httpx
import pytest
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.api_keys import SCOPES, create_api_key
from scheduler.services.webhook_delivery import Courier
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of, make_key
from tests.integration.requests import TEN, act, book
from tests.integration.telling import MINUTE, deliver_all, deliveries, delivery, subscribe
from tests.simulators.receiver import Receiver

pytestmark = pytest.mark.usefixtures("monday")


async def test_a_subscription_is_made_read_changed_and_removed(
    desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, now: datetime, pool: Pool
) -> None:
    made = await desk.post(
        "/api/v1/webhooks",
        json={"url": receiver.url, "events": ["visit.booked", "visit.booked"], "description": "Billing"},
    )
    webhook, body = made.headers["Location"], made.json()
    assert body["webhook"]["events"] == ["visit.booked"]
    assert body["secret"].startswith("whsec_")
    assert (await desk.get(webhook)).json() == body["webhook"]
    assert (await desk.get("/api/v1/webhooks")).json() == {"items": [body["webhook"]], "next_cursor": None}
    changed = await desk.patch(webhook, json={"events": ["visit.cancelled"], "url": f"{receiver.url}/new"})
    assert changed.json() == body["webhook"] | {"events": ["visit.cancelled"], "url": f"{receiver.url}/new"}
    visit = (await book(desk, "follow-up", TEN)).json()
    await act(desk, visit, "cancel", reason="asked by phone")
    assert (await desk.delete(webhook)).status_code == 204
    await deliver_all(courier, now + MINUTE)
    assert receiver.received == []
    assert await pool.fetchval("select state from webhook_deliveries") == "cancelled"
    for request in (desk.get(webhook), desk.delete(webhook), desk.post(f"{webhook}/test"), desk.patch(webhook, json={}),
                    desk.get(f"{webhook}/deliveries"), desk.post(f"{webhook}/secret/rotate")):  # fmt: skip
        assert (await request).status_code == 404
    assert (await desk.get("/api/v1/webhooks")).json()["items"] == []
    traces = await pool.fetch("select * from audit_events where action like 'webhook%' order by id")
    assert [row["action"] for row in traces] == ["webhook.created", "webhook.changed", "webhook.removed"]
    assert {row["actor"] for row in traces} == {"key:front desk"}
    assert "127.0.0.1" not in str([row["details"] for row in traces])


async def test_a_retry_of_a_subscription_tells_the_secret_again_though_it_is_kept_nowhere(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    desk.headers["Idempotency-Key"] = "subscribed-once"
    body = {"url": "https://example.com/hooks", "events": ["visit.booked"]}
    first, second = [await desk.post("/api/v1/webhooks", json=body) for _ in range(2)]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (second.status_code, second.json()) == (201, first.json())
    assert await pool.fetchval("select count(*) from webhooks") == 1
    secret = first.json()["secret"].removeprefix("whsec_")
    for table in ("webhooks", "idempotency_keys", "audit_events"):
        kept = await pool.fetch(f"select to_jsonb(it)::text as row from {table} as it")
        bodies = await pool.fetch("select convert_from(body, 'UTF8') as row from idempotency_keys")
        assert kept
        assert bodies
        assert all(secret not in row["row"] for row in [*kept, *bodies])


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/hooks", "url-not-https"),
        ("ftp://example.com/hooks", "url-not-https"),
        ("https://user:password@example.com/", "url-with-user"),
        ("https://example.com/#part", "url-with-fragment"),
        ("https://10.0.0.7/", "url-private"),
        ("https://169.254.169.254/latest", "url-private"),
        ("https://[fd00::1]/", "url-private"),
        ("https://[::ffff:10.0.0.7]/", "url-private"),
        ("https://127.1/", "url-invalid"),
        ("https://2130706433/", "url-invalid"),
        ("https://0x7f.0x0.0x0.0x1/", "url-invalid"),
        ("https:///hooks", "url-invalid"),
        ("https://example.com:0/", "url-invalid"),
        ("https://example.com:port/", "url-invalid"),
        ("https://[::1/", "url-invalid"),
        ("https://exämple.com/", "url-invalid"),
        ("https://example.com\\@10.0.0.7/", "url-invalid"),
        ("https://example.com/a b", "url-invalid"),
        ("", "url-invalid"),
    ],
)
async def test_an_address_that_may_not_be_told_is_refused_by_name(
    desk: httpx.AsyncClient, receiver: Receiver, url: str, code: str
) -> None:
    webhook, _ = await subscribe(desk, receiver.url)
    made = await desk.post("/api/v1/webhooks", json={"url": url, "events": ["visit.booked"]})
    changed = await desk.patch(webhook, json={"url": url})
    for refused in (made, changed):
        assert refused.status_code == 422
        assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [("/url", code)]
    assert (await desk.get(webhook)).json()["url"] == receiver.url


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "https://example.com/", "events": []}, "/events"),
        ({"url": "https://example.com/", "events": ["webhook.test"]}, "/events/0"),
        ({"url": "https://example.com/", "events": ["visit.booked"], "secret": "mine"}, "/secret"),
        ({"events": ["visit.booked"]}, "/url"),
        ({"url": "https://example.com/" + "a" * 2000, "events": ["visit.booked"]}, "/url"),
    ],
)
async def test_a_subscription_that_makes_no_sense_is_refused_by_its_field(
    desk: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    refused = await desk.post("/api/v1/webhooks", json=body)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_lists_come_in_pages_newest_first(desk: httpx.AsyncClient) -> None:
    made = [(await subscribe(desk, f"https://example.com/{number}"))[0].rpartition("/")[2] for number in range(3)]
    first = (await desk.get("/api/v1/webhooks", params={"limit": 2})).json()
    second = (await desk.get("/api/v1/webhooks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
    path = f"/api/v1/webhooks/{made[0]}"
    tests = [(await desk.post(f"{path}/test")).json()["id"] for _ in range(3)]
    page = (await desk.get(f"{path}/deliveries", params={"limit": 2})).json()
    rest = await deliveries(desk, path, cursor=page["next_cursor"], status="pending")
    assert [one["id"] for one in page["items"] + rest] == tests[::-1]
    assert (await desk.get("/api/v1/webhooks", params={"cursor": "nonsense"})).status_code == 422


async def test_only_an_administrator_sees_or_changes_webhooks(
    app: Litestar, desk: httpx.AsyncClient, public: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    webhook, _ = await subscribe(desk, "https://example.com/hooks")
    every_other = [scope for scope in SCOPES if scope != "admin"]
    async with pool.acquire() as connection:
        _, key = await create_api_key(connection, clinic, "all but admin", every_other, actor=SYSTEM)
    async with client_of(app, Authorization=f"Bearer {key}") as other:
        for client, status in ((other, 403), (public, 401)):
            body = {"url": "https://example.com/", "events": ["visit.booked"]}
            for method, path, sent in (
                ("POST", "/api/v1/webhooks", body), ("GET", "/api/v1/webhooks", None), ("GET", webhook, None),
                ("PATCH", webhook, {}), ("DELETE", webhook, None), ("POST", f"{webhook}/secret/rotate", None),
                ("POST", f"{webhook}/test", None), ("GET", f"{webhook}/deliveries", None),
                ("POST", f"{webhook}/deliveries/{new_id()}/redeliver", None),
            ):  # fmt: skip
                answer = await client.request(method, path, json=sent)
                assert answer.status_code == status, (method, path)


async def test_another_clinic_neither_sees_a_webhook_nor_is_told_to_it(
    app: Litestar, desk: httpx.AsyncClient, courier: Courier, receiver: Receiver, pool: Pool, clinic: Clinic,
    now: datetime,
) -> None:  # fmt: skip
    await pool.execute(
        "insert into clinics select $2, 'elsewhere', 1, timezone, settings from clinics where id = $1",
        clinic.id,
        new_id(),
    )
    async with pool.acquire() as connection:
        clinics = await load_clinics(connection)
    app.state.directory.replace(clinics)
    (elsewhere,) = [one for one in clinics if one.code == "elsewhere"]
    webhook, _ = await subscribe(desk, f"{receiver.url}/here")
    async with client_of(app, Authorization=f"Bearer {await make_key(pool, elsewhere, 'admin')}") as neighbour:
        theirs, _ = await subscribe(neighbour, f"{receiver.url}/elsewhere")
        await book(desk, "follow-up", TEN)
        await deliver_all(courier, now + MINUTE)
        assert [one.path for one in receiver.received] == ["/hooks/here"]
        assert await deliveries(neighbour, theirs) == []
        told = (await delivery(desk, webhook))["id"]
        for method, path in (
            ("GET", webhook), ("DELETE", webhook), ("POST", f"{webhook}/test"), ("GET", f"{webhook}/deliveries"),
            ("POST", f"{webhook}/secret/rotate"), ("POST", f"{webhook}/deliveries/{told}/redeliver"),
            ("POST", f"{theirs}/deliveries/{told}/redeliver"),
        ):  # fmt: skip
            assert (await neighbour.request(method, path)).status_code == 404, (method, path)
        assert (await neighbour.patch(webhook, json={"paused": True})).status_code == 404
    assert (await desk.get(webhook)).json()["paused"] is False
