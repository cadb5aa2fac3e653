"""Two clinics on a real database, and the instants that the model's minutes stand for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from scheduler.domain.clinics import Clinic
from scheduler.errors import SchedulerError
from scheduler.store.connections import Connection, Pool
from scheduler.store.units import unit_of_work

# The midnight from which the model counts.
MIDNIGHT = datetime.fromisoformat("2026-12-08T00:00:00-05:00")

SECRET_KEY = "k" * 32

_EMPTY = ";".join(
    f"delete from {table}" for table in ("audit_events", "messages", "occupancy", "visits", "consents", "patients")
)


class World:
    """Two clinics in one database, a loop on which to talk to it, and what their ids mean."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pool: Pool, emptying: Connection, clinics: list[Clinic]
    ) -> None:
        self.loop, self.pool, self.emptying, self.clinics = loop, pool, emptying, clinics
        self.numbers = {clinic.id: number for number, clinic in enumerate(clinics)}
        self.codes = {
            (number, each.id): code
            for number, clinic in enumerate(clinics)
            for entries in (clinic.therapists, clinic.rooms, clinic.equipment)
            for code, each in entries.items()
        }

    def empty(self) -> None:
        """Forget every patient and visit, on a connection on which no trigger and no foreign key objects."""
        self.loop.run_until_complete(self.emptying.execute(_EMPTY))

    def attempt(self, case: Callable[[Connection], Awaitable[Any]]) -> Any:
        """Return what a use case answers in a transaction of its own, or the refusal that rolled it back."""

        async def run() -> Any:
            try:
                async with unit_of_work(self.pool) as connection:
                    return await case(connection)
            except SchedulerError as refusal:
                return refusal

        return self.loop.run_until_complete(run())

    def look(self, *queries: str) -> list[list[asyncpg.Record]]:
        async def run() -> list[list[asyncpg.Record]]:
            async with self.pool.acquire() as connection:
                return [await connection.fetch(query) for query in queries]

        return self.loop.run_until_complete(run())


def instant(minute: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=minute)


def minute_of(moment: datetime) -> int:
    minutes = (moment - MIDNIGHT) / timedelta(minutes=1)
    assert minutes.is_integer()
    return int(minutes)
