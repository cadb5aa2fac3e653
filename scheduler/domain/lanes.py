"""Where things lie in a column of the day board: on rows of five minutes, beside each other where they share some."""

from collections.abc import Iterable, Sequence

import msgspec

ROW_MINUTES = 5

# A card of fewer rows could not hold a line of text.
SHORTEST = 3


class Spot(msgspec.Struct, frozen=True):
    """Where something lies in its column: first row, number of rows, and which of how many lanes side by side."""

    row: int
    rows: int
    lane: int = 0
    lanes: int = 1


def side_by_side(spots: Sequence[Spot]) -> list[Spot]:
    """Return the same spots, those that share rows with others in lanes beside each other."""
    order = sorted(range(len(spots)), key=lambda index: (spots[index].row, -spots[index].rows))
    lanes: dict[int, int] = {}
    placed: dict[int, Spot] = {}
    ends: list[int] = []

    def settle() -> None:
        for index, lane in lanes.items():
            placed[index] = msgspec.structs.replace(spots[index], lane=lane, lanes=len(ends))
        lanes.clear()
        ends.clear()

    for index in order:
        spot = spots[index]
        if ends and spot.row >= max(ends):
            settle()
        lane = next((lane for lane, end in enumerate(ends) if end <= spot.row), len(ends))
        ends[lane : lane + 1] = [spot.row + spot.rows]
        lanes[index] = lane
    settle()
    return [placed[index] for index in range(len(spots))]


def apart(starts: Iterable[int], minutes: int) -> list[int]:
    """Return the first start and those after it that leave each other room for so many minutes."""
    chosen: list[int] = []
    for start in starts:
        if not chosen or start >= chosen[-1] + minutes:
            chosen.append(start)
    return chosen
