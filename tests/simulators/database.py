"""A proxy before PostgreSQL that cuts the line at COMMIT, or leaves it dead, before or after the server has done it."""

import asyncio
import contextlib
from typing import Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

Cut = Literal["never", "before the commit", "after the commit", "silent after the commit"]


class CommitCutter:
    """Passes a conversation on and, as ``cut`` says, ends it at the next COMMIT; then it is ``never`` again.

    ``silent`` leaves the line open, so that whoever asked waits for an answer that never comes.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = urlsplit(dsn)
        self.cut: Cut = "never"
        self.cuts = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def dsn(self) -> str:
        """The address of the database through the proxy."""
        port = self._server.sockets[0].getsockname()[1]
        login = self._dsn.netloc.rpartition("@")[0]
        return f"postgresql://{login}@127.0.0.1:{port}{self._dsn.path}"

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        query = parse_qs(self._dsn.query)
        if "host" in query:
            port = query.get("port", ["5432"])[0]
            return await asyncio.open_unix_connection(f"{unquote(query['host'][0])}/.s.PGSQL.{port}")
        return await asyncio.open_connection(self._dsn.hostname, self._dsn.port or 5432)

    async def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        from_server, to_server = await self._connect()
        answers = asyncio.create_task(_pass_on(from_server, to_client))
        try:
            while data := await from_client.read(65536):
                if b"COMMIT" in data and self.cut != "never":
                    cut, self.cut = self.cut, "never"
                    if cut != "before the commit":
                        await _end(answers)
                        to_server.write(data)
                        # The server's answer proves that it has committed; nobody is told.
                        await from_server.read(65536)
                    self.cuts += 1
                    if cut == "silent after the commit":
                        await from_client.read()
                    return
                to_server.write(data)
        finally:
            await _end(answers)
            to_client.transport.abort()
            to_server.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
    target.close()
