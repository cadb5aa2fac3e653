"""How the service grows: the figures of docs/performance.md, `make bench ONLY=growth`. No target, a table."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import click
import msgspec

from benchmarks import workload
from benchmarks.bookings import requests, with_wishes
from benchmarks.load import drive
from benchmarks.slots import Looks, all_therapists, median, one_therapist
from benchmarks.stage import Site, Stage, web
from tests.acceptance.processes import Started

_SECONDS = 3
_BOOKINGS = 6000
_FIRST = 600


async def show(stage: Stage) -> None:
    """Measure and print each table."""
    for part in (_by_therapists, _by_horizon, _by_clients, _behind_a_pooler):
        click.echo()
        await part(stage)
        await stage.clear()


async def _by_therapists(stage: Stage) -> None:
    click.echo("therapists    one for 14 days    all for 7 days (median, ms, one connection)")
    for therapists in (5, 20, 200):
        site = await stage.site(therapists)
        async with web(site) as process:
            one, everybody = await _settled(process, one_therapist(site)), await _settled(process, all_therapists(site))
        click.echo(f"{therapists:10} {one:18.2f} {everybody:17.2f}")


async def _by_horizon(stage: Stage) -> None:
    click.echo("days ahead    one of 20      all 20 (median, ms, one connection)")
    site = await stage.site(20)
    async with web(site) as process:
        for days in (1, 7, 14, 60):
            until = site.first_day + timedelta(days=days)
            path = f"/api/v1/slots?visit_type={workload.VISIT_TYPE}&from={site.first_day}&to={until}"
            one = await _settled(process, f"{path}&therapist={workload.therapist_code(0)}")
            click.echo(f"{days:10} {one:12.2f} {await _settled(process, path):11.2f}")


async def _by_clients(stage: Stage) -> None:
    click.echo("at once    looks/s of 1 process    of 2    bookings/s of 1    of 2")
    for connections in (1, 4, 16, 64):
        looks = [await _looks(stage, connections, processes) for processes in (1, 2)]
        bookings = [await _bookings(stage, connections, processes) for processes in (1, 2)]
        click.echo(f"{connections:7} {looks[0]:23.0f} {looks[1]:7.0f} {bookings[0]:18.0f} {bookings[1]:7.0f}")


async def _behind_a_pooler(stage: Stage) -> None:
    click.echo("DATABASE_STATEMENT_CACHE_SIZE    one of 20 for 14 days (median, ms, one connection)")
    site = await stage.site(20)
    for size in ("100", "0"):
        changed = msgspec.structs.replace(site, environment=site.environment | {"DATABASE_STATEMENT_CACHE_SIZE": size})
        async with web(changed) as process:
            click.echo(f"{size:>29} {await _settled(process, one_therapist(site)):12.2f}")


async def _settled(process: Started, path: str) -> float:
    """Return the median of milliseconds once the process knows what it is asked."""
    looks = Looks(path)
    await drive(process.url, looks.more(), connections=1, seconds=1)
    return await median(process, looks)


async def _looks(stage: Stage, connections: int, processes: int) -> float:
    site = await stage.site(20)
    looks = Looks(one_therapist(site))
    async with _processes(site, processes) as urls:
        return await _driven(urls, lambda _: looks.more(), connections, _SECONDS, once=False)


async def _bookings(stage: Stage, connections: int, processes: int) -> float:
    site, wishes = await with_wishes(stage, _BOOKINGS)
    first, left = requests(site, wishes[:_FIRST]), requests(site, wishes[_FIRST:])
    async with _processes(site, processes) as urls:
        await drive(urls[0], first, connections=1, seconds=1, once=True)
        return await _driven(urls, lambda number: left[number::processes], connections, 2, once=True)


async def _driven(
    urls: list[str], asked: Callable[[int], list[bytes]], connections: int, seconds: float, *, once: bool
) -> float:
    """Return answers per second of all processes, which share the connections; one connection has one process."""
    share = max(1, connections // len(urls))
    answered = await asyncio.gather(
        *(
            drive(url, asked(number), connections=share, seconds=seconds, once=once)
            for number, url in enumerate(urls[:connections])
        )
    )
    return sum(each.per_second for each in answered)


@asynccontextmanager
async def _processes(site: Site, number: int) -> AsyncGenerator[list[str]]:
    async with AsyncExitStack() as stack:
        yield [(await stack.enter_async_context(web(site))).url for _ in range(number)]
