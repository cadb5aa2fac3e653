"""The OpenAPI document, taken apart."""

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

# A key or a cursor that somebody else used is none.
WITHOUT_EXAMPLE = {"Idempotency-Key", "cursor"}
PROBLEM = "application/problem+json"


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
