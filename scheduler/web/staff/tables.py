"""Tables as files: CSV that a spreadsheet opens as what it is, text and numbers, and never as a formula."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence

from litestar.response import Stream

Cell = str | int | float | None

# A cell that begins with one of these is a formula to a spreadsheet, which may send the others elsewhere (OWASP, "CSV
# Injection"). An apostrophe before it makes it text; so does it to whoever opens the file again.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

# Without it, a spreadsheet takes UTF-8 for something older.
_MARK = "\ufeff"


# Sent one by one, lines would be packets.
_LINES_AT_ONCE = 200


def csv_line(cells: Iterable[Cell]) -> str:
    """Return one line of a file. Numbers stay numbers; text is text, whatever it begins with; None is empty."""
    line = io.StringIO()
    csv.writer(line).writerow(["" if cell is None else _harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA) else cell


def csv_file(name: str, headings: Sequence[str], rows: AsyncIterator[Sequence[Cell]]) -> Stream:
    """Return a file to keep, sent as it is made. ``name`` has no patient's name in it."""

    async def lines() -> AsyncIterator[str]:
        waiting = [_MARK + csv_line(headings)]
        async for row in rows:
            waiting.append(csv_line(row))
            if len(waiting) == _LINES_AT_ONCE:
                yield "".join(waiting)
                waiting.clear()
        yield "".join(waiting)

    return Stream(
        lines(),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )
