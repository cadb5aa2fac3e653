"""Why a therapist's day has the starts that it has, for staff."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from scheduler.domain.availability import calendar_bounds
from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.domain.explain import ExplainedStart, explain, explained_span
from scheduler.domain.times import instant_at
from scheduler.errors import NotFound
from scheduler.store.affected import fetch_taken
from scheduler.store.availability import load_calendar
from scheduler.store.connections import Connection


async def explain_day(
    connection: Connection, clinic: Clinic, visit_type: VisitType, therapist: Therapist, day: date, *, now: datetime
) -> Sequence[ExplainedStart]:
    """Explain every start of the grid on a clinic date, in time order. Raises NotFound for a therapist who has left."""
    bounds = calendar_bounds(visit_type, *explained_span(clinic, visit_type, day))
    calendar = await load_calendar(connection, clinic, visit_type, bounds, therapist_id=therapist.id)
    if not calendar.therapists:
        raise NotFound("There is no such therapist.")
    starts, ends = (instant_at(minute, clinic.zone).astimezone(UTC) for minute in bounds)
    taken = await fetch_taken(connection, clinic.id, therapist.id, starts, ends)
    return explain(calendar, clinic, visit_type, calendar.therapists[0], taken, day=day, now=now)
