"""The service does what its OpenAPI document says."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.services.api_keys import SCOPES, create_api_key
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of
from tests.integration.documents import PROBLEM, WITHOUT_EXAMPLE, Document, operations, resolved

# What answers a request that is well formed, on a clinic without the visits and patients of the examples.
SOUND = {200, 201, 202, 204, 404, 409, 412}


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """Let the dates of the examples lie ahead, whenever this runs."""
    with time_machine.travel(datetime.fromisoformat("2026-11-23T10:00:00-05:00"), tick=True):
        yield


async def send(client: httpx.AsyncClient, method: str, path: str, operation: Document) -> list[httpx.Response]:
    """Send the request of an operation's own examples: once, or once for each of its bodies."""
    parameters = operation.get("parameters", [])
    values: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for parameter in parameters:
        if parameter["name"] not in WITHOUT_EXAMPLE:
            values[parameter["in"]][parameter["name"]] = parameter["example"]
    bodies = [
        example["value"]
        for media in operation.get("requestBody", {}).get("content", {}).values()
        for example in media["examples"].values()
    ]
    return [
        await client.request(
            method,
            path.format(**values["path"]),
            params={name: str(value).lower() if value is True else value for name, value in values["query"].items()},
            headers={name: str(value) for name, value in values["header"].items()},
            json=body,
        )
        for body in bodies or [None]
    ]


async def key_with(pool: Pool, clinic: Clinic, name: str, *scopes: str) -> dict[str, str]:
    async with pool.acquire() as connection:
        _, key = await create_api_key(connection, clinic, name, list(scopes), actor=SYSTEM)
    return {"Authorization": f"Bearer {key}"}


async def test_who_may_call_is_as_the_document_says(
    app: Litestar, public: httpx.AsyncClient, pool: Pool, clinic: Clinic, document: Document
) -> None:
    for number, (method, path, operation) in enumerate(operations(document)):
        name, security = operation["operationId"], operation["security"]
        assert security in ([{}], [{"key": []}], [{}, {"key": []}]), name
        assert ("403" in operation["responses"]) == ("x-scopes" in operation), name
        assert ("401" in operation["responses"]) == (security != [{}]), name
        if security == [{"key": []}]:
            for answer in await send(public, method, path, operation):
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), name
        if scopes := operation.get("x-scopes"):
            assert all(f"`{scope}`" in operation["description"] for scope in scopes)
            others = [one for one in SCOPES if one not in {*scopes, "admin"}]
            async with client_of(app, **await key_with(pool, clinic, f"without {number}", *others)) as client:
                for answer in await send(client, method, path, operation):
                    assert (answer.status_code, answer.json().get("scope")) == (403, scopes[0]), (name, answer.text)
            for scope in scopes:
                async with client_of(app, **await key_with(pool, clinic, f"{scope} {number}", scope)) as client:
                    for answer in await send(client, method, path, operation):
                        assert answer.status_code not in {401, 403}, (name, answer.text)


async def test_every_example_of_a_request_is_one_that_is_understood(
    app: Litestar, pool: Pool, clinic: Clinic, document: Document
) -> None:
    async with client_of(app, **await key_with(pool, clinic, "front desk", "admin")) as client:
        for method, path, operation in operations(document):
            for answer in await send(client, method, path, operation):
                name = operation["operationId"]
                assert str(answer.status_code) in operation["responses"], (name, answer.text)
                assert answer.status_code in SOUND or name == "getReadiness", (name, answer.text)
                if answer.headers.get("content-type") == PROBLEM:
                    declared = resolved(document, operation["responses"][str(answer.status_code)])
                    assert answer.json()["code"] in declared["content"][PROBLEM]["examples"], (name, answer.text)


async def test_a_request_that_is_refused_keeps_no_connection_to_the_database(app: Litestar, document: Document) -> None:
    pool: Pool = app.state.pool
    wrong = {"Authorization": "Bearer tbs_nobody", "Idempotency-Key": "not a key"}
    for header in ("Authorization", "Idempotency-Key"):
        async with client_of(app, **{header: wrong[header]}) as client:
            for method, path, operation in operations(document):
                for answer in await send(client, method, path, operation):
                    assert answer.status_code < 500 or operation["operationId"] == "getReadiness"
                assert pool.get_idle_size() == pool.get_size(), operation["operationId"]


async def test_the_document_is_served_once_and_then_known_by_its_etag(
    public: httpx.AsyncClient, document: Document
) -> None:
    first = await public.get("/schema/openapi.json")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["cache-control"] == "no-cache"
    assert first.json() == document
    again = await public.get("/schema/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", ["/schema", "/schema/nothing", "/schema/openapi.yaml", "/api", "/api/v2/visits", "/x"])
async def test_what_is_not_there_is_a_problem_wherever_it_is_asked_for(public: httpx.AsyncClient, path: str) -> None:
    answer = await public.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    assert answer.json()["code"] == "not-found"


async def test_a_method_that_is_not_there_is_told_which_ones_are(public: httpx.AsyncClient, document: Document) -> None:
    for path, methods in document["paths"].items():
        address = re.sub("{[^}]*}", "019ae0c4-8b00-7000-8000-000000000001", path)
        there: set[str] = {"OPTIONS", *(method.upper() for method in methods), *(["HEAD"] if "get" in methods else [])}
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - there:
            answer = await public.request(method, address)
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) == there
            if method != "HEAD":
                assert answer.json()["allow"] == sorted(there)
        options = await public.options(address)
        assert (options.status_code, options.content) == (204, b"")
        assert set(options.headers["allow"].split(", ")) == there


async def test_head_is_get_without_its_body(public: httpx.AsyncClient) -> None:
    for path in ("/api/v1/clinic", "/docs", "/schema/openapi.json", "/api/v1/visits", "/static/site.css"):
        head, get = await public.head(path), await public.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)


async def test_a_body_is_what_its_schema_says_and_nothing_is_taken_for_something_else(
    desk: httpx.AsyncClient,
) -> None:
    patient = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142"}
    consent = {"granted": 1, "wording_version": "2026-11"}
    body = {"visit_type": "eval-run", "starts_at": "2026-12-08T10:00:00-05:00", "patient": patient}
    refused = await desk.post("/api/v1/visits", json={**body, "patient": {**patient, "sms_consent": consent}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/patient/sms_consent/granted"
    refused = await desk.post("/api/v1/visits", json=["eval-run"])
    assert [error["pointer"] for error in refused.json()["errors"]] == [""]


async def test_null_is_no_value_of_a_parameter(desk: httpx.AsyncClient) -> None:
    refused = await desk.get("/api/v1/messages?visit_id=null&status=null&limit=5")
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["?visit_id", "?status"]
    assert (await desk.get("/api/v1/patients", params={"q": "null"})).status_code == 200
