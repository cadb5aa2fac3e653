"""Hearing at once, by NOTIFY, what other processes have done; whoever listens looks by itself now and then as well."""

import asyncio
from collections.abc import Callable, Mapping

import asyncpg
import structlog

from scheduler.settings import Settings
from scheduler.store.connections import Connection, connect

LISTEN_AGAIN_SECONDS = 2.0

_log = structlog.get_logger(__name__)


async def listen(settings: Settings, actions: Mapping[str, Callable[[], None]]) -> None:
    """Keep a connection of its own on LISTEN, and do what stands beside a channel whenever something is told on it.

    What is told while nobody listens is lost, so all of it is done once after every connect.
    """
    while True:
        try:
            connection = await connect(settings)
            try:
                await _hear(connection, actions)
            finally:
                await connection.close(timeout=1)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
            _log.warning("listen.lost", problem=type(problem).__name__)
        await asyncio.sleep(LISTEN_AGAIN_SECONDS)


async def _hear(connection: Connection, actions: Mapping[str, Callable[[], None]]) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())
    for channel in actions:
        await connection.add_listener(channel, lambda _connection, _pid, told, _payload: actions[told]())
    for action in actions.values():
        action()
    await lost.wait()
