"""Sets of minutes as big integers: bit i of a set that begins at epoch minute ``start`` is minute start + i."""

from collections.abc import Iterable

from scheduler.domain.times import Span


def everything(bounds: Span) -> int:
    """Return the set of every minute within bounds, [start, end)."""
    return (1 << (bounds[1] - bounds[0])) - 1


def span_bits(bounds: Span, span: Span) -> int:
    """Return the minutes of a span, cut to the bounds."""
    low = max(span[0], bounds[0]) - bounds[0]
    high = min(span[1], bounds[1]) - bounds[0]
    return ((1 << (high - low)) - 1) << low if low < high else 0


def union(bounds: Span, spans: Iterable[Span]) -> int:
    """Return the minutes that any of the spans covers."""
    bits = 0
    for span in spans:
        bits |= span_bits(bounds, span)
    return bits


def free_for(bits: int, length: int) -> int:
    """Return the minutes from which ``length`` consecutive minutes are in the set, in log2(length) shifts."""
    done = 1
    while done < length:
        step = min(done, length - done)
        bits &= bits >> step
        done += step
    return bits


def runs(bits: int) -> list[Span]:
    """Return the stretches of consecutive set bits, [first, last), lowest first."""
    found: list[Span] = []
    while bits:
        first = (bits & -bits).bit_length() - 1
        length = (~(bits >> first) & -~(bits >> first)).bit_length() - 1
        found.append((first, first + length))
        bits &= ~(((1 << length) - 1) << first)
    return found
