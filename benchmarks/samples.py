"""Two sides measured in turn, so that whatever else the machine does meanwhile is shared by both."""

import statistics
from collections.abc import Awaitable, Callable, Sequence

import msgspec

Measure = Callable[[], Awaitable[float]]


class Samples(msgspec.Struct, frozen=True):
    """What was measured of one thing, in the order it was."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """How far apart the smallest and the largest lie, as a part of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0


class Pair(msgspec.Struct, frozen=True):
    """Ours and what it is compared with; ``beside`` is None where the target is a plain limit."""

    ours: Samples
    beside: Samples | None = None

    @property
    def ratio(self) -> float:
        """Ours by the other, of the medians; ours alone where there is no other."""
        return self.ours.median / self.beside.median if self.beside else self.ours.median


async def alternate(repeats: int, ours: Measure, beside: Measure) -> Pair:
    """Measure both sides so many times in turn: ours first, then last, then first again."""
    our_values: list[float] = []
    other_values: list[float] = []
    for repeat in range(repeats):
        for side, values in [(ours, our_values), (beside, other_values)][:: 1 if repeat % 2 == 0 else -1]:
            values.append(await side())
    return Pair(Samples(our_values), Samples(other_values))
