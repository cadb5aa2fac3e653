"""`make bench`: measure every target, print the table, keep the figures. `make bench ONLY=S1` measures one."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import click
import uvloop

from benchmarks import bookings, growth, messages, processes, races, report, slots
from benchmarks.load import LoadFailed
from benchmarks.report import Row
from benchmarks.samples import Pair
from benchmarks.stage import Stage, open_stage
from benchmarks.targets import TARGETS

Came = TypeVar("Came")

REPEATS = 5

# What is measured by this name has no targets, and is not among them.
GROWTH = "growth"

# What measures the rows of each group of targets, in the order in which the table has them.
GROUPS: dict[str, Callable[[Stage, int], Awaitable[list[Pair]]]] = {
    "S1": slots.measure_one,
    "S2": slots.measure_all,
    "S3": slots.measure_growth,
    "B1": bookings.measure_rate,
    "B2": races.measure,
    "B3": bookings.measure_history,
    "M1": messages.measure_dispatch,
    "M2": messages.measure_provider,
    "W1": processes.measure_memory,
    "W2": processes.measure_start,
    "W3": processes.measure_two,
    "W4": messages.measure_two_workers,
}


async def measure(only: list[str], repeats: int) -> list[Row]:
    """Measure the groups with the targets named, or all, and print each row as soon as it is known."""
    wanted = [target for target in TARGETS if not only or target.name.split()[0] in only]
    rows: list[Row] = []
    async with open_stage() as stage:
        for group, measure_group in GROUPS.items():
            if not any(target.group == group for target in wanted):
                continue
            began = time.perf_counter()
            of_group = [target for target in TARGETS if target.group == group]
            try:
                pairs = await measure_group(stage, repeats)
            except LoadFailed as problem:
                click.echo(f"{group}: nothing was measured, because {problem}")
                continue
            found = [Row(target=target, pair=pair) for target, pair in zip(of_group, pairs, strict=True)]
            for row in found:
                if row.target in wanted:
                    click.echo(report.line(row))
                    rows.append(row)
            click.echo(f"{'':13}({time.perf_counter() - began:.0f} s)")
            await stage.clear()
    return rows


async def _show_growth() -> None:
    async with open_stage() as stage:
        await growth.show(stage)


def _run(work: Coroutine[Any, Any, Came]) -> Came:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="names of targets, such as S1,B2")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    arguments = parser.parse_args()
    only = [name.strip() for name in arguments.only.split(",") if name.strip()]
    if only == [GROWTH]:
        return _run(_show_growth())
    names = {target.name.split()[0] for target in TARGETS}
    if unknown := sorted(set(only) - names):
        parser.error(f"there is no target {unknown[0]}; choose from {', '.join(sorted(names))}")
    click.echo(report.head(arguments.repeats))
    rows = _run(measure(only, arguments.repeats))
    short = [row.target.name for row in rows if not row.met]
    click.echo(
        f"\n{len(rows) - len(short)} of {len(rows)} targets are met; figures in {report.write(rows, arguments.repeats)}"
    )
    wanted = sum(not only or target.name.split()[0] in only for target in TARGETS)
    sys.exit(bool(short) or len(rows) < wanted)


if __name__ == "__main__":
    main()
