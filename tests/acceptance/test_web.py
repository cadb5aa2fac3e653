"""A web process: it refuses to start in one sentence, stops when told, and lets no slow client keep others out."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from scheduler.commands.serve import HEADER_MILLISECONDS
from tests.acceptance.processes import answers, free_port, running, start

SLOW_CLIENTS = 200


@pytest.mark.usefixtures("key")
async def test_clients_that_dribble_their_request_are_sent_away_while_others_are_served(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with running("web", environment, tmp_path / "web.log", web=True) as web:
        port = int(web.url.rpartition(":")[2])
        began = time.monotonic()
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(SLOW_CLIENTS)]
        for _, writer in clients:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: clinic.test\r\nX-Slow: ")

        async def dribble() -> None:
            while True:
                await asyncio.sleep(1)
                for _, writer in clients:
                    writer.write(b"z")

        dribbling = asyncio.create_task(dribble())
        assert await answers(web)
        assert time.monotonic() - began < HEADER_MILLISECONDS / 1000
        async with asyncio.timeout(HEADER_MILLISECONDS / 1000 + 10):
            ends = await asyncio.gather(*(reader.read() for reader, _ in clients), return_exceptions=True)
        dribbling.cancel()
        assert all(end == b"" or isinstance(end, ConnectionError) for end in ends), set(map(repr, ends))
        assert await answers(web)
        for _, writer in clients:
            writer.close()


async def said(environment: dict[str, str], log: Path, **more: str) -> tuple[int, str]:
    """Start a web process that ends by itself; return its exit code and what it said."""
    web = await start("web", environment | more, log)
    return await asyncio.wait_for(web.process.wait(), timeout=30), log.read_text()


@pytest.mark.usefixtures("key")
async def test_it_stops_cleanly_when_told(environment: dict[str, str], tmp_path: Path) -> None:
    async with running("web", environment, tmp_path / "web.log", web=True) as web:
        _, idle = await asyncio.open_connection("127.0.0.1", int(web.url.rpartition(":")[2]))
        assert await answers(web)
        assert await web.stop() == 0
        assert "Traceback" not in web.log.read_text()
        idle.close()


async def test_it_says_in_one_sentence_that_no_clinic_has_been_loaded(
    environment: dict[str, str], tmp_path: Path
) -> None:
    code, words = await said(environment, tmp_path / "web.log", PORT=str(free_port()))
    assert (code, words) == (2, "scheduler: no clinic has been loaded yet: run `scheduler apply` first\n")


async def test_it_says_in_one_sentence_that_the_database_is_not_there(
    environment: dict[str, str], tmp_path: Path
) -> None:
    absent = {"DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/absent", "PORT": str(free_port())}
    code, words = await said(environment, tmp_path / "web.log", **absent)
    assert code == 2
    assert words.startswith("scheduler: DATABASE_URL: the database cannot be used")
    assert words.count("\n") == 1


async def test_it_does_not_share_a_port_with_another_program(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, words = await said(environment, tmp_path / "web.log", PORT=str(taken.getsockname()[1]))
    assert code == 2
    assert words.startswith("scheduler: PORT: another program listens on 127.0.0.1 port")
    assert words.count("\n") == 1
