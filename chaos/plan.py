"""What a seed decides: which faults come in which order, alone or two at a time, and how long each lasts."""

import random
from collections.abc import Sequence

import msgspec

from chaos.faults import FAULTS, Fault

# Seeds that found something, and what it was. They are tried first, whatever else is.
FOUND = {
    8: "a connection of which the driver lost count, when the database was killed, was answered for by a 500",
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The faults of one moment, for how long they last, and the pause after them in which all must become well."""

    faults: tuple[str, ...]
    seconds: float
    pause: float


def seeds_of(number: int, first: int) -> list[int]:
    """Return so many seeds: those that once found something, then those from the first on."""
    return [*FOUND, *(seed for seed in range(first, first + number + len(FOUND)) if seed not in FOUND)][:number]


def steps_of(seed: int, possible: Sequence[str], seconds: float) -> list[Step]:
    """Return what happens in so many seconds of load.

    The faults of consecutive seeds follow each other through one shuffled round of all, so that a few seeds meet each.
    """
    chance = random.Random(f"plan/{seed}")
    order = sorted(possible, key=lambda name: random.Random(f"order/{name}").random())
    steps: list[Step] = []
    place, left = seed * 4, seconds
    while True:
        number = 2 if chance.random() < 0.45 else 1
        names = tuple(order[(place + offset) % len(order)] for offset in range(number))
        lasts = max(_seconds(FAULTS[name], chance) for name in names)
        step = Step(faults=names, seconds=lasts, pause=chance.uniform(1.5, 2.5))
        if step.seconds + step.pause > left and steps:
            return steps
        steps.append(step)
        place, left = place + number, left - step.seconds - step.pause


def _seconds(fault: Fault, chance: random.Random) -> float:
    return chance.uniform(*fault.seconds)
