"""Who works when in every week, and why a day has the starts that it has."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.explain import ExplainedStart, OnlineReason, Reason
from scheduler.domain.times import instant_at
from scheduler.services import schedule as services
from scheduler.services.explain import explain_day
from scheduler.services.schedule import WeeklyHours
from scheduler.store.connections import Connection
from scheduler.store.hours import SetBy
from scheduler.web.api.schedule_bodies import (
    AffectedVisitAnswer,
    DryRun,
    WeeklyWindowAnswer,
    WeeklyWindowBody,
    affected_answers,
    known_therapist,
    read_date,
    read_weekly,
    weekly_answer,
)
from scheduler.web.callers import FromCaller, FromNow
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import Problems, read_therapist, read_visit_type


class HoursBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All of a therapist's weekly windows; those that overlap or touch count as one."""

    windows: Annotated[list[WeeklyWindowBody], msgspec.Meta(max_length=100)]


class HoursAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A therapist's weekly windows. Those that the desk set, the clinic's file leaves alone."""

    therapist: str
    set_by: SetBy
    windows: list[WeeklyWindowAnswer]


class HoursChangeAnswer(HoursAnswer, frozen=True, kw_only=True):
    """The weekly windows as they are now, and the visits of the coming year that they covered and do no longer."""

    affected_visits: list[AffectedVisitAnswer]


class OnlineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the public is offered the start, and what binds them where staff are free."""

    open: bool
    reasons: list[OnlineReason]


class ExplainedStartAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A start and every reason why it is not open to staff.

    ``visits`` are the therapist's visits and holds in the way, ``held_until`` when the last of the holds runs out.
    """

    starts_at: datetime
    open: bool
    reasons: list[Reason]
    visits: list[UUID]
    held_until: datetime | None
    online: OnlineAnswer


class ExplanationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every start of the clinic's grid on one date, in time order."""

    therapist: str
    visit_type: str
    date: date
    timezone: str
    items: list[ExplainedStartAnswer]


class ScheduleController(Controller):
    """For the front desk's keys. No change of the schedule ever moves or cancels a visit: it names those it affects."""

    path = "/api/v1"
    tags = ["Schedule"]  # noqa: RUF012 - Litestar reads it from the class

    @get("/therapists/{code:str}/hours", operation_id="getHours", summary="A therapist's weekly hours",
         responses=PROBLEMS(403, 404))  # fmt: skip
    async def hours(self, reader: NamedDependency[Connection], caller: FromCaller, code: FromPath[str]) -> HoursAnswer:
        """Read a therapist's weekly windows, and whether the desk or the clinic's file set them."""
        caller.require("visits:read", "schedule:write")
        therapist = known_therapist(caller.clinic, code)
        return _hours(therapist, await services.find_hours(reader, caller.clinic, therapist))

    @put("/therapists/{code:str}/hours", operation_id="setHours", summary="Replace a therapist's weekly hours",
         responses=PROBLEMS(403, 404, 413, 415, 422))  # fmt: skip
    async def set_hours(
        self,
        connection: NamedDependency[Connection],
        caller: FromCaller,
        now: FromNow,
        code: FromPath[str],
        data: JSONBody[HoursBody],
        dry_run: DryRun = False,
    ) -> HoursChangeAnswer:
        """Replace all weekly windows of a therapist, and tell which visits they no longer cover.

        No visit is moved or cancelled.
        """
        caller.require("schedule:write")
        therapist, problems = known_therapist(caller.clinic, code), Problems()
        windows = read_weekly(data.windows, problems)
        problems.settle()
        hours, affected = await services.set_hours(
            connection, caller.clinic, therapist, windows, dry_run=dry_run, actor=caller.actor, now=now
        )
        return HoursChangeAnswer(
            **msgspec.structs.asdict(_hours(therapist, hours)),
            affected_visits=affected_answers(caller.clinic, affected),
        )

    @get("/availability/explain", operation_id="explainAvailability", summary="Why a day has the starts that it has",
         responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def explain(
        self,
        reader: NamedDependency[Connection],
        caller: FromCaller,
        now: FromNow,
        therapist: FromQuery[str],
        day: Annotated[str, QueryParameter(name="date", description="A clinic date")],
        visit_type: FromQuery[str],
    ) -> ExplanationAnswer:
        """Tell of every start of one date whether it is open, and every reason why it is not."""
        caller.require("visits:read", "schedule:write")
        clinic, problems = caller.clinic, Problems()
        who = read_therapist(therapist, "?therapist", problems, clinic)
        wanted = read_visit_type(visit_type, "?visit_type", problems, clinic)
        on = read_date(day, "?date", problems)
        problems.settle()
        assert who is not None and wanted is not None  # noqa: S101, PT018 - settled above
        starts = await explain_day(reader, clinic, wanted, who, on, now=now)
        return ExplanationAnswer(
            therapist=who.code,
            visit_type=wanted.code,
            date=on,
            timezone=clinic.timezone,
            items=[_explained(clinic, start) for start in starts],
        )


def _hours(therapist: Therapist, hours: WeeklyHours) -> HoursAnswer:
    return HoursAnswer(
        therapist=therapist.code, set_by=hours.set_by, windows=[weekly_answer(window) for window in hours.windows]
    )


def _explained(clinic: Clinic, start: ExplainedStart) -> ExplainedStartAnswer:
    holds = [each.held_until for each in start.in_the_way if each.held_until is not None]
    return ExplainedStartAnswer(
        starts_at=instant_at(start.start, clinic.zone),
        open=start.open,
        reasons=list(start.reasons),
        visits=[each.visit_id for each in start.in_the_way],
        held_until=clinic.local(max(holds)) if holds else None,
        online=OnlineAnswer(open=start.open_online, reasons=list(start.online_reasons)),
    )
