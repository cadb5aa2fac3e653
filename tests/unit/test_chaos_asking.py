"""A client of chaos asks once where it says once: what its library repeats unseen would be judged as a loss."""

import asyncio
import random
from pathlib import Path

from chaos.asking import Line
from chaos.journal import Ask, Journal

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_request_whose_line_breaks_is_not_made_again_unseen(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            while await reader.readline() != b"\r\n":
                pass
            asked.append(line.split()[0])
            if line.startswith(b"DELETE"):
                break
            writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    line = Line(Journal(tmp_path / "journal"), {"web": f"http://{host}:{port}"}, random.Random(1))
    try:
        assert (await line.once(Ask(number=1, client="desk", what="see"), "GET", "/api/v1/visits/1")).status == 200
        assert (await line.once(Ask(number=2, client="desk", what="time-on"), "DELETE", "/api/v1/x")).status is None
    finally:
        await line.close()
        server.close()
    assert asked == [b"GET", b"DELETE"]
