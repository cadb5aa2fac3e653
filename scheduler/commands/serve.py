"""The two long-running processes: each ends cleanly on SIGTERM or SIGINT, or when whoever started it is gone.

Each imports its own half of the service only when it runs, so that neither waits for the other's libraries.
"""

import asyncio
import errno
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from scheduler.errors import ConfigurationError
from scheduler.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

# The read end of a pipe whose other end the starter holds. It closes when the starter ends, however it ends.
PARENT_PIPE = "PARENT_PIPE"

# A client that has not sent its whole head by then is sent away, so that slow ones cannot use up the connections.
HEADER_MILLISECONDS = 10_000

# Connections served at once, and how many more may wait to be accepted.
CONNECTIONS = 1024

# What requests under way get to finish in; the rest is cut off.
DRAIN_SECONDS = 2.0

# Granian's own lines go the way of all others; it announces itself at length below this level.
GRANIAN_LOGGER = "_granian"
GRANIAN_LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {GRANIAN_LOGGER: {"propagate": True}}}


def run_web(settings: Settings) -> None:
    """Serve the application until told to stop. Raises ConfigurationError where it cannot listen."""
    _serve_until_told(settings, _web(settings))


def run_maintenance(settings: Settings) -> None:
    """Say that the service is stopped on purpose, until told to stop. Raises ConfigurationError as well."""
    _serve_until_told(settings, _maintenance(settings))


def _serve_until_told(settings: Settings, serving: Coroutine[Any, Any, None]) -> None:
    try:
        refuse_taken_port(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serving)
    except BaseExceptionGroup as group:
        # Litestar opens the application inside a group of tasks, which wraps what went wrong.
        refusal = group.subgroup(ConfigurationError)
        raise (_first(refusal) if refusal else group) from None
    finally:
        # Where it cannot listen, nothing has begun.
        serving.close()


def run_worker(settings: Settings) -> None:
    """Work until told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings))


def refuse_taken_port(settings: Settings) -> None:
    """Raise ConfigurationError, one sentence, where HOST and PORT cannot be listened on."""
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[ipaddress.ip_address(settings.host).version]
    where = f"{settings.host} port {settings.port}"
    reasons = {
        errno.EADDRINUSE: f"PORT: another program listens on {where}; stop it, or set PORT to another number.",
        errno.EACCES: f"PORT: this account may not listen on {where}; set PORT to a number above 1023.",
        errno.EADDRNOTAVAIL: f"HOST: {settings.host} is not an address of this machine.",
    }
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as problem:
        raise ConfigurationError(
            reasons.get(problem.errno or 0, f"HOST: {where} cannot be listened on ({problem.strerror}).")
        ) from None


async def serve(app: "Litestar", settings: Settings) -> None:
    """Answer for an application on HOST and PORT, for as long as its lifespan, until told to stop."""
    stop = _told_to_stop()
    server = Server(
        app,
        address=settings.host,
        port=settings.port,
        # The lifespan is entered here and not by Granian, so that what goes wrong in it is raised, not logged.
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS),
        websockets=False,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
        log_access=False,
        log_level=LogLevels.error,
        log_dictconfig=GRANIAN_LOGGING,
    )
    async with app.lifespan():
        serving = asyncio.ensure_future(server.serve())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise RuntimeError("the web server ended by itself")
        # Boards that are open would keep their streams for as long as they may.
        app.state.boards.close()
        server.stop()
        await asyncio.wait((serving,), timeout=DRAIN_SECONDS)
    # Whoever is still being answered is cut off now, and that is no news.
    logging.getLogger(GRANIAN_LOGGER).disabled = True
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)


def _first(problem: BaseException) -> BaseException:
    while isinstance(problem, BaseExceptionGroup):
        problem = cast("BaseExceptionGroup[BaseException]", problem).exceptions[0]
    return problem


async def _web(settings: Settings) -> None:
    from scheduler.app import create_app

    await serve(create_app(settings), settings)


async def _maintenance(settings: Settings) -> None:
    from scheduler.services.clinic_files import read_files
    from scheduler.web.maintenance import create_maintenance_app

    await serve(create_maintenance_app(settings, read_files(settings.scheduler_clinic)), settings)


async def _work(settings: Settings) -> None:
    from scheduler.worker import main

    await main.run(settings, _told_to_stop())


def _told_to_stop() -> asyncio.Event:
    """Return an event that is set when this process should end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if pipe := os.environ.get(PARENT_PIPE):
        loop.add_reader(int(pipe), stop.set)
    return stop
