"""A TCP proxy that misbehaves on command: slow, silent, deaf, cut, or in the way of an answer."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Literal, Self

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Loss = Literal["question", "answer"]


class Link:
    """One connection through the proxy: to whoever came, and to where they wanted to go."""

    def __init__(self, client: Streams, server: Streams) -> None:
        self.client, self.server = client, server
        self.deaf = False
        self.answer_is_lost = False

    def abort(self) -> None:
        for _, writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Passes every connection on to ``connect``.

    ``delay`` seconds go before everything that is passed on; while ``refusing`` nobody gets in. ``lose`` holds what is
    lost next: the next that a client says with ``word`` in it, or the answer to it, and the connection with it.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]], word: bytes) -> None:
        self._connect, self._word = connect, word
        self.delay = 0.0
        self.refusing = False
        self.lose: list[Loss] = []
        self.port = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """Let nothing through, as where a cable is out; what was said arrives when it is back."""
        self._flows.clear()

    def deafen(self) -> None:
        """Let every connection there is lead nowhere, and tell neither side until one hangs up: half open, for good."""
        for link in self._links:
            link.deaf = True

    def reset(self) -> None:
        """Cut every connection there is."""
        for link in list(self._links):
            link.abort()

    def heal(self) -> None:
        """Behave from now on. What is deaf stays so."""
        self.delay, self.refusing, self.lose = 0.0, False, []
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await self._flows.wait()
        try:
            if self.refusing:
                raise ConnectionRefusedError
            link = Link((reader, writer), await self._connect())
        except OSError:
            writer.transport.abort()
            return
        self._links.add(link)
        ways = [asyncio.create_task(self._ask(link)), asyncio.create_task(self._answer(link))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # nobody waits for what a server does for those who come
        finally:
            for way in ways:
                way.cancel()
            self._links.discard(link)
            for _, end in (link.client, link.server):
                end.close()

    async def _ask(self, link: Link) -> None:
        while words := await self._hear(link, link.client[0]):
            if self._word in words and self.lose:
                if self.lose.pop(0) == "question":
                    return link.abort()
                link.answer_is_lost = True
            await _say(link.server[1], words)
        return None

    async def _answer(self, link: Link) -> None:
        while words := await self._hear(link, link.server[0]):
            if link.answer_is_lost:
                # That there is an answer proves that it was done; nobody is told.
                return link.abort()
            await _say(link.client[1], words)
        return None

    async def _hear(self, link: Link, source: asyncio.StreamReader) -> bytes:
        with contextlib.suppress(OSError):
            words = await source.read(65536)
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._flows.wait()
            while words and link.deaf:
                words = await source.read(65536)
            return words
        return b""


async def _say(target: asyncio.StreamWriter, words: bytes) -> None:
    with contextlib.suppress(OSError):
        target.write(words)
        await target.drain()
