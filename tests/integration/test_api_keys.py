"""Keys: what each scope opens, how one is taken out of use, and how one takes another's place."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from scheduler.commands import keys
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.errors import ConfigurationError
from scheduler.services.api_keys import SCOPES, create_api_key, list_keys, revoke, rotate
from scheduler.settings import Settings
from scheduler.store.api_keys import ApiKey
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of
from tests.integration.requests import ASH

# There is no scope for reading the schedule alone: whoever may see visits may see why there are no more.
_SEES_SCHEDULE = ("schedule:write", "visits:read")

# Which scopes open an operation to a key, any of them; ``admin`` opens them all. Nothing means that any key will do.
OPENED_BY: dict[str, tuple[str, ...]] = {
    "getClinic": (),
    "listVisitTypes": (),
    "listTherapists": (),
    "listSlots": (),
    "countSlotsByDay": (),
    "createHold": ("visits:write",),
    "extendHold": (),
    "releaseHold": (),
    "bookVisit": ("visits:write",),
    "listVisits": ("visits:read",),
    "getVisit": ("visits:read",),
    "getVisitHistory": ("visits:read",),
    "rescheduleVisit": ("visits:write",),
    "cancelVisit": ("visits:write",),
    "confirmVisit": ("visits:write",),
    "checkInVisit": ("visits:write",),
    "completeVisit": ("visits:write",),
    "markNoShow": ("visits:write",),
    "undoVisit": ("visits:write",),
    "addPatient": ("patients:write",),
    "findPatients": ("patients:read",),
    "getPatient": ("patients:read",),
    "changePatient": ("patients:write",),
    "listPatientVisits": ("patients:read", "visits:read"),
    "addConsent": ("patients:write",),
    "listConsents": ("patients:read",),
    "exportPatient": ("patients:read",),
    "explainAvailability": _SEES_SCHEDULE,
    "getHours": _SEES_SCHEDULE,
    "listOverrides": _SEES_SCHEDULE,
    "getOverride": _SEES_SCHEDULE,
    "listTimeOff": _SEES_SCHEDULE,
    "getTimeOff": _SEES_SCHEDULE,
    "listClosures": _SEES_SCHEDULE,
    "getClosure": _SEES_SCHEDULE,
    "setHours": ("schedule:write",),
    "setOverride": ("schedule:write",),
    "removeOverride": ("schedule:write",),
    "addTimeOff": ("schedule:write",),
    "removeTimeOff": ("schedule:write",),
    "setClosure": ("schedule:write",),
    "removeClosure": ("schedule:write",),
    "listMessages": ("messages:read",),
    "getMessage": ("messages:read",),
    "previewMessage": ("messages:read",),
    "resendMessage": ("messages:write",),
    "handleMessage": ("messages:write",),
    "listInbound": ("messages:read",),
    "handleInbound": ("messages:write",),
    "listTasks": ("messages:read",),
    "handleTask": ("messages:write",),
    "createWebhook": ("admin",),
    "listWebhooks": ("admin",),
    "getWebhook": ("admin",),
    "changeWebhook": ("admin",),
    "removeWebhook": ("admin",),
    "testWebhook": ("admin",),
    "rotateWebhookSecret": ("admin",),
    "listDeliveries": ("admin",),
    "redeliver": ("admin",),
    "getLiveness": (),
    "getReadiness": (),
    "getMetrics": (),
}

# What the public may do as well.
OPEN_TO_ALL = {
    "getClinic", "listVisitTypes", "listTherapists", "listSlots", "countSlotsByDay", "createHold", "extendHold",
    "releaseHold", "bookVisit", "getLiveness", "getReadiness",
}  # fmt: skip

# Bodies that the document does not say enough about.
BODIES: dict[str, Any] = {"bookVisit": {"hold_id": str(uuid4()), "hold_token": "unknown", "patient": ASH}}

# What stands for a parameter or a field of this name, where any text will not do.
VALUES: dict[str, Any] = {
    "visit_type": "follow-up",
    "code": "rivera",
    "therapist": "rivera",
    "from": "2027-01-12",
    "to": "2027-01-13",
    "date": "2027-01-12",
    "day": "2027-01-12",
    "starts_at": "2027-01-12T10:00:00-05:00",
}
BY_FORMAT = {"uuid": str(UUID(int=7)), "date": "2027-01-12", "date-time": "2027-01-12T10:00:00-05:00"}
BY_TYPE: dict[str, Any] = {"string": "sample", "integer": 1, "number": 1, "boolean": True, "array": [], "null": None}


def sample(name: str, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Return a value that a schema allows: of an object, what is needed and no more."""
    if "$ref" in schema:
        return sample(name, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        return sample(name, choice, schemas)
    if "properties" in schema:
        return {key: sample(key, schema["properties"][key], schemas) for key in schema.get("required", ())}
    kind = schema.get("type", "string")
    told = [VALUES[name]] if name in VALUES else [*schema.get("examples", ()), *schema.get("enum", ())]
    return (told or [BY_FORMAT.get(schema.get("format", "")) or BY_TYPE[kind if isinstance(kind, str) else kind[0]]])[0]


def requests_of(app: Litestar) -> dict[str, dict[str, Any]]:
    """Return for every operation of the application's own document a request that has the form it needs."""
    document = app.openapi_schema.to_schema()
    schemas = document["components"]["schemas"]
    found: dict[str, dict[str, Any]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {"If-Match": '"1"'}}
            for parameter in operation.get("parameters", []):
                if parameter.get("required"):
                    value = sample(parameter["name"], parameter["schema"], schemas)
                    parts[parameter["in"]][parameter["name"]] = str(value)
            name, content = operation["operationId"], operation.get("requestBody", {}).get("content", {})
            bodies = [sample("", media["schema"], schemas) for media in content.values()]
            found[name] = {
                "method": method,
                "url": path.format_map(parts["path"]),
                "params": parts["query"],
                "headers": parts["header"],
                "json": BODIES.get(name, next(iter(bodies), None)),
            }
    return found


async def add(pool: Pool, clinic: Clinic, name: str, *scopes: str) -> tuple[UUID, str]:
    async with pool.acquire() as connection, connection.transaction():
        return await create_api_key(connection, clinic, name, list(scopes), actor=SYSTEM)


async def replace(pool: Pool, clinic: Clinic, key_id: UUID, *, hours: int = 24) -> tuple[ApiKey, UUID, str]:
    async with pool.acquire() as connection, connection.transaction():
        return await rotate(connection, clinic, key_id, overlap=timedelta(hours=hours), actor=SYSTEM)


async def ask(app: Litestar, key: str) -> httpx.Response:
    async with client_of(app, Authorization=f"Bearer {key}") as client:
        return await client.get("/api/v1/visits")


async def test_the_table_above_has_every_operation_there_is(app: Litestar) -> None:
    assert set(requests_of(app)) == set(OPENED_BY)
    assert {scope for scopes in OPENED_BY.values() for scope in scopes} <= set(SCOPES)


async def test_each_scope_opens_its_own_operations_and_no_other(app: Litestar, pool: Pool, clinic: Clinic) -> None:
    wrong: list[str] = []
    requests = requests_of(app)
    for scope in SCOPES:
        _, key = await add(pool, clinic, scope, scope)
        async with client_of(app, Authorization=f"Bearer {key}") as client:
            for name in requests.keys() & OPENED_BY.keys():
                response = await client.request(**requests[name])
                opened = not OPENED_BY[name] or scope in (*OPENED_BY[name], "admin")
                named = response.status_code == 403 and response.json().get("scope") in OPENED_BY[name]
                if (opened and response.status_code in (401, 403)) or (not opened and not named):
                    wrong.append(f"{scope}: {name} answered {response.status_code}: {response.text[:200]}")
    assert wrong == []


async def test_without_a_key_there_is_what_the_public_may_do_and_nothing_else(
    app: Litestar, public: httpx.AsyncClient
) -> None:
    for name, request in requests_of(app).items():
        response = await public.request(**request)
        assert (response.status_code != 401) == (name in OPEN_TO_ALL), f"{name}: {response.text}"
        if response.status_code == 401:
            assert response.headers["www-authenticate"] == "Bearer"


async def test_an_unknown_a_revoked_and_an_expired_key_look_the_same(app: Litestar, pool: Pool, clinic: Clinic) -> None:
    revoked_id, revoked = await add(pool, clinic, "revoked", "admin")
    expired_id, expired = await add(pool, clinic, "expired", "admin")
    assert (await ask(app, revoked)).status_code == (await ask(app, expired)).status_code == 200
    async with pool.acquire() as connection:
        assert await revoke(connection, clinic, revoked_id, actor=SYSTEM)
        assert not await revoke(connection, clinic, revoked_id, actor=SYSTEM)
    await replace(pool, clinic, expired_id, hours=0)
    answers: list[dict[str, Any]] = []
    for key in (revoked, expired, "tbs_unknown", "", "of another form altogether"):
        response = await ask(app, key)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        answers.append(response.json() | {"instance": ""})
    assert all(answer == answers[0] for answer in answers)


async def test_a_rotated_key_works_until_its_time_and_its_successor_at_once(
    app: Litestar, pool: Pool, clinic: Clinic
) -> None:
    old_id, old = await add(pool, clinic, "desk", "visits:read", "messages:read")
    before, new_id, new = await replace(pool, clinic, old_id)
    assert before.id == old_id != new_id
    assert old != new
    assert (await ask(app, old)).status_code == (await ask(app, new)).status_code == 200
    async with pool.acquire() as connection:
        by_id = {key.id: key for key in await list_keys(connection, clinic)}
    assert by_id[new_id].name == by_id[old_id].name == "desk"
    assert by_id[new_id].scopes == by_id[old_id].scopes == {"visits:read", "messages:read"}
    assert by_id[new_id].expires_at is None
    left = await pool.fetchval("select expires_at - now() from api_keys where id = $1", old_id)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    await pool.execute("update api_keys set expires_at = now() - interval '1 s' where id = $1", old_id)
    assert ((await ask(app, old)).status_code, (await ask(app, new)).status_code) == (401, 200)
    traces = await pool.fetch("select action, details from audit_events where action like 'api-key.%' order by id")
    assert [trace["action"] for trace in traces] == ["api-key.created", "api-key.rotated"]
    assert traces[1]["details"].items() >= {"key_id": str(new_id), "replaces": str(old_id)}.items()


async def test_a_key_is_rotated_once_and_only_while_it_works(pool: Pool, clinic: Clinic) -> None:
    first_id, _ = await add(pool, clinic, "desk", "admin")
    _, second_id, _ = await replace(pool, clinic, first_id)
    async with pool.acquire() as connection:
        gone_id, _ = await create_api_key(connection, clinic, "gone", ["admin"], actor=SYSTEM)
        await revoke(connection, clinic, gone_id, actor=SYSTEM)
    for key_id in (first_id, gone_id, uuid4()):
        with pytest.raises(ConfigurationError, match="no working key"):
            await replace(pool, clinic, key_id)
    await replace(pool, clinic, second_id)
    assert await pool.fetchval("select count(*) from api_keys where name = 'desk'") == 3


async def test_the_name_of_a_working_key_is_taken_and_that_of_an_expired_one_is_free(
    pool: Pool, clinic: Clinic
) -> None:
    key_id, _ = await add(pool, clinic, "desk", "admin")
    _, new_id, _ = await replace(pool, clinic, key_id)
    async with pool.acquire() as connection:
        await revoke(connection, clinic, new_id, actor=SYSTEM)
    with pytest.raises(ConfigurationError, match="called desk exists already"):
        await add(pool, clinic, "desk", "admin")
    await pool.execute("update api_keys set expires_at = now() - interval '1 s' where id = $1", key_id)
    await add(pool, clinic, "desk", "admin")
    async with pool.acquire() as connection:
        assert not await revoke(connection, clinic, key_id, actor=SYSTEM)


async def test_revoking_ends_a_rotated_key_at_once(app: Litestar, pool: Pool, clinic: Clinic) -> None:
    key_id, key = await add(pool, clinic, "desk", "admin")
    await replace(pool, clinic, key_id)
    async with pool.acquire() as connection:
        assert await revoke(connection, clinic, key_id, actor=SYSTEM)
    assert (await ask(app, key)).status_code == 401


async def test_the_commands_rotate_and_list_keys_and_print_the_new_one_alone(
    app: Litestar, settings: Settings, pool: Pool, clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    key_id, _ = await add(pool, clinic, "desk", "visits:read")
    gone_id, _ = await add(pool, clinic, "gone", "visits:read")
    await keys.revoke(settings, gone_id, None)
    ended_id, _ = await add(pool, clinic, "ended", "visits:read")
    await keys.rotate(settings, ended_id, 0, None)
    capsys.readouterr()
    await keys.rotate(settings, key_id, 48, None)
    printed = capsys.readouterr()
    assert (await ask(app, printed.out.strip())).status_code == 200
    until = clinic.local(await pool.fetchval("select expires_at from api_keys where id = $1", key_id))
    assert f"The old key of desk: works until {until:%Y-%m-%d %H:%M}." in printed.err
    assert printed.out.strip() not in printed.err
    await keys.show(settings, None)
    lines = capsys.readouterr().out.splitlines()
    states = {line.split()[0]: line for line in lines[2:]}
    assert states[str(key_id)].endswith(f"works until {until:%Y-%m-%d %H:%M}")
    assert states[str(gone_id)].endswith("revoked")
    assert states[str(ended_id)].endswith("expired")
    assert sum(line.endswith("works") for line in lines) == 2


async def test_a_key_that_is_none_has_no_transaction_begun_and_leaves_its_connection_free(app: Litestar) -> None:
    pool: Pool = app.state.pool
    asked: list[str] = []
    connections = [await pool.acquire() for _ in range(pool.get_size())]
    for connection in connections:
        connection.add_query_logger(lambda query: asked.append(query.query.split()[0].lower()))
        await pool.release(connection)
    async with client_of(app, Authorization="Bearer nobody") as client:
        statuses = [(await client.post("/api/v1/visits", json={})).status_code for _ in range(2 * pool.get_size())]
    assert set(statuses) == {401}
    assert set(asked) == {"select"}
    assert pool.get_idle_size() == pool.get_size()
