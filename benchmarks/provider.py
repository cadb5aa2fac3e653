"""A Twilio that takes its time: ``python -m benchmarks.provider SECONDS`` answers a create at PORT after so long."""

import asyncio
import os
import sys

from aiohttp import web

from tests.simulators.twilio import TwilioSimulator


class SlowTwilio(TwilioSimulator):
    async def _create(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(float(sys.argv[1]))
        return await super()._create(request)


async def serve() -> None:
    async with SlowTwilio(port=int(os.environ["PORT"])):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
