"""The messages of one patient, which follow them when their addresses, language or wishes change."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from scheduler.domain.clinics import Channel, Language
from scheduler.domain.messages import TOLD_IN_ANY_CASE, UNAGREED, UNWRITABLE
from scheduler.domain.visits import Visit
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct
from scheduler.store.visits import VISIT_COLUMNS


async def readdress_messages(
    connection: Connection,
    clinic_id: UUID,
    patient_id: UUID,
    *,
    addresses: Mapping[Channel, str],
    language: Language,
    now: datetime,
) -> list[UUID]:
    """Send what is still planned for a patient to where it reaches them now, and in their language.

    Where a channel does not reach them any more, its messages are suppressed; they come back when it does again,
    unless their moment has passed or a person saw to them. A reminder comes back for as long as it is of use. An answer
    to a text goes back to where that came from. Returns those suppressed of which the patient should hear all the same.
    """
    rows = await connection.fetch(
        """update messages set address = coalesce(reachable.address, messages.address), language = $3,
            state = case when reachable.address is null then 'suppressed' else 'pending' end,
            reason = case when reachable.address is null then $7 end,
            finished_at = case when reachable.address is null then now() end
        from (values ('sms', $4::text), ('email', $5::text)) as reachable (channel, address)
        where messages.clinic_id = $1 and messages.channel = reachable.channel and kind <> 'reply'
            and visit_id in (select id from visits where clinic_id = $1 and patient_id = $2)
            and (state = 'pending' or state = 'suppressed' and reachable.address is not null and handled_at is null
                and (not_before > $6 or kind = 'reminder' and expires_at > $6 and reason in ($7, $8)))
        returning id, state = 'suppressed' and kind = any($9) as unheard""",
        clinic_id,
        patient_id,
        language,
        addresses.get("sms"),
        addresses.get("email"),
        now,
        UNWRITABLE,
        UNAGREED,
        sorted(TOLD_IN_ANY_CASE),
    )
    return [row["id"] for row in rows if row["unheard"]]


async def void_frequent(
    connection: Connection, clinic_id: UUID, patient_id: UUID, reason: str, *, now: datetime
) -> None:
    """Cancel what is planned for a patient and needs their agreement to more texts, or thanks them for it."""
    await connection.execute(
        """update messages set state = 'cancelled', reason = $3, finished_at = $4
        where clinic_id = $1 and state = 'pending' and (
            visit_id in (select id from visits where clinic_id = $1 and patient_id = $2)
                and variables ->> 'needs_consent' = 'frequent'
            or visit_id is null and patient_id = $2 and kind = 'welcome')""",
        clinic_id,
        patient_id,
        reason,
        now,
    )


async def visits_ahead(connection: Connection, clinic_id: UUID, patient_id: UUID, now: datetime) -> list[Visit]:
    """Return the patient's visits that are still to come, in order of start."""
    rows = await connection.fetch(
        f"""select {VISIT_COLUMNS} from visits
        where clinic_id = $1 and patient_id = $2 and starts_at > $3 and status in ('booked', 'confirmed')
        order by starts_at, id""",
        clinic_id,
        patient_id,
        now,
    )
    return [to_struct(row, Visit) for row in rows]
