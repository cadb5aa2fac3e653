"""Hearing at once, by NOTIFY, what other processes have done; whoever listens looks by itself now and then as well."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import structlog

from scheduler.settings import Settings
from scheduler.store.connections import Connection, connect

# A connection that was heard of is replaced at once, nearly; where none can be made there is no hurry.
HEARD_AGAIN_SECONDS, LISTEN_AGAIN_SECONDS = 0.2, 2.0

# A connection that died without a word is noticed by then.
PROBE_SECONDS = 10.0

# What is told to an action after every connect, since nobody knows what was told before.
MISSED = ""

_log = structlog.get_logger(__name__)

Action = Callable[[str], None]


def _ignore() -> None:
    pass


async def listen(settings: Settings, actions: Mapping[str, Action], *, on_lose: Callable[[], None] = _ignore) -> None:
    """Keep a connection of its own on LISTEN, and do what stands beside a channel with whatever is told on it.

    What is told while nobody listens is lost, so all of it is done once after every connect, with ``MISSED``.
    """
    while True:
        pause = LISTEN_AGAIN_SECONDS
        try:
            connection = await connect(settings)
            try:
                await _hear(connection, actions)
                pause = HEARD_AGAIN_SECONDS
            finally:
                await connection.close(timeout=1)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
            _log.warning("listen.lost", problem=type(problem).__name__)
        on_lose()
        await asyncio.sleep(pause)


async def _hear(connection: Connection, actions: Mapping[str, Action]) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())

    def pass_on(_connection: Any, _process: int, channel: str, told: object) -> None:
        actions[channel](str(told))

    for channel in actions:
        await connection.add_listener(channel, pass_on)
    for action in actions.values():
        action(MISSED)
    while not await _is_set_within(lost, PROBE_SECONDS):
        await connection.execute("select 1")


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
