"""The application of this process on a port of its own, for those who call it from outside, such as a Twilio."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from aiohttp import web
from litestar import Litestar

_HOP_BY_HOP = {"transfer-encoding", "connection", "content-length"}


@asynccontextmanager
async def served(app: Litestar) -> AsyncGenerator[str]:
    """Yield the address at which the application answers over HTTP."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # pyright: ignore[reportArgumentType]

    async def forward(request: web.Request) -> web.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://behind.test") as client:
            answer = await client.request(
                request.method,
                str(request.rel_url),
                content=await request.read(),
                headers=list(request.headers.items()),
            )
        headers = [(name, value) for name, value in answer.headers.items() if name not in _HOP_BY_HOP]
        return web.Response(status=answer.status_code, body=answer.content, headers=headers)

    outside = web.Application()
    outside.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(outside, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
