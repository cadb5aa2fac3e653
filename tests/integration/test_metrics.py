"""Operators see at a glance that answers are quick and reminders flow, and nobody else sees anything."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.api_keys import create_api_key
from scheduler.services.breaker import rest
from scheduler.store.connections import Pool
from scheduler.store.heartbeats import beat
from scheduler.web.metrics import BOUNDS
from tests.integration.conftest import client_of
from tests.integration.requests import ASH, book, messages_of

TEN = "2026-12-08T10:00:00-05:00"
REQUESTS = "scheduler_request_duration_seconds"

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
async def local(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client on this machine that asks for this machine."""
    app.state.latencies._series.clear()
    async with client_of(app, Host="127.0.0.1:8000") as client:
        yield client


async def scrape(client: httpx.AsyncClient) -> Values:
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def counted(values: Values, operation: str, status: str) -> float:
    return values.get((f"{REQUESTS}_count", (("operation", operation), ("status", status))), 0.0)


async def test_answers_are_counted_by_operation_and_class_of_status(
    local: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    for _ in range(3):
        await public.get("/api/v1/clinic")
    await public.head("/api/v1/clinic")
    for _ in range(2):
        await public.get(f"/api/v1/visits/{new_id()}")
    await public.get(f"/api/v1/visits/{new_id()}/nothing")
    await public.get("/docs")
    values = await scrape(local)
    assert counted(values, "getClinic", "2xx") == 4
    assert counted(values, "getVisit", "4xx") == 2
    assert counted(values, "none", "4xx") == 1
    assert counted(values, "show_documentation", "2xx") == 1
    labels = (("operation", "getClinic"), ("status", "2xx"))
    buckets = [values[f"{REQUESTS}_bucket", tuple(sorted((*labels, ("le", str(bound)))))] for bound in BOUNDS]
    assert buckets == sorted(buckets)
    assert values[f"{REQUESTS}_bucket", tuple(sorted((*labels, ("le", "+Inf"))))] == 4
    assert 0 < values[f"{REQUESTS}_sum", labels] < 4


async def test_no_number_of_series_grows_with_what_is_asked_for_and_none_names_anybody(
    local: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    visit = (await book(desk, "eval-run", TEN, patient=ASH)).json()
    for _ in range(5):
        await desk.get(f"/api/v1/visits/{new_id()}")
        await desk.get(f"/{new_id()}")
    text = (await local.get("/metrics")).text
    assert len(re.findall(rf"^{REQUESTS}_count", text, re.MULTILINE)) == 3
    assert not re.search(r"Ash|Sample|201 ?555|example\.com|[0-9a-f]{8}-", text)
    assert visit["id"] not in text


async def test_the_outbox_is_counted_by_what_is_not_done_with(
    local: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = (await book(desk, "eval-run", TEN)).json()
    messages = await messages_of(desk, visit)
    states = ["sent", "delivered", "failed", "dead", *(["pending"] * (len(messages) - 4))]
    for message, state in zip(messages, states, strict=True):
        await pool.execute("update messages set state = $2 where id = $1", message["id"], state)

    def outbox(values: Values) -> dict[str, float]:
        return {labels[0][1]: value for (name, labels), value in values.items() if name == "scheduler_outbox_messages"}

    assert outbox(await scrape(local)) == {
        "pending": len(messages) - 4, "sending": 0, "unknown": 0, "failed": 1, "dead": 1, "undelivered": 0,
    }  # fmt: skip
    failed = messages[states.index("failed")]
    assert (await desk.post(f"/api/v1/messages/{failed['id']}/handled")).status_code == 200
    assert outbox(await scrape(local))["failed"] == 0


async def test_a_worker_that_stopped_and_a_message_that_is_stuck_are_seen(
    local: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    values = await scrape(local)
    assert ("scheduler_worker_heartbeat_age_seconds", ()) not in values
    assert values["scheduler_outbox_oldest_overdue_seconds", ()] == 0
    async with pool.acquire() as connection:
        await beat(connection, new_id())
    await pool.execute("update worker_heartbeats set beat_at = now() - interval '90 seconds'")
    await book(desk, "eval-run", TEN)
    await pool.execute("update messages set not_before = now() - interval '10 minutes' where kind = 'booked'")
    values = await scrape(local)
    assert 90 <= values["scheduler_worker_heartbeat_age_seconds", ()] < 100
    assert 600 <= values["scheduler_outbox_oldest_overdue_seconds", ()] < 610
    assert values["scheduler_webhook_deliveries_pending", ()] == 0


async def test_a_channel_that_rests_and_what_the_desk_should_see_to_are_seen(
    local: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    sms, email = (
        ("scheduler_channels_resting", (("channel", "sms"),)),
        ("scheduler_channels_resting", (("channel", "email"),)),
    )
    values = await scrape(local)
    assert (values[sms], values[email], values["scheduler_desk_tasks_open", ()]) == (0, 0, 0)
    async with pool.acquire() as connection:
        for channel in ("sms", "sms"):
            await rest(connection, clinic.id, channel, reason="Twilio refuses.")
    values = await scrape(local)
    assert (values[sms], values[email], values["scheduler_desk_tasks_open", ()]) == (1, 0, 1)
    await pool.execute("update channel_pauses set paused_until = now() - interval '1 second'")
    assert (await scrape(local))[sms] == 0


async def test_the_pool_is_seen_at_work(local: httpx.AsyncClient, app: Litestar) -> None:
    pool: Pool = app.state.pool
    before = await scrape(local)
    async with pool.acquire(), pool.acquire():
        during = await scrape(local)
    name = ("scheduler_pool_connections_in_use", ())
    assert (before[name], during[name]) == (0, 2)
    assert during["scheduler_pool_connections_max", ()] == 5


async def test_what_this_process_knows_is_told_when_the_database_is_not_there(
    local: httpx.AsyncClient, pool: Pool
) -> None:
    await local.get("/api/v1/clinic")
    await pool.execute("alter table worker_heartbeats rename to lost_heartbeats")
    try:
        values = await scrape(local)
    finally:
        await pool.execute("alter table lost_heartbeats rename to worker_heartbeats")
    assert values["scheduler_database_up", ()] == 0
    assert counted(values, "getClinic", "2xx") == 1
    assert ("scheduler_outbox_messages", (("state", "pending"),)) not in values
    assert (await scrape(local))["scheduler_database_up", ()] == 1


async def test_a_stranger_sees_no_metrics_and_neither_does_one_behind_a_proxy_on_this_machine(
    app: Litestar, public: httpx.AsyncClient, local: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    refused = await public.get("/metrics")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "scheduler_" not in refused.text
    for header in ({"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=192.0.2.1"}):
        assert (await local.get("/metrics", headers=header)).status_code == 401
    transport = httpx.ASGITransport(app=app, client=("192.0.2.1", 4711))  # pyright: ignore[reportArgumentType]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as far:
        assert (await far.get("/metrics")).status_code == 401
        async with pool.acquire() as connection:
            _, key = await create_api_key(connection, clinic, "prometheus", ["visits:read"], actor=SYSTEM)
        assert (await far.get("/metrics", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert (await far.get("/metrics", headers={"Authorization": "Bearer tbs_none"})).status_code == 401


async def test_measuring_an_answer_takes_next_to_no_time(app: Litestar) -> None:
    latencies = type(app.state.latencies)()
    scope = {"type": "http", "state": {"began": 0.0}}
    message = {"type": "http.response.start", "status": 200}
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(10_000):
        await latencies.observe(message, scope)
    assert (loop.time() - began) / 10_000 < 50e-6
