"""Sending what is due, and finding out what became of what may have been sent.

The protocol (MESSAGES, section 8): a claim and the text are committed before a byte leaves; whatever cannot be
known afterwards is ``unknown`` and the provider is asked before anything is sent again. ``now`` is None in
production, where the database's clock decides.
"""

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime

import asyncpg
import msgspec
import structlog

from scheduler.channels.base import Envelope, MessageChannel, Outcome
from scheduler.channels.texts import Texts, render
from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.messages import State, next_text_time, retry_delay
from scheduler.services.directory import Directory
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool
from scheduler.store.dispatch import (
    ClaimedMessage,
    DoubtfulMessage,
    claim_messages,
    defer_message,
    doubt_lost_leases,
    record_rendered,
    resolve_doubt,
    settle_message,
    take_doubtful,
    unbound_ids,
)
from scheduler.store.units import reading, unit_of_work

# After this many tries that certainly did not leave, a person must look at the message; also after this many in all
# once one of them is in doubt.
MOST_RETRIES = 12
MOST_DOUBTS = 2
# A batch is sent all at once, so that no message waits in our own queue while its lease runs.
BATCH = 10
# A channel that is misconfigured is tried again this much later; nothing is wrong with its messages.
PAUSE_SECONDS = 900.0

_log = structlog.get_logger(__name__)


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that sending needs, put together once a process."""

    pool: Pool
    directory: Directory
    channels: Mapping[Channel, MessageChannel]
    texts: Texts
    settings: Settings


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    message: ClaimedMessage
    envelope: Envelope


async def send_due(post: Post, *, now: datetime | None = None) -> int:
    """Claim one batch of due messages, send them, and write what came of it; return how many were taken up."""
    moment = now or datetime.now(UTC)
    async with unit_of_work(post.pool) as connection:
        claimed, taken_up = await claim_messages(
            connection, limit=BATCH, lease_seconds=post.settings.message_lease_seconds, now=now
        )
        ready = [one for message in claimed if (one := await _make_ready(post, connection, message, moment))]
        await record_rendered(
            connection,
            [
                (one.message.clinic_id, one.message.id, {"subject": one.envelope.subject, "text": one.envelope.text})
                for one in ready
            ],
        )
    await asyncio.gather(*(_send(post, one, now) for one in ready))
    return taken_up


async def _make_ready(post: Post, connection: Connection, message: ClaimedMessage, now: datetime) -> _Ready | None:
    """Return the message in its words; or put it off to the text hours, or close it where it has no words."""
    clinic = post.directory.by_id(message.clinic_id)
    opens_at = next_text_time(clinic, now) if clinic and message.channel == "sms" else now
    if clinic is None or opens_at > now:
        await defer_message(connection, message, opens_at)
        return None
    try:
        return _Ready(message=message, envelope=_envelope(post, clinic, message, now))
    except Exception as problem:  # noqa: BLE001 - one message without words must not stop the others
        _log.warning("message.unrenderable", message_id=str(message.id), problem=type(problem).__name__)
        reason = f"Its text {message.template} could not be made; look at config/messages."
        await settle_message(connection, message, state="dead", outcome="unrenderable", reason=reason, now=now)
        return None


async def _send(post: Post, ready: _Ready, now: datetime | None) -> None:
    message = ready.message
    outcome = await post.channels[message.channel].send(ready.envelope)
    state, retry_after, check_after = _verdict(post.settings, message, outcome)
    async with reading(post.pool) as connection:
        settled = await settle_message(
            connection,
            message,
            state=state,
            outcome=outcome.result,
            provider_id=outcome.provider_id,
            http_status=outcome.http_status,
            error_code=outcome.error_code,
            reason=outcome.reason or None,
            retry_after_seconds=retry_after,
            check_after_seconds=check_after,
            now=now,
        )
    _log.info(
        "message.attempted",
        message_id=str(message.id),
        channel=message.channel,
        template=message.template,
        outcome=outcome.result,
        state=state if settled else "decided elsewhere",
    )


def _verdict(settings: Settings, message: ClaimedMessage, outcome: Outcome) -> tuple[State, float | None, float | None]:
    """Return the state an attempt leads to, after how many seconds to try again, and after how many to ask."""
    if outcome.result == "accepted":
        return "sent", None, None
    if outcome.result == "refused":
        return "failed", None, None
    if outcome.result == "unknown":
        return "unknown", None, float(settings.message_reconcile_seconds[0])
    if outcome.result == "paused":
        return "pending", PAUSE_SECONDS, None
    if message.retries + 1 >= MOST_RETRIES:
        return "dead", None, None
    delay = retry_delay(message.retries, random.random())  # noqa: S311 - jitter, not a secret
    return "pending", delay.total_seconds(), None


async def settle_doubts(post: Post) -> int:
    """Take up messages whose sender went silent or whose fate is unknown, ask the provider, and decide.

    A match binds the provider's id. A provider that shows no trace after the last check may be given the message
    again; one that does not answer is asked until the message is of no more use. A channel that cannot be asked
    (email) waits as long and then sends once more, with the Message-ID that hides a double; after that a person
    must look. Returns how many were decided.
    """
    first_check = float(post.settings.message_reconcile_seconds[0])
    async with reading(post.pool) as connection:
        await doubt_lost_leases(connection, first_check)
        doubtful = await take_doubtful(connection, limit=BATCH, lease_seconds=post.settings.message_lease_seconds)
    decided = [await _settle_doubt(post, message) for message in doubtful]
    return sum(decided)


async def _settle_doubt(post: Post, message: DoubtfulMessage) -> bool:
    channel = post.channels[message.channel]
    found = await _ask(channel, message)
    async with reading(post.pool) as connection:
        fresh = await unbound_ids(connection, message.clinic_id, message.channel, found or ())
        state, reason, wait = _fate(post.settings, message, found=found, fresh=fresh, can_be_asked=channel.can_be_asked)
        try:
            await resolve_doubt(
                connection,
                message,
                state=state,
                provider_id=fresh[-1] if fresh else None,
                reason=reason,
                check_after_seconds=wait,
            )
        except asyncpg.UniqueViolationError:
            # A status callback bound the id between our look and our write, and has decided.
            return False
    _log.info("message.doubt", message_id=str(message.id), channel=message.channel, state=state)
    return state != "unknown"


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
    if message.expired or message.attempts >= MOST_DOUBTS:
        return "dead", "Nobody can tell whether it arrived. Please call the patient.", None
    return "pending", "The provider shows no trace of it; it goes again.", None


async def _ask(channel: MessageChannel, message: DoubtfulMessage) -> tuple[str, ...] | None:
    envelope = Envelope(
        message_id=message.id,
        address=message.address,
        sender="",
        subject=message.rendered["subject"],
        text=message.rendered["text"],
        useful_for_seconds=0,
    )
    return await channel.find(envelope, message.first_attempt_at)


def _envelope(post: Post, clinic: Clinic, message: ClaimedMessage, now: datetime) -> Envelope:
    rendered = render(
        post.texts,
        clinic,
        template=message.template,
        channel=message.channel,
        language=message.language,
        variables=message.variables,
        now=now,
    )
    return Envelope(
        message_id=message.id,
        address=message.address,
        sender=post.settings.email_from or clinic.settings.email_from if message.channel == "email" else "",
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        useful_for_seconds=max(1, int((message.expires_at - now).total_seconds())),
    )
