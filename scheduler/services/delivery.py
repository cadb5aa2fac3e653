"""Sending what is due.

The protocol (MESSAGES, section 8): a claim and the text are committed before a byte leaves; whatever cannot be
known afterwards is ``unknown`` and the provider is asked before anything is sent again (``services/doubts``). ``now``
is None in production, where the database's clock decides.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import structlog

from scheduler.channels.base import Envelope, MessageChannel, Outcome
from scheduler.channels.calendar import invitation
from scheduler.channels.texts import Texts, render
from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.messages import TOLD_IN_ANY_CASE, State
from scheduler.domain.sending import URGENT, retry_delay, text_use_ends
from scheduler.services.breaker import PAUSE_SECONDS, rest, rest_if_all_unknown
from scheduler.services.directory import REFRESH_SECONDS, Directory
from scheduler.services.failures import after_failure, after_no_attempt, note_double
from scheduler.services.guards import Aside, held_back, says_email, stay_within_room, too_long, without_room
from scheduler.services.links import find_manage_urls
from scheduler.services.opt_outs import record_opt_out
from scheduler.services.unsubscribes import unsubscribe_url
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool
from scheduler.store.dispatch import (
    ClaimedMessage,
    Rooms,
    TakenUp,
    Verdict,
    begin_attempts,
    claim_messages,
    put_aside,
)
from scheduler.store.doubts import DoubtfulMessage
from scheduler.store.pacing import lock_text_rooms, resting_channels, use_text_room
from scheduler.store.settling import note_acceptance, settle_message
from scheduler.store.units import reading, unit_of_work
from scheduler.store.unreachable import note_unreachable

# As many as a channel sends at once, so that none waits in our own queue for longer than another one's sending.
BATCH = 10

# How soon what could not be written down is written again.
NOTE_AGAIN_SECONDS = 0.5

# Where no message comes back from here, the desk and webhooks hear of it in the same transaction.
_FAILED: frozenset[State] = frozenset({"failed", "dead"})

# What the patient should hear from a person where a claim closes it: it came too late, or they want no messages.
_CALLED: dict[Verdict, frozenset[str]] = {"late": URGENT | {"reminder"}, "unwanted": TOLD_IN_ANY_CASE}

_log = structlog.get_logger(__name__)


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that sending needs, put together once a process."""

    pool: Pool
    directory: Directory
    channels: Mapping[Channel, MessageChannel]
    texts: Texts
    settings: Settings


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch came to: how many messages were taken up, and whether the pace of texts holds others back."""

    taken_up: int
    paced: bool


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    clinic: Clinic
    message: ClaimedMessage
    envelope: Envelope


async def send_due(post: Post, *, now: datetime | None = None) -> int:
    """Send one batch of what is due; return how many messages were taken up."""
    return (await send_batch(post, now=now)).taken_up


async def send_batch(post: Post, *, channel: Channel | None = None, now: datetime | None = None) -> Round:
    """Claim one batch of due messages, send them, and write what came of it. Without a channel, of each."""
    moment = now or datetime.now(UTC)
    per_second = post.settings.messages_per_second
    async with unit_of_work(post.pool) as connection:
        rooms: dict[UUID, int] = {}
        if channel != "email":
            rooms = await lock_text_rooms(connection, per_second=per_second, now=now)
        resting = await resting_channels(connection, now)
        claimed, taken_up = await claim_messages(
            connection,
            limit=BATCH,
            lease_seconds=post.settings.message_lease_seconds,
            now=now,
            channel=channel,
            rooms=_as_rooms(rooms, resting),
        )
        await _see_to_closed(connection, taken_up, now)
        links = await links_of(post, connection, claimed)
        known = [(clinic, one) for one in claimed if (clinic := post.directory.by_id(one.clinic_id))]
        full = await without_room(connection, known, moment)
        ready = [
            one
            for message in claimed
            if (one := await _make_ready(post, connection, message, links, moment, full=message.id in full))
        ]
        await begin_attempts(connection, [(one.message, one.envelope.kept) for one in ready], now)
        texts = [one.message.clinic_id for one in ready if one.message.channel == "sms"]
        for clinic_id in set(texts):
            await use_text_room(connection, clinic_id, texts.count(clinic_id), per_second=per_second, now=now)
    doubtful = await asyncio.gather(*(_send(post, one, now) for one in ready))
    for clinic_id, way in sorted(set(filter(None, doubtful))):
        # After all of them, because of several that end at once none sees how the others did.
        async with unit_of_work(post.pool) as connection:
            await rest_if_all_unknown(connection, clinic_id, way, now=now)
    going = {clinic: room for clinic, room in rooms.items() if (clinic, "sms") not in resting}
    return Round(taken_up=len(taken_up), paced=any(texts.count(clinic_id) >= room for clinic_id, room in going.items()))


def _as_rooms(texts: Mapping[UUID, int], resting: Iterable[tuple[UUID, Channel]]) -> Rooms:
    rooms: dict[tuple[UUID, Channel], int] = {(clinic_id, "sms"): room for clinic_id, room in texts.items()}
    return rooms | dict.fromkeys(resting, 0)


async def _see_to_closed(connection: Connection, taken_up: list[TakenUp], now: datetime | None) -> None:
    """Let an email stand in for a text to a number that takes none, or the desk; and tell it of what nobody hears."""
    for message in taken_up:
        if message.kind in _CALLED.get(message.verdict, ()) or (
            message.verdict == "unreachable" and not await says_email(connection, message, now)
        ):
            await after_no_attempt(connection, message.clinic_id, message.id, now=now)


async def links_of(
    post: Post, connection: Connection, messages: Sequence[ClaimedMessage | DoubtfulMessage]
) -> dict[UUID, str]:
    """Return the private link of every visit that the messages are about."""
    found: dict[UUID, str] = {}
    for clinic in filter(None, map(post.directory.by_id, {message.clinic_id for message in messages})):
        visits = [one.visit_id for one in messages if one.clinic_id == clinic.id and one.visit_id is not None]
        found |= await find_manage_urls(
            connection, clinic, visits, secret_key=post.settings.secret_key, base_url=post.settings.public_base_url
        )
    return found


async def _make_ready(
    post: Post,
    connection: Connection,
    message: ClaimedMessage,
    links: Mapping[UUID, str],
    now: datetime,
    *,
    full: bool,
) -> _Ready | None:
    """Return the message in its words; or put it off, or close it, where a guard or its words say so.

    ``full`` is whether its phone has had as many texts as it may.
    """
    clinic = post.directory.by_id(message.clinic_id)
    if clinic is None:
        await put_aside(connection, message, state="pending", until=now + timedelta(seconds=REFRESH_SECONDS))
        return None
    aside = held_back(clinic, message, now)
    if aside is None and full:
        aside = await stay_within_room(connection, message, now)
    if aside is None:
        try:
            envelope = _envelope(
                post, clinic, message, links.get(message.visit_id, "") if message.visit_id else "", now
            )
        except Exception as problem:  # noqa: BLE001 - one message without words must not stop the others
            _log.warning("message.unrenderable", message_id=str(message.id), problem=type(problem).__name__)
            aside = Aside(
                state="dead", reason=f"Its text {message.template} could not be made; look at config/messages."
            )
        else:
            aside = too_long(message, envelope.text)
            if aside is None:
                return _Ready(clinic=clinic, message=message, envelope=envelope)
    await put_aside(connection, message, state=aside.state, reason=aside.reason, until=aside.until, now=now)
    if aside.state == "dead":
        await after_failure(connection, message.clinic_id, message.id, now=now)
    elif aside.unheard:
        await after_no_attempt(connection, message.clinic_id, message.id, now=now)
    return None


async def _send(post: Post, ready: _Ready, now: datetime | None) -> tuple[UUID, Channel] | None:
    """Send a message and write what came of it; return its clinic and channel where nobody can tell.

    Whoever knows what became of it tries to write that down for as long as the lease runs: a database that is away for
    a moment must not turn what is known into a doubt, which for an email means a second one.
    """
    outcome = await post.channels[ready.message.channel].send(ready.envelope)
    deadline = asyncio.get_running_loop().time() + post.settings.message_lease_seconds
    while True:
        try:
            return await _note(post, ready, outcome, now)
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(NOTE_AGAIN_SECONDS)


async def _note(post: Post, ready: _Ready, outcome: Outcome, now: datetime | None) -> tuple[UUID, Channel] | None:
    """Write what came of an attempt; doing so again changes nothing."""
    message = ready.message
    state, retry_after, check_after = verdict(post.settings, message, outcome)
    stands_alone = state == "sent" or outcome.result == "retry"
    async with reading(post.pool) if stands_alone else unit_of_work(post.pool) as connection:
        end = await settle_message(
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
        if not end.settled and outcome.provider_id:
            # Slow, but clear: nobody need ask any more, and above all nobody may send it again.
            end = await note_acceptance(
                connection, message.clinic_id, message.id, channel=message.channel, provider_id=outcome.provider_id,
                now=now,
            )  # fmt: skip
        if not stands_alone:
            await _see_to_channel(connection, message, outcome, state, now)
        if end.settled and state in _FAILED:
            await after_failure(connection, message.clinic_id, message.id, now=now)
        if end.doubled:
            await note_double(connection, message.clinic_id, message.id, now=now)
    if outcome.address == "opted_out":
        # By itself, because whoever changes a patient takes the patient first and their messages afterwards.
        async with unit_of_work(post.pool) as connection:
            await record_opt_out(connection, ready.clinic, message.address, now=now)
    _log.info(
        "message.attempted",
        message_id=str(message.id),
        channel=message.channel,
        template=message.template,
        outcome=outcome.result,
        state=state if end.settled else "decided elsewhere",
    )
    return (message.clinic_id, message.channel) if outcome.result == "unknown" else None


async def _see_to_channel(
    connection: Connection, message: ClaimedMessage, outcome: Outcome, state: State, now: datetime | None
) -> None:
    """Keep what an attempt taught about the channel and the address, whoever decides about the message."""
    if outcome.result == "paused" and state == "pending":
        await rest(connection, message.clinic_id, message.channel, reason=outcome.reason, now=now)
    if outcome.address == "unreachable":
        await note_unreachable(connection, message.clinic_id, message.channel, message.address, outcome.reason)


def verdict(settings: Settings, message: ClaimedMessage, outcome: Outcome) -> tuple[State, float | None, float | None]:
    """Return the state an attempt leads to, after how many seconds to try again, and after how many to ask.

    What certainly did not leave is tried until it is of no more use; a channel that rests costs it nothing.
    """
    if outcome.result == "accepted":
        return "sent", None, None
    if outcome.result == "unknown":
        return "unknown", None, float(settings.message_reconcile_seconds[0])
    if outcome.result == "retry":
        delay = retry_delay(message.retries, random.random())  # noqa: S311 - jitter, not a secret
        return "pending", delay.total_seconds(), None
    # One number that the clinic's cannot reach must not make the channel rest again and again.
    if outcome.result == "paused" and not (outcome.suspect and message.pauses):
        return "pending", PAUSE_SECONDS, None
    return "failed", None, None


def _envelope(post: Post, clinic: Clinic, message: ClaimedMessage, link: str, now: datetime) -> Envelope:
    url = unsubscribe_url(post.settings, message)
    use_ends = message.expires_at
    if message.channel == "sms":
        use_ends = text_use_ends(clinic, message.address, message.kind, use_ends, now)
    rendered = render(
        post.texts,
        clinic,
        template=message.template,
        channel=message.channel,
        language=message.language,
        variables=message.variables | {"unsubscribe_url": url},
        link=link,
        now=now,
    )
    return Envelope(
        message_id=message.id,
        address=message.address,
        sender=post.settings.email_from or clinic.settings.email_from if message.channel == "email" else "",
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        reply_to=clinic.settings.email_reply_to,
        invitation=invitation(
            clinic, message.kind, message.variables, message.language, message.visit_id, message.visit_version
        ),
        unsubscribe_url=url,
        link=link,
        useful_for_seconds=max(1, int((use_ends - now).total_seconds())),
    )
