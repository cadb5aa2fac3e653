"""Which visits the schedule no longer covers, and where each could go. Nothing is moved or dropped here."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec

from scheduler.domain.affected import Mover, Suggestion, outside_working_time, promise, search_span, suggest
from scheduler.domain.availability import calendar_bounds
from scheduler.domain.calendars import Calendar, TherapistCalendar
from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import Patient
from scheduler.domain.times import Span, epoch_minute, instant_at
from scheduler.domain.visits import TRANSITIONS, Visit
from scheduler.services.availability import Slot
from scheduler.store import affected as store
from scheduler.store.availability import load_calendar
from scheduler.store.connections import Connection
from scheduler.store.hours import DatedRow, fetch_closures, fetch_overrides, fetch_windows
from scheduler.store.patients import fetch_patients
from scheduler.store.time_off import fetch_absences

# Visits so far apart are not looked for alternatives to in one calendar, which would be too long.
_TOGETHER = timedelta(days=31)

# Alternatives are looked for to so many visits, the soonest, while bookings wait; nobody moves more in one sitting.
_MOST = 200


class AffectedVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit outside working time, whose it is, and up to five slots that it could move to as things stand."""

    visit: Visit
    patient: Patient
    alternatives: Sequence[Slot]


async def affected_visits(
    connection: Connection,
    clinic: Clinic,
    stretch: Span,
    *,
    therapist_id: UUID | None = None,
    before: Calendar | None = None,
    now: datetime,
) -> list[AffectedVisit]:
    """Return the live visits to come of which a part lies in the stretch and outside working time, in order.

    Of one therapist or of all. With ``before``, the hours as they were, only what they covered is returned. Every
    visit's first alternative can be taken whatever the other visits take of theirs first.
    """
    stretch = max(stretch[0], epoch_minute(now)), stretch[1]
    if stretch[0] >= stretch[1]:
        return []
    instants = _instants(clinic, stretch)
    visits = await store.fetch_live_visits(connection, clinic.id, *instants, therapist_id=therapist_id)
    if not visits:
        return []
    hours = await load_hours(connection, clinic, stretch, {visit.therapist_id for visit in visits})
    affected = [
        visit
        for visit in visits
        if _outside(visit, clinic, hours, stretch) and not (before and _outside(visit, clinic, before, stretch))
    ]
    patients = await fetch_patients(
        connection, clinic.id, list({visit.patient_id for visit in affected if visit.patient_id is not None})
    )
    alternatives = await _alternatives(connection, clinic, affected, stretch, now)
    return [
        AffectedVisit(visit=visit, patient=patients[visit.patient_id], alternatives=alternatives.get(visit.id, ()))
        for visit in affected
        if visit.patient_id is not None
    ]


async def load_hours(connection: Connection, clinic: Clinic, stretch: Span, therapist_ids: Iterable[UUID]) -> Calendar:
    """Return the hours of therapists in a stretch, those who have left too, without what keeps anybody busy."""
    starts, ends = _instants(clinic, stretch)
    # A window of the day before may run past midnight.
    first_day = clinic.local(starts).date() - timedelta(days=1)
    last_day = clinic.local(ends).date()
    weekly = await fetch_windows(connection, clinic.id)
    overrides = await fetch_overrides(connection, clinic.id, first_day=first_day, last_day=last_day)
    closures = await fetch_closures(connection, clinic.id, first_day=first_day, last_day=last_day)
    absences = await fetch_absences(connection, clinic.id, starts, ends)
    return Calendar(
        start=stretch[0],
        end=stretch[1],
        therapists=[
            TherapistCalendar(
                id=therapist_id,
                weekly=weekly.get(therapist_id, ()),
                overrides=dict(_in_force(overrides.get(therapist_id, {}).values())),
                time_off=absences.get(therapist_id, ()),
            )
            for therapist_id in therapist_ids
        ],
        closures=dict(_in_force(closures.values())),
    )


async def _alternatives(
    connection: Connection, clinic: Clinic, visits: Sequence[Visit], stretch: Span, now: datetime
) -> dict[UUID, list[Slot]]:
    """Return by visit where it could move to; others than the movable and soonest have no entry.

    One calendar is read for each visit type, or for each month of it, whatever the number of visits.
    """
    movers = await _movers(connection, clinic, visits[:_MOST])
    promised: dict[UUID, list[Span]] = {}
    found: dict[UUID, list[Slot]] = {}
    for together in _groups(movers):
        visit_type = together[0].visit_type
        within = search_span(together, stretch, epoch_minute(now))
        calendar = await load_calendar(connection, clinic, visit_type, calendar_bounds(visit_type, *within))
        for mover in together:
            # Some milliseconds of arithmetic each, between which others may have their answers.
            await asyncio.sleep(0)
            suggestions = suggest(calendar, clinic, mover, within, promised)
            found[mover.visit.id] = [_slot(clinic, mover, suggestion) for suggestion in suggestions]
            if suggestions:
                for resource, span in promise(calendar, clinic, mover, suggestions[0], promised).items():
                    promised.setdefault(resource, []).append(span)
    return found


async def _movers(connection: Connection, clinic: Clinic, visits: Sequence[Visit]) -> list[Mover]:
    movable = [
        visit
        for visit in visits
        if visit.status in TRANSITIONS["reschedule"] and visit.visit_type in clinic.visit_types and visit.patient_id
    ]
    busy = await store.fetch_busy(
        connection,
        clinic.id,
        [visit.id for visit in movable],
        [visit.patient_id for visit in movable if visit.patient_id],
    )
    own: dict[UUID, dict[UUID, list[Span]]] = {}
    of_patient: dict[UUID, list[store.Busy]] = {}
    for each in busy:
        own.setdefault(each.visit_id, {}).setdefault(each.resource_id, []).append(each.span)
        of_patient.setdefault(each.resource_id, []).append(each)
    return [
        Mover(
            visit=visit,
            visit_type=clinic.visit_types[visit.visit_type],
            own=own.get(visit.id, {}),
            patient_busy=[each.span for each in of_patient.get(visit.patient_id, ()) if each.visit_id != visit.id],
        )
        for visit in movable
        if visit.patient_id
    ]


def _groups(movers: Sequence[Mover]) -> Iterator[list[Mover]]:
    """Gather visits of one type that are not too far apart, each in order."""
    groups: dict[str, list[Mover]] = {}
    for mover in movers:
        group = groups.get(mover.visit_type.code)
        if group and mover.visit.starts_at - group[0].visit.starts_at > _TOGETHER:
            yield groups.pop(mover.visit_type.code)
        groups.setdefault(mover.visit_type.code, []).append(mover)
    yield from groups.values()


def _in_force(rows: Iterable[DatedRow]) -> Iterator[tuple[date, Sequence[Span]]]:
    return ((row.plan.day, row.plan.windows) for row in rows if not row.removed)


def _outside(visit: Visit, clinic: Clinic, hours: Calendar, stretch: Span) -> bool:
    return outside_working_time(visit, clinic.visit_types.get(visit.visit_type), clinic, hours, stretch)


def _slot(clinic: Clinic, mover: Mover, suggestion: Suggestion) -> Slot:
    return Slot(
        starts_at=instant_at(suggestion.start, clinic.zone),
        ends_at=instant_at(suggestion.start + mover.visit_type.duration_minutes, clinic.zone),
        therapist=clinic.therapist_code(suggestion.therapist),
    )


def _instants(clinic: Clinic, span: Span) -> tuple[datetime, datetime]:
    return instant_at(span[0], clinic.zone).astimezone(UTC), instant_at(span[1], clinic.zone).astimezone(UTC)
