"""Slots: against a bare handler, against their own arithmetic, and as the clinic grows."""

import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from benchmarks import workload
from benchmarks.load import Connection, drive, request
from benchmarks.samples import Pair, Samples, alternate
from benchmarks.stage import Site, Stage, bare, clinic_of, connected, web
from scheduler.domain.availability import calendar_bounds, open_starts
from scheduler.domain.times import day_end, day_start
from scheduler.store.availability import load_calendar
from tests.acceptance.processes import Started

# What one client asks in a row. The clinic's usual limit lets a process take as many at once.
_LOOKS = 20

# Rates are counted over so many seconds. A median of one answer after the other needs fewer of them.
_SECONDS = 2
_MEDIAN_SECONDS = 1
_CLIENTS = 60_000


def one_therapist(site: Site) -> str:
    """Return Q1: one therapist's open slots for 14 days."""
    return _path(site, days=14) + f"&therapist={workload.therapist_code(0)}"


def all_therapists(site: Site) -> str:
    """Return Q2: everybody's open slots for 7 days."""
    return _path(site, days=7)


class Looks:
    """Requests for one address, from one client after the other, each with its own look at what is open."""

    def __init__(self, path: str, number: int = 30_000) -> None:
        self._path = path
        self._number = number
        self._clients = count()

    def more(self) -> list[bytes]:
        """Return requests enough for a stretch of load, from clients that have not asked before."""
        made: list[bytes] = []
        for client in (next(self._clients) % _CLIENTS for _ in range(self._number // _LOOKS)):
            made += [request("GET", self._path, X_Forwarded_For=_address(client))] * _LOOKS
        return made


async def rate(process: Started, looks: Looks, *, seconds: int = _SECONDS) -> float:
    """Return requests per second over 16 connections."""
    return (await drive(process.url, looks.more(), connections=16, seconds=seconds)).per_second


async def median(process: Started, looks: Looks) -> float:
    """Return the median of milliseconds that one connection waits for an answer."""
    return (await drive(process.url, looks.more(), connections=1, seconds=_MEDIAN_SECONDS)).median_ms


async def measure_one(stage: Stage, repeats: int) -> list[Pair]:
    """S1."""
    site = await stage.site(20)
    async with web(site) as ours, bare(site, await fetch(ours.url, one_therapist(site))) as other:
        looks, other_looks = Looks(one_therapist(site)), Looks("/slots")
        await rate(ours, looks, seconds=1)
        await rate(other, other_looks, seconds=1)
        return [await alternate(repeats, partial(rate, ours, looks), partial(rate, other, other_looks))]


async def measure_all(stage: Stage, repeats: int) -> list[Pair]:
    """S2."""
    site = await stage.site(20)
    async with web(site) as process, arithmetic(site) as alone:
        looks = Looks(all_therapists(site))
        await median(process, looks)
        return [await alternate(repeats, partial(median, process, looks), alone)]


async def measure_growth(stage: Stage, repeats: int) -> list[Pair]:
    """S3."""
    sites = [await stage.site(therapists) for therapists in (5, 20, 200)]
    async with web(sites[0]) as five, web(sites[1]) as twenty, web(sites[2]) as two_hundred:
        everybody = [Looks(all_therapists(site)) for site in sites]
        one = [Looks(one_therapist(site)) for site in sites]
        for process, looks in (
            (five, one[0]), (twenty, everybody[1]), (two_hundred, everybody[2]), (two_hundred, one[2])
        ):  # fmt: skip
            await median(process, looks)
        return [
            await alternate(repeats, partial(median, two_hundred, everybody[2]), partial(median, twenty, everybody[1])),
            await alternate(repeats, partial(median, two_hundred, one[2]), partial(median, five, one[0])),
        ]


@asynccontextmanager
async def arithmetic(site: Site) -> AsyncGenerator[Callable[[], Coroutine[Any, Any, float]]]:
    """Yield what measures Q2's query and the pure function alone, as the median of milliseconds."""
    clinic = await clinic_of(site)
    visit_type = clinic.visit_types[workload.VISIT_TYPE]
    within = (
        day_start(site.first_day, clinic.zone),
        day_end(site.first_day + timedelta(days=6), clinic.zone),
    )
    async with connected(site) as connection:

        async def once() -> float:
            began = time.perf_counter()
            calendar = await load_calendar(connection, clinic, visit_type, calendar_bounds(visit_type, *within))
            open_starts(calendar, clinic, visit_type, within=within)
            return 1000 * (time.perf_counter() - began)

        async def median_of_many() -> float:
            until = time.perf_counter() + _MEDIAN_SECONDS
            taken: list[float] = []
            while time.perf_counter() < until:
                taken.append(await once())
            return Samples(taken).median

        yield median_of_many


async def fetch(url: str, path: str) -> bytes:
    """Return the body of an answer, which must be a good one."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = await Connection.open(host, int(port))
    status, body = await connection.ask(request("GET", path))
    connection.close()
    if status != 200:  # noqa: PLR2004
        raise RuntimeError(f"{path} is answered with {status}")
    return body


def _path(site: Site, *, days: int) -> str:
    until = site.first_day + timedelta(days=days)
    return f"/api/v1/slots?visit_type={workload.VISIT_TYPE}&from={site.first_day}&to={until}"


def _address(client: int) -> str:
    return f"198.{18 + client // 62_500}.{client // 250 % 250}.{client % 250}"
