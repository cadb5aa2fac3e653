"""How much may leave: the pace of a clinic's texts, channels that rest, and how many texts a phone has had.

``now`` is None in production, where the database's clock decides; tests pass the moment they want to try.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain.clinics import Channel
from scheduler.domain.sending import UNCOUNTED
from scheduler.store.connections import Connection

# The name of the limit under which a clinic's texts are counted.
_TEXTS = "texts"


async def lock_text_rooms(connection: Connection, *, per_second: int, now: datetime | None = None) -> dict[UUID, int]:
    """Return how many texts may leave now for each clinic that has any due, and let no other worker say the same.

    A second's worth at most; the transaction that asks must say with ``use_text_room`` what it used.
    """
    rows = await connection.fetch(
        """with clock as (select coalesce($1, now()) as moment)
        insert into rate_limits as used (clinic_id, name, subject, full_at)
        select id, $2, '', moment from clinics, clock
        where exists (
            select 1 from messages
            where messages.clinic_id = clinics.id and channel = 'sms' and state = 'pending' and not_before <= moment)
        on conflict (clinic_id, name, subject) do update set full_at = used.full_at
        returning clinic_id, full_at, coalesce($1, now()) as moment""",
        now,
        _TEXTS,
    )
    return {row["clinic_id"]: _room(row["full_at"], row["moment"], per_second) for row in rows}


def _room(full_at: datetime, moment: datetime, per_second: int) -> int:
    second = timedelta(seconds=1)
    # Further ahead than a second only where a clock was set back; then it is the clock of before that lies.
    used = full_at - moment if moment < full_at <= moment + second else timedelta(0)
    return int((second - used) * per_second / second + 1e-6)


async def use_text_room(
    connection: Connection, clinic_id: UUID, texts: int, *, per_second: int, now: datetime | None = None
) -> None:
    """Note that so many texts leave now; each takes its part of a second until there is room for another."""
    await connection.execute(
        """with clock as (select coalesce($5, now()) as moment)
        update rate_limits set full_at = $4 + case
            when full_at > moment and full_at <= moment + interval '1 second' then full_at else moment end
        from clock where clinic_id = $1 and name = $2 and subject = $3""",
        clinic_id,
        _TEXTS,
        b"",
        timedelta(seconds=1) * texts / per_second,
        now,
    )


async def resting_channels(connection: Connection, now: datetime | None = None) -> set[tuple[UUID, Channel]]:
    """Return the channels from which nothing may leave now, with their clinics."""
    rows = await connection.fetch(
        "select clinic_id, channel from channel_pauses where paused_until > coalesce($1, now())", now
    )
    return {(row["clinic_id"], row["channel"]) for row in rows}


async def pause_channel(
    connection: Connection, clinic_id: UUID, channel: Channel, *, seconds: float, reason: str, now: datetime | None
) -> bool:
    """Let a channel rest; return False where it rests already, which is made no longer."""
    return await connection.fetchval(
        """with paused as (
            insert into channel_pauses as known (clinic_id, channel, paused_at, paused_until, reason)
            values ($1, $2, coalesce($5, now()), coalesce($5, now()) + make_interval(secs => $3), $4)
            on conflict (clinic_id, channel) do update
                set paused_at = excluded.paused_at, paused_until = excluded.paused_until, reason = excluded.reason
                where known.paused_until <= excluded.paused_at
            returning 1
        )
        select exists (select 1 from paused)""",
        clinic_id,
        channel,
        seconds,
        reason,
        now,
    )


async def last_were_unknown(
    connection: Connection, clinic_id: UUID, channel: Channel, number: int, now: datetime | None = None
) -> bool:
    """Return whether so many attempts in a row, the last within a day, brought no answer that anybody can read."""
    return await connection.fetchval(
        """select count(*) = $3 and bool_and(outcome = 'unknown') from (
            select outcome from message_attempts as attempt
            join messages on messages.clinic_id = attempt.clinic_id and messages.id = attempt.message_id
            where attempt.clinic_id = $1 and channel = $2 and outcome is not null
                and attempt.finished_at > coalesce($4, now()) - interval '1 day'
            order by attempt.finished_at desc limit $3
        ) as last""",
        clinic_id,
        channel,
        number,
        now,
    )


async def count_texts(
    connection: Connection, phones: Sequence[tuple[UUID, str, datetime, datetime]]
) -> list[tuple[int, int]]:
    """Return how many texts that count each phone of a clinic was sent since its day began, and since its week did.

    One that is known not to have arrived rang nobody's phone, and leaves its room to the next try.
    """
    if not phones:
        return []
    rows = await connection.fetch(
        """select today, this_week
        from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[])
            with ordinality as asked (clinic_id, phone, day_began, week_began, number)
        cross join lateral (
            select count(*) filter (where sent_at >= day_began) as today, count(*) as this_week from messages
            where messages.clinic_id = asked.clinic_id and address = phone and sent_at >= week_began
                and channel = 'sms' and kind <> all($5) and state not in ('undelivered', 'failed')
        ) as counted
        order by number""",
        *zip(*phones, strict=True),
        sorted(UNCOUNTED),
    )
    return [(row["today"], row["this_week"]) for row in rows]
