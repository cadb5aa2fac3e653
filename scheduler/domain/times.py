"""Wall-clock rules made into instants, without ever trusting a wall time to exist just once.

Instants are counted in whole minutes since 1970-01-01 UTC ("epoch minutes"). A wall-clock window covers an instant
when the clinic's clocks, at that instant, show a date and minute inside it. From that one definition both days a
year follow: a wall time that the spring change skips covers nothing, one that the autumn change repeats covers
both of its instants.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = 1440

# A stretch of instants or of wall-clock minutes, [start, end).
Span = tuple[int, int]


def epoch_minute(instant: datetime) -> int:
    """Return the instant's epoch minute; seconds are cut off. The datetime must be aware."""
    return int(instant.timestamp() // 60)


# The same starts are told again and again: each is asked of the zone once.
@lru_cache(maxsize=16_384)
def instant_at(minute: int, zone: tzinfo) -> datetime:
    """Return the aware datetime, in the zone, of an epoch minute."""
    return datetime.fromtimestamp(minute * 60, zone)


@lru_cache(maxsize=4096)
def local_date(minute: int, zone: ZoneInfo) -> date:
    """Return the date that the clinic's clocks show at an epoch minute."""
    return instant_at(minute, zone).date()


def is_whole_minute(instant: datetime) -> bool:
    return instant.second == 0 and instant.microsecond == 0


def local_dates(start: int, end: int, zone: ZoneInfo) -> list[date]:
    """Return, in order, every date that the clinic's clocks show between two epoch minutes, [start, end)."""
    first = instant_at(start, zone).date()
    last = instant_at(max(start, end - 1), zone).date()
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


@lru_cache(maxsize=4096)
def day_pieces(day: date, zone: ZoneInfo) -> tuple[tuple[int, int, int], ...]:
    """Return the stretches of constant UTC offset in a local date, in time order.

    Each is (first epoch minute, wall minute shown then, length in minutes). An ordinary day is one stretch of 1440;
    a day on which the clocks change is two, whose lengths add up to 1380 or 1500.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    # No zone is further than a day from UTC, so the local date lies inside this stretch of instants.
    low = epoch_minute(midnight) - DAY
    high = low + 3 * DAY
    pieces: list[tuple[int, int, int]] = []
    for start, end in _constant_offsets(low, high, zone):
        offset = _offset(start, zone)
        first = max(start, epoch_minute(midnight) - offset)
        last = min(end, epoch_minute(midnight) - offset + DAY)
        if first < last:
            pieces.append((first, first + offset - epoch_minute(midnight), last - first))
    return tuple(pieces)


def _offset(minute: int, zone: ZoneInfo) -> int:
    offset = instant_at(minute, zone).utcoffset()
    assert offset is not None  # noqa: S101 - an aware datetime always has one; this is for the type checker
    return round(offset.total_seconds() / 60)


def _constant_offsets(low: int, high: int, zone: ZoneInfo) -> list[Span]:
    """Split [low, high) wherever the zone's offset changes."""
    spans: list[Span] = []
    start = low
    for probe in range(low + DAY, high + 1, DAY):
        if _offset(probe, zone) != _offset(start, zone):
            change = _first_with_offset_of(probe, start, zone)
            spans.append((start, change))
            start = change
    spans.append((start, high))
    return spans


def _first_with_offset_of(after: int, before: int, zone: ZoneInfo) -> int:
    """Find the minute at which the offset becomes the one in force at ``after``, by halving."""
    wanted = _offset(after, zone)
    while after - before > 1:
        middle = (after + before) // 2
        if _offset(middle, zone) == wanted:
            after = middle
        else:
            before = middle
    return after


def wall_spans(day: date, start: int, end: int, zone: ZoneInfo) -> list[Span]:
    """Return the instants, as epoch-minute spans, that a wall-clock window of a date covers.

    ``start`` and ``end`` are minutes of that date's clock; beyond 1440 they run into the next date.
    """
    spans: list[Span] = []
    for offset_days in range(2):
        base = offset_days * DAY
        for first, wall, length in day_pieces(day + timedelta(days=offset_days), zone):
            low = max(start - base, wall)
            high = min(end - base, wall + length)
            if low < high:
                spans.append((first + low - wall, first + high - wall))
    return spans


def day_start(day: date, zone: ZoneInfo) -> int:
    """Return the epoch minute at which a local date begins, or at which the next does where there is no such date."""
    pieces = day_pieces(day, zone)
    return pieces[0][0] if pieces else day_start(day + timedelta(days=1), zone)


def day_end(day: date, zone: ZoneInfo) -> int:
    """Return the epoch minute at which a local date has ended, which is when the next begins."""
    return day_start(day + timedelta(days=1), zone)


def overlap(one: Span, other: Span) -> bool:
    """Whether two spans share a minute; touching is not sharing."""
    return one[0] < other[1] and other[0] < one[1]
