"""Bookings: how many a second, against the database's share of them, and how long one takes after many years."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import msgspec

from benchmarks import pgbench, workload
from benchmarks.history import add_history
from benchmarks.inside import ask
from benchmarks.load import LoadFailed, drive, request
from benchmarks.people import Runner, add_runners, runners
from benchmarks.recording import CLIENTS, Script, make_script, record
from benchmarks.samples import Pair, alternate
from benchmarks.stage import Site, Stage, clinic_of, filling, web
from scheduler.app import create_app
from tests.acceptance.processes import Started

# Nearly as many as there is room for, and as many of them as pgbench, the faster of the two, needs for one run.
BOOKINGS = 9_500
_RECORDED = 4_500
_DAYS = 70
_SECONDS = 2

# Bookings before those that count while they are recorded, and seconds before those that count over HTTP.
_WARM_UP = 200
_FIRST_SECONDS = 1

# What is left to be booked must be so many times what was booked in a turn at most.
_MARGIN = 1.5

# A median of one answer after the other needs fewer seconds, in which one connection makes so many at most.
_MEDIAN_SECONDS = 1
_ALONE = 750


class Wish(msgspec.Struct, frozen=True):
    """A visit that somebody on file wants."""

    visit: workload.Booked
    patient: Runner

    @property
    def body(self) -> bytes:
        return msgspec.json.encode(
            {
                "visit_type": workload.VISIT_TYPE,
                "therapist": workload.therapist_code(self.visit.therapist),
                "starts_at": self.visit.starts_at,
                "patient": {
                    "given_name": self.patient.given_name,
                    "family_name": self.patient.family_name,
                    "phone": self.patient.phone,
                    "email": self.patient.email,
                    "sms_consent": {"granted": True, "wording_version": "2026-11"},
                },
            }
        )


async def with_wishes(stage: Stage, number: int) -> tuple[Site, list[Wish]]:
    """Return a site of 20 therapists, and as many wishes that can all be granted, of patients who are on file."""
    site = await stage.site(20)
    people = runners(number, family="Wisher")
    clinic = await clinic_of(site)
    async with filling(site) as connection:
        await add_runners(connection, clinic.id, people)
    free = workload.free_visits(20, site.first_day, days=_DAYS)
    return site, [Wish(visit, patient) for visit, patient in zip(free[:number], people, strict=True)]


def headers(site: Site) -> dict[str, str]:
    return {"authorization": f"Bearer {site.key}", "idempotency-key": secrets.token_urlsafe(16)}


def requests(site: Site, wishes: Sequence[Wish]) -> list[bytes]:
    return [request("POST", "/api/v1/visits", body=wish.body, **headers(site)) for wish in wishes]


async def measure_rate(stage: Stage, repeats: int) -> list[Pair]:
    """B1."""
    site, wishes = await with_wishes(stage, BOOKINGS)
    script = await recorded(stage, site, wishes[:_RECORDED])
    async with bookers(stage, site, wishes) as ours:
        return [await alternate(repeats, ours, partial(rate_of_statements, stage, site, script))]


@asynccontextmanager
async def bookers(
    stage: Stage, site: Site, wishes: Sequence[Wish], *, processes: int = 1, connections: int = 16
) -> AsyncGenerator[Callable[[], Coroutine[Any, Any, float]]]:
    """Yield what measures bookings per second over so many connections, shared between web processes.

    They are all on one copy of the site, for as long as there is enough left to be booked; then on another.
    """
    share = max(1, connections // processes)
    webs: list[Started] = []
    left: list[list[bytes]] = []
    most = 0.0

    async def turn(seconds: int) -> float:
        nonlocal most
        answered = await asyncio.gather(
            *(
                drive(each.url, part, connections=share, seconds=seconds, once=True)
                for each, part in zip(webs, left, strict=True)
            )
        )
        for part, one in zip(left, answered, strict=True):
            del part[: one.answers + share]
            most = max(most, one.per_second * _SECONDS)
        return sum(each.per_second for each in answered)

    async with AsyncExitStack() as running:

        async def rate() -> float:
            if not webs or min(map(len, left)) < _MARGIN * most:
                await running.aclose()
                copy = await running.enter_async_context(copied(stage, site))
                webs[:] = [await running.enter_async_context(web(copy)) for _ in range(processes)]
                left[:] = [requests(copy, wishes[number::processes]) for number in range(processes)]
                await turn(_FIRST_SECONDS)
            return await turn(_SECONDS)

        yield rate


async def rate_of_statements(stage: Stage, site: Site, script: Script) -> float:
    """Return how many times a second 16 clients could send the statements of a booking, and nothing else.

    What looking up the parameters takes is measured by itself and taken off.
    """
    async with copied(stage, site) as copy:
        look_up = await pgbench.rate(copy.dsn, script.look_up, clients=CLIENTS, seconds=1)
        whole = await pgbench.rate(copy.dsn, script.whole, script.constants, clients=CLIENTS, seconds=_SECONDS)
    return 1 / (1 / whole - 1 / look_up)


async def recorded(stage: Stage, site: Site, wishes: Sequence[Wish]) -> Script:
    """Return the statements of these bookings; the site gets the table that tells them apart."""
    async with copied(stage, site) as copy:
        app = create_app(copy.settings)
        async with app.lifespan():

            async def book(index: int) -> None:
                status, body = await ask(app, "POST", "/api/v1/visits", headers(copy), wishes[index].body)
                if status != 201:  # noqa: PLR2004
                    raise LoadFailed(f"a booking was answered with {status}: {body[:300]!r}")

            # The first ones note that the key was used, and make each connection look at types.
            for index in range(_WARM_UP):
                await book(index)
            acts = await record(app.state.pool, lambda index: book(_WARM_UP + index), len(wishes) - _WARM_UP)
    async with filling(site) as connection:
        return await make_script(connection, acts)


@asynccontextmanager
async def copied(stage: Stage, site: Site) -> AsyncGenerator[Site]:
    copy = await stage.copy(site)
    try:
        yield copy
    finally:
        await stage.drop(copy)


async def measure_history(stage: Stage, repeats: int) -> list[Pair]:
    """B3."""
    lately, wishes = await with_wishes(stage, _ALONE * (repeats + 1))
    long_ago = await stage.copy(lately)
    for site, number in ((lately, 1_000), (long_ago, 1_000_000)):
        await add_history(site, number)
    async with web(lately) as young, web(long_ago) as old:
        ours, beside = Turns(long_ago, old.url, wishes), Turns(lately, young.url, wishes)
        await ours.median()
        await beside.median()
        return [await alternate(repeats, ours.median, beside.median)]


class Turns:
    """Bookings over one connection, each of them once."""

    def __init__(self, site: Site, url: str, wishes: Sequence[Wish]) -> None:
        self._url = url
        self._left = requests(site, wishes)

    async def median(self) -> float:
        """Return the median of milliseconds that a booking takes."""
        turn, self._left = self._left[:_ALONE], self._left[_ALONE:]
        answered = await drive(self._url, turn, connections=1, seconds=_MEDIAN_SECONDS, once=True)
        return answered.median_ms
