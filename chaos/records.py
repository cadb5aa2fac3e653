"""The four records of a trial, each read from its own source when everything has come to rest."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from chaos.journal import Ask
from chaos.samples import Sample
from scheduler.store.connections import prepare
from tests.acceptance.processes import ROOT

TABLES = (
    "visits", "patients", "occupancy", "messages", "message_attempts", "audit_events", "time_off", "idempotency_keys",
    "inbound_messages",
)  # fmt: skip


class Recovery(msgspec.Struct, frozen=True):
    """How long after the end of some faults both web processes took bookings again, None if they never did."""

    faults: tuple[str, ...]
    seconds: float | None


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of a trial.

    ``rows`` are the database's by table; ``texts`` and ``mails`` are what providers accepted, in order; ``logs`` is
    what each process wrote, by name. ``excused`` are stretches of the monotonic clock in which a web process was not to
    blame; ``stalls`` are when, and for how long, the machine gave nobody a turn. ``calm`` is how long it took to
    recover from nothing at all, ``start_seconds`` how long to open the clinic, before anything went wrong, and
    ``runnable`` how many threads wanted a processor, on average.
    """

    asks: Sequence[Ask]
    markers: Sequence[str]
    complaints: Sequence[str]
    rows: dict[str, list[dict[str, Any]]]
    texts: list[dict[str, Any]]
    mails: list[dict[str, Any]]
    logs: dict[str, str]
    metrics: Sequence[str]
    excused: dict[str, list[tuple[float, float]]]
    stalls: Sequence[tuple[float, float]]
    recoveries: Sequence[Recovery]
    calm: float | None
    slow: Sequence[float | None]
    before: Sample
    after: Sample
    tasks_before: dict[str, float]
    tasks_after: dict[str, float]
    peaks: dict[str, float]
    start_seconds: float
    runnable: float
    unsettled: int
    visit_types: dict[str, dict[str, Any]]


async def read_rows(dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Return every row of the tables that promises are about."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await prepare(connection)
        return {table: [dict(row) for row in await connection.fetch(f"select * from {table}")] for table in TABLES}
    finally:
        await connection.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def read_visit_types() -> dict[str, dict[str, Any]]:
    """Return what the clinic file says of each kind of visit."""
    return tomllib.loads((ROOT / "config" / "clinic.toml").read_text())["visit_types"]
