"""Dates on which a therapist's hours are not those of every week."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from scheduler.domain.clinics import Therapist
from scheduler.services import schedule as services
from scheduler.store.connections import Connection
from scheduler.store.hours import DatedRow, SetBy, list_overrides
from scheduler.web.api.schedule_bodies import (
    AffectedVisitAnswer,
    ChangeAnswer,
    DryRun,
    FromDate,
    Limit,
    Note,
    ToDate,
    WindowAnswer,
    WindowBody,
    affected_answers,
    known_therapist,
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


class OverrideBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A therapist's windows on one date instead of the weekly ones; without windows they are off."""

    windows: Annotated[list[WindowBody], msgspec.Meta(max_length=20)] = []
    reason: Note = ""


class OverrideAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A therapist's windows on one date. Those that the desk set, the clinic's file leaves alone."""

    therapist: str
    date: date
    windows: list[WindowAnswer]
    reason: str
    set_by: SetBy


class OverrideChangeAnswer(OverrideAnswer, frozen=True, kw_only=True):
    """An override, and the visits outside working time on its date. None was moved or cancelled."""

    affected_visits: list[AffectedVisitAnswer]


class OverridePage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[OverrideAnswer]
    next_cursor: str | None


class OverrideController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/therapists/{code:str}/overrides"
    tags = ["Schedule"]  # noqa: RUF012 - Litestar reads it from the class

    @get(operation_id="listOverrides", summary="Dates with hours of their own, from today on",
         responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def index(
        self,
        reader: NamedDependency[Connection],
        caller: FromCaller,
        now: FromNow,
        code: FromPath[str],
        from_: FromDate = None,
        to: ToDate = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> OverridePage:
        """List the dates on which a therapist has hours of their own, from today on unless told otherwise."""
        caller.require("visits:read", "schedule:write")
        clinic, problems = caller.clinic, Problems()
        therapist = known_therapist(clinic, code)
        first, last = read_dates(from_, to, cursor, problems, today=clinic.local(now).date())
        problems.settle()
        found = await list_overrides(reader, clinic.id, therapist.id, first_day=first, last_day=last, limit=limit + 1)
        return OverridePage(
            items=[_answer(therapist, row) for row in found[:limit]],
            next_cursor=found[limit - 1].plan.day.isoformat() if len(found) > limit else None,
        )

    @get("/{day:str}", operation_id="getOverride", summary="A date with hours of its own, and whom it affects",
         responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def show(
        self, connection: FromConnection, caller: FromCaller, now: FromNow, code: FromPath[str], day: FromPath[str]
    ) -> OverrideChangeAnswer:
        """Read the hours that a therapist has on one date instead of the weekly ones."""
        caller.require("visits:read", "schedule:write")
        therapist, problems = known_therapist(caller.clinic, code), Problems()
        on = read_date(day, "day", problems)
        problems.settle()
        row, affected = await services.find_override(
            connection, caller.clinic, therapist, on, actor=caller.actor, now=now
        )
        return OverrideChangeAnswer(
            **msgspec.structs.asdict(_answer(therapist, row)),
            affected_visits=affected_answers(caller.clinic, affected),
        )

    @put("/{day:str}", operation_id="setOverride", summary="Give a date hours of its own, or none",
         responses=PROBLEMS(403, 404, 413, 415, 422))  # fmt: skip
    async def replace(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        code: FromPath[str],
        day: FromPath[str],
        data: JSONBody[OverrideBody],
        dry_run: DryRun = False,
    ) -> OverrideChangeAnswer:
        """Replace a therapist's hours on one date; without windows they are off. No visit is moved or cancelled."""
        caller.require("schedule:write")
        therapist, problems = known_therapist(caller.clinic, code), Problems()
        on = read_day(day, problems, clinic=caller.clinic, now=now)
        plan = read_plan(data.windows, data.reason, on, problems)
        problems.settle()
        row, affected = await services.set_override(
            connection, caller.clinic, therapist, plan, dry_run=dry_run, actor=caller.actor, now=now
        )
        return OverrideChangeAnswer(
            **msgspec.structs.asdict(_answer(therapist, row)),
            affected_visits=affected_answers(caller.clinic, affected),
        )

    @delete("/{day:str}", operation_id="removeOverride", summary="Return a date to the weekly hours", status_code=200,
            responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def remove(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        code: FromPath[str],
        day: FromPath[str],
        dry_run: DryRun = False,
    ) -> ChangeAnswer:
        """What the clinic's file says about the date stays out of force from now on."""
        caller.require("schedule:write")
        therapist, problems = known_therapist(caller.clinic, code), Problems()
        on = read_date(day, "day", problems)
        problems.settle()
        affected = await services.remove_override(
            connection, caller.clinic, therapist, on, dry_run=dry_run, actor=caller.actor, now=now
        )
        return ChangeAnswer(affected_visits=affected_answers(caller.clinic, affected))


def _answer(therapist: Therapist, row: DatedRow) -> OverrideAnswer:
    return OverrideAnswer(
        therapist=therapist.code,
        date=row.plan.day,
        windows=window_answers(row),
        reason=row.plan.reason,
        set_by=row.set_by,
    )
