"""Whatever two clinics do in whatever order, the service answers as the model does, and keeps what the model keeps."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from scheduler.domain.clinic_files import parse
from scheduler.services.clinic_files import apply_files
from scheduler.settings import load_settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import open_pool
from tests.model.facts import CLINIC_FILE
from tests.model.machine import BookingMachine
from tests.model.world import SECRET_KEY, World

# A step is a few round trips to the database, so a run is slower and longer than hypothesis expects of an example.
# `make nightly` makes twenty times as many, by hypothesis' profile of that name.
thorough = settings(
    deadline=None,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.fixture
def world(dsn: str) -> Iterator[World]:
    """Yield two clinics with the same file but for its code, on a loop that hypothesis' plain functions can use."""
    loop = asyncio.new_event_loop()
    opening = _open(dsn, loop)
    yield loop.run_until_complete(anext(opening))
    with suppress(StopAsyncIteration):
        loop.run_until_complete(anext(opening))
    loop.close()


async def _open(dsn: str, loop: asyncio.AbstractEventLoop) -> AsyncIterator[World]:
    values = {"DATABASE_URL": dsn, "DATABASE_ALLOW_UNSAFE": "true", "SECRET_KEY": SECRET_KEY, "DATABASE_POOL_SIZE": "2"}
    text = CLINIC_FILE.read_text(encoding="utf-8")
    files = [parse(text, "fair-lawn.toml"), parse(text.replace("fair-lawn", "wayne"), "wayne.toml")]
    emptying = await asyncpg.connect(dsn, server_settings={"session_replication_role": "replica"})
    async with open_pool(load_settings(values)) as pool:
        async with pool.acquire() as connection, connection.transaction():
            await apply_files(connection, files)
            clinics = await load_clinics(connection)
        yield World(loop, pool, emptying, clinics)
    await emptying.close()


# A run that disagrees is made as short as it can be before it is told, and that takes a while.
@pytest.mark.timeout(3600)
@pytest.mark.hypothesis
def test_the_service_agrees_with_the_model(world: World) -> None:
    runs: list[int] = []

    def machine() -> BookingMachine:
        runs.append(len(runs))
        return BookingMachine(world)

    run_state_machine_as_test(machine, settings=thorough)  # pyright: ignore[reportArgumentType]
    print(f"{len(runs)} runs of up to {thorough.stateful_step_count} steps agreed")  # noqa: T201 - for `pytest -s`
    assert len(runs) >= settings().max_examples
