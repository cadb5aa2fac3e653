"""Weekly hours, overrides and closures as the clinic's file and the front desk set them."""

from collections.abc import Sequence
from datetime import date
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinic_files import DatedWindows
from scheduler.ids import new_id
from scheduler.store.connections import Connection

SetBy = Literal["file", "desk"]


class DatedRow(msgspec.Struct, frozen=True, kw_only=True):
    """An override or a closure; a removed one is only remembered, and is not in force."""

    plan: DatedWindows
    set_by: SetBy
    removed: bool

    @property
    def by_desk(self) -> bool:
        """Whether the front desk set it, or took out what the file has."""
        return self.set_by == "desk" or self.removed


async def fetch_windows(connection: Connection, clinic_id: UUID) -> dict[UUID, list[WeeklyWindow]]:
    """Return the weekly windows by the therapist's id, in the order of the week."""
    rows = await connection.fetch(
        """select therapist_id, weekday, starts_minute, ends_minute, valid_from, valid_until
        from working_windows where clinic_id = $1 order by weekday, starts_minute, valid_from""",
        clinic_id,
    )
    windows: dict[UUID, list[WeeklyWindow]] = {}
    for therapist_id, *fields in rows:
        windows.setdefault(therapist_id, []).append(WeeklyWindow(*fields))
    return windows


async def add_window(connection: Connection, clinic_id: UUID, therapist_id: UUID, window: WeeklyWindow) -> None:
    """Add one weekly window under a new id."""
    await connection.execute(
        """insert into working_windows
            (clinic_id, therapist_id, weekday, starts_minute, ends_minute, valid_from, valid_until, id)
        values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        clinic_id,
        therapist_id,
        *msgspec.structs.astuple(window),
        new_id(),
    )


async def remove_window(connection: Connection, clinic_id: UUID, therapist_id: UUID, window: WeeklyWindow) -> None:
    """Delete the weekly window with exactly these minutes and dates."""
    await connection.execute(
        """delete from working_windows where clinic_id = $1 and therapist_id = $2 and weekday = $3
            and starts_minute = $4 and ends_minute = $5 and valid_from = $6 and valid_until = $7""",
        clinic_id,
        therapist_id,
        *msgspec.structs.astuple(window),
    )


async def replace_windows(
    connection: Connection, clinic_id: UUID, therapist_id: UUID, windows: Sequence[WeeklyWindow]
) -> None:
    """Give the therapist these weekly windows and no others, and note that the front desk set them."""
    await connection.execute(
        """with gone as (
            delete from working_windows where clinic_id = $1 and therapist_id = $2
        ), marked as (
            update therapists set hours_set_by = 'desk' where clinic_id = $1 and id = $2
        )
        insert into working_windows
            (clinic_id, therapist_id, id, weekday, starts_minute, ends_minute, valid_from, valid_until)
        select $1, $2, * from unnest($3::uuid[], $4::int[], $5::int[], $6::int[], $7::date[], $8::date[])""",
        clinic_id,
        therapist_id,
        [new_id() for _ in windows],
        [window.weekday for window in windows],
        [window.starts for window in windows],
        [window.ends for window in windows],
        [window.valid_from for window in windows],
        [window.valid_until for window in windows],
    )


async def fetch_hours_set_by(connection: Connection, clinic_id: UUID, therapist_id: UUID) -> SetBy | None:
    """Return who last set the therapist's weekly hours, or None where there is no such therapist."""
    return await connection.fetchval(
        "select hours_set_by from therapists where clinic_id = $1 and id = $2", clinic_id, therapist_id
    )


async def fetch_overrides(
    connection: Connection, clinic_id: UUID, *, first_day: date = date.min, last_day: date = date.max
) -> dict[UUID, dict[date, DatedRow]]:
    """Return the overrides by the therapist's id and the date, the desk's and the removed ones too."""
    rows = await connection.fetch(
        "select * from overrides where clinic_id = $1 and date between $2 and $3 order by date",
        clinic_id,
        first_day,
        last_day,
    )
    overrides: dict[UUID, dict[date, DatedRow]] = {}
    for row in rows:
        overrides.setdefault(row["therapist_id"], {})[row["date"]] = _dated(row)
    return overrides


async def list_overrides(
    connection: Connection, clinic_id: UUID, therapist_id: UUID, *, first_day: date, last_day: date, limit: int
) -> list[DatedRow]:
    """Return a therapist's overrides in force between two dates, both included, by date."""
    rows = await connection.fetch(
        """select * from overrides
        where clinic_id = $1 and therapist_id = $2 and date between $3 and $4 and not removed
        order by date limit $5""",
        clinic_id,
        therapist_id,
        first_day,
        last_day,
        limit,
    )
    return [_dated(row) for row in rows]


async def save_override(
    connection: Connection, clinic_id: UUID, therapist_id: UUID, plan: DatedWindows, *, set_by: SetBy = "file"
) -> None:
    """Insert an override, or make the one of its date like it."""
    await connection.execute(
        """insert into overrides (clinic_id, therapist_id, date, windows, reason, set_by)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (clinic_id, therapist_id, date) do update
            set windows = $4, reason = $5, set_by = $6, removed = false""",
        clinic_id,
        therapist_id,
        plan.day,
        _ranges(plan),
        plan.reason,
        set_by,
    )


async def take_out_override(connection: Connection, clinic_id: UUID, therapist_id: UUID, day: date) -> None:
    """Put the override of a date out of force, and remember that the front desk did."""
    await connection.execute(
        """update overrides set removed = true, set_by = 'desk'
        where clinic_id = $1 and therapist_id = $2 and date = $3""",
        clinic_id,
        therapist_id,
        day,
    )


async def remove_override(connection: Connection, clinic_id: UUID, therapist_id: UUID, day: date) -> None:
    """Delete the override of a date."""
    await connection.execute(
        "delete from overrides where clinic_id = $1 and therapist_id = $2 and date = $3", clinic_id, therapist_id, day
    )


async def fetch_closures(
    connection: Connection, clinic_id: UUID, *, first_day: date = date.min, last_day: date = date.max
) -> dict[date, DatedRow]:
    """Return the closures by date, the desk's and the removed ones too."""
    rows = await connection.fetch(
        "select * from closures where clinic_id = $1 and date between $2 and $3 order by date",
        clinic_id,
        first_day,
        last_day,
    )
    return {row["date"]: _dated(row) for row in rows}


async def list_closures(
    connection: Connection, clinic_id: UUID, *, first_day: date, last_day: date, limit: int
) -> list[DatedRow]:
    """Return the closures in force between two dates, both included, by date."""
    rows = await connection.fetch(
        """select * from closures where clinic_id = $1 and date between $2 and $3 and not removed
        order by date limit $4""",
        clinic_id,
        first_day,
        last_day,
        limit,
    )
    return [_dated(row) for row in rows]


async def save_closure(connection: Connection, clinic_id: UUID, plan: DatedWindows, *, set_by: SetBy = "file") -> None:
    """Insert a closure, or make the one of its date like it."""
    await connection.execute(
        """insert into closures (clinic_id, date, windows, reason, set_by) values ($1, $2, $3, $4, $5)
        on conflict (clinic_id, date) do update set windows = $3, reason = $4, set_by = $5, removed = false""",
        clinic_id,
        plan.day,
        _ranges(plan),
        plan.reason,
        set_by,
    )


async def take_out_closure(connection: Connection, clinic_id: UUID, day: date) -> None:
    """Put the closure of a date out of force, and remember that the front desk did."""
    await connection.execute(
        "update closures set removed = true, set_by = 'desk' where clinic_id = $1 and date = $2", clinic_id, day
    )


async def remove_closure(connection: Connection, clinic_id: UUID, day: date) -> None:
    """Delete the closure of a date."""
    await connection.execute("delete from closures where clinic_id = $1 and date = $2", clinic_id, day)


def _dated(row: asyncpg.Record) -> DatedRow:
    windows = tuple((window.lower, window.upper) for window in row["windows"])
    return DatedRow(
        plan=DatedWindows(row["date"], windows, row["reason"]), set_by=row["set_by"], removed=row["removed"]
    )


def _ranges(plan: DatedWindows) -> "list[asyncpg.Range[int]]":
    return [asyncpg.Range(starts, ends) for starts, ends in plan.windows]
