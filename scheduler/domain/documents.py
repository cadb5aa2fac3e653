"""A TOML document made into Structs, with everything that is wrong in it named by the key it stands under."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeGuard, TypeVar, Union, cast, get_args, get_origin

import msgspec

# The key path of what is wrong, and the sentence that says why.
Problem = tuple[str, str]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a document. ``problems`` tells what does not fit together in it, each with its path inside."""

    def problems(self) -> Iterator[Problem]:
        return iter(())


PartType = TypeVar("PartType", bound=Part)


class Spelled(NamedTuple):
    """For ``Annotated``: how a value is written in the document, and what reads it or raises ValueError, one phrase."""

    written: Any
    read: Callable[[Any], Any]


_UNREADABLE = object()

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

# What msgspec calls the types, in the words of the person who edits the file.
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": 'text in "quotes"',
    "bool": "true or false",
    "date": "a date such as 2026-12-24",
    "datetime": "a date with a time",
    "time": "a time without quotes",
    "array": "a [list]",
    "object": "a table",
}


def parse_toml(text: str) -> dict[str, Any]:
    """Return the document as plain values. Raises ValueError, one phrase with line and column, where it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ValueError(f"cannot be read as TOML: {problem}") from problem
    except (ValueError, RecursionError) as problem:
        raise ValueError("cannot be read as TOML: a number is too long or brackets are nested too deeply") from problem


def read_part(document: dict[str, Any], kind: type[PartType]) -> tuple[PartType | None, list[Problem]]:
    """Return the document as a Part, and everything that is wrong with it.

    Unknown keys are left out, so that the rest is still looked at. A part is asked for its own problems once all
    its values can be read, and is None where one cannot.
    """
    problems: list[Problem] = []
    part = _read_table(document, kind, "", problems)
    return (part if isinstance(part, kind) else None), problems


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` where something known is spelled alike, else nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _read(value: object, kind: object, path: str, problems: list[Problem]) -> object:
    """Return the value as the annotated type asks, or _UNREADABLE after noting why it is not that."""
    kind = _without_none(kind)
    origin = get_origin(kind)
    if _is_part(kind):
        return _read_table(value, kind, path, problems)
    if origin is dict:
        return _read_entries(value, kind, path, problems)
    if origin is tuple:
        return _read_list(value, get_args(kind)[0], path, problems)
    try:
        if origin is Literal:
            return _choose(value, get_args(kind))
        return _read_value(value, kind)
    except ValueError as problem:
        problems.append((path, str(problem)))
        return _UNREADABLE


def _is_part(kind: object) -> TypeGuard[type[Part]]:
    return isinstance(kind, type) and issubclass(kind, Part)


def _read_table(value: object, kind: type[Part], path: str, problems: list[Problem]) -> object:
    if not isinstance(value, dict):
        problems.append((path, "is not a table"))
        return _UNREADABLE
    table = cast("dict[str, Any]", value)
    fields = _fields(kind)
    for key in table:
        if key not in fields:
            guess = did_you_mean(key, fields.keys() - table.keys())
            problems.append((_join(path, _spell(key)), f"is not a known key{guess}"))
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in table:
            values[field.name] = _read(table[key], field.type, _join(path, _spell(key)), problems)
        elif field.required:
            problems.append((_join(path, _spell(key)), "is missing"))
            values[field.name] = _UNREADABLE
    if _has_unreadable(values.values()):
        return _UNREADABLE
    part = kind(**values)
    problems.extend((_join(path, inner), sentence) for inner, sentence in part.problems())
    return part


def _read_entries(value: object, kind: object, path: str, problems: list[Problem]) -> object:
    if not isinstance(value, dict):
        problems.append((path, "is not a table"))
        return _UNREADABLE
    key_kind, entry_kind = get_args(kind)
    entries: dict[object, object] = {}
    for key, entry in cast("dict[str, Any]", value).items():
        inner = _join(path, _spell(key))
        entries[_read(key, key_kind, inner, problems)] = _read(entry, entry_kind, inner, problems)
    return _UNREADABLE if _has_unreadable([*entries.keys(), *entries.values()]) else entries


def _read_list(value: object, kind: object, path: str, problems: list[Problem]) -> object:
    if not isinstance(value, list):
        problems.append((path, "is not a [list]"))
        return _UNREADABLE
    items = cast("list[Any]", value)
    read = tuple(_read(item, kind, f"{path}[{index}]", problems) for index, item in enumerate(items))
    for index, item in enumerate(read):
        if isinstance(item, str) and item in read[:index]:
            problems.append((f"{path}[{index}]", f"repeats {item}"))
    return _UNREADABLE if _has_unreadable(read) else read


def _has_unreadable(values: Iterable[Any]) -> bool:
    return any(value is _UNREADABLE for value in values)


def _choose(value: object, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    guess = did_you_mean(value, allowed) if isinstance(value, str) else ""
    raise ValueError(f"is not one of {', '.join(allowed)}{guess}")


def _read_value(value: object, kind: object) -> object:
    """Return one value as msgspec checks it, or as the Spelled of its annotation reads it."""
    spelled = next((note for note in getattr(kind, "__metadata__", ()) if isinstance(note, Spelled)), None)
    try:
        plain = msgspec.convert(value, spelled.written if spelled else kind)
    except msgspec.ValidationError as problem:
        words = re.sub(r"`(\w+)`", lambda match: _WORDS.get(match[1], match[1]), str(problem))
        raise ValueError(words[0].lower() + words[1:]) from problem
    return spelled.read(plain) if spelled else plain


@cache
def _fields(kind: type[Part]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the fields of a Part by the key that they have in the document."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _without_none(kind: object) -> object:
    # TOML has no null: an optional value is simply not there.
    if get_origin(kind) in (Union, UnionType):
        return next(choice for choice in get_args(kind) if choice is not NoneType)
    return kind


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path and key else path or key


def _spell(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else repr(key)
