"""What a worker does, a step at a time and at a moment of the test's choosing."""

from datetime import UTC, datetime
from typing import Any

import httpx

from scheduler.services.delivery import Post, send_due
from scheduler.services.doubts import settle_doubts
from tests.integration.requests import messages_of


async def send_all(post: Post, now: datetime) -> None:
    """Send whatever is due."""
    while await send_due(post, now=now.astimezone(UTC)):
        pass


async def ask(post: Post, now: datetime) -> int:
    """Ask the providers about what is in doubt, where that is due; return how many messages that decided."""
    return await settle_doubts(post, now=now.astimezone(UTC))


async def states(desk: httpx.AsyncClient, visit: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Return how far each message of a visit is, by template and channel."""
    return {(one["template"], one["channel"]): one["state"] for one in await messages_of(desk, visit)}
