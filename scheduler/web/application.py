"""The application as the server calls it: HEAD wherever there is GET, and an answer in time, whatever else happens."""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from time import perf_counter
from typing import Any, cast

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from scheduler.errors import BodyTooSlow, MalformedRequest

# What a body may take, counted from the end of its headers. The server waits as long for those (commands/serve).
BODY_SECONDS = 10.0

# What an answer may take from then on to its first byte. Whatever holds it up, the caller can try again meanwhile.
ANSWER_SECONDS = 4.0

# Twilio waits for fifteen seconds and may not come again: a text waits for the one before it (store/locks).
_LONGER = {"/hooks/": 12.0}

# Where a request's state keeps the moment at which it came in, by the clock of ``perf_counter``.
BEGAN = "began"


class Application(Litestar):
    """Litestar, and what must come before its routing."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})[BEGAN] = perf_counter()
            if scope["method"] == "HEAD":
                # RFC 9110, 9.3.2: the same as GET, with the same headers, and nothing after them.
                scope, send = {**scope, "method": "GET"}, _without_body(send)
            elif scope["method"] == "OPTIONS":
                send = _with_methods(send, scope, self._methods)
            return await self._answer(scope, receive, send)
        return await super().__call__(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or say after a while that it could not be."""
        seconds = next((longer for path, longer in _LONGER.items() if scope["path"].startswith(path)), ANSWER_SECONDS)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BODY_SECONDS
        whole = begun = False

        async def receive_in_time() -> Any:
            # A body that trickles in or breaks off is refused: nobody keeps a connection for as long as they like. The
            # time for the answer begins when the body is whole. What comes after that is the end of the connection,
            # for which there is no hurry.
            nonlocal whole
            if whole:
                return await receive()
            _wait_until(limit, None)
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow from None
            if message["type"] == "http.disconnect":
                raise MalformedRequest("The body broke off.")
            whole = not message.get("more_body", False)
            if not begun:
                _wait_until(limit, loop.time() + seconds)
            return message

        async def send_begun(message: Any) -> None:
            nonlocal begun
            if not begun:
                begun = True
                _wait_until(limit, None)
            await send(message)

        try:
            async with asyncio.timeout(seconds) as limit:
                await super().__call__(scope, receive_in_time, send_begun)
        except TimeoutError:
            if begun:
                raise
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            handlers = cast("dict[Any, Any]", self.exception_handlers)  # pyright: ignore[reportUnknownMemberType]
            answer = handlers[Exception](request, TimeoutError()).to_asgi_response(self, request)
            await answer(scope, receive, self._wrap_send(send=send, scope=scope))

    @cached_property
    def query_names(self) -> Mapping[HTTPRouteHandler, frozenset[str]]:
        """The names of the query parameters that each handler takes."""
        return {
            handler: frozenset(parameter.field_alias for parameter in taken.expected_query_params)
            for route in self.routes
            if isinstance(route, HTTPRoute)
            for handler, taken in route.route_handler_map.values()
        }

    @cached_property
    def _methods(self) -> Mapping[str, bytes]:
        """The methods of every path, as the header Allow has them."""
        return {
            route.path_format: ", ".join(allowed(route.route_handler_map)).encode()
            for route in self.routes
            if isinstance(route, HTTPRoute)
        }


def _wait_until(limit: asyncio.Timeout, moment: float | None) -> None:
    """Let a limit strike at another moment, or never; one that has struck already stays struck."""
    try:  # noqa: SIM105 - every answer comes by here, and `suppress` takes three times as long
        limit.reschedule(moment)
    except RuntimeError:
        pass


def allowed(methods: Any) -> list[str]:
    """Return the methods of an address in order; where there is GET there is HEAD."""
    return sorted({*methods, "HEAD"} if "GET" in methods else set(methods))


def _without_body(send: Any) -> Any:
    async def send_head(message: Any) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


def _with_methods(send: Any, scope: Any, methods: Mapping[str, bytes]) -> Any:
    """Let OPTIONS tell all methods of a path: Litestar's answer knows those alone that it met first."""

    async def send_options(message: Any) -> None:
        if message["type"] == "http.response.start" and scope.get("path_template") in methods:
            headers = [header for header in message["headers"] if header[0] != b"allow"]
            message = {**message, "headers": [*headers, (b"allow", methods[scope["path_template"]])]}
        await send(message)

    return send_options
