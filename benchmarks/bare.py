"""The least that this stack can do: one Litestar handler, one trivial query, and bytes that were there before.

Run as a process of its own, served as the service is: ``python -m benchmarks.bare FILE`` answers ``GET /slots`` with
the file's content.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import uvloop
from litestar import Litestar, Response, get
from litestar.datastructures import State

from scheduler.commands.serve import serve
from scheduler.settings import Settings, load_settings
from scheduler.store.connections import open_pool
from scheduler.store.units import reading


def create_bare(settings: Settings, answer: bytes) -> Litestar:
    @get("/slots")
    async def slots(state: State) -> Response[bytes]:
        async with reading(state.pool) as connection:
            await connection.fetchval("select 1")
        return Response(answer, media_type="application/json")

    @get("/health/live")
    async def live() -> str:
        return "live"

    @contextlib.asynccontextmanager
    async def open_for_queries(app: Litestar) -> AsyncGenerator[None]:
        async with open_pool(settings) as pool:
            app.state.pool = pool
            yield

    return Litestar(route_handlers=[slots, live], lifespan=[open_for_queries], openapi_config=None, logging_config=None)


def main() -> None:
    settings = load_settings(os.environ)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(create_bare(settings, Path(sys.argv[1]).read_bytes()), settings))


if __name__ == "__main__":
    main()
