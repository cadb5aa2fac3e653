"""Clients that never come to an end: their heads or bodies come drop by drop. They must be sent away."""

import asyncio
import contextlib
import time

from chaos.world import WEBS, World

CLIENTS = 6
PATIENCE = 25.0

_HOST = b" HTTP/1.1\r\nHost: clinic.test\r\n"
_JSON = b"Content-Type: application/json\r\n"
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
OPENINGS = (
    (b"GET /health/live" + _HOST + b"X-Slow: ", b"z"),
    (b"POST /api/v1/visits" + _HOST + _JSON + b"Content-Length: 3000\r\n\r\n{", b" "),
    (b"POST /api/v1/visits" + _HOST + _JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    (b"POST /hooks/twilio/inbound" + _HOST + _FORM + b"Content-Length: 3000\r\n\r\nBody=", b"a"),
    (b"GET /he", b""),
    (b"", b""),
)


async def dribble(world: World) -> list[float | None]:
    """Return after how many seconds each of them was sent away, None for who was not while we had patience."""
    urls = [world.webs[WEBS[number % len(WEBS)]] for number in range(CLIENTS)]
    return list(await asyncio.gather(*(_one(url, *OPENINGS[n % len(OPENINGS)]) for n, url in enumerate(urls))))


async def _one(url: str, opening: bytes, more: bytes) -> float | None:
    host, _, port = url.removeprefix("http://").partition(":")
    began = time.monotonic()
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(opening)
            ending = asyncio.ensure_future(reader.read())
            while time.monotonic() < began + PATIENCE:
                done, _ = await asyncio.wait([ending], timeout=1)
                if done:
                    break
                writer.write(more)
            else:
                ending.cancel()
                return None
            with contextlib.suppress(OSError):
                ending.result()
        finally:
            writer.close()
    return time.monotonic() - began
