"""Somebody else's server that webhooks are posted to: it answers, refuses, sends elsewhere, is slow, or silent."""

import asyncio
import contextlib
from collections import deque
from types import TracebackType
from typing import Any

import msgspec
import time_machine
from aiohttp import web
from standardwebhooks import Webhook


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """How one request is met: after some seconds, by a status with headers; or by silence until ``let_go``."""

    status: int = 204
    headers: dict[str, str] = {}
    body: bytes = b""
    seconds: float = 0.0


OK = Reply()
BUSY = Reply(status=503)
HANG = Reply(seconds=3600)
# The connection is closed instead of an answer.
DROP = Reply(status=0)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came in. The names of headers are in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body)

    def verified(self, secret: str) -> dict[str, Any]:
        """Return the event, verified at the moment it was sent with the library that Standard Webhooks publishes.

        Raises WebhookVerificationError where it was not signed with the secret.
        """
        with time_machine.travel(int(self.headers["webhook-timestamp"])):
            return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """A server on a loopback port. ``replies`` are used up one a request; then ``usually`` answers."""

    def __init__(self, usually: Reply = OK) -> None:
        self.usually = usually
        self.replies: deque[Reply] = deque()
        self.received: list[Received] = []
        self.let_go = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> "Receiver":
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hooks"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go.set()
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(path=request.path, headers=headers, body=await request.read()))
        reply = self.replies.popleft() if self.replies else self.usually
        if reply.seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.let_go.wait(), timeout=reply.seconds)
        if not reply.status and request.transport:
            request.transport.close()
        return web.Response(status=reply.status or 500, headers=reply.headers, body=reply.body)
