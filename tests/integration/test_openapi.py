"""The OpenAPI document is whole: examples, errors, operation ids, security, links."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import jsonschema_rs
import pytest
import time_machine
from litestar import Litestar
from litestar.routes import HTTPRoute

from scheduler.web.document_members import MEMBERS
from scheduler.web.problem_docs import every_error
from tests.integration.documents import PROBLEM, WITHOUT_EXAMPLE, Document, operations, resolved


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """Let the dates of the examples lie ahead, whenever this runs."""
    with time_machine.travel(datetime.fromisoformat("2026-11-23T10:00:00-05:00"), tick=True):
        yield


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
