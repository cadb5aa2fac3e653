"""What operators watch, read in one statement."""

import msgspec

from scheduler.store.connections import Connection
from scheduler.store.planner import FORGOTTEN
from scheduler.store.rows import to_struct


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """How this installation stands; ages are seconds by the database's clock, None where there is nothing to age.

    ``outbox`` counts the messages of all clinics that are not done with, by state: those under way or in doubt, and
    those that failed and that nobody has seen to. ``forgotten`` are the visits 24 to 48 hours ahead of which the
    ladder promises to remind, and of which nobody will. ``doubled`` are the messages that a provider has twice and that
    nobody has seen to, ``tasks`` all open tasks of desks, and ``resting`` the clinics whose channel rests, by channel.
    """

    outbox: dict[str, int]
    webhooks: int
    forgotten: int
    doubled: int
    tasks: int
    resting: dict[str, int]
    heartbeat_age: float | None
    oldest_overdue_age: float | None


async def fetch_gauges(connection: Connection) -> Gauges:
    """Return the gauges. Each part reads a partial index, so the millions that were delivered cost nothing."""
    row = await connection.fetchrow(
        f"""select
            ({FORGOTTEN}) as forgotten,
            (select count(*) from desk_tasks where handled_at is null and kind = 'sent-twice') as doubled,
            (select count(*) from desk_tasks where handled_at is null) as tasks,
            (select jsonb_object_agg(ways.channel, (
                select count(*) from channel_pauses where channel = ways.channel and paused_until > now()))
                from unnest('{{sms,email}}'::text[]) as ways (channel)) as resting,
            (select jsonb_object_agg(known.state, coalesce(counted.number, 0))
                from unnest('{{pending,sending,unknown,failed,dead,undelivered}}'::text[]) as known (state)
                left join (
                    select state, count(*) as number from messages where state in ('pending', 'sending', 'unknown')
                    group by state
                    union all
                    select state, count(*) from messages
                    where state in ('failed', 'dead', 'undelivered') and handled_at is null group by state
                ) as counted using (state)) as outbox,
            (select count(*) from webhook_deliveries where state = 'pending')
                + (select count(*) from webhook_deliveries where state = 'sending') as webhooks,
            extract(epoch from now() - (select max(beat_at) from worker_heartbeats))::float8 as heartbeat_age,
            extract(epoch from now() - (
                select min(not_before) from messages as due
                where state = 'pending' and not_before <= now() and not exists (
                    select 1 from messages as earlier
                    where earlier.clinic_id = due.clinic_id and earlier.address = due.address
                        and earlier.id < due.id and earlier.state in ('sending', 'unknown'))
            ))::float8 as oldest_overdue_age
        from (select now() as moment) as clock"""
    )
    if row is None:
        raise LookupError("a select without a table always returns a row")
    return to_struct(row, Gauges)
