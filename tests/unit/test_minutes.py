"""Sets of minutes and of starts as big integers, against sets of numbers, in every small case there is."""

from collections.abc import Iterable
from datetime import date
from itertools import combinations, pairwise, product

import pytest

from scheduler.domain.bitmaps import everything, free_for, runs, span_bits, union
from scheduler.domain.starts import all_of, chosen, clock_grid, run, starts_clear_of, starts_inside
from scheduler.domain.times import Span, day_end, day_pieces, day_start, local_dates, overlap, wall_spans
from tests.unit.factories import NEW_YORK, minute

BOUNDS = (100, 108)
SPANS = [(starts, ends) for starts in range(97, 111) for ends in range(97, 111)]


def members(bits: int, bounds: Span = BOUNDS) -> set[int]:
    assert bits >= 0
    return {bounds[0] + index for index in range(bits.bit_length()) if bits >> index & 1}


def minutes_of(spans: Iterable[Span]) -> set[int]:
    return {each for starts, ends in spans for each in range(starts, ends)}


def test_a_span_is_its_minutes_within_the_bounds() -> None:
    assert members(everything(BOUNDS)) == set(range(*BOUNDS))
    for span in SPANS:
        assert members(span_bits(BOUNDS, span)) == minutes_of([span]) & set(range(*BOUNDS)), span


def test_a_union_is_every_minute_that_any_span_has() -> None:
    ahead = [span for span in SPANS if span[0] < span[1]][::5]
    for pair in combinations(ahead, 2):
        assert members(union(BOUNDS, pair)) == minutes_of(pair) & set(range(*BOUNDS)), pair
    assert union(BOUNDS, []) == 0


@pytest.mark.parametrize("length", range(1, 9))
def test_minutes_from_which_so_many_follow_each_other(length: int) -> None:
    for bits in range(256):
        free = {start for start in members(bits, (0, 8)) if set(range(start, start + length)) <= members(bits, (0, 8))}
        assert members(free_for(bits, length), (0, 8)) == free


def test_runs_are_the_longest_stretches_and_together_all_there_is() -> None:
    for bits in range(512):
        found = runs(bits)
        assert minutes_of(found) == members(bits, (0, 9))
        assert all(starts < ends for starts, ends in found)
        assert all(one[1] < other[0] for one, other in pairwise(found))


RANGES = [range(100, 120, step) for step in (1, 2, 5)] + [range(103, 104), range(100, 100)]


@pytest.mark.parametrize("starts", RANGES)
def test_starts_between_two_minutes(starts: range) -> None:
    assert chosen(starts, all_of(starts)) == list(starts)
    for first, last in product(range(97, 123), repeat=2):
        assert chosen(starts, run(starts, first, last)) == [each for each in starts if first <= each <= last]


BUSY = [
    [], [(100, 103)], [(90, 101)], [(118, 130)], [(105, 107), (107, 108)], [(104, 112), (106, 108)],
    [(110, 112), (103, 104)], [(90, 140)], [(107, 107)], [(80, 90)], [(101, 102), (119, 121)],
]  # fmt: skip


@pytest.mark.parametrize("starts", RANGES)
@pytest.mark.parametrize("busy", BUSY)
@pytest.mark.parametrize(("before", "after"), [(0, 1), (0, 5), (3, 4), (2, 0), (0, 9)])
def test_starts_inside_of_spans_and_clear_of_them(starts: range, busy: list[Span], before: int, after: int) -> None:
    def takes(start: int) -> Span:
        return start - before, start + after

    inside = [
        start for start in starts if any(low <= takes(start)[0] and takes(start)[1] <= high for low, high in busy)
    ]
    assert chosen(starts, starts_inside(starts, tuple(busy), before, after)) == inside
    meets = [span for span in busy if span[0] < span[1]]
    clear = [start for start in starts if not any(overlap(takes(start), span) for span in meets)]
    assert chosen(starts, starts_clear_of(starts, meets, before, after)) == clear


def test_spans_that_touch_share_no_minute() -> None:
    for one, other in product([(0, 1), (0, 3), (1, 2), (2, 5), (3, 4)], repeat=2):
        assert overlap(one, other) is bool(minutes_of([one]) & minutes_of([other]))


# In New York the clocks go from two to three on March 14 2027, and from two to one on November 7.
WINTER, SPRING, AUTUMN = date(2027, 1, 5), date(2027, 3, 14), date(2027, 11, 7)


@pytest.mark.parametrize(
    ("day", "pieces"),
    [
        (WINTER, [("00:00-05:00", 0, 1440)]),
        (SPRING, [("00:00-05:00", 0, 120), ("03:00-04:00", 180, 1260)]),
        (AUTUMN, [("00:00-04:00", 0, 120), ("01:00-05:00", 60, 1380)]),
    ],
)
def test_a_day_is_its_stretches_of_one_offset(day: date, pieces: list[tuple[str, int, int]]) -> None:
    expected = tuple((minute(f"{day}T{first}"), wall, length) for first, wall, length in pieces)
    assert day_pieces(day, NEW_YORK) == expected
    assert day_end(day, NEW_YORK) - day_start(day, NEW_YORK) == sum(length for _, _, length in expected)


@pytest.mark.parametrize(
    ("day", "window", "spans"),
    [
        (WINTER, (540, 600), [("2027-01-05T09:00-05:00", 60)]),
        (WINTER, (1380, 1500), [("2027-01-05T23:00-05:00", 60), ("2027-01-06T00:00-05:00", 60)]),
        (WINTER, (600, 600), []),
        (SPRING, (90, 210), [("2027-03-14T01:30-05:00", 30), ("2027-03-14T03:00-04:00", 30)]),
        (SPRING, (120, 180), []),
        (AUTUMN, (90, 120), [("2027-11-07T01:30-04:00", 30), ("2027-11-07T01:30-05:00", 30)]),
    ],
)
def test_a_window_of_the_clock_is_the_instants_at_which_it_is_shown(
    day: date, window: Span, spans: list[tuple[str, int]]
) -> None:
    assert wall_spans(day, *window, NEW_YORK) == [(minute(starts), minute(starts) + length) for starts, length in spans]


def test_dates_are_those_that_the_clocks_show() -> None:
    midnight = minute("2027-01-06T00:00-05:00")
    assert local_dates(midnight - 1, midnight, NEW_YORK) == [WINTER]
    assert local_dates(midnight - 1, midnight + 1, NEW_YORK) == [WINTER, date(2027, 1, 6)]
    assert local_dates(midnight, midnight, NEW_YORK) == [date(2027, 1, 6)]


@pytest.mark.parametrize(
    ("starts", "ends", "grid", "shown"),
    [
        ("2027-01-05T09:00-05:00", "2027-01-05T10:00-05:00", 15, ["09:00", "09:15", "09:30", "09:45", "10:00"]),
        ("2027-01-05T09:01-05:00", "2027-01-05T09:59-05:00", 15, ["09:15", "09:30", "09:45"]),
        ("2027-01-05T09:01-05:00", "2027-01-05T09:14-05:00", 15, []),
        ("2027-01-05T23:30-05:00", "2027-01-06T00:40-05:00", 50, ["00:00"]),
        ("2027-01-05T23:30-05:00", "2027-01-06T00:00-05:00", 30, ["23:30", "00:00"]),
        ("2027-01-05T23:20-05:00", "2027-01-06T00:50-05:00", 50, ["23:20", "00:00", "00:50"]),
        ("2027-03-14T01:30-05:00", "2027-03-14T03:30-04:00", 30, ["01:30", "03:00", "03:30"]),
        ("2027-11-07T01:30-04:00", "2027-11-07T01:30-05:00", 30, ["01:30", "01:00", "01:30"]),
        # Three o'clock is no multiple of fifty minutes, so what follows the change keeps another distance.
        ("2027-03-14T00:50-05:00", "2027-03-14T05:00-04:00", 50, ["00:50", "01:40", "03:20", "04:10", "05:00"]),
        ("2027-03-14T03:00-04:00", "2027-03-14T03:20-04:00", 50, ["03:20"]),
        ("2027-03-14T03:21-04:00", "2027-03-14T04:10-04:00", 50, ["04:10"]),
        ("2027-03-14T04:10-04:00", "2027-03-14T05:05-04:00", 50, ["04:10", "05:00"]),
        ("2027-03-14T04:00-04:00", "2027-03-14T04:09-04:00", 50, []),
    ],
)
def test_the_grid_is_counted_by_the_clock_from_midnight(starts: str, ends: str, grid: int, shown: list[str]) -> None:
    found = chosen(*clock_grid(minute(starts), minute(ends), NEW_YORK, grid))
    clocks = [_clock(each) for each in found]
    assert clocks == shown
    assert all(minute(starts) <= each <= minute(ends) for each in found)


def _clock(epoch_minute: int) -> str:
    (day,) = local_dates(epoch_minute, epoch_minute + 1, NEW_YORK)
    (wall,) = (
        wall + epoch_minute - first
        for first, wall, length in day_pieces(day, NEW_YORK)
        if first <= epoch_minute < first + length
    )
    return f"{wall // 60:02}:{wall % 60:02}"
