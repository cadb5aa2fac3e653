"""Patients by the thousand, all invented: telephone numbers 555-01xx of every area code, and example.com."""

from collections.abc import Iterator, Sequence
from functools import cache
from uuid import UUID

import msgspec
from phonenumbers import is_valid_number, parse

from scheduler.domain.patients import name_key
from scheduler.ids import new_id
from scheduler.store.connections import Connection

_LINES = range(100, 200)


class Runner(msgspec.Struct, frozen=True, kw_only=True):
    """A patient on file who agreed to texts and has an email address."""

    id: UUID
    given_name: str
    family_name: str
    phone: str
    email: str


def runners(number: int, *, family: str = "Sample") -> list[Runner]:
    """Return so many patients of a family name and a number, no two of one phone."""
    phones = _phones()
    return [
        Runner(
            id=new_id(),
            given_name="Runner",
            family_name=f"{family} {index}",
            phone=next(phones),
            email=f"{family.lower()}-{index}@example.com",
        )
        for index in range(number)
    ]


async def add_runners(connection: Connection, clinic_id: UUID, people: Sequence[Runner]) -> None:
    """Put patients on file, with what they agreed to."""
    await connection.copy_records_to_table(
        "patients",
        columns=["clinic_id", "id", "given_name", "family_name", "name_key", "phone", "email", "language"],
        records=[
            (
                clinic_id, one.id, one.given_name, one.family_name, name_key(one.family_name, one.given_name),
                one.phone, one.email, "en",
            )
            for one in people
        ],
    )  # fmt: skip
    await connection.copy_records_to_table(
        "consents",
        columns=[
            "clinic_id", "id", "patient_id", "channel", "scope", "granted", "address", "language", "wording_version",
            "method", "actor",
        ],
        records=[
            (clinic_id, new_id(), one.id, "sms", "visits", True, one.phone, "en", "2026-11", "paper", "front desk")
            for one in people
        ],
    )  # fmt: skip


def _phones() -> Iterator[str]:
    for area in _area_codes():
        for line in _LINES:
            yield f"+1{area}5550{line}"


@cache
def _area_codes() -> list[int]:
    """Return the area codes that there are."""
    return [area for area in range(201, 990) if is_valid_number(parse(f"+1{area}5550100"))]
