"""A hundred who want one slot at the same moment: the service, and the database alone."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from benchmarks import workload
from benchmarks.bookings import Wish, requests, with_wishes
from benchmarks.load import Connection, LoadFailed
from benchmarks.people import Runner
from benchmarks.samples import Pair, alternate
from benchmarks.stage import Site, Stage, clinic_of, connected, web
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.store.connections import Connection as Session

CLIENTS = 100

Came = TypeVar("Came")

# Races of a repeat, whose figure is the 99th percentile over all clients of all of them.
_ROUNDS = 3

# One visit and four messages, as a booking has them, where the slot is still free: what the constraint alone decides.
_INSERT = """with taken as (
        insert into occupancy (clinic_id, resource_id, visit_id, kind, during)
        values ($1, $2, $4, 'visit', tstzrange($5, $6)) on conflict do nothing returning visit_id
    ), visit as (
        insert into visits (clinic_id, id, status, visit_type, therapist_id, patient_id, starts_at, ends_at, created_by)
        select $1, visit_id, 'booked', $7, $2, $3, $5, $6, 'alone' from taken
    ), planned as (
        insert into messages (clinic_id, id, visit_id, patient_id, visit_version, kind, template, channel, language,
            address, variables, dedupe_key, not_before, expires_at)
        select $1, gen_random_uuid(), visit_id, $3, 1, 'booked', 'booked', 'email', 'en', 'runner@example.com', '{}',
            visit_id || ':' || number, $5, $6
        from taken, generate_series(1, 4) as number
    )
    select count(*) from taken"""


async def measure(stage: Stage, repeats: int) -> list[Pair]:
    """B2: equal starts, and starts that only overlap."""
    site, wishes = await with_wishes(stage, CLIENTS)
    people = [wish.patient for wish in wishes]
    clinic = await clinic_of(site)
    async with web(site) as process, AsyncExitStack() as stack:
        address = urlsplit(process.url)
        clients = [await Connection.open(address.hostname or "", address.port or 0) for _ in people]
        sessions = [await stack.enter_async_context(connected(site)) for _ in people]
        pairs: list[Pair] = []
        for apart in (0, 15):
            ours = partial(_over_http, site, clients, people, _mornings(site, 0, apart))
            beside = partial(_alone, clinic, sessions, people, _mornings(site, 1, apart))
            # Each connection has planned its statements when it counts.
            await ours()
            await beside()
            pairs.append(await alternate(repeats, ours, beside))
        return pairs


def _mornings(site: Site, therapist: int, apart: int) -> Iterator[list[workload.Booked]]:
    """Yield for each race what every client wants of a therapist.

    It is nine in the morning of a day of which nothing is booked; or for two of three clients so many minutes later,
    and twice as many.
    """
    first_day = site.first_day + timedelta(days=workload.DAYS + (70 if apart else 0))
    for start in workload.grid_starts(first_day, 70):
        if (start.hour, start.minute) == (9, 0):
            yield [
                workload.Booked(therapist, start + timedelta(minutes=number % 3 * apart)) for number in range(CLIENTS)
            ]


async def _over_http(
    site: Site, clients: Sequence[Connection], people: Sequence[Runner], mornings: Iterator[list[workload.Booked]]
) -> float:
    """Return the 99th percentile of milliseconds to an answer. Raises LoadFailed unless one wins and 99 hear it."""
    taken: list[float] = []
    for _ in range(_ROUNDS):
        wishes = [Wish(visit, patient) for visit, patient in zip(next(mornings), people, strict=True)]
        asked = requests(site, wishes)
        answers = await _at_once([partial(client.ask, each) for client, each in zip(clients, asked, strict=True)])
        statuses = Counter(status for (status, _), _ in answers)
        if statuses != {201: 1, 409: CLIENTS - 1}:
            raise LoadFailed(f"a race ended with {dict(statuses)}")
        taken += [took for _, took in answers]
    return _percentile(taken)


async def _alone(
    clinic: Clinic, sessions: Sequence[Session], people: Sequence[Runner], mornings: Iterator[list[workload.Booked]]
) -> float:
    """Return the 99th percentile of milliseconds to the end of an insert."""
    taken: list[float] = []
    for _ in range(_ROUNDS):
        visits = next(mornings)
        therapist = clinic.therapists[workload.therapist_code(visits[0].therapist)].id
        answers = await _at_once(
            [
                partial(
                    session.fetchval, _INSERT, clinic.id, therapist, patient.id, new_id(), *_span(visit.starts_at),
                    workload.VISIT_TYPE,
                )
                for session, patient, visit in zip(sessions, people, visits, strict=True)
            ]
        )  # fmt: skip
        won: list[Any] = [number for number, _ in answers]
        if sum(won) != 1:
            raise LoadFailed("the constraint let two win, or none")
        taken += [took for _, took in answers]
    return _percentile(taken)


async def _at_once(acts: Sequence[Callable[[], Awaitable[Came]]]) -> list[tuple[Came, float]]:
    """Return what each act came to, and after how many milliseconds, all of them begun at the same moment."""
    began = time.perf_counter()

    async def one(act: Callable[[], Awaitable[Came]]) -> tuple[Came, float]:
        return await act(), 1000 * (time.perf_counter() - began)

    return await asyncio.gather(*(one(act) for act in acts))


def _span(starts_at: datetime) -> tuple[datetime, datetime]:
    return starts_at.astimezone(UTC), (starts_at + workload.DURATION).astimezone(UTC)


def _percentile(taken: Sequence[float]) -> float:
    return sorted(taken)[int(0.99 * len(taken)) - 1]
