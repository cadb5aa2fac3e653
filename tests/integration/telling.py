"""Subscribing to what happens, and delivering what there is to tell."""

from datetime import datetime, timedelta
from typing import Any

import httpx

from scheduler.services.webhook_delivery import Courier, deliver_due

EVERYTHING = ["visit.booked", "visit.changed", "visit.cancelled", "message.failed"]
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def subscribe(desk: httpx.AsyncClient, url: str, events: list[str] | None = None, **more: Any) -> tuple[str, str]:
    """Subscribe and return the path of the webhook and its secret."""
    answer = await desk.post("/api/v1/webhooks", json={"url": url, "events": events or EVERYTHING, **more})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"], answer.json()["secret"]


async def deliver_all(courier: Courier, now: datetime) -> None:
    while await deliver_due(courier, now=now):
        pass


async def deliveries(desk: httpx.AsyncClient, webhook: str, **filters: str) -> list[dict[str, Any]]:
    answer = await desk.get(f"{webhook}/deliveries", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def delivery(desk: httpx.AsyncClient, webhook: str) -> dict[str, Any]:
    (only,) = await deliveries(desk, webhook)
    return only
