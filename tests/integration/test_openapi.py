"""The OpenAPI document is complete, says what is so, and is served as a file is: for every route there is."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import httpx
import jsonschema_rs
import pytest
import time_machine
from litestar import Litestar
from litestar.routes import HTTPRoute

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.services.api_keys import SCOPES, create_api_key
from scheduler.store.connections import Pool
from scheduler.web.document_members import MEMBERS
from scheduler.web.openapi import document_of
from scheduler.web.problem_docs import every_error
from tests.integration.conftest import client_of

Document = dict[str, Any]
# A key or a cursor that somebody else used is none.
WITHOUT_EXAMPLE = {"Idempotency-Key", "cursor"}
PROBLEM = "application/problem+json"

# What answers a request that is well formed, on a clinic without the visits and patients of the examples.
SOUND = {200, 201, 202, 204, 404, 409, 412}


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """Let the dates of the examples lie ahead, whenever this runs."""
    with time_machine.travel(datetime.fromisoformat("2026-11-23T10:00:00-05:00"), tick=True):
        yield


@pytest.fixture
def document(app: Litestar) -> Document:
    return json.loads(json.dumps(document_of(app)))


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(document: Document, value: Document) -> Document:
    """Return what a reference refers to, or the value itself."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = cast("Document", value)
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        yield from (found for inner in value.values() for found in references(inner))
    elif isinstance(value, list):
        value = cast("list[Any]", value)
        yield from (found for inner in value for found in references(inner))


def check(document: Document, schema: Document, value: Any) -> list[str]:
    """Return what is wrong with a value by its schema."""
    whole = {**schema, "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(value)]


def media_examples(document: Document, media: Document) -> list[Any]:
    named = [resolved(document, example)["value"] for example in media.get("examples", {}).values()]
    return [*named, *([media["example"]] if "example" in media else [])]


def test_every_route_of_the_api_is_in_the_document(app: Litestar, document: Document) -> None:
    routes = {
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if handler.resolve_include_in_schema()
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes
    assert all(path in {route[1] for route in routes} for path in ("/metrics", "/health/ready", "/api/v1/visits"))
    hidden = [path for path in document["paths"] if path.startswith(("/docs", "/schema", "/book", "/static"))]
    assert hidden == []


def test_the_document_says_whose_it_is_and_what_its_groups_hold(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    for member in ("title", "version", "summary", "description", "contact", "license"):
        assert document["info"][member]
    assert [server["url"] for server in document["servers"]] == ["http://127.0.0.1:8000"]
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"]} == used
    assert all(tag["description"] for tag in document["tags"])


def test_every_operation_says_what_it_does_and_has_an_id_of_its_own(document: Document) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for _, _, operation in operations(document):
        words = [operation["summary"], re.split(r"(?:^|\n\n)(?:Needs a key|A key needs)", operation["description"])[0]]
        assert all(words), operation["operationId"]
        assert words[0] != words[1]
        assert len(operation["tags"]) == 1


def test_every_parameter_is_described_and_has_an_example_that_fits(document: Document) -> None:
    for method, path, operation in operations(document):
        parameters = operation.get("parameters", [])
        in_path = {one["name"] for one in parameters if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        for parameter in parameters:
            where = f"{method} {path} {parameter['name']}"
            assert parameter["description"], where
            assert parameter["schema"], where
            if parameter["name"] not in WITHOUT_EXAMPLE:
                assert check(document, parameter["schema"], parameter["example"]) == [], where
            assert "null" not in json.dumps(parameter["schema"]), where


def test_every_member_of_a_body_or_an_answer_is_described(document: Document) -> None:
    schemas = document["components"]["schemas"]
    members = {
        f"{owner}.{name}": member
        for owner, schema in schemas.items()
        for name, member in schema.get("properties", {}).items()
    }
    assert len(members) > 300
    assert [where for where, member in members.items() if not member.get("description")] == []
    names = {where.partition(".")[2] for where in members}
    assert [words for words in MEMBERS if words not in names and words not in members] == []


def test_every_body_and_answer_has_examples_that_fit_their_schema(document: Document) -> None:
    for _, _, operation in operations(document):
        name = operation["operationId"]
        contents = [operation.get("requestBody", {}).get("content", {})]
        answers = {status: resolved(document, answer) for status, answer in operation["responses"].items()}
        contents += [answer.get("content", {}) for answer in answers.values()]
        for content in contents:
            for media in content.values():
                examples = media_examples(document, media)
                assert examples, name
                for example in examples:
                    assert check(document, media["schema"], example) == [], (name, example)
        successes = [status for status in answers if status < "400"]
        assert successes, name
        assert all("content" in answers[status] for status in successes if status != "204"), name


def test_examples_hold_nobody_and_no_gap(document: Document) -> None:
    text = json.dumps(document)
    assert re.findall(r'"<[^"]*>"', text) == []
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", text)
    numbers = re.findall(r"(?:\(?\b\d{3}\)?[ -]?)?\d{3}[ -]\d{4}\b|\+1\d{10}", text)
    assert {number for number in numbers if not re.search(r"555[ -]?01|791-1100", number)} == set()
    assert set(re.findall(r"@([\w.-]+\w)", text)) <= {"example.com"}


def test_every_problem_of_an_operation_has_its_codes_with_an_example_each(document: Document) -> None:
    statuses = {error.code: error.status for error in every_error()}
    for _, _, operation in operations(document):
        name = operation["operationId"]
        assert {"400", "500"} <= operation["responses"].keys(), name
        told: set[str] = set()
        for status, reference in operation["responses"].items():
            answer = resolved(document, reference)
            if status < "400" or PROBLEM not in answer.get("content", {}):
                assert status < "400" or (name, status) == ("getReadiness", "503")
                continue
            media = answer["content"][PROBLEM]
            codes = media["schema"]["allOf"][1]["properties"]["code"]["enum"]
            assert list(media["examples"]) == codes, name
            for code in codes:
                example = resolved(document, media["examples"][code])["value"]
                assert (example["code"], example["status"]) == (code, int(status)), name
                assert statuses[code] == int(status)
            told.update(codes)
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", [])):
            assert {"idempotency-in-flight", "idempotency-key-reused"} <= told, name
        if "requestBody" in operation:
            assert {"body-too-large", "unsupported-media-type", "invalid-request"} <= told, name


def test_every_code_there_is_is_in_the_components(document: Document) -> None:
    codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert sorted(codes) == sorted(error.code for error in every_error())


def test_nothing_is_referred_to_that_is_not_there_and_nothing_is_there_that_nobody_refers_to(
    document: Document,
) -> None:
    found = set(references(document))
    for reference in found:
        assert resolved(document, {"$ref": reference}) is not None
    kept = {
        f"#/components/{kind}/{name}"
        for kind, components in document["components"].items()
        if kind != "securitySchemes"
        for name in components
    }
    assert kept == found


def test_links_lead_to_operations_and_their_parameters(document: Document) -> None:
    by_id = {operation["operationId"]: operation for _, _, operation in operations(document)}
    count = 0
    for operation in by_id.values():
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                count += 1
                names = {parameter["name"] for parameter in by_id[link["operationId"]].get("parameters", [])}
                assert link.get("parameters", {}).keys() <= names
    assert count > 20


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
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/"]


async def test_null_is_no_value_of_a_parameter(desk: httpx.AsyncClient) -> None:
    refused = await desk.get("/api/v1/messages?visit_id=null&status=null&limit=5")
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["?visit_id", "?status"]
    assert (await desk.get("/api/v1/patients", params={"q": "null"})).status_code == 200
