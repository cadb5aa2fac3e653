"""Simulated providers as processes of their own, which outlive those of ours that are killed."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.processes import ROOT, free_port, until


@asynccontextmanager
async def provider(name: str, log: Path, *arguments: str) -> AsyncGenerator[int]:
    """Start ``tests.simulators.<name>`` with a log of what it accepts, and yield the port on which it listens."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.simulators.{name}", "--port", str(port), "--log", str(log), *arguments, cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def listens() -> bool:
        assert process.returncode is None, f"the simulated {name} ended by itself"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens, what=f"the simulated {name}")
        yield port
    finally:
        process.kill()
        await process.wait()


def logged(log: Path) -> list[dict[str, Any]]:
    """Return what a provider accepted, first to last."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
