"""What a seed decides: which faults come in which order, alone or two at a time, and how long each lasts."""

import random
from collections.abc import Sequence

import msgspec

from chaos.faults import FAULTS, Fault


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The faults of one moment, for how long they last, and the pause after them in which all must become well."""

    faults: tuple[str, ...]
    seconds: float
    pause: float


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
