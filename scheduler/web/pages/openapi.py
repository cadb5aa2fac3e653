"""The application's own OpenAPI document, read into what the documentation page shows. Pure."""

import json
from collections.abc import Iterable
from typing import Any

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
}

# A body of which no field is always needed: the fields that make sense together, as the public sends them.
_TOGETHER = {"bookVisit": ("hold_id", "hold_token", "patient")}

# Every operation may give these; the list of errors has them.
_ALWAYS = ("400", "401", "500", "503")


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
    status: str
    meaning: str
    shape: str | None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """``access`` is ``public``, ``key``, or ``both`` where the public may do a part of it."""

    id: str
    method: str
    path: str
    summary: str
    access: str
    parameters: list[Field]
    body: list[Field]
    answers: list[Answer]
    curl: str


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
    bodies = {_body_name(one) for path in document["paths"].values() for one in path.values()}
    shapes = [
        Shape(name=name, fields=_fields(schema)) for name, schema in sorted(schemas.items()) if name not in bodies
    ]
    return Reference(groups=list(groups.items()), shapes=shapes)


def _operation(method: str, path: str, operation: Document, schemas: Document) -> Operation:
    body = _body_name(operation)
    keyed = "403" in operation["responses"]
    return Operation(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation.get("summary", ""),
        access="both" if operation["operationId"] in _TOGETHER else "key" if keyed else "public",
        parameters=[_parameter(parameter) for parameter in operation.get("parameters", [])],
        body=_fields(schemas[body]) if body else [],
        answers=[
            Answer(status=status, meaning=answer["description"], shape=_answer_name(answer))
            for status, answer in operation["responses"].items()
            if status not in _ALWAYS
        ],
        curl=_curl(method, path, operation, schemas),
    )


def _body_name(operation: Document) -> str | None:
    content = operation.get("requestBody", {}).get("content", {})
    return next((_reference(media["schema"]) for media in content.values()), None)


def _answer_name(answer: Document) -> str | None:
    return next((_reference(media["schema"]) for media in answer.get("content", {}).values()), None)


def _reference(schema: Document) -> str | None:
    """The name of the object that a schema is, has a list of, or has where it is not null."""
    for candidate in (schema, schema.get("items", {}), *schema.get("oneOf", ())):
        if "$ref" in candidate:
            return candidate["$ref"].rpartition("/")[2]
    return None


def _parameter(parameter: Document) -> Field:
    schema: Document = parameter["schema"]
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
    if "oneOf" in schema:
        return " or ".join(_type(one) for one in schema["oneOf"])
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
    if "enum" in schema:
        yield ", ".join(str(value) for value in schema["enum"] if value is not None)
    for key, words in (("minimum", "at least"), ("maximum", "at most")):
        if key in schema:
            yield f"{words} {schema[key]:.0f}"
    if "maxLength" in schema:
        yield f"at most {schema['maxLength']} characters"
    if schema.get("default") is not None:
        yield f"default {json.dumps(schema['default'])}"
    for example in schema.get("examples", ()):
        yield f"such as {example}"


def _curl(method: str, path: str, operation: Document, schemas: Document) -> str:
    """Return a command to paste into a shell in which the variables above are set."""
    url = path
    query: list[str] = []
    headers: list[str] = []
    for parameter in operation.get("parameters", []):
        name, value = parameter["name"], _VARIABLES.get(parameter["name"], "")
        if parameter["in"] == "path":
            url = url.replace(f"{{{name}}}", value)
        elif parameter["in"] == "query" and parameter.get("required"):
            query.append(f"{name}={value}")
        elif parameter["in"] == "header":
            headers.append(f'"{name}: {value}"')
    if "403" in operation["responses"] and operation["operationId"] not in _TOGETHER:
        headers.append('"Authorization: Bearer $KEY"')
    if "428" in operation["responses"]:
        headers.append("'If-Match: \"1\"'")
    body = _body_name(operation)
    if body:
        headers.append('"Content-Type: application/json"')
    words = [
        "curl -s",
        f"-X {method}" if method != "GET" else "",
        f'"$BASE{url}{"?" + "&".join(query) if query else ""}"',
    ]
    command = " \\\n  ".join([" ".join(filter(None, words)), *(f"-H {header}" for header in headers)])
    if body:
        only = _TOGETHER.get(operation["operationId"])
        example = json.dumps(_example(schemas[body], schemas, only), indent=2)
        command += f" \\\n  -d @- <<END\n{example}\nEND"
    return command


def _example(schema: Document, schemas: Document, only: tuple[str, ...] | None = None) -> dict[str, Any]:
    """An object with what is needed and what has an example."""
    chosen: dict[str, Any] = {}
    for name, member in schema.get("properties", {}).items():
        nested = _reference(member)
        wanted = name in only if only else name in schema.get("required", ()) or nested or _examples(member)
        if wanted and nested:
            chosen[name] = _example(schemas[nested], schemas)
        elif wanted:
            chosen[name] = _VARIABLES.get(name) or next(iter(_examples(member)), _plain(name, member))
    return chosen


def _examples(schema: Document) -> list[Any]:
    return [*schema.get("examples", ()), *(one for part in schema.get("oneOf", ()) for one in part.get("examples", ()))]


def _plain(name: str, schema: Document) -> Any:
    return True if schema.get("type") == "boolean" else schema.get("default", f"a {name}")
