"""Clients that keep a web server busy: wrk where it is installed, else a client of our own, slower but as honest."""

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

_SCRIPT = Path(__file__).parent / "wrk.lua"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How a stretch of load went. ``refused`` are answers of 400 and above, ``broken`` what got no answer at all."""

    answers: int
    seconds: float
    refused: int
    broken: int
    median_ms: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


class LoadFailed(Exception):
    """A server refused what it was measured by, or did not answer: such a run is no measurement."""


def name_of_client() -> str:
    return "wrk" if shutil.which("wrk") else "the client of our own"


def request(method: str, path: str, *, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole HTTP request; names of headers are written with underscores."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def drive(
    url: str, requests: Sequence[bytes], *, connections: int, seconds: float, once: bool = False
) -> Answered:
    """Send requests in order for so many seconds over so many connections, the next once the last was answered.

    ``once`` is for what may not be sent again. Raises LoadFailed where anything was refused, broke off, or would
    have been sent twice.
    """
    ask = _wrk if shutil.which("wrk") else _ask
    answered = await ask(url, requests, connections=connections, seconds=seconds)
    if answered.refused or answered.broken:
        raise LoadFailed(f"{answered.refused} of {answered.answers} requests were refused, {answered.broken} broke off")
    if once and answered.answers + connections > len(requests):
        raise LoadFailed(f"{len(requests)} requests were not enough for {seconds} seconds")
    return answered


async def _wrk(url: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> Answered:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\0".join(requests))
        file.flush()
        process = await asyncio.create_subprocess_exec(
            "wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", f"--script={_SCRIPT}", url,
            "--", file.name, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
    if process.returncode:
        raise LoadFailed(f"wrk ended with {process.returncode}")
    return msgspec.json.decode(output.splitlines()[-1], type=Answered)


async def _ask(url: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> Answered:
    address = urlsplit(url)
    following = cycle(requests)
    began = time.perf_counter()
    tasks = [_one(address.hostname or "", address.port or 0, following, began + seconds) for _ in range(connections)]
    each = await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    all_answers = [answer for answers in each for answer in answers]
    return Answered(
        answers=len(all_answers),
        seconds=took,
        refused=sum(status >= 400 for status, _ in all_answers),  # noqa: PLR2004
        broken=0,
        median_ms=1000 * statistics.median(latency for _, latency in all_answers),
    )


async def _one(host: str, port: int, requests: Iterator[bytes], until: float) -> list[tuple[int, float]]:
    """Return status and seconds of each answer that one connection got."""
    connection = await Connection.open(host, port)
    answers: list[tuple[int, float]] = []
    while (asked := time.perf_counter()) < until:
        status, _ = await connection.ask(next(requests))
        answers.append((status, time.perf_counter() - asked))
    connection.close()
    return answers


class Connection:
    """One connection to a web server, kept open, which asks and reads what is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(host, port))

    async def ask(self, whole_request: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        self._writer.write(whole_request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, length = head.partition(b"\r\ncontent-length:")
        body = await self._reader.readexactly(int(length.partition(b"\r\n")[0]))
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        self._writer.close()
