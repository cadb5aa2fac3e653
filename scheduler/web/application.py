"""The application as the server calls it: HEAD wherever there is GET, and bodies that come in time or not at all."""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from time import perf_counter
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from scheduler.errors import BodyTooSlow, MalformedRequest

# What a body may take, counted from the end of its headers. The server waits as long for those (commands/serve).
BODY_SECONDS = 10.0

# Where a request's state keeps the moment at which it came in, by the clock of ``perf_counter``.
BEGAN = "began"


class Application(Litestar):
    """Litestar, and what must come before its routing."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})[BEGAN] = perf_counter()
            receive = _in_time(receive)
            if scope["method"] == "HEAD":
                # RFC 9110, 9.3.2: the same as GET, with the same headers, and nothing after them.
                scope, send = {**scope, "method": "GET"}, _without_body(send)
            elif scope["method"] == "OPTIONS":
                send = _with_methods(send, scope, self._methods)
        await super().__call__(scope, receive, send)

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


def _in_time(receive: Any) -> Any:
    """Refuse a body that trickles in or breaks off: nobody keeps a connection for as long as they like.

    What comes after the body is the end of the connection, for which there is no hurry.
    """
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS
    whole = False

    async def receive_in_time() -> Any:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow from None
        if message["type"] == "http.disconnect":
            raise MalformedRequest("The body broke off.")
        whole = not message.get("more_body", False)
        return message

    return receive_in_time


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
