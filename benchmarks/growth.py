"""How the service grows: the figures of docs/performance.md, `make bench ONLY=growth`. No target, a table."""

from datetime import timedelta

import click
import msgspec

from benchmarks import workload
from benchmarks.bookings import BOOKINGS, bookers, with_wishes
from benchmarks.load import drive
from benchmarks.processes import looks_rate
from benchmarks.slots import Looks, all_therapists, median, one_therapist
from benchmarks.stage import Stage, web
from tests.acceptance.processes import Started


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
    site, wishes = await with_wishes(stage, BOOKINGS)
    looks = Looks(one_therapist(site))
    for connections in (2, 4, 16, 64):
        async with web(site) as first, web(site) as second:
            for process in (first, second):
                await drive(process.url, looks.more(), connections=16, seconds=1)
            seen = [await looks_rate(some, looks, connections=connections) for some in ([first], [first, second])]
        booked: list[float] = []
        for number in (1, 2):
            async with bookers(stage, site, wishes, processes=number, connections=connections) as rate:
                booked.append(await rate())
        click.echo(f"{connections:7} {seen[0]:23.0f} {seen[1]:7.0f} {booked[0]:18.0f} {booked[1]:7.0f}")


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
