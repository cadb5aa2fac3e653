"""Dates on which the whole clinic is closed, or open only in certain windows."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from scheduler.services import closures as services
from scheduler.store.connections import Connection
from scheduler.store.hours import DatedRow, SetBy, list_closures
from scheduler.web.api.schedule_bodies import (
    AffectedVisitAnswer,
    ChangeAnswer,
    DayWindowBody,
    DryRun,
    FromDate,
    Limit,
    Note,
    ToDate,
    WindowAnswer,
    affected_answers,
    read_date,
    read_dates,
    read_day,
    read_plan,
    window_answers,
)
from scheduler.web.callers import FromCaller, FromNow
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import Problems

# A transaction for reads as well where patients are shown: that somebody looked is written down with them.
FromConnection = NamedDependency[Connection]


class ClosureBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The only windows in which anybody works on one date; without windows the clinic is closed."""

    windows: Annotated[list[DayWindowBody], msgspec.Meta(max_length=20)] = []
    reason: Note = ""


class ClosureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The only windows of one date. What the desk set, the clinic's file leaves alone."""

    date: date
    windows: list[WindowAnswer]
    reason: str
    set_by: SetBy


class ClosureChangeAnswer(ClosureAnswer, frozen=True, kw_only=True):
    """A closure, and the visits outside working time on its date. None was moved or cancelled."""

    affected_visits: list[AffectedVisitAnswer]


class ClosurePage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ClosureAnswer]
    next_cursor: str | None


class ClosureController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/closures"
    tags = ["Schedule"]  # noqa: RUF012 - Litestar reads it from the class

    @get(operation_id="listClosures", summary="Dates on which the clinic is closed, from today on",
         responses=PROBLEMS(403, 422))  # fmt: skip
    async def index(
        self,
        reader: NamedDependency[Connection],
        caller: FromCaller,
        now: FromNow,
        from_: FromDate = None,
        to: ToDate = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> ClosurePage:
        """List the dates on which the clinic is closed or has fewer hours, from today on unless told otherwise."""
        caller.require("visits:read", "schedule:write")
        clinic, problems = caller.clinic, Problems()
        first, last = read_dates(from_, to, cursor, problems, today=clinic.local(now).date())
        problems.settle()
        found = await list_closures(reader, clinic.id, first_day=first, last_day=last, limit=limit + 1)
        return ClosurePage(
            items=[_answer(row) for row in found[:limit]],
            next_cursor=found[limit - 1].plan.day.isoformat() if len(found) > limit else None,
        )

    @get("/{day:str}", operation_id="getClosure", summary="A closure, and whom it affects",
         responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def show(
        self, connection: FromConnection, caller: FromCaller, now: FromNow, day: FromPath[str]
    ) -> ClosureChangeAnswer:
        """Read the hours to which the clinic is limited on one date."""
        caller.require("visits:read", "schedule:write")
        problems = Problems()
        on = read_date(day, "day", problems)
        problems.settle()
        row, affected = await services.find_closure(connection, caller.clinic, on, actor=caller.actor, now=now)
        return ClosureChangeAnswer(
            **msgspec.structs.asdict(_answer(row)), affected_visits=affected_answers(caller.clinic, affected)
        )

    @put("/{day:str}", operation_id="setClosure", summary="Close the clinic on a date, or for a part of it",
         responses=PROBLEMS(403, 413, 415, 422))  # fmt: skip
    async def replace(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        day: FromPath[str],
        data: JSONBody[ClosureBody],
        dry_run: DryRun = False,
    ) -> ClosureChangeAnswer:
        """Limit the whole clinic to some hours of one date, or to none. No visit is moved or cancelled."""
        caller.require("schedule:write")
        problems = Problems()
        on = read_day(day, problems, clinic=caller.clinic, now=now)
        plan = read_plan(data.windows, data.reason, on, problems)
        problems.settle()
        row, affected = await services.set_closure(
            connection, caller.clinic, plan, dry_run=dry_run, actor=caller.actor, now=now
        )
        return ClosureChangeAnswer(
            **msgspec.structs.asdict(_answer(row)), affected_visits=affected_answers(caller.clinic, affected)
        )

    @delete("/{day:str}", operation_id="removeClosure", summary="Open a date again", status_code=200,
            responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def remove(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        day: FromPath[str],
        dry_run: DryRun = False,
    ) -> ChangeAnswer:
        """What the clinic's file says about the date stays out of force from now on."""
        caller.require("schedule:write")
        problems = Problems()
        on = read_date(day, "day", problems)
        problems.settle()
        affected = await services.remove_closure(
            connection, caller.clinic, on, dry_run=dry_run, actor=caller.actor, now=now
        )
        return ChangeAnswer(affected_visits=affected_answers(caller.clinic, affected))


def _answer(row: DatedRow) -> ClosureAnswer:
    return ClosureAnswer(date=row.plan.day, windows=window_answers(row), reason=row.plan.reason, set_by=row.set_by)
