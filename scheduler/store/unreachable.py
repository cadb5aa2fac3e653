"""Addresses to which nothing gets through, and whether an email says what a text could not."""

from uuid import UUID

from scheduler.domain.clinics import Channel
from scheduler.store.connections import Connection


async def note_unreachable(
    connection: Connection, clinic_id: UUID, channel: Channel, address: str, reason: str
) -> None:
    """Note that nothing reaches an address, by the same clock as consents, of which a later one says otherwise."""
    await connection.execute(
        """insert into unreachable_addresses (clinic_id, channel, address, reason, noted_at)
        values ($1, $2, $3, $4, clock_timestamp())
        on conflict (clinic_id, channel, address) do update
            set reason = excluded.reason, noted_at = excluded.noted_at""",
        clinic_id,
        channel,
        address,
        reason,
    )


async def is_unreachable(connection: Connection, clinic_id: UUID, channel: Channel, address: str) -> bool:
    """Return whether an address is one to which nothing was found to get through."""
    return await connection.fetchval(
        """select exists (
            select from unreachable_addresses where clinic_id = $1 and channel = $2 and address = $3)""",
        clinic_id,
        channel,
        address,
    )


async def patients_without_refusal(connection: Connection, clinic_id: UUID, phone: str) -> list[UUID]:
    """Return the patients with a phone who have not said that they want no texts there."""
    rows = await connection.fetch(
        """select id from patients where clinic_id = $1 and phone = $2 and merged_into is null and coalesce((
            select granted from consents
            where consents.clinic_id = $1 and patient_id = patients.id and channel = 'sms'
                and address = patients.phone and scope = 'visits'
            order by recorded_at desc, consents.id desc limit 1), true)
        order by id""",
        clinic_id,
        phone,
    )
    return [row["id"] for row in rows]


async def said_by_email(connection: Connection, clinic_id: UUID, message_id: UUID) -> bool:
    """Return whether an email with the facts of this text has left, or is to."""
    return await connection.fetchval(
        """select exists (
            select 1 from messages as text join messages as email
                on email.clinic_id = text.clinic_id and email.visit_id = text.visit_id
            where text.clinic_id = $1 and text.id = $2 and email.channel = 'email' and email.kind = text.kind
                and email.lead_minutes = text.lead_minutes and email.visit_version = text.visit_version
                and email.state in ('pending', 'sending', 'unknown', 'sent', 'delivered'))""",
        clinic_id,
        message_id,
    )
