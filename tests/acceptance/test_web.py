"""A web process: it refuses to start in one sentence, stops when told, and lets no slow client keep others out."""

import asyncio
import itertools
import socket
import time
from pathlib import Path

import pytest

from scheduler.commands.serve import HEADER_MILLISECONDS
from tests.acceptance.processes import answers, free_port, running, start

SLOW_CLIENTS = 200

# Clients that have not said what they want by then are gone.
LONGEST_SECONDS = 15.0

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
JSON = b"Content-Type: application/json\r\n"
HOST = b" HTTP/1.1\r\nHost: clinic.test\r\n"

# How a client begins that never comes to an end, and what it adds every second.
OPENINGS = {
    "headers": (b"GET /health/live" + HOST + b"X-Slow: ", b"z"),
    "a body of JSON": (b"POST /api/v1/holds" + HOST + JSON + b"Content-Length: 2000\r\n\r\n{", b" "),
    "a body in chunks": (b"POST /api/v1/holds" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a form": (b"POST /book" + HOST + FORM + b"Content-Length: 2000\r\n\r\nname=", b"a"),
    "a callback": (b"POST /hooks/twilio/inbound" + HOST + FORM + b"Content-Length: 2000\r\n\r\nBody=", b"a"),
    "nothing at all": (b"", b""),
}


@pytest.mark.usefixtures("key")
async def test_clients_that_dribble_their_request_are_sent_away_while_others_are_served(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with running("web", environment, tmp_path / "web.log", web=True) as web:
        port = int(web.url.rpartition(":")[2])
        began = time.monotonic()
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(SLOW_CLIENTS)]
        ways = list(zip(clients, itertools.cycle(OPENINGS.values())))
        for (_, writer), (opening, _) in ways:
            writer.write(opening)

        async def dribble() -> None:
            while True:
                await asyncio.sleep(1)
                for (_, writer), (_, more) in ways:
                    writer.write(more)

        dribbling = asyncio.create_task(dribble())
        assert await answers(web)
        assert time.monotonic() - began < HEADER_MILLISECONDS / 1000
        async with asyncio.timeout(LONGEST_SECONDS):
            ends = await asyncio.gather(*(reader.read() for reader, _ in clients), return_exceptions=True)
        dribbling.cancel()
        said = {end.split(b"\r\n")[0] for end in ends if isinstance(end, bytes)}
        # Some were told that they ask for too much before their bodies were looked at.
        assert said <= {b"", b"HTTP/1.1 408 Request Timeout", b"HTTP/1.1 429 Too Many Requests"}, said
        assert all(isinstance(end, bytes | ConnectionError) for end in ends), set(map(repr, ends))
        assert await answers(web)
        assert "request.failed" not in web.log.read_text(), "somebody slow is no fault of ours"
        for _, writer in clients:
            writer.close()


@pytest.mark.usefixtures("key")
async def test_a_body_that_breaks_off_is_the_clients_fault(environment: dict[str, str], tmp_path: Path) -> None:
    async with running("web", environment, tmp_path / "web.log", web=True) as web:
        port = int(web.url.rpartition(":")[2])
        for opening in ("a body of JSON", "a form"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(OPENINGS[opening][0])
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), timeout=5)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OPENINGS["a body in chunks"][0] + b"no number\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), timeout=5)).startswith(b"HTTP/1.1 400 ")
        writer.close()
        assert await answers(web)
        assert "request.failed" not in web.log.read_text()


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
