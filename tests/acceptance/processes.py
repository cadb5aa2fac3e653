"""Real processes of the service: started as an operator would, watched by their answers, killed without warning."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Started:
    """A process of ours, its log, and for a web process the address it answers on."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, url: str) -> None:
        self.process = process
        self.log = log
        self.url = url

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), timeout=10)


async def start(
    command: str, environment: dict[str, str], log: Path, *, port: int = 0, program: str = "scheduler"
) -> Started:
    """Start ``scheduler <command>``; a web process is waited for until it answers. ``program`` is another module."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            program,
            *command.split(),
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env={
                "PATH": os.environ["PATH"],
                **environment,
                **({"PORT": str(port), "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}"} if port else {}),
            },
        )
    started = Started(process, log, f"http://127.0.0.1:{port}")
    if port:
        await until(lambda: answers(started), what=f"{command} to answer")
    return started


async def answers(started: Started) -> bool:
    assert started.process.returncode is None, started.log.read_text()
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{started.url}/health/live") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def running(
    command: str, environment: dict[str, str], log: Path, *, web: bool = False
) -> AsyncGenerator[Started]:
    started = await start(command, environment, log, port=free_port() if web else 0)
    try:
        yield started
    finally:
        await started.kill()


async def until(question: Callable[[], Awaitable[Any]], *, seconds: float = 20, what: str = "it") -> Any:
    """Ask until the answer is true and return it; fail with what was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not (answer := await question()):  # noqa: ASYNC110 - it happens in other processes
                await asyncio.sleep(0.05)
            return answer
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s for {what}") from None
