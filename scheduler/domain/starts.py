"""Sets of starts as big integers: bit i of a set stands for ``starts[i]`` of a range of epoch minutes.

A rule about a visit allows some stretches of starts, so a set is a few runs of bits. The range has a step of the clock
grid, or of one minute, and the sets are as many times shorter.
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo

from scheduler.domain.times import Span, day_pieces, local_dates


def all_of(starts: range) -> int:
    return (1 << len(starts)) - 1


def run(starts: range, first: int, last: int) -> int:
    """Return the starts from one epoch minute to another, both included."""
    low = -((starts.start - first) // starts.step)
    high = (last - starts.start) // starts.step + 1
    low, high = max(low, 0), min(high, len(starts))
    return ((1 << (high - low)) - 1) << low if low < high else 0


# Working hours are the same from one question to the next.
@lru_cache(maxsize=8192)
def starts_inside(starts: range, spans: tuple[Span, ...], before: int, after: int) -> int:
    """Return the starts whose [start - before, start + after) lies inside one of the spans."""
    inside = 0
    for begins, ends in spans:
        inside |= run(starts, begins + before, ends - after)
    return inside


def starts_clear_of(starts: range, busy: Iterable[Span], before: int, after: int) -> int:
    """Return the starts whose [start - before, start + after) meets none of the spans, which may overlap."""
    first, step = starts.start, starts.step
    clear = 0
    # Most of the time between what is busy is too short for anything, and costs one comparison.
    free_from = first - before
    for begins, ends in sorted(busy):
        if begins - free_from >= before + after:
            low = -((first - before - free_from) // step)
            high = (begins - after - first) // step + 1
            if low < high:
                clear |= ((1 << (high - low)) - 1) << low
        free_from = max(free_from, ends)
    return (clear & all_of(starts)) | run(starts, free_from + before, starts.stop)


def chosen(starts: range, bits: int) -> list[int]:
    """Return the starts of a set, in order, as epoch minutes."""
    found: list[int] = []
    start = starts.start - starts.step
    while bits:
        distance = (bits & -bits).bit_length()
        bits >>= distance
        start += distance * starts.step
        found.append(start)
    return found


@lru_cache(maxsize=512)
def clock_grid(first: int, last: int, zone: ZoneInfo, grid_minutes: int) -> tuple[range, int]:
    """Return the starts whose wall-clock time in the zone is a multiple of the grid, counted from local midnight.

    They are the set of a range that begins and ends with them; it is smaller than the range where the zone's changes,
    or a grid that does not divide the day, put them at unequal distances.
    """
    pieces: list[range] = []
    for day in local_dates(first, last + 1, zone):
        for begins, wall, length in day_pieces(day, zone):
            lead = -wall % grid_minutes
            low = begins + lead + max(0, -((begins + lead - first) // grid_minutes)) * grid_minutes
            pieces.append(range(low, min(begins + length, last + 1), grid_minutes))
    pieces = [piece for piece in pieces if piece]
    if not pieces:
        return range(0), 0
    anchor = pieces[0].start
    step = math.gcd(grid_minutes, *(piece.start - anchor for piece in pieces))
    starts = range(anchor, pieces[-1][-1] + 1, step)
    bits = 0
    for piece in pieces:
        bits |= _repeated(grid_minutes // step, len(piece)) << ((piece.start - anchor) // step)
    return starts, bits


def _repeated(step: int, count: int) -> int:
    """Return ``count`` bits, ``step`` apart, the lowest at 0."""
    return ((1 << (step * count)) - 1) // ((1 << step) - 1)
