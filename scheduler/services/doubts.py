"""Finding out what became of messages that may have left, and deciding about each.

Only after the last of the checks, and only with the provider's own word that it has no trace of it, may a message go
again. ``now`` is None in production, where the database's clock decides.
"""

import asyncio
from datetime import datetime

import asyncpg
import structlog

from scheduler.channels.base import NO_LINK, Envelope, MessageChannel
from scheduler.domain.messages import State
from scheduler.domain.sending import NEVER_AGAIN
from scheduler.services.delivery import BATCH, Post, links_of
from scheduler.services.failures import after_failure
from scheduler.settings import Settings
from scheduler.store.doubts import DoubtfulMessage, doubt_lost_leases, resolve_doubt, take_doubtful, unbound_ids
from scheduler.store.units import reading, unit_of_work

# After so many attempts of which nobody knows what became, a person must look. What can be asked for is certain each
# time that it did not arrive; an email, of which nobody can be asked, goes twice at most, both times under one name.
MOST_DOUBTS = 10
MOST_DOUBTS_UNASKED = 2

_log = structlog.get_logger(__name__)


async def settle_doubts(post: Post, *, now: datetime | None = None) -> int:
    """Take up messages whose sender went silent or whose fate is unknown, ask the provider, and decide.

    A match binds the provider's id. A provider that shows no trace after the last check may be given the message
    again; one that does not answer is asked until the message is of no more use. A channel that cannot be asked
    (email) waits as long and then sends once more, with the Message-ID that hides a double; after that a person
    must look. Returns how many were decided.
    """
    first_check = float(post.settings.message_reconcile_seconds[0])
    async with reading(post.pool) as connection:
        await doubt_lost_leases(connection, first_check, now)
        doubtful = await take_doubtful(
            connection, limit=BATCH, lease_seconds=post.settings.message_lease_seconds, now=now
        )
    return sum(await asyncio.gather(*(_settle_doubt(post, message, now) for message in doubtful)))


async def _settle_doubt(post: Post, message: DoubtfulMessage, now: datetime | None) -> bool:
    channel = post.channels[message.channel]
    found = await _ask(post, channel, message)
    try:
        async with unit_of_work(post.pool) as connection:
            fresh = await unbound_ids(connection, message.clinic_id, message.channel, found or ())
            state, reason, wait = _fate(
                post.settings, message, found=found, fresh=fresh, can_be_asked=channel.can_be_asked
            )
            resolved = await resolve_doubt(
                connection,
                message,
                state=state,
                provider_id=fresh[-1] if fresh else None,
                reason=reason,
                check_after_seconds=wait,
                now=now,
            )
            if resolved and state == "dead":
                await after_failure(connection, message.clinic_id, message.id, now=now)
    except asyncpg.UniqueViolationError:
        # A status callback bound the id between our look and our write, and has decided.
        return False
    _log.info("message.doubt", message_id=str(message.id), channel=message.channel, state=state)
    return resolved and state != "unknown"


def _fate(
    settings: Settings,
    message: DoubtfulMessage,
    *,
    found: tuple[str, ...] | None,
    fresh: list[str],
    can_be_asked: bool,
) -> tuple[State, str | None, float | None]:
    """Return what becomes of a message in doubt, why in plain words, and when to ask again if it stays in doubt."""
    checks = settings.message_reconcile_seconds
    left = [seconds - message.age for seconds in checks if seconds > message.age]
    if fresh:
        return "sent", None, None
    if left or (can_be_asked and found is None and not message.expired):
        return "unknown", "It may have left; the provider is being asked.", left[0] if left else float(checks[-1])
    too_many = message.doubts >= (MOST_DOUBTS if can_be_asked else MOST_DOUBTS_UNASKED)
    if message.expired or too_many or message.kind in NEVER_AGAIN:
        return "dead", "Nobody can tell whether it arrived. Please call the patient.", None
    return "pending", "The provider shows no trace of it; it goes again.", None


async def _ask(post: Post, channel: MessageChannel, message: DoubtfulMessage) -> tuple[str, ...] | None:
    text = message.rendered["text"]
    if channel.can_be_asked and message.visit_id is not None and NO_LINK in text:
        # The provider knows it by its very words, with the link that is not kept.
        async with reading(post.pool) as connection:
            links = await links_of(post, connection, [message])
        text = text.replace(NO_LINK, links.get(message.visit_id, NO_LINK))
    envelope = Envelope(
        message_id=message.id,
        address=message.address,
        sender="",
        subject=message.rendered["subject"],
        text=text,
        useful_for_seconds=0,
    )
    return await channel.find(envelope, message.first_attempt_at)
