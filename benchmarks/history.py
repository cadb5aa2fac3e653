"""Past years of a clinic, written by COPY: visits that are over, with their patients, messages, links and traces."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from benchmarks.stage import Site, clinic_of, filling
from benchmarks.workload import VISIT_TYPE
from scheduler.domain.clinics import Clinic
from scheduler.store.connections import Connection

# Somebody who comes back now and then over the years.
_VISITS_A_PATIENT = 20

# Rows that go to the server at a time.
_BATCH = 10_000

# So long ago that nothing of it is to come, and a quarter of an hour from one visit to the next.
_YEARS = timedelta(days=30 * 365)
_BETWEEN = timedelta(minutes=15)


async def add_history(site: Site, visits: int) -> None:
    """Write so many completed visits; each has a message that arrived, a link, and the trace of its booking."""
    clinic = await clinic_of(site)
    async with filling(site) as connection:
        for table, (columns, row) in _tables(clinic).items():
            number = visits // _VISITS_A_PATIENT if table in ("patients", "consents") else visits
            await _copy(connection, table, columns, row, number)


def _tables(clinic: Clinic) -> dict[str, tuple[str, Callable[[int], str]]]:
    """Return the columns of each table, and what makes the row of a number, in the form of COPY."""
    therapists = [therapist.id for therapist in clinic.therapists.values()]
    began = datetime.now(UTC) - _YEARS

    def patient(number: int) -> str:
        return f"{clinic.id}\t{_id(1, number)}\tRunner\tPast {number}\tpast {number}\x1frunner\t{_phone(number)}\ten"

    def consent(number: int) -> str:
        return (
            f"{clinic.id}\t{_id(2, number)}\t{_id(1, number)}\tsms\tvisits\tt\t{_phone(number)}\ten\t2026-11\tpaper\t"
            "front desk"
        )

    def visit(number: int) -> str:
        starts = began + number * _BETWEEN
        ends = starts + timedelta(minutes=45)
        return (
            f"{clinic.id}\t{_id(3, number)}\tcompleted\t3\t{VISIT_TYPE}\t{therapists[number % len(therapists)]}\t"
            f"{_id(1, number // _VISITS_A_PATIENT)}\t{starts}\t{ends}\tkey:front desk\t{starts}\t{starts}"
        )

    def link(number: int) -> str:
        return f"{clinic.id}\t\\\\x{number:064x}\t{_id(3, number)}"

    def message(number: int) -> str:
        moment = began + number * _BETWEEN
        return (
            f"{clinic.id}\t{_id(4, number)}\t{_id(3, number)}\t{_id(1, number // _VISITS_A_PATIENT)}\t1\tbooked\t"
            f"booked\tsms\ten\t{_phone(number // _VISITS_A_PATIENT)}\t{{}}\tbooked:{number}\t{moment}\t{moment}\t"
            f"delivered\t{moment}\t{moment}"
        )

    def trace(number: int) -> str:
        return (
            f"{clinic.id}\t{_id(5, number)}\t{began + number * _BETWEEN}\tkey:front desk\tvisit.booked\t"
            f"{_id(3, number)}\t{_id(1, number // _VISITS_A_PATIENT)}\t{{}}"
        )

    return {
        "patients": ("clinic_id id given_name family_name name_key phone language", patient),
        "consents": (
            "clinic_id id patient_id channel scope granted address language wording_version method actor", consent,
        ),
        "visits": (
            ("clinic_id id status version visit_type therapist_id patient_id starts_at ends_at created_by created_at "
            "booked_at"), visit,
        ),
        "visit_links": ("clinic_id token_hash visit_id", link),
        "messages": (
            ("clinic_id id visit_id patient_id visit_version kind template channel language address variables "
            "dedupe_key not_before expires_at state sent_at finished_at"), message,
        ),
        "audit_events": ("clinic_id id at actor action visit_id patient_id details", trace),
    }  # fmt: skip


async def _copy(connection: Connection, table: str, columns: str, row: Callable[[int], str], number: int) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for first in range(0, number, _BATCH):
            batch = [row(index) for index in range(first, min(first + _BATCH, number))]
            yield ("\n".join(batch) + "\n").encode()

    await connection.copy_to_table(table, source=lines(), columns=columns.split(), format="text", timeout=600)


def _id(table: int, number: int) -> UUID:
    return UUID(int=(table << 80) | (0x7 << 76) | (0b10 << 62) | number)


def _phone(number: int) -> str:
    """Return a number that nobody has."""
    return f"+1201555{number:07}"
