"""Rows of asyncpg made into Structs, checked on the way."""

from typing import TypeVar

import asyncpg
import msgspec

StructType = TypeVar("StructType", bound=msgspec.Struct)


def to_struct(row: asyncpg.Record, kind: type[StructType]) -> StructType:
    """Return the row as the Struct whose fields its columns are named after."""
    return msgspec.convert(dict(row.items()), kind)
