"""The statements of a booking, recorded as they happen and made into a script for pgbench.

Bookings are made through the application in this process, one after the other, while every statement is noted with its
parameters. What is the same for all of them becomes a constant of the script, and what differs a column of a table
that the script looks up by the number of the booking. So both sides always do the same, whatever the service comes
to send.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import asyncpg
import msgspec

from scheduler.store.connections import Connection, Pool

# The table in which pgbench looks up what differs between bookings.
TABLE = "recorded_bookings"

CLIENTS = 16

# The pool replaces a connection after many queries, by one to which nobody listens yet.
_LISTEN_AGAIN = 100

# The part of all acts that must be of the same statements.
_SAME = 0.98

Statement = tuple[str, tuple[Any, ...]]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A script for pgbench, and the part of it that only looks up the parameters.

    Both number the booking by ``:i`` and ``:client_id``, of 16 clients, and begin anew when all ``bookings`` are used
    up. ``constants`` are what needs to be defined.
    """

    whole: str
    look_up: str
    constants: dict[str, str]
    bookings: int
    statements: int


async def record(pool: Pool, act: Callable[[int], Awaitable[None]], number: int) -> list[list[Statement]]:
    """Return the statements of each of so many acts."""
    noted: list[Statement] = []

    def note(query: asyncpg.connection.LoggedQuery) -> None:
        noted.append((query.query, tuple(query.args)))

    acts: list[list[Statement]] = []
    for index in range(number):
        if index % _LISTEN_AGAIN == 0:
            await _listen(pool, note)
        noted.clear()
        await act(index)
        acts.append(list(noted))
    return acts


async def _listen(pool: Pool, note: Callable[[asyncpg.connection.LoggedQuery], None]) -> None:
    connections = [await pool.acquire() for _ in range(pool.get_size())]
    for connection in connections:
        connection.add_query_logger(note)
        await pool.release(connection)


async def make_script(connection: Connection, acts: Sequence[Sequence[Statement]]) -> Script:
    """Return acts as a script, and write what differs between them into its table.

    Acts during which the process saw to something else as well are left out. Raises ValueError where they are many.
    """
    shapes = Counter(tuple(query for query, _ in act) for act in acts)
    shape, number = shapes.most_common(1)[0]
    if number < _SAME * len(acts):
        raise ValueError(f"the bookings took {len(shapes)} different sequences of statements")
    acts = [act for act in acts if tuple(query for query, _ in act) == shape]
    columns: dict[str, tuple[str, list[Any]]] = {}
    constants: dict[str, str] = {}
    lines: list[str] = []
    for position, query in enumerate(shape):
        prepared = await connection.prepare(query) if acts[0][position][1] else None
        text = query
        # From the last, so that $1 is not taken for the beginning of $10.
        for index in reversed(range(len(acts[0][position][1]))):
            assert prepared is not None  # noqa: S101 - it has parameters
            kind = prepared.get_parameters()[index]
            values = [act[position][1][index] for act in acts]
            name = f"p{position}_{index}"
            text = text.replace(f"${index + 1}", _place(name, values))
            if any(value != values[0] for value in values):
                columns[name] = (_type_name(kind), values)
            elif values[0] is not None:
                constants[name] = await connection.fetchval(f"select $1::{_type_name(kind)}::text", values[0])
        lines.append(" ".join(re.sub("--.*", "", text).split()).rstrip(";") + ";")
    await _fill(connection, columns, len(acts))
    number = f"\\set booking (:i * {CLIENTS} + :client_id) % {len(acts)}"
    look_up = f"{number}\nselect {', '.join(columns)} from {TABLE} where booking = :booking \\gset"
    whole = "\n".join([look_up, *lines])
    return Script(whole=whole, look_up=look_up, constants=constants, bookings=len(acts), statements=len(lines))


def _place(name: str, values: Sequence[Any]) -> str:
    missing = {value is None for value in values}
    if len(missing) != 1:
        raise ValueError(f"{name} is sometimes missing, which pgbench cannot say")
    return "null" if missing == {True} else f":{name}"


def _type_name(kind: asyncpg.Type) -> str:
    return f"{kind.name[:-2]}[]" if kind.name.endswith("[]") else kind.name


async def _fill(connection: Connection, columns: dict[str, tuple[str, list[Any]]], number: int) -> None:
    definitions = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
    await connection.execute(f"create table {TABLE} (booking integer primary key, {definitions})")
    rows: Iterator[tuple[Any, ...]] = zip(range(number), *(values for _, values in columns.values()), strict=True)
    places = ", ".join(f"${index + 1}" for index in range(len(columns) + 1))
    await connection.executemany(f"insert into {TABLE} values ({places})", list(rows))
    await connection.execute(f"vacuum analyze {TABLE}")
