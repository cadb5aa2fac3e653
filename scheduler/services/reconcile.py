"""One kind of row made as a clinic file has it: what differs is noted and written, the rest is not touched."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date
from typing import TypeVar

from scheduler.domain.clinic_changes import Kind, day_words, difference
from scheduler.domain.clinic_files import DatedWindows
from scheduler.store.clinics import PlaceRow, TherapistRow, VisitTypeRow
from scheduler.store.hours import DatedRow

Item = TypeVar("Item")
Row = TypeVar("Row", VisitTypeRow, TherapistRow, PlaceRow)
Note = Callable[[Kind, str, str], None]


async def apply_rows(
    note: Note,
    what: str,
    stored: Mapping[str, Row],
    wanted: Sequence[Row],
    *,
    save: Callable[[Row], Awaitable[None]],
    retire: Callable[[str], Awaitable[None]],
) -> None:
    """Add, change or bring back what the file has, and retire what it no longer has."""
    for row in wanted:
        old = stored.get(row.code)
        differing = [field for field in row.__struct_fields__ if old and getattr(old, field) != getattr(row, field)]
        for field in differing:
            if field == "active":
                note("added", f"{what} {row.code}", "back in the file, so offered again")
            else:
                note("changed", f"{what} {row.code}", difference(field, getattr(old, field), getattr(row, field)))
        if old is None:
            note("added", f"{what} {row.code}", "added")
        if old is None or differing:
            await save(row)
    for code in stored.keys() - {row.code for row in wanted}:
        if stored[code].active:
            note("removed", f"{what} {code}", "no longer in the file, so no longer offered; its visits stay")
            await retire(code)


async def apply_set(
    note: Note,
    subject: str,
    words: Callable[[Item], str],
    stored: Collection[Item],
    wanted: Collection[Item],
    *,
    add: Callable[[Item], Awaitable[None]],
    remove: Callable[[Item], Awaitable[None]],
    kept: str | None = None,
) -> None:
    """Remove what the file does not have and add what it does; with ``kept``, say so instead and leave all as it is."""
    gone = [item for item in stored if item not in wanted]
    new = [item for item in wanted if item not in stored]
    if kept:
        if gone or new:
            note("kept", subject, kept)
        return
    for item in gone:
        note("removed", subject, f"{words(item)} removed")
        await remove(item)
    for item in new:
        note("added", subject, f"{words(item)} added")
        await add(item)


async def apply_dates(
    note: Note,
    subject: str,
    what: str,
    stored: Mapping[date, DatedRow],
    wanted: Sequence[DatedWindows],
    *,
    save: Callable[[DatedWindows], Awaitable[None]],
    remove: Callable[[date], Awaitable[None]],
) -> None:
    """Set the overrides or closures that the file has, and take out those that it no longer has.

    What the front desk set or took out stays.
    """
    for plan in wanted:
        row = stored.get(plan.day)
        if row and row.plan == plan and not row.removed:
            continue
        if row and row.by_desk:
            note("kept", subject, f"{what} on {plan.day} stays as the front desk left it")
            continue
        kind: Kind = "changed" if row else "added"
        note(kind, subject, f"{day_words(what, plan)} {kind}")
        await save(plan)
    planned = {plan.day for plan in wanted}
    for day, row in stored.items():
        if day not in planned and not row.by_desk:
            note("removed", subject, f"{day_words(what, row.plan)} removed")
            await remove(day)
