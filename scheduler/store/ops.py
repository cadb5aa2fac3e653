"""How a clinic's messages flow, and the rows behind each number: every number is counted by what lists its rows."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.inbox import Row
from scheduler.domain.ops import Facts
from scheduler.ids import first_id
from scheduler.store.connections import Connection
from scheduler.store.inbox import FAILED_AND_OPEN, PERSON, SENT, visit_json
from scheduler.store.job_runs import PLANNER
from scheduler.store.planner import FORGOTTEN_VISITS

Listing = Literal[
    "failed", "open", "delivered", "unreceipted", "left", "waiting", "reminders", "opted_out", "unreminded"
]

# In every statement: $1 the clinic, $2 the present moment, $3 the moment from which on things count.
_ARRIVED = "(state = 'delivered' or state = 'sent' and channel = 'email')"
_FAILED = "state in ('failed', 'dead', 'undelivered')"
_UNRECEIPTED = "(state = 'sent' and channel = 'sms')"

# The messages of each list, and their order.
_MESSAGES: dict[Listing, tuple[str, str]] = {
    "failed": (f"{_FAILED} and finished_at >= $3", "finished_at desc"),
    "open": (f"id in ({FAILED_AND_OPEN})", "finished_at desc"),
    "delivered": (f"{_ARRIVED} and finished_at >= $3", "finished_at desc"),
    "unreceipted": (f"{_UNRECEIPTED} and finished_at >= $3", "finished_at desc"),
    "left": (f"({_ARRIVED} or {_UNRECEIPTED}) and finished_at >= $3", "finished_at desc"),
    "waiting": (
        """(state = 'pending' and not_before <= $2 or state in ('pending', 'sending', 'unknown') and attempts > 0)""",
        "not_before",
    ),
    "reminders": (
        "kind = 'reminder' and state = 'pending' and not_before <= $2::timestamptz + interval '24 hours'", "not_before",
    ),
}  # fmt: skip

# Who last said that they want no texts, where they said it since. Ids begin with the moment they were made at ($4), so
# that only the latest rows are looked at.
_OPTED_OUT = """consents join patients on patients.clinic_id = $1 and patients.id = patient_id
        and patients.phone = consents.address and merged_into is null
    where consents.clinic_id = $1 and consents.id >= $4 and recorded_at >= $3 and channel = 'sms'
        and scope = 'visits' and not granted and not exists (
            select from consents as later
            where later.clinic_id = $1 and later.patient_id = patients.id and later.channel = 'sms'
                and later.address = consents.address and later.scope = 'visits'
                and (later.recorded_at, later.id) > (consents.recorded_at, consents.id))"""

_FORGOTTEN_HERE = f"{FORGOTTEN_VISITS} and clinics.id = $1"


def _channel(channel: str) -> str:
    """Return the expression that makes ``ChannelFacts`` of a channel."""
    return f"""(select jsonb_build_object('stuck', count(*), 'stuck_since', min(begun.at),
            'reason', (array_agg(reason order by id desc) filter (where reason is not null))[1],
            'last_sent_at', (
                select sent_at from messages where clinic_id = $1 and finished_at is not null
                    and sent_at is not null and channel = '{channel}' order by finished_at desc limit 1),
            'last_report_at', (
                select max(received_at) from provider_events where clinic_id = $1 and channel = '{channel}'),
            'unreported_since', (
                select min(sent_at) from messages
                where clinic_id = $1 and finished_at > $2::timestamptz - interval '1 day' and channel = '{channel}'
                    and state = 'sent' and sent_at > coalesce((
                        select max(received_at) from provider_events
                        where clinic_id = $1 and channel = '{channel}'), '-infinity'))) || coalesce((
            select jsonb_build_object('paused_until', paused_until, 'pause_reason', reason) from channel_pauses
            where clinic_id = $1 and channel = '{channel}' and paused_until > $2),
            jsonb_build_object('paused_until', null, 'pause_reason', null))
        from messages cross join lateral (
            select min(started_at) as at from message_attempts where clinic_id = $1 and message_id = messages.id
        ) as begun
        where clinic_id = $1 and channel = '{channel}' and state in ('pending', 'sending', 'unknown')
            and attempts > 0)"""


_FACTS = f"""
select (jsonb_build_object(
    'opted_out', (select count(*) from {_OPTED_OUT}),
    'open', (select count(*) from ({FAILED_AND_OPEN}) as open),
    'planned_at', (select ran_at from job_runs where clinic_id = $1 and job = '{PLANNER}'),
    -- By the database's clock it was so long ago; where this process's clock differs that is still how long.
    'beat_at', (select $2::timestamptz - (now() - max(beat_at)) from worker_heartbeats),
    'waiting', (select count(*) from messages where clinic_id = $1 and {_MESSAGES["waiting"][0]}),
    'oldest_due_at', (
        select min(not_before) from messages as due
        where clinic_id = $1 and state = 'pending' and not_before <= $2 and not exists (
            select from messages as earlier
            where earlier.clinic_id = $1 and earlier.address = due.address and earlier.id < due.id
                and earlier.state in ('sending', 'unknown'))),
    'unreminded', (select count(*) {_FORGOTTEN_HERE}),
    'sms', {_channel("sms")},
    'email', {_channel("email")}
) || (
    select jsonb_build_object('arrived', count(*) filter (where {_ARRIVED}),
        'failed', count(*) filter (where {_FAILED}), 'unreceipted', count(*) filter (where {_UNRECEIPTED}))
    from messages where clinic_id = $1 and finished_at >= $3
))::text
from (select $2::timestamptz as moment) as clock
"""

_OF_MESSAGES = """
select coalesce(jsonb_agg(listed order by place), '[]')::text from (
    select row_number() over (order by {order}, id) as place, jsonb_build_object(
        'at', coalesce(finished_at, not_before), 'reason', coalesce(reason, ''),
        'patient', (select {person} from patients where clinic_id = $1 and id = messages.patient_id),
        'visits', coalesce((
            select jsonb_build_array({visit}) from visits where clinic_id = $1 and id = messages.visit_id), '[]'),
        'message', {sent}) as listed
    from messages where clinic_id = $1 and {condition} and $3::timestamptz is not null and $4::uuid is not null
        and $2::timestamptz is not null
    order by {order}, id limit $5
) as rows
"""

_OF_PATIENTS = f"""
select coalesce(jsonb_agg(listed order by recorded_at desc), '[]')::text from (
    select recorded_at, jsonb_build_object('at', recorded_at, 'reason', method,
        'patient', (select {PERSON} from patients where clinic_id = $1 and id = consents.patient_id),
        'visits', coalesce((
            select jsonb_agg({visit_json("visits")} order by starts_at) from visits
            where clinic_id = $1 and visits.patient_id = consents.patient_id and starts_at > $2
                and status in ('booked', 'confirmed')), '[]')) as listed
    from {_OPTED_OUT} order by recorded_at desc limit $5
) as rows
"""

_OF_VISITS = f"""
select coalesce(jsonb_agg(listed order by at), '[]')::text
from (select $2::timestamptz as moment, $3::timestamptz, $4::uuid) as clock cross join lateral (
    select visits.starts_at as at, jsonb_build_object('at', visits.starts_at, 'reason', '',
        'patient', (select {PERSON} from patients where clinic_id = $1 and id = visits.patient_id),
        'visits', jsonb_build_array({visit_json("visits")})) as listed
    {_FORGOTTEN_HERE} order by visits.starts_at limit $5
) as rows
"""

_READ_FACTS = msgspec.json.Decoder(Facts)
_READ_ROWS = msgspec.json.Decoder(list[Row])


async def fetch_facts(connection: Connection, clinic_id: UUID, *, now: datetime, since: datetime) -> Facts:
    """Return how a clinic's messages flow, in one statement that reads what is open and what is recent."""
    return _READ_FACTS.decode(await connection.fetchval(_FACTS, clinic_id, now, since, first_id(since)))


async def list_rows(
    connection: Connection, clinic_id: UUID, listing: Listing, *, now: datetime, since: datetime, limit: int
) -> list[Row]:
    """Return the rows behind a number, at most ``limit``."""
    statements = {"opted_out": _OF_PATIENTS, "unreminded": _OF_VISITS}
    if listing in _MESSAGES:
        condition, order = _MESSAGES[listing]
        statement = _OF_MESSAGES.format(
            condition=condition, order=order, person=PERSON, visit=visit_json("visits"), sent=SENT
        )
    else:
        statement = statements[listing]
    return _READ_ROWS.decode(await connection.fetchval(statement, clinic_id, now, since, first_id(since), limit))
