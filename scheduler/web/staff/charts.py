"""Bar charts drawn on the server: shapes with places and sizes, no script, no style attribute. Tables say the same."""

from collections.abc import Sequence
from typing import Literal

import msgspec

# A unit is a pixel where the chart is as wide as it may get; on a telephone it shrinks to fit.
WIDTH = 340
_LONGEST_BAR = 220
_LABEL, _BAR, _GAP = 18, 14, 10

Look = Literal["main", "red", "amber"]


class Bar(msgspec.Struct, frozen=True):
    """What a bar stands for: a number, how it is written beside the bar, and how it looks."""

    value: float
    text: str
    look: Look = "main"


class PlacedBar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar as it is drawn, and the places of its text."""

    y: int
    width: int
    height: int
    text_x: int
    text_y: int
    text: str
    look: Look


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Bars below one label."""

    label: str
    label_y: int
    bars: list[PlacedBar]


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart of horizontal bars; ``limit_x`` is where a mark stands that bars should reach or keep below."""

    width: int
    height: int
    groups: list[Group]
    limit_x: int | None


def bar_chart(rows: Sequence[tuple[str, Sequence[Bar]]], *, limit: float | None = None) -> Chart:
    """Return a chart with a group of bars for each (label, bars), on one scale that begins at nothing."""
    longest = max([bar.value for _, bars in rows for bar in bars] + ([limit] if limit else []), default=0) or 1
    groups: list[Group] = []
    y = 0
    for label, bars in rows:
        top = y + _LABEL
        groups.append(
            Group(
                label=label,
                label_y=y + _LABEL - 5,
                bars=[_placed(bar, top + number * (_BAR + 3), longest) for number, bar in enumerate(bars)],
            )
        )
        y = top + len(bars) * (_BAR + 3) + _GAP
    return Chart(
        width=WIDTH,
        height=max(y - _GAP, 1),
        groups=groups,
        limit_x=round(_LONGEST_BAR * limit / longest) if limit else None,
    )


def _placed(bar: Bar, y: int, longest: float) -> PlacedBar:
    # A line where there is nothing, so that it is seen to be there.
    width = max(1, round(_LONGEST_BAR * bar.value / longest))
    return PlacedBar(y=y, width=width, height=_BAR, text_x=width + 6, text_y=y + _BAR - 2, text=bar.text, look=bar.look)
