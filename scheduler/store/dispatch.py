"""The outbox as it is sent: messages claimed, put aside, attempted and settled.

``now`` is None in production, where the database's clock decides; tests pass the moment they want to try.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Channel, Language
from scheduler.domain.messages import CONFIRMED_LATELY, UNAGREED, State
from scheduler.domain.sending import JUMPS_AFTER, URGENT
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

# How many messages of a channel may leave now for one clinic, where that is fewer than a whole claim.
Rooms = Mapping[tuple[UUID, Channel], int]

Verdict = Literal["late", "changed", "unwanted", "confirmed", "unreachable", "moved", "go"]


class ClaimedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this process may send until its lease runs out; ``lease_token`` proves it.

    ``retries`` counts the attempts that certainly did not leave, ``pauses`` those that made the channel rest.
    ``frequent`` is whether its recipient agreed to more texts than usual.
    """

    clinic_id: UUID
    id: UUID
    visit_id: UUID | None
    visit_version: int
    patient_id: UUID | None
    kind: str
    template: str
    channel: Channel
    language: Language
    address: str
    variables: dict[str, str]
    not_before: datetime
    expires_at: datetime
    retries: int
    pauses: int
    frequent: bool
    lease_token: UUID


class TakenUp(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a claim looked at, and what it came to."""

    clinic_id: UUID
    id: UUID
    kind: str
    verdict: Verdict


# Whether no earlier message to the same address is due, being sent or in doubt. Urgent ones go past those that nobody
# has begun to send, and past a doubt that is old. A join would not be one look into the index before the table is
# analysed.
_IS_NEXT = """(
    select true from messages as earlier
    where earlier.clinic_id = due.clinic_id and earlier.address = due.address and earlier.id < due.id
        and (earlier.state = 'sending'
            or earlier.state = 'pending' and earlier.not_before <= moment and due.kind <> all($6)
            or earlier.state = 'unknown' and not (due.kind = any($6) and moment - $7::interval >= (
                select max(started_at) from message_attempts as attempt
                where attempt.clinic_id = earlier.clinic_id and attempt.message_id = earlier.id)))
    limit 1) is null"""

# As constants, so that the index of urgent messages alone is known to hold them.
_URGENT = ", ".join(f"'{kind}'" for kind in sorted(URGENT))


def _next_of(kinds: str) -> str:
    """Return the look-up of the due messages of some kinds that are next, in order: an index has them in it already.

    In one order with the urgent ones first, everything that is due would be looked at for each claim.
    """
    return f"""(
        select clinic_id, id from messages as due
        where due.clinic_id = open.clinic_id and due.channel = open.channel and state = 'pending' and {kinds}
            and not_before <= moment and {_IS_NEXT}
        order by not_before, id limit $1 for update skip locked)"""


# Why a message is closed instead of sent, or left to the next call with the address and language the patient has now.
_VERDICTS = f"""(values
    ('late', 'sms', 'expired', 'Too late to be of use.'),
    ('late', 'email', 'expired', 'Too late to be of use.'),
    ('changed', 'sms', 'cancelled', 'The visit is no longer as this message says.'),
    ('changed', 'email', 'cancelled', 'The visit is no longer as this message says.'),
    ('unwanted', 'sms', 'suppressed', '{UNAGREED}'),
    ('unwanted', 'email', 'suppressed', 'The patient has no email address, or wants no such email.'),
    ('confirmed', 'sms', 'cancelled', 'The patient has confirmed.'),
    ('confirmed', 'email', 'cancelled', 'The patient has confirmed.'),
    ('unreachable', 'sms', 'suppressed', 'This number was found not to take texts.'),
    ('unreachable', 'email', 'suppressed', 'This email address was found not to work.'),
    ('moved', 'sms', 'pending', null), ('moved', 'email', 'pending', null),
    ('go', 'sms', 'sending', null), ('go', 'email', 'sending', null))"""

# Whether a visit is no longer as a message of each kind says. What speaks of no visit is always true; a notice is over
# where there is a later one.
_CHANGED = """case
    when messages.visit_id is null then false
    when messages.kind not in ('reminder', 'reply', 'link', 'otp') and exists (
        select from messages as later
        where later.clinic_id = messages.clinic_id and later.visit_id = messages.visit_id
            and later.channel = messages.channel and later.kind not in ('reminder', 'reply', 'link', 'otp')
            and later.visit_version > messages.visit_version and later.state <> 'cancelled') then true
    when messages.kind like 'cancelled%' or messages.kind = 'closure' then visits.status <> 'cancelled'
    when messages.kind = 'no_show' then visits.status <> 'no_show'
    when messages.kind = 'reply' and not messages.variables ? 'starts_at' then false
    else visits.status not in ('booked', 'confirmed')
        or visits.starts_at <> (messages.variables ->> 'starts_at')::timestamptz end"""

# Whether somebody wants no message of this kind there. An answer needs no agreement within a day of the text that it
# answers, nor does a code or a link that was asked for on a page; but none of them goes to a phone that said stop, or
# at which everybody has declined. Whoever has agreed there since, or still does, is answered.
_UNWANTED = """case
    when messages.kind = 'reply' then said_there.silent or not exists (
        select 1 from inbound_messages as asked
        where asked.clinic_id = messages.clinic_id and asked.sender = messages.address
            and asked.received_at > messages.not_before - interval '24 hours')
    when messages.kind in ('otp', 'link') then said_there.silent
    when messages.patient_id is null then false
    else now_at.address is null or not coalesce(said.granted, messages.channel = 'email')
        or not coalesce(said_of_reminders.granted, true)
        or messages.channel = 'sms' and messages.variables ->> 'needs_consent' = 'frequent'
            and not coalesce(said_of_more.granted, false) end"""

# Whether a reminder is for those who have not confirmed; domain/messages has the table.
_CONFIRMED = """messages.kind = 'reminder' and visits.status = 'confirmed' and (
    messages.variables ? 'only_unconfirmed'
    or messages.channel = 'sms' and visits.status_changed_at > visits.starts_at - $8::interval)"""


def _said(name: str, scopes: str, condition: str = "true") -> str:
    """Return the join to the last that a patient said about these scopes, for where they are reached now."""
    return f"""left join lateral (
        select granted, recorded_at from consents
        where {condition} and consents.clinic_id = messages.clinic_id and consents.patient_id = messages.patient_id
            and consents.channel = messages.channel and consents.address = now_at.address
            and consents.scope in ({scopes})
        order by recorded_at desc, consents.id desc limit 1
    ) as {name} on true"""


async def claim_messages(
    connection: Connection,
    *,
    limit: int,
    lease_seconds: float,
    now: datetime | None,
    channel: Channel | None = None,
    rooms: Rooms | None = None,
) -> tuple[list[ClaimedMessage], list[TakenUp]]:
    """Take up due messages, at most ``limit`` of a clinic and channel: return those to send, and all taken up.

    The caller must commit before a byte leaves. ``channel`` leaves the others alone.

    Urgent messages go first. A message waits while an earlier one to the same address is due, being sent or in doubt,
    so that a reminder never overtakes a cancellation; urgent ones go past one that has long been in doubt. What is no
    longer true, wanted or useful is closed with its reason instead, also where there is no room for it to leave. What
    was being sent while the patient's address or language changed, and did not leave, is given both and left pending
    for the next call: a message goes only to where the patient is, and only with what they said about that address.
    """
    rows = await connection.fetch(
        f"""with clock as (select coalesce($3, now()) as moment),
        open as (
            select clinics.id as clinic_id, ways.channel, coalesce(rooms.room, $1) as room
            from clinics cross join unnest(array['sms', 'email']) as ways (channel)
            left join jsonb_to_recordset($5) as rooms (clinic_id uuid, channel text, room integer)
                on rooms.clinic_id = clinics.id and rooms.channel = ways.channel
            where $4::text is null or ways.channel = $4
        ), due as (
            select due.clinic_id, due.id, open.room
            from clock cross join open cross join lateral (
                select * from (select * from {_next_of(f"kind in ({_URGENT})")} as urgent
                    union all select * from {_next_of(f"kind not in ({_URGENT})")} as others) as due
                limit $1
            ) as due
        ), judged as (
            select messages.clinic_id, messages.id, messages.channel, now_at.address, now_at.language, room,
                coalesce(said_of_more.granted, false) as frequent,
                row_number() over (order by messages.kind = any($6) desc, not_before, messages.id) as place, case
                when expires_at <= moment then 'late'
                when {_CHANGED} then 'changed'
                when {_UNWANTED} then 'unwanted'
                when {_CONFIRMED} then 'confirmed'
                when (messages.address, messages.language) is distinct from (now_at.address, now_at.language)
                    then 'moved'
                -- Who has agreed since to messages there has said that the address is good.
                when unreachable.noted_at > coalesce(said.recorded_at, '-infinity') then 'unreachable'
                else 'go' end as verdict
            from clock cross join due join messages using (clinic_id, id)
            left join visits on visits.clinic_id = messages.clinic_id and visits.id = messages.visit_id
            left join patients on patients.clinic_id = messages.clinic_id and patients.id = messages.patient_id
            -- What answers a text goes back to where it came from, and mail to staff to where it was meant for.
            cross join lateral (
                select case when patients.id is null or messages.kind = 'reply' then messages.address
                        when messages.channel = 'sms' then patients.phone else patients.email end as address,
                    case when patients.id is null or messages.kind = 'reply' then messages.language
                        else patients.language end as language
            ) as now_at
            {_said("said", "'visits'")}
            -- Reminders can be turned off alone; who agrees to everything afterwards has agreed to them again.
            {_said("said_of_reminders", "'visits', 'reminders'", "messages.kind = 'reminder'")}
            {_said("said_of_more", "'frequent'", "messages.channel = 'sms'")}
            left join lateral (
                select not coalesce(bool_or(last.granted), false) and (
                    coalesce(bool_and(last.granted is false), false)
                    or coalesce((
                        select meaning = 'stop' from inbound_messages as texted
                        where texted.clinic_id = messages.clinic_id and texted.sender = messages.address
                            and meaning in ('stop', 'start')
                        order by received_at desc, texted.id desc limit 1), false)) as silent
                from patients as anybody left join lateral (
                    select granted from consents
                    where consents.clinic_id = anybody.clinic_id and consents.patient_id = anybody.id
                        and consents.channel = messages.channel and consents.address = messages.address
                        and consents.scope = 'visits'
                    order by recorded_at desc, consents.id desc limit 1
                ) as last on true
                where messages.kind in ('reply', 'otp', 'link') and anybody.clinic_id = messages.clinic_id
                    and anybody.phone = messages.address and anybody.merged_into is null
            ) as said_there on messages.kind in ('reply', 'otp', 'link')
            left join unreachable_addresses as unreachable
                on unreachable.clinic_id = messages.clinic_id and unreachable.channel = messages.channel
                and unreachable.address = messages.address
        ), placed as (
            select *, row_number() over (partition by clinic_id, channel, verdict order by place) as number from judged
        ), claimed as (
            update messages set state = meant.state, reason = meant.reason,
                address = case when verdict = 'moved' then placed.address else messages.address end,
                language = case when verdict = 'moved' then placed.language else messages.language end,
                lease_token = case when verdict = 'go' then gen_random_uuid() end,
                lease_until = case when verdict = 'go' then moment + make_interval(secs => $2) end,
                finished_at = case when verdict not in ('go', 'moved') then moment end
            from clock, placed join {_VERDICTS} as meant (verdict, channel, state, reason) using (verdict, channel)
            where messages.clinic_id = placed.clinic_id and messages.id = placed.id
                and (verdict <> 'go' or placed.number <= room)
            returning messages.*, placed.verdict, frequent, place
        )
        select clinic_id, id, visit_id, visit_version, patient_id, kind, template, channel, language, address,
            variables, not_before, expires_at, lease_token, verdict, frequent, retries, pauses
        from claimed cross join lateral (
            select count(*) filter (where outcome = 'retry') as retries,
                count(*) filter (where outcome = 'paused') as pauses
            from message_attempts
            where message_attempts.clinic_id = claimed.clinic_id and message_id = claimed.id
        ) as before
        order by place""",
        limit,
        lease_seconds,
        now,
        channel,
        [{"clinic_id": clinic, "channel": of, "room": room} for (clinic, of), room in (rooms or {}).items()],
        sorted(URGENT),
        JUMPS_AFTER,
        CONFIRMED_LATELY,
    )
    taken_up = [to_struct(row, TakenUp) for row in rows]
    return [to_struct(row, ClaimedMessage) for row in rows if row["verdict"] == "go"], taken_up


async def begin_attempts(
    connection: Connection, rendered: Sequence[tuple[ClaimedMessage, dict[str, str]]], now: datetime | None
) -> None:
    """Keep what is about to leave (text and subject), and that an attempt is made."""
    await connection.executemany(
        """with begun as (
            update messages set rendered = $3, attempts = attempts + 1 where clinic_id = $1 and id = $2
            returning attempts
        )
        insert into message_attempts (clinic_id, message_id, number, started_at)
        select $1, $2, attempts, coalesce($4, clock_timestamp()) from begun""",
        [(message.clinic_id, message.id, kept, now) for message, kept in rendered],
    )


async def put_aside(
    connection: Connection,
    message: ClaimedMessage,
    *,
    state: State,
    reason: str | None = None,
    until: datetime | None = None,
    now: datetime | None = None,
) -> None:
    """Give back a claimed message that was not attempted: pending ``until`` later, or closed with the reason."""
    await connection.execute(
        """update messages set state = $4, reason = $5, lease_token = null, lease_until = null,
            not_before = coalesce($6, not_before),
            finished_at = case when $4 <> 'pending' then coalesce($7, now()) end
        where clinic_id = $1 and id = $2 and lease_token = $3""",
        message.clinic_id,
        message.id,
        message.lease_token,
        state,
        reason,
        until,
        now,
    )
