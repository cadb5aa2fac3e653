"""The schemas of what travels, as msgspec reads and writes it: the same rules that judge a request describe it."""

from collections.abc import Iterable
from typing import Any, get_args

import msgspec
from litestar.handlers import HTTPRouteHandler

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"


def schemas_of(
    handlers: Iterable[HTTPRouteHandler], known: dict[str, Schema], more: Iterable[type]
) -> dict[str, Schema]:
    """Return the component schemas of all that the handlers take and answer, by name.

    ``known`` are the framework's, which know the format of instants; that is taken over.
    """
    kinds = {kind for handler in handlers for kind in _kinds(handler)}
    _, components = msgspec.json.schema_components([*kinds, *more], ref_template=_REFERENCE)
    return {name: _refined(schema, known.get(name, {})) for name, schema in sorted(components.items())}


def plain(schema: Schema) -> Schema:
    """Return the schema of a parameter without null, which nobody can write in an address or a header."""
    parts = [part for part in schema.get("oneOf", ()) if part != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "oneOf"}
    if parts:
        rest |= parts[0] if len(parts) == 1 else {"anyOf": parts}
    if isinstance(rest.get("type"), list):
        rest["type"] = next(name for name in rest["type"] if name != "null")
    if "enum" in rest:
        rest["enum"] = [value for value in rest["enum"] if value is not None]
    if rest.get("default", "") is None:
        del rest["default"]
    for bound in ("minimum", "maximum"):
        if bound in rest and rest["type"] == "integer":
            rest[bound] = int(rest[bound])
    return rest


def _kinds(handler: HTTPRouteHandler) -> Iterable[type]:
    """The Structs that a handler takes as its body and answers, as they are or inside a Response or a list."""
    signature = handler.parsed_fn_signature
    fields = [signature.return_type.annotation]
    if "data" in signature.parameters:
        fields.append(signature.parameters["data"].annotation)
    while fields:
        kind = fields.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield kind
        fields += get_args(kind)


def _refined(schema: Schema, other: Schema) -> Schema:
    """Return a schema with the types and formats that only the other tells, and without what says nothing."""
    refined: Schema = {key: value for key, value in schema.items() if key != "title"}
    if refined.get("default", "") is None:
        del refined["default"]
    if not refined.get("required", True):
        del refined["required"]
    if "description" in refined:
        refined["description"] = refined["description"].replace("``", "`")
    if "enum" in refined and "type" not in refined:
        refined["type"] = "string"
    if refined.get("type") == "string" and "format" in other:
        refined["format"] = other["format"]
    if "properties" in refined:
        others = other.get("properties", {})
        refined["properties"] = {
            name: _refined(member, others.get(name, {})) for name, member in refined["properties"].items()
        }
    if "items" in refined:
        refined["items"] = _refined(refined["items"], other.get("items", {}))
    if "anyOf" in refined:
        same = {part.get("type"): part for part in other.get("oneOf", ())}
        refined["anyOf"] = [_refined(part, same.get(part.get("type"), {})) for part in refined["anyOf"]]
    return refined
