"""What a phone that wrote to us has to do with the clinic: whose it is, which visits, and what it was told lately."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.domain.patients import Patient
from scheduler.domain.replies import Candidate, Said
from scheduler.domain.visits import Visit
from scheduler.store.connections import Connection
from scheduler.store.patients import PATIENT_COLUMNS
from scheduler.store.rows import to_struct
from scheduler.store.visits import VISIT_COLUMNS


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """A patient who had agreed to texts and takes none now; ``wording_version`` is of the words they agreed to."""

    patient_id: UUID
    wording_version: str


async def clinic_that_texted(connection: Connection, clinic_ids: Sequence[UUID], phone: str) -> UUID | None:
    """Return the clinic that last sent a text to a phone, or None where none of them has."""
    return await connection.fetchval(
        """select clinic_id from messages
        where clinic_id = any($1::uuid[]) and address = $2 and channel = 'sms' and sent_at is not null
        order by sent_at desc limit 1""",
        list(clinic_ids),
        phone,
    )


async def patients_with_phone(connection: Connection, clinic_id: UUID, phone: str) -> list[Patient]:
    """Return everybody who can be reached at a phone, whoever was first on file first."""
    rows = await connection.fetch(
        f"select {PATIENT_COLUMNS} from patients where clinic_id = $1 and phone = $2 and merged_into is null "
        "order by created_at, id",
        clinic_id,
        phone,
    )
    return [to_struct(row, Patient) for row in rows]


async def visits_of_phone(
    connection: Connection, clinic_id: UUID, phone: str, *, now: datetime, prompted_since: datetime
) -> list[Candidate]:
    """Return the visits to come of everybody with a phone, in order of start.

    One of which a text asked for an answer since a moment, as the visit is now, is prompted.
    """
    rows = await connection.fetch(
        f"""select {VISIT_COLUMNS}, exists (
                select 1 from messages
                where messages.clinic_id = visits.clinic_id and messages.visit_id = visits.id
                    and messages.channel = 'sms' and messages.address = $2
                    and (messages.kind = 'reminder' or messages.template = 'rescheduled')
                    and (messages.variables ->> 'starts_at')::timestamptz = visits.starts_at
                    and messages.state in ('sending', 'unknown', 'sent', 'delivered')
                    and coalesce(messages.sent_at, messages.finished_at, messages.not_before) >= $4
            ) as prompted
        from visits where clinic_id = $1 and status in ('booked', 'confirmed') and starts_at > $3
            and patient_id in (select id from patients where clinic_id = $1 and phone = $2)
        order by starts_at, id""",
        clinic_id,
        phone,
        now,
        prompted_since,
    )
    return [_candidate(dict(row.items())) for row in rows]


def _candidate(fields: dict[str, object]) -> Candidate:
    prompted = fields.pop("prompted")
    return msgspec.convert({"visit": fields, "prompted": prompted}, Candidate)


async def texts_said(connection: Connection, clinic_id: UUID, phone: str, *, since: datetime) -> list[Said]:
    """Return the texts that went to a phone since a moment, newest first, with visits of whoever has it now."""
    rows = await connection.fetch(
        f"""select said.*, visit.*
        from (
            select id as message_id, case when kind = 'reply' then template else kind end as about, visit_id,
                coalesce(sent_at, finished_at, not_before) as said_at,
                (variables ->> 'starts_at')::timestamptz as said_starts_at
            from messages
            where clinic_id = $1 and address = $2 and channel = 'sms'
                and state in ('sending', 'unknown', 'sent', 'delivered')
        ) as said
        left join lateral (
            select {VISIT_COLUMNS} from visits
            where visits.clinic_id = $1 and visits.id = said.visit_id
                and patient_id in (select id from patients where clinic_id = $1 and phone = $2)
        ) as visit on true
        where said_at >= $3 order by said_at desc, message_id desc""",
        clinic_id,
        phone,
        since,
    )
    return [_said(dict(row.items())) for row in rows]


def _said(fields: dict[str, object]) -> Said:
    visit = fields if fields["id"] else None
    return msgspec.convert({**fields, "visit": visit, "starts_at": fields["said_starts_at"]}, Said)


async def visit_lost(connection: Connection, clinic_id: UUID, phone: str, *, since: datetime) -> Visit | None:
    """Return the visit of a phone that was last cancelled or missed since a moment, or None."""
    row = await connection.fetchrow(
        f"""select {VISIT_COLUMNS} from visits
        where clinic_id = $1 and status in ('cancelled', 'no_show') and status_changed_at >= $3
            and patient_id in (select id from patients where clinic_id = $1 and phone = $2)
        order by status_changed_at desc, id desc limit 1""",
        clinic_id,
        phone,
        since,
    )
    return to_struct(row, Visit) if row else None


async def withdrawn_consents(connection: Connection, clinic_id: UUID, phone: str) -> list[Withdrawn]:
    """Return who takes no texts at a phone now and had agreed to them there before."""
    rows = await connection.fetch(
        """select patient_id, (array_agg(wording_version order by recorded_at desc, consents.id desc)
                filter (where granted))[1] as wording_version
        from consents join patients on patients.clinic_id = consents.clinic_id and patients.id = consents.patient_id
        where consents.clinic_id = $1 and phone = $2 and merged_into is null and address = $2 and channel = 'sms'
            and scope = 'visits'
        group by patient_id
        having bool_or(granted) and not (array_agg(granted order by recorded_at desc, consents.id desc))[1]
        order by patient_id""",
        clinic_id,
        phone,
    )
    return [to_struct(row, Withdrawn) for row in rows]


async def was_answered(connection: Connection, clinic_id: UUID, phone: str, template: str, *, since: datetime) -> bool:
    """Return whether a phone was sent an answer in these words since a moment, or is about to be."""
    return await connection.fetchval(
        """select exists (
            select 1 from messages where clinic_id = $1 and address = $2 and template = $3 and kind = 'reply'
                and sent_at >= $4)
        or exists (
            select 1 from messages where clinic_id = $1 and address = $2 and template = $3 and kind = 'reply'
                and state in ('pending', 'sending', 'unknown'))""",
        clinic_id,
        phone,
        template,
        since,
    )


async def suppress_replies(connection: Connection, clinic_id: UUID, phone: str, now: datetime) -> None:
    """Let no answer leave that was planned for a phone whose owner wants no more texts."""
    await connection.execute(
        """update messages set state = 'cancelled', reason = 'The patient wants no more texts.', finished_at = $3
        where clinic_id = $1 and address = $2 and channel = 'sms' and kind = 'reply' and state = 'pending'""",
        clinic_id,
        phone,
        now,
    )


async def forget_unreachable(connection: Connection, clinic_id: UUID, phone: str) -> None:
    """Forget that no text reaches a phone: it has just sent one."""
    await connection.execute(
        "delete from unreachable_addresses where clinic_id = $1 and channel = 'sms' and address = $2",
        clinic_id,
        phone,
    )
