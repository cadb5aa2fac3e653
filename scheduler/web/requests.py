"""Bodies and parameters read strictly: what two parsers could understand differently is refused."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import ValidationException

from scheduler.errors import FieldError, InvalidRequest, MalformedRequest, UnsupportedMediaType
from scheduler.web.application import Application

# The largest body of this API is a few kilobytes; a megabyte is already an attack.
BODY_LIMIT = 64 * 1024

# What asks and changes nothing; a body has no meaning there, and HTTP says so.
_READING = ("GET", "HEAD", "OPTIONS")

# A query that is nothing but nonsense is not answered at its own length.
_MOST_PROBLEMS, _LONGEST_NAME = 20, 60

_NUL = "The body holds a NUL character."


def header_of(request: ASGIConnection[Any, Any, Any, Any], name: bytes) -> str | None:
    """Return the first header of a name in lower case, or None: at once, where the framework reads all of them."""
    for key, value in request.scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON body has no duplicate keys, no NUL, no NaN, and no depth without end."""

    async def json(self) -> Any:
        """Return the body as what the handler takes.

        The framework would take 0 for false and "5" for 5; here a body is what its schema says. Raises
        MalformedRequest, UnsupportedMediaType, or ValidationException as the framework does.
        """
        body = await self.body()
        if body and self.content_type[0] not in ("application/json", ""):
            raise UnsupportedMediaType("Send the body as application/json.")
        value = parse_json(body or b"null")
        taken = self.route_handler.parsed_fn_signature.parameters.get("data")
        if taken is None or not taken.is_subclass_of(msgspec.Struct):
            return value
        return _convert(value, taken.annotation)


def _convert(value: Any, kind: Any) -> Any:
    """Return a body as a Struct. Raises ValidationException as the framework does."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        extra = [{"message": str(problem), "key": "data", "source": "body"}]
        raise ValidationException(extra=extra) from problem


class _NoBody(msgspec.Struct, forbid_unknown_fields=True):
    """What an operation takes that needs no body."""


async def check_request(request: Request[Any, Any, Any]) -> None:
    """Refuse what nobody would read: parameters, as ``read_query`` does, and the body of what takes none.

    Whoever sends a reason with a confirmation must not think that it was kept. Nothing and ``{}`` are no body. Raises
    what ``read_query`` and ``StrictRequest.json`` raise.
    """
    await read_query(request)
    if request.method in _READING or not request.scope["path"].startswith("/api/"):
        return
    if "data" not in request.route_handler.parsed_fn_signature.parameters and await request.body():
        _convert(await request.json(), _NoBody)


async def read_query(request: Request[Any, Any, Any]) -> None:
    """Refuse parameters that the framework would pass over in silence. Raises InvalidRequest that names them.

    They are ``?status=null``, which it takes for no status at all, and in the API a name that the operation does not
    have, or has once: whoever mistypes a filter would be told of everybody.
    """
    query = request.scope["query_string"]
    if not query:
        return
    pairs = _pairs(query)
    problems: list[FieldError] = []
    if b"=null" in query:
        detail = "Leave the parameter out instead of sending null."
        problems += [FieldError(f"?{name}", "invalid", detail) for name in _nulls(request, pairs)]
    if request.scope["path"].startswith("/api/") and request.method != "OPTIONS":
        known = cast("Application", request.app).query_names[request.route_handler]
        names = Counter(name for name, _ in pairs)
        if not known.issuperset(names) or len(names) < len(pairs):
            problems += _strangers(names, known)
    if problems:
        raise InvalidRequest(*problems[:_MOST_PROBLEMS])


# The same pages and programs ask the same again and again.
@lru_cache(maxsize=1024)
def _pairs(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True)


def _strangers(names: Counter[str], known: frozenset[str]) -> Iterator[FieldError]:
    there_are = f"There is no such parameter. There are: {', '.join(sorted(known)) or 'none'}."
    for name, times in names.items():
        if name not in known:
            yield FieldError(f"?{name[:_LONGEST_NAME]}", "unknown-parameter", there_are)
        elif times > 1:
            yield FieldError(f"?{name}", "given-twice", "Give this parameter once.")


def _nulls(request: Request[Any, Any, Any], pairs: list[tuple[str, str]]) -> list[str]:
    fields = request.route_handler.parsed_fn_signature.parameters.values()
    choices = {field.name.rstrip("_") for field in fields if field.is_optional and not field.has_inner_subclass_of(str)}
    return [name for name, value in pairs if value == "null" and name in choices]


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text. Raises MalformedRequest, in words that hold nothing of the body."""
    try:
        text = body.decode()
        if "\x00" in text:
            raise MalformedRequest(_NUL)
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
        if "\\u" in text:
            # Half a surrogate pair can be escaped but never written down again.
            json.dumps(value, ensure_ascii=False).encode()
        if "\\u0000" in text and _holds_nul(value):
            raise MalformedRequest(_NUL)
    except UnicodeEncodeError as problem:
        raise MalformedRequest("The body holds half a character.") from problem
    except UnicodeDecodeError as problem:
        raise MalformedRequest("The body is not UTF-8.") from problem
    except RecursionError as problem:
        raise MalformedRequest("The body is nested too deeply.") from problem
    except json.JSONDecodeError as problem:
        raise MalformedRequest(f"The body is not JSON: line {problem.lineno}, column {problem.colno}.") from problem
    except ValueError as problem:
        raise MalformedRequest("The body holds a number that is too long.") from problem
    return value


def _holds_nul(value: Any) -> bool:
    """Tell whether a string anywhere in a value holds a NUL: six characters that only spell its escape are none."""
    waiting: list[Any] = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str) and "\x00" in found:
            return True
        if isinstance(found, dict):
            members = cast("dict[str, Any]", found)
            waiting += [*members, *members.values()]
        elif isinstance(found, list):
            waiting += cast("list[Any]", found)
    return False


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedRequest("An object in the body has the same key twice.")
    return value


def _refuse_constant(name: str) -> Any:
    raise MalformedRequest(f"{name} is not JSON.")
