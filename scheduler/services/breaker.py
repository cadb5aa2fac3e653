"""The circuit breaker: a channel that is misconfigured, or of which nobody knows what it does, rests a while.

Nothing is wrong with its messages: they wait, and nothing of theirs is used up. The channel goes on by itself.
"""

from datetime import datetime
from uuid import UUID, uuid5

import structlog

from scheduler.domain.clinics import Channel
from scheduler.services.desk_tasks import open_task
from scheduler.store.connections import Connection
from scheduler.store.pacing import last_were_unknown, pause_channel

PAUSE_SECONDS = 900.0

# After so many attempts in a row that may or may not have arrived, no more are made for a while.
MOST_UNKNOWN = 10

_WORDS: dict[Channel, str] = {"sms": "Texts", "email": "Emails"}

_log = structlog.get_logger(__name__)


async def rest(
    connection: Connection, clinic_id: UUID, channel: Channel, *, reason: str, now: datetime | None = None
) -> None:
    """Let nothing leave by a channel for a quarter of an hour, and say so once: in the log and to the desk.

    While it rests already, nothing changes. ``reason`` is a sentence for the desk.
    """
    paused = await pause_channel(connection, clinic_id, channel, seconds=PAUSE_SECONDS, reason=reason, now=now)
    if not paused:
        return
    _log.error("channel.paused", clinic_id=str(clinic_id), channel=channel, seconds=PAUSE_SECONDS, reason=reason)
    await open_task(
        connection, clinic_id, kind="channel-paused", subject_id=uuid5(clinic_id, channel),
        reason=f"{_WORDS[channel]} wait and are tried again every {PAUSE_SECONDS / 60:.0f} minutes. {reason}", now=now,
    )  # fmt: skip


async def rest_if_all_unknown(
    connection: Connection, clinic_id: UUID, channel: Channel, *, now: datetime | None = None
) -> None:
    """Let a channel rest after too many attempts in a row that brought no answer.

    For after such attempts, in a transaction that sees how they ended.
    """
    if await last_were_unknown(connection, clinic_id, channel, MOST_UNKNOWN, now):
        reason = f"The last {MOST_UNKNOWN} were not answered, and nobody knows yet which of them arrived."
        await rest(connection, clinic_id, channel, reason=reason, now=now)
