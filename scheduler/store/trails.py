"""The messages of one visit and the texts that may be about it, in one round trip."""

from uuid import UUID

import msgspec

from scheduler.domain.trails import Trail
from scheduler.store.connections import Connection
from scheduler.store.inbox import FAILED_AND_OPEN

_TRAIL = f"""
select jsonb_build_object('visit_id', visits.id, 'texts', (
        select granted from consents where clinic_id = $1 and patient_id = patients.id and channel = 'sms'
            and address = patients.phone and scope = 'visits' order by recorded_at desc, id desc limit 1),
    'entries', coalesce((select jsonb_agg(entry order by at, id) from (
        select id, coalesce(finished_at, not_before) as at, jsonb_build_object('id', id,
            'at', coalesce(finished_at, not_before), 'channel', channel, 'kind', kind, 'state', state,
            'reason', reason, 'open', id in ({FAILED_AND_OPEN})) as entry
        from messages where clinic_id = $1 and visit_id = visits.id and state <> 'cancelled'
        union all
        -- What its patient wrote from the booking on until the day after it.
        select id, received_at, jsonb_build_object('id', id, 'at', received_at, 'channel', 'sms',
            'kind', coalesce(meaning, 'unclear'), 'state', null, 'reason', null,
            'open', needs_attention and handled_at is null)
        from inbound_messages where clinic_id = $1 and patient_id = visits.patient_id
            and received_at >= visits.created_at and received_at < visits.ends_at + interval '1 day'
    ) as known), '[]'))::text
from visits join patients on patients.clinic_id = visits.clinic_id and patients.id = visits.patient_id
where visits.clinic_id = $1 and visits.id = $2
"""

_READ = msgspec.json.Decoder(Trail)


async def fetch_trail(connection: Connection, clinic_id: UUID, visit_id: UUID) -> Trail | None:
    """Return what was written about a visit, those messages left out that were taken back; None without a visit."""
    text = await connection.fetchval(_TRAIL, clinic_id, visit_id)
    return _READ.decode(text) if text else None
