"""What was measured, as a table to read and as files to keep."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.load import name_of_client
from benchmarks.samples import Pair, Samples
from benchmarks.targets import Target

RESULTS = Path(__file__).parent / "results"

_HEAD = f"{'':12} {'ours':>16} {'beside it':>18} {'ratio':>7}  {'target':<14} {'':5}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One target and what came of it."""

    target: Target
    pair: Pair

    @property
    def met(self) -> bool:
        return self.target.is_met(self.pair.ratio)


def head(repeats: int) -> str:
    """Return the lines above the table."""
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, load {load}; Python {platform.python_version()}; requests by {name_of_client()};\n"
        f"medians of {repeats} repeats in turn, and how far apart they lie\n\n{_HEAD}"
    )


def line(row: Row) -> str:
    """Return one line of the table, and below it what the two sides are."""
    target, pair = row.target, row.pair
    bound = f"{'>=' if target.better == 'at least' else '<='} {target.bound:g}"
    figures = f"{target.name:12} {_shown(pair.ours):>16} {_shown(pair.beside):>18} {pair.ratio:7.2f}"
    sides = target.ours + (f" / {target.beside}" if target.beside else "")
    return f"{figures}  {bound:<8} {'pass' if row.met else 'SHORT'}\n{'':13}{sides}, in {target.unit}"


def write(rows: Sequence[Row], repeats: int) -> Path:
    """Write everything that was measured to a file of its own, and return where."""
    RESULTS.mkdir(exist_ok=True)
    moment = datetime.now(UTC)
    path = RESULTS / f"{moment:%Y%m%dT%H%M%SZ}.json"
    found = {
        "at": moment.isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "requests_by": name_of_client(),
        "repeats": repeats,
        "rows": [
            {
                **msgspec.to_builtins(row.target),
                "ours_measured": list(row.pair.ours.values),
                "beside_measured": list(row.pair.beside.values) if row.pair.beside else None,
                "ratio": row.pair.ratio,
                "met": row.met,
            }
            for row in rows
        ],
    }
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def _shown(samples: Samples | None) -> str:
    if samples is None:
        return ""
    digits = 0 if samples.median >= 100 else 2  # noqa: PLR2004 - three figures are enough
    return f"{samples.median:.{digits}f} ±{samples.spread / 2:.0%}"
