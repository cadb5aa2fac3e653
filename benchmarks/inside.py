"""The application asked inside this process, without a server between."""

from typing import Any

from litestar import Litestar


async def ask(app: Litestar, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Return the status and the body of the answer to one request."""
    arriving: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]
    leaving: list[Any] = []

    async def receive() -> Any:
        return arriving.pop() if arriving else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        leaving.append(message)

    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return leaving[0]["status"], b"".join(message.get("body", b"") for message in leaving[1:])
