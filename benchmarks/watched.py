"""A worker whose event loop is watched: ``python -m benchmarks.watched FILE`` works until it is told to stop.

Then FILE says for how long the loop was blocked at most, and how much memory the process has had.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import uvloop

from benchmarks.memory import memory_of
from scheduler.settings import load_settings
from scheduler.telemetry import configure_logging
from scheduler.worker.main import run

# How often the loop is asked whether it is free.
_EVERY = 0.002

# What a worker does before it works, importing and connecting, is no block of its work.
_SETTLING_SECONDS = 2.0


async def watch() -> float:
    """Return by how many milliseconds a moment was missed at most, once this is cancelled."""
    await asyncio.sleep(_SETTLING_SECONDS)
    longest = 0.0
    try:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(_EVERY)
            longest = max(longest, time.perf_counter() - asked - _EVERY)
    except asyncio.CancelledError:
        return 1000 * longest


async def work() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = load_settings(os.environ)
    configure_logging(settings)
    watching = asyncio.create_task(watch())
    await run(settings, stop)
    watching.cancel()
    Path(sys.argv[1]).write_text(
        json.dumps({"longest_block_ms": await watching, "memory_mb": memory_of(os.getpid(), most=True)})
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
