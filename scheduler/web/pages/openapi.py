"""The application's own OpenAPI document, read into what the documentation page shows. Pure."""

import json
from collections.abc import Iterable
from typing import Any, cast

import msgspec

Document = dict[str, Any]

# What a reader sets once in a shell, by the name of the parameter or field that it is for.
_VARIABLES = {
    "visit_type": "$VISIT_TYPE",
    "from": "$FROM",
    "to": "$TO",
    "starts_at": "$START",
    "hold_id": "$HOLD_ID",
    "hold_token": "$HOLD_TOKEN",
    "Hold-Token": "$HOLD_TOKEN",
    "visit_id": "$VISIT_ID",
    "message_id": "$MESSAGE_ID",
    "patient_id": "$PATIENT_ID",
}

# Every operation may give these; the list of errors has them.
_ALWAYS = ("400", "401", "500", "503")

_PROBLEM = "application/problem+json"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter or a member of an object. ``shape`` names the object that it holds, if any."""

    name: str
    place: str
    type: str
    shape: str | None
    required: bool
    note: str


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """An object that is sent or answered."""

    name: str
    fields: list[Field]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation answers with one status: an object, or problems by their codes, or nothing."""

    status: str
    meaning: str
    type: str
    shape: str | None
    codes: list[str]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """``access`` is ``public``, ``key``, or ``both`` where the public may call as well as a key.

    ``description`` is a paragraph each, with code between backticks; ``example`` is of a success, as JSON.
    """

    id: str
    method: str
    path: str
    summary: str
    description: list[str]
    access: str
    scopes: list[str]
    parameters: list[Field]
    body: list[Field]
    answers: list[Answer]
    curl: str
    example: str


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The operations by tag, in the order of the document, and the objects that they refer to."""

    groups: list[tuple[str, list[Operation]]]
    shapes: list[Shape]


def read_document(document: Document) -> Reference:
    """Return what an OpenAPI 3.1 document says about operations and objects."""
    schemas: Document = document["components"]["schemas"]
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["Other"])[0]
            groups.setdefault(tag, []).append(_operation(method.upper(), path, operation, schemas))
    for operations in groups.values():
        operations.sort(key=lambda operation: (operation.path.count("/"), operation.path, operation.method))
    inner = set(_inner(schemas)) | {
        answer.shape for operations in groups.values() for one in operations for answer in one.answers
    }
    # A body is shown with its operation, and once more only where something else refers to it.
    bodies = {_body_name(one) for path in document["paths"].values() for one in path.values()} - inner
    shapes = [
        Shape(name=name, fields=_fields(schema)) for name, schema in sorted(schemas.items()) if name not in bodies
    ]
    return Reference(groups=list(groups.items()), shapes=shapes)


def _inner(value: Any) -> Iterable[str]:
    """The names of the objects that are referred to anywhere inside."""
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        if isinstance(inner.get("$ref"), str):
            yield inner["$ref"].rpartition("/")[2]
        value = list(inner.values())
    if isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _inner(one)


def _operation(method: str, path: str, operation: Document, schemas: Document) -> Operation:
    body = _body_name(operation)
    security: list[Document] = operation["security"]
    access = "both" if {} in security and {"key": []} in security else "key" if {"key": []} in security else "public"
    return Operation(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=[part.replace("\n", " ") for part in operation.get("description", "").split("\n\n")],
        access=access,
        scopes=operation.get("x-scopes", []),
        parameters=[_parameter(parameter) for parameter in operation.get("parameters", [])],
        body=_fields(schemas[body]) if body else [],
        answers=[_answer(status, answer) for status, answer in operation["responses"].items()],
        curl=_curl(method, path, operation, access),
        example=_example_of_success(operation),
    )


def _answer(status: str, answer: Document) -> Answer:
    content: Document = answer.get("content", {})
    # An answer with one problem alone is kept among the components, under its code.
    codes = [_reference(answer) or ""] if "$ref" in answer else list(content.get(_PROBLEM, {}).get("examples", ()))
    schemas: list[Document] = [media["schema"] for kind, media in content.items() if kind != _PROBLEM]
    schema: Document = schemas[0] if schemas else {}
    return Answer(
        status=status,
        meaning=answer.get("description", ""),
        type=_type(schema) if schema else "",
        shape=_reference(schema),
        codes=codes if status not in _ALWAYS else [],
    )


def _example_of_success(operation: Document) -> str:
    for status, answer in operation["responses"].items():
        for media in answer.get("content", {}).values():
            if status < "300" and "example" in media:
                example = media["example"]
                return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return ""


def _body_name(operation: Document) -> str | None:
    content = operation.get("requestBody", {}).get("content", {})
    return next((_reference(media["schema"]) for media in content.values()), None)


def _reference(schema: Document) -> str | None:
    """The name of the object that a schema is, has a list of, or has where it is not null."""
    for candidate in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        if "$ref" in candidate:
            return candidate["$ref"].rpartition("/")[2]
        if "items" in candidate and candidate is not schema:
            return _reference(candidate)
    return None


def _parameter(parameter: Document) -> Field:
    schema: Document = {"description": parameter["description"], **parameter["schema"]}
    return _field(parameter["name"], schema, required=parameter.get("required", False), place=parameter["in"])


def _fields(schema: Document) -> list[Field]:
    required = schema.get("required", ())
    return [_field(name, member, required=name in required) for name, member in schema.get("properties", {}).items()]


def _field(name: str, schema: Document, *, required: bool, place: str = "") -> Field:
    return Field(
        name=name,
        place=place,
        type=_type(schema),
        shape=_reference(schema),
        required=required,
        note="; ".join(_notes(schema)),
    )


def _type(schema: Document) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    names = schema.get("type", "any")
    text = names if isinstance(names, str) else " or ".join(sorted(names, key=lambda name: name == "null"))
    return f"{text} ({schema['format']})" if "format" in schema else text


def _notes(schema: Document) -> Iterable[str]:
    if "description" in schema:
        yield schema["description"]
    for part in (schema, *schema.get("anyOf", ())):
        if part is not schema and "description" in part:
            yield part["description"]
        if "enum" in part:
            yield ", ".join(str(value) for value in part["enum"])
        for key, words in (("minimum", "at least"), ("maximum", "at most")):
            if key in part:
                yield f"{words} {part[key]}"
        if "maxLength" in part:
            yield f"at most {part['maxLength']} characters"
        for example in part.get("examples", ()):
            yield f"such as {example if isinstance(example, str) else json.dumps(example)}"
    if schema.get("default") not in (None, ""):
        yield f"default {json.dumps(schema['default'])}"


def _curl(method: str, path: str, operation: Document, access: str) -> str:
    """Return a command to paste into a shell in which the variables above are set."""
    url = path
    query: list[str] = []
    headers = ['"Authorization: Bearer $KEY"'] if access == "key" else []
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        value = _VARIABLES.get(name) or parameter.get("example", "")
        if parameter["in"] == "path":
            url = url.replace(f"{{{name}}}", str(value))
        elif parameter["in"] == "query" and parameter.get("required"):
            query.append(f"{name}={value}")
        elif name == "If-Match":
            headers.append("'If-Match: \"1\"'")
        elif parameter["in"] == "header" and parameter.get("required"):
            headers.append(f'"{name}: {value}"')
    body = _body_example(operation)
    if body is not None:
        headers.append('"Content-Type: application/json"')
    words = [
        "curl -s",
        f"-X {method}" if method != "GET" else "",
        f'"$BASE{url}{"?" + "&".join(query) if query else ""}"',
    ]
    command = " \\\n  ".join([" ".join(filter(None, words)), *(f"-H {header}" for header in headers)])
    if body is not None:
        command += f" \\\n  -d @- <<END\n{json.dumps(body, indent=2)}\nEND"
    return command


def _body_example(operation: Document) -> Any:
    """The first example of a body, with a variable wherever there is one for it; None where there is no body."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        for example in media["examples"].values():
            return _with_variables(example["value"])
    return None


def _with_variables(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {
            name: _VARIABLES[name] if name in _VARIABLES and isinstance(inner, str) else _with_variables(inner)
            for name, inner in members.items()
        }
    if isinstance(value, list):
        return [_with_variables(inner) for inner in cast("list[Any]", value)]
    return value
