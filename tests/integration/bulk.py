"""Many patients, visits and messages at once, as a busy clinic would have them, written without a request for each."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

import msgspec

from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import PlannedMessage
from scheduler.ids import new_id
from scheduler.store.connections import Pool
from scheduler.store.messages import add_messages

# New Jersey's area codes and New York's: with 555-01xx behind them, enough people who do not exist.
AREA_CODES = """
    201 551 609 640 732 848 856 862 908 973 212 332 347 516 518 607 631 646 716 718
""".split()


class Someone(msgspec.Struct, frozen=True):
    """A patient with one visit."""

    phone: str
    patient_id: UUID
    visit_id: UUID
    starts_at: datetime


def phones() -> Iterator[str]:
    """Yield 2,000 numbers, none of which is anybody's."""
    for code in AREA_CODES:
        for number in range(100, 200):
            yield f"+1{code}5550{number}"


async def add_visits(
    pool: Pool, clinic: Clinic, number: int, *, starts_at: datetime, beginning: int = 0
) -> list[Someone]:
    """Book so many visits, all of them then, each for somebody else, who agreed to texts and has no email.

    ``beginning`` is how many people there are already.
    """
    people = [
        Someone(phone, new_id(), new_id(), starts_at.astimezone(UTC))
        for phone in islice(phones(), beginning, beginning + number)
    ]
    times = (starts_at, starts_at + timedelta(minutes=45), starts_at - timedelta(days=30))
    therapist = next(iter(clinic.therapists.values())).id
    async with pool.acquire() as connection, connection.transaction():
        await connection.executemany(
            """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
            values ($1, $2, 'Runner', 'Sample', 'sample', $3, 'en')""",
            [(clinic.id, one.patient_id, one.phone) for one in people],
        )
        await connection.executemany(
            """insert into consents
                (clinic_id, id, patient_id, channel, scope, granted, address, language, wording_version, method, actor)
            values ($1, $2, $3, 'sms', 'visits', true, $4, 'en', '2026-11', 'paper', 'front desk')""",
            [(clinic.id, new_id(), one.patient_id, one.phone) for one in people],
        )
        await connection.executemany(
            """insert into visits (clinic_id, id, status, visit_type, therapist_id, patient_id, starts_at, ends_at,
                created_by, booked_at)
            values ($1, $2, 'booked', 'follow-up', $3, $4, $5, $6, 'front desk', $7)""",
            [(clinic.id, one.visit_id, therapist, one.patient_id, *times) for one in people],
        )
    return people


async def add_reminders(
    pool: Pool, clinic: Clinic, people: list[Someone], *, not_before: datetime, expires_at: datetime
) -> None:
    """Plan a reminder of each visit."""
    planned = [
        PlannedMessage(
            visit_id=one.visit_id, patient_id=one.patient_id, visit_version=1, kind="reminder",
            template="reminder_24h", channel="sms", lead_minutes=1440, language="en", address=one.phone,
            variables={"starts_at": one.starts_at.isoformat(), "visit_type": "follow-up"},
            not_before=not_before.astimezone(UTC), expires_at=expires_at.astimezone(UTC),
        )
        for one in people
    ]  # fmt: skip
    async with pool.acquire() as connection, connection.transaction():
        await add_messages(connection, clinic.id, planned)
