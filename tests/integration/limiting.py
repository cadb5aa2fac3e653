"""Limits made small, and whoever runs into them."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from tests.integration.conftest import BASE_URL
from tests.integration.requests import book_held, hold

DAYS = [f"2026-12-{day:02}" for day in (1, 2, 3, 7, 8, 9, 10, 14, 15, 16)]
CLIENT = "203.0.113.9"

Limit = Callable[..., Awaitable[Clinic]]


def at(app: Litestar, address: str, **headers: str) -> httpx.AsyncClient:
    """Return a client at another address than all the others."""
    transport = httpx.ASGITransport(app=app, client=(address, 4711), raise_app_exceptions=False)  # pyright: ignore
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


def refused(response: httpx.Response) -> int:
    """Return for how long a request was refused."""
    assert (response.status_code, response.json()["code"]) == (429, "rate-limited"), response.text
    seconds = int(response.headers["retry-after"])
    assert seconds == response.json()["retry_after_seconds"] >= 1
    return seconds


async def hold_on(client: httpx.AsyncClient, day: str, **headers: str) -> httpx.Response:
    body = {"visit_type": "follow-up", "starts_at": f"{day}T10:00:00-05:00"}
    return await client.post("/api/v1/holds", json=body, headers=headers)


async def booked(client: httpx.AsyncClient, day: str, patient: dict[str, Any]) -> httpx.Response:
    return await book_held(client, await hold(client, "follow-up", f"{day}T10:00:00-05:00"), patient)
