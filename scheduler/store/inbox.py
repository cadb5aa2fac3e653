"""What waits for a person at the desk, with all that a screen shows of it, in one round trip."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.inbox import Item, Sort
from scheduler.store.connections import Connection

# The server writes lists as JSON, which is read straight into Structs: each row has rows of its own. A clinic is $1.
PERSON = """jsonb_build_object('id', id, 'given_name', given_name, 'family_name', family_name,
    'phone_ending', right(phone, 4), 'language', patients.language, 'texts', (
        select granted from consents where consents.clinic_id = $1 and patient_id = patients.id and channel = 'sms'
            and address = patients.phone and scope = 'visits' order by recorded_at desc, consents.id desc limit 1))"""


def visit_json(visit: str) -> str:
    """Return the expression that makes a row of visits a ``VisitBeside``."""
    return f"""jsonb_build_object('id', {visit}.id, 'starts_at', {visit}.starts_at, 'status', {visit}.status,
        'visit_type', {visit}.visit_type, 'therapist_id', {visit}.therapist_id, 'patient', (
            select {PERSON} from patients where clinic_id = $1 and id = {visit}.patient_id))"""


# What makes a row of messages a ``Sent``. Whether an address is good is asked of the one that its patient has now: a
# patient who has agreed to messages there since has said that it is.
SENT = """(select jsonb_build_object('id', messages.id, 'channel', channel, 'kind', kind, 'template', template,
        'language', messages.language, 'state', state, 'not_before', not_before, 'expires_at', expires_at,
        'finished_at', finished_at, 'attempts', attempts, 'error_code', error_code, 'reason', reason,
        'handled_at', handled_at, 'handled_by', handled_by,
        'phone_ending', case channel when 'sms' then right(address, 4) end,
        'unreachable', exists (
            select from patients join unreachable_addresses as dead on dead.clinic_id = $1
                and dead.channel = messages.channel
                and dead.address = case messages.channel when 'sms' then patients.phone else patients.email end
            where patients.clinic_id = $1 and patients.id = messages.patient_id and not exists (
                select from consents where consents.clinic_id = $1 and patient_id = patients.id
                    and consents.channel = dead.channel and consents.address = dead.address and scope = 'visits'
                    and recorded_at > dead.noted_at)),
        'mailed', case when channel = 'sms' then (
            -- Aggregates, because for a limit the planner may walk all messages there are, newest first.
            select (array_agg(email.state order by email.id desc))[1] from messages as email
            where email.clinic_id = $1 and email.visit_id = messages.visit_id and email.channel = 'email'
                and email.kind = messages.kind and email.lead_minutes = messages.lead_minutes
                and email.visit_version = messages.visit_version and email.state <> 'cancelled') end,
        'again', (
            select max(again.state) from messages as again
            where again.clinic_id = $1 and again.visit_id = messages.visit_id and again.resend_of = messages.id)))"""

# Failures that nobody has seen to, and what was not even tried though a task says that its patient should know.
FAILED_AND_OPEN = """select id from messages
        where clinic_id = $1 and state in ('failed', 'dead', 'undelivered') and handled_at is null
    union select subject_id from desk_tasks where clinic_id = $1 and kind = 'undeliverable' and handled_at is null"""

# Everything that is open. A task about a message that failed is that message, once.
_OPEN = f"""
    select 'failure' as sort, messages.id, coalesce(messages.finished_at, messages.created_at) as at, messages.kind,
        coalesce(messages.reason, task.reason, 'It could not be delivered.') as reason, messages.visit_id,
        messages.patient_id, null::uuid as inbound_id, messages.id as message_id
    from messages left join desk_tasks as task on task.clinic_id = $1 and task.kind = 'undeliverable'
        and task.subject_id = messages.id and task.handled_at is null
    where messages.clinic_id = $1 and messages.id in ({FAILED_AND_OPEN})
    union all
    select 'reply', id, received_at, coalesce(meaning, 'unclear'), '', null, patient_id, id, null
    from inbound_messages where clinic_id = $1 and needs_attention and handled_at is null
    union all
    select 'task', id, created_at, kind, reason, visit_id, patient_id, inbound_id, null
    from desk_tasks where clinic_id = $1 and handled_at is null and kind <> 'undeliverable'"""

# How much waits for a person at the clinic of a row that is called ``live``.
WAITING = f"(select count(*) from ({_OPEN.replace('$1', 'live.clinic_id')}) as open)"

# Whoever has a visit soonest is first, and then whatever came last. To be formatted with a condition on what is open.
_LISTED = f"""
select coalesce(jsonb_agg(item order by next_at, at desc, id), '[]')::text from (
    select least(visit.next_at, 'infinity') as next_at, open.at, open.id, jsonb_build_object('sort', sort,
        'id', open.id, 'at', at, 'kind', kind, 'reason', reason, 'patient', (
            select {PERSON} from patients where clinic_id = $1 and id = open.patient_id),
        'visits', coalesce(visit.beside, '[]'), 'inbound_id', open.inbound_id, 'text', inbound.body,
        'sender_ending', right(inbound.sender, 4),
        'message', (select {SENT} from messages where clinic_id = $1 and id = open.message_id)) as item
    from ({_OPEN}) as open
    left join inbound_messages as inbound on inbound.clinic_id = $1 and inbound.id = open.inbound_id
    cross join lateral (
        select jsonb_agg({visit_json("found")} order by starts_at, id) as beside,
            min(starts_at) filter (where starts_at > $2) as next_at
        from (
            select * from visits where clinic_id = $1 and case
                when open.visit_id is not null then id = open.visit_id
                else status in ('booked', 'confirmed') and starts_at > $2 and patient_id in (
                    select id from patients where clinic_id = $1 and case
                        when open.patient_id is not null then id = open.patient_id
                        else phone = inbound.sender end) end
            order by starts_at, id limit $4
        ) as found
    ) as visit
    where {{condition}}
    order by next_at, open.at desc, open.id limit $5
) as listed
"""

_LIST = _LISTED.replace("{condition}", "$3::uuid is null or open.id = $3")

# What became of the messages of a day, which begins at $3, and whatever failed and is open, whenever that was.
_TODAY = f"""
select (jsonb_build_object('failures', ({_LISTED.replace("{condition}", "sort = 'failure'")})::jsonb,
    'all_failures', (select count(*) from ({FAILED_AND_OPEN}) as open)
) || (
    select jsonb_build_object(
        'delivered', count(*) filter (where state = 'delivered' or state = 'sent' and channel = 'email'),
        'on_their_way', count(*) filter (where state = 'sent' and channel = 'sms'),
        'failed', count(*) filter (where state in ('failed', 'dead', 'undelivered')))
    from messages where clinic_id = $1 and finished_at >= $3
))::text
"""


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages that left since a day began, and of what failed and is open the first, and how many.

    A text is on its way until its receipt comes; of an email there is none.
    """

    delivered: int
    on_their_way: int
    failed: int
    failures: Sequence[Item]
    all_failures: int

    @property
    def sent(self) -> int:
        return self.delivered + self.on_their_way + self.failed


_ITEMS = msgspec.json.Decoder(list[Item])
_READ_TODAY = msgspec.json.Decoder(Today)

# Of somebody with more visits to come than that, the next ones will do.
VISITS_SHOWN = 4


# What is put back on the list: the row that was crossed off, by the same person and since a moment; the task about a
# message goes with it. One that was opened anew meanwhile stands.
_PUT_BACK: dict[Sort, str] = {
    "failure": """with opened as (
            update messages set handled_at = null, handled_by = null
            where clinic_id = $1 and id = $2 and handled_by = $3 and handled_at > $4
                and state in ('failed', 'dead', 'undelivered', 'suppressed', 'expired')
            returning id
        ), task as (
            update desk_tasks set handled_at = null, handled_by = null
            from opened where clinic_id = $1 and kind = 'undeliverable' and subject_id = opened.id and handled_by = $3
                and handled_at > $4
        )
        select exists (select from opened)""",
    "reply": """with opened as (
            update inbound_messages set handled_at = null, handled_by = null
            where clinic_id = $1 and id = $2 and handled_by = $3 and handled_at > $4 returning id
        )
        select exists (select from opened)""",
    "task": """with opened as (
            update desk_tasks as task set handled_at = null, handled_by = null
            where clinic_id = $1 and id = $2 and handled_by = $3 and handled_at > $4 and kind <> 'undeliverable'
                and not exists (
                    select from desk_tasks as anew
                    where anew.clinic_id = $1 and anew.kind = task.kind and anew.subject_id = task.subject_id
                        and anew.handled_at is null)
            returning id
        )
        select exists (select from opened)""",
}


class Phone(msgspec.Struct, frozen=True, kw_only=True):
    """A telephone number in full (E.164), and whose it is, where that is known."""

    number: str
    patient_id: UUID | None
    given_name: str | None
    family_name: str | None


async def list_items(
    connection: Connection, clinic_id: UUID, *, now: datetime, limit: int, only: UUID | None = None
) -> list[Item]:
    """Return what is open, whoever has a visit soonest first; or the one with this id."""
    return _ITEMS.decode(await connection.fetchval(_LIST, clinic_id, now, only, VISITS_SHOWN, limit))


async def fetch_today(connection: Connection, clinic_id: UUID, *, now: datetime, since: datetime, limit: int) -> Today:
    """Return how the messages of a day fare that began at a moment, with at most so many failures."""
    return _READ_TODAY.decode(await connection.fetchval(_TODAY, clinic_id, now, since, VISITS_SHOWN, limit))


async def count_items(connection: Connection, clinic_id: UUID, *, since: datetime | None = None) -> dict[Sort, int]:
    """Return how many of each sort are open, or have come to be since a moment."""
    rows = await connection.fetch(
        f"select sort, count(*) from ({_OPEN}) as open where $2::timestamptz is null or at > $2 group by sort",
        clinic_id,
        since,
    )
    return {row["sort"]: row["count"] for row in rows}


async def put_back(
    connection: Connection, clinic_id: UUID, sort: Sort, item_id: UUID, *, by: str, since: datetime
) -> bool:
    """Put what somebody crossed off since a moment back on the list; return False where that cannot be."""
    return await connection.fetchval(_PUT_BACK[sort], clinic_id, item_id, by, since)


async def fetch_phones(
    connection: Connection, clinic_id: UUID, *, patient_ids: Sequence[UUID], inbound_id: UUID | None
) -> list[Phone]:
    """Return the numbers of these patients, or where there are none the one that a text came from."""
    rows = await connection.fetch(
        """select phone as number, id as patient_id, given_name, family_name from patients
        where clinic_id = $1 and id = any($2::uuid[])
        union all
        select sender, null, null, null from inbound_messages
        where clinic_id = $1 and id = $3 and cardinality($2::uuid[]) = 0""",
        clinic_id,
        list(patient_ids),
        inbound_id,
    )
    return [msgspec.convert(dict(row.items()), Phone) for row in rows]
