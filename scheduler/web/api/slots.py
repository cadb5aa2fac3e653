"""What the clinic offers and when it is open: for anybody."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, cast

import msgspec
from litestar import Controller, MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from scheduler.domain.clinics import Clinic
from scheduler.domain.times import Span, instant_at
from scheduler.errors import NotBookableOnline
from scheduler.services.availability import DayCount, Slot, count_days, list_slots
from scheduler.services.closures import hours_on
from scheduler.store.connections import Connection
from scheduler.store.units import reading
from scheduler.web.callers import FromCaller, FromNow, caller_of
from scheduler.web.limits import limit_search
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import (
    FROM,
    LONGEST_QUERY_DAYS,
    TO,
    Problems,
    read_bound,
    read_therapist,
    read_visit_type,
    refuse_empty_range,
)
from scheduler.web.requests import StrictRequest

From = Annotated[str, QueryParameter(name="from", description="A clinic date or an instant, inclusive")]
To = Annotated[str, QueryParameter(name="to", description="A clinic date or an instant, exclusive; at most 62 days on")]


class OpeningHours(msgspec.Struct, frozen=True):
    """Wall-clock times of one stretch of opening hours."""

    opens: str
    closes: str


class ClinicAnswer(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    phone: str
    address: str
    timezone: str
    languages: list[str]
    today: list[OpeningHours]
    consent_wording_version: str


class VisitTypeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    names: dict[str, str]
    duration_minutes: int
    minimum_notice_minutes: int
    bring: dict[str, str]
    online: bool


class TherapistAnswer(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    display_name: str
    credential: str
    languages: list[str]


class SlotsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    visit_type: str
    timezone: str
    items: Sequence[Slot]
    next_available: datetime | None


class DaysAnswer(msgspec.Struct, frozen=True, kw_only=True):
    visit_type: str
    timezone: str
    items: list[DayCount]


class VisitTypesAnswer(msgspec.Struct, frozen=True):
    items: list[VisitTypeAnswer]


class TherapistsAnswer(msgspec.Struct, frozen=True):
    items: list[TherapistAnswer]


class OfferController(Controller):
    """Public: the clinic, its visit types, its therapists and their open slots."""

    path = "/api/v1"
    tags = ["Offer"]  # noqa: RUF012 - Litestar reads it from the class
    before_request = limit_search

    @get("/clinic", operation_id="getClinic", summary="The clinic", responses=PROBLEMS(429))
    async def clinic(self, caller: FromCaller, reader: NamedDependency[Connection], now: FromNow) -> ClinicAnswer:
        """Tell the clinic's name, address, telephone, time zone and languages, and when it is open today."""
        clinic = caller.clinic
        today = await hours_on(reader, clinic, clinic.local(now).date())
        return ClinicAnswer(
            name=clinic.settings.name,
            phone=clinic.settings.phone,
            address=clinic.settings.address,
            timezone=clinic.timezone,
            languages=list(clinic.settings.languages),
            today=[OpeningHours(_wall(opens), _wall(closes)) for opens, closes in today],
            consent_wording_version=clinic.settings.consent_wording_version,
        )

    @get("/visit-types", operation_id="listVisitTypes", summary="What can be booked", responses=PROBLEMS(429))
    async def visit_types(self, caller: FromCaller) -> VisitTypesAnswer:
        """List the kinds of visit: length, notice, what to bring, and whether patients may book them online."""
        return VisitTypesAnswer(
            [
                VisitTypeAnswer(
                    code=visit_type.code,
                    names=visit_type.names,
                    duration_minutes=visit_type.duration_minutes,
                    minimum_notice_minutes=visit_type.minimum_notice_minutes,
                    bring=visit_type.bring,
                    online=visit_type.online,
                )
                for visit_type in caller.clinic.visit_types.values()
            ]
        )

    @get("/therapists", operation_id="listTherapists", summary="Who treats", responses=PROBLEMS(422, 429))
    async def therapists(self, caller: FromCaller, visit_type: FromQuery[str | None] = None) -> TherapistsAnswer:
        """List who treats, all of them or those who perform a visit type."""
        problems = Problems()
        wanted = read_visit_type(visit_type, "?visit_type", problems, caller.clinic) if visit_type is not None else None
        problems.settle()
        return TherapistsAnswer(
            [
                TherapistAnswer(
                    code=therapist.code,
                    display_name=therapist.display_name,
                    credential=therapist.credential,
                    languages=list(therapist.languages),
                )
                for therapist in caller.clinic.therapists.values()
                if wanted is None or therapist.may_perform(wanted)
            ]
        )

    @get("/slots", operation_id="listSlots", summary="Open slots in time order",
         responses=PROBLEMS(NotBookableOnline, 429))  # fmt: skip
    async def slots(
        self,
        request: StrictRequest,
        visit_type: FromQuery[str],
        from_: From,
        to: To,
        therapist: FromQuery[str | None] = None,
        limit: Annotated[int | None, QueryParameter(ge=1, le=5000)] = None,
    ) -> Response[SlotsAnswer]:
        """List the starts at which a visit type can be booked, of one therapist or of every qualified one.

        A therapist who does not perform it has none.
        `next_available` is the first opening from `from` on, also where it lies beyond `to`.
        """
        # Nothing is asked for more often, and each dependency that the framework injects costs as much as the answer's
        # arithmetic; so the caller and the connection are got by hand.
        caller = await caller_of(request)
        problems = Problems()
        wanted = read_visit_type(visit_type, "?visit_type", problems, caller.clinic)
        who = read_therapist(therapist, "?therapist", problems, caller.clinic)
        within = _read_span(from_, to, problems, caller.clinic)
        problems.settle()
        assert wanted is not None  # noqa: S101 - settled above
        async with reading(request.app.state.pool) as connection:
            found = await list_slots(
                connection, caller.clinic, wanted, within=within, now=datetime.now(UTC), therapist=who,
                staff=not caller.public, limit=limit,
            )  # fmt: skip
        answer = SlotsAnswer(
            visit_type=wanted.code,
            timezone=caller.clinic.timezone,
            items=found.items,
            next_available=found.next_available,
        )
        # As bytes: the framework would look first for how each part of it is to be encoded.
        encoded = Response(msgspec.json.encode(answer), media_type=MediaType.JSON)
        return cast("Response[SlotsAnswer]", encoded)

    @get("/slots/days", operation_id="countSlotsByDay", summary="Open starts by clinic date",
         responses=PROBLEMS(NotBookableOnline, 429))  # fmt: skip
    async def days(
        self,
        caller: FromCaller,
        reader: NamedDependency[Connection],
        now: FromNow,
        visit_type: FromQuery[str],
        from_: From,
        to: To,
        therapist: FromQuery[str | None] = None,
    ) -> DaysAnswer:
        """Count the open starts of each clinic date, and tell the first: what a strip of days shows.

        Within the first and the last date only what lies between `from` and `to` counts, as in the list of slots.
        """
        problems = Problems()
        wanted = read_visit_type(visit_type, "?visit_type", problems, caller.clinic)
        who = read_therapist(therapist, "?therapist", problems, caller.clinic)
        start, end = _read_span(from_, to, problems, caller.clinic)
        problems.settle()
        assert wanted is not None  # noqa: S101 - settled above
        zone = caller.clinic.zone
        first, last = instant_at(start, zone).date(), instant_at(end - 1, zone).date()
        days: list[date] = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        counts = await count_days(
            reader, caller.clinic, wanted, days=days, within=(start, end), now=now, therapist=who,
            staff=not caller.public,
        )  # fmt: skip
        return DaysAnswer(visit_type=wanted.code, timezone=caller.clinic.timezone, items=counts)


def _read_span(from_: str, to: str, problems: Problems, clinic: Clinic) -> Span:
    """Return the query's span of epoch minutes; empty, backward and endless ones are refused."""
    before = len(problems)
    start = read_bound(from_, FROM, problems, clinic)
    end = read_bound(to, TO, problems, clinic)
    if len(problems) == before:
        if start >= end:
            refuse_empty_range(problems)
        # By the calendar on the wall: so many days are an hour more or less where the clocks change in them.
        first, last = (instant_at(minute, clinic.zone).replace(tzinfo=None) for minute in (start, end))
        if last - first > timedelta(days=LONGEST_QUERY_DAYS):
            problems.add(TO, "range-too-long", f"Ask for at most {LONGEST_QUERY_DAYS} days at once")
    return start, end


def _wall(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
