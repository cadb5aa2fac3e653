"""Where a visit could go that the schedule no longer covers: what is suggested can be had, one after the other."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.affected import Mover, promise, suggest
from scheduler.domain.availability import place
from scheduler.domain.calendars import Calendar
from scheduler.domain.clinics import VisitType
from scheduler.domain.times import Span, overlap
from scheduler.domain.visits import Visit
from tests.unit.factories import therapist_id
from tests.unit.test_availability_oracle import Question, questions, thorough


def make_mover(number: int, visit_type: VisitType, start: int, busy_at: Span, patient_busy: Span) -> Mover:
    """Return a visit of the first therapist's which keeps them busy for one span of theirs."""
    starts_at = datetime.fromtimestamp(start * 60, UTC)
    visit = Visit(
        id=UUID(int=number),
        status="booked",
        version=1,
        visit_type=visit_type.code,
        therapist_id=therapist_id(0),
        room_id=None,
        equipment_ids=(),
        patient_id=UUID(int=1000 + number),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=visit_type.duration_minutes),
        created_by="desk",
        created_at=starts_at,
        booked_at=starts_at,
        cancel_reason=None,
        overbook_reason=None,
        previous_status=None,
        status_changed_at=starts_at,
    )
    return Mover(visit=visit, visit_type=visit_type, own={therapist_id(0): [busy_at]}, patient_busy=[patient_busy])


def as_it_would_be(calendar: Calendar, mover: Mover, taken: Mapping[UUID, Sequence[Span]]) -> Calendar:
    """Return the calendar without one visit, and with what the visits before it took."""

    def updated(resources: Sequence[Any]) -> list[Any]:
        changed: list[Any] = []
        for each in resources:
            busy = list(each.busy)
            for span in mover.own.get(each.id, ()):
                busy.remove(span)
            changed.append(msgspec.structs.replace(each, busy=[*busy, *taken.get(each.id, ())]))
        return changed

    return msgspec.structs.replace(
        calendar,
        therapists=updated(calendar.therapists),
        rooms=updated(calendar.rooms),
        equipment=updated(calendar.equipment),
        patient_busy=mover.patient_busy,
    )


@settings(thorough, max_examples=100)
@given(questions(), st.integers(0, 1439), st.integers(0, 1439))
def test_whatever_is_suggested_can_be_had_after_everybody_before_took_their_first(
    question: Question, offset: int, patient_offset: int
) -> None:
    clinic, visit_type, within, calendar_for = question
    calendar: Calendar = calendar_for(within)
    busy = list(calendar.therapists[0].busy)
    start, patient_start = within[0] + offset, within[0] + patient_offset
    movers = [
        make_mover(number, visit_type, start, span, (patient_start, patient_start + 60))
        for number, span in enumerate(busy)
    ]
    taken: dict[UUID, list[Span]] = {}
    for mover in movers:
        suggestions = suggest(calendar, clinic, mover, within, taken)
        assert len(suggestions) <= 5
        own = [each for each in suggestions if each.therapist == therapist_id(0)]
        assert suggestions[: len(own)] == own
        for each in (own, suggestions[len(own) :]):
            assert [abs(one.start - start) for one in each] == sorted(abs(one.start - start) for one in each)
        real = as_it_would_be(calendar, mover, taken)
        for suggestion in suggestions:
            assert within[0] <= suggestion.start <= within[1] - visit_type.duration_minutes
            own_time = (suggestion.start, suggestion.start + visit_type.duration_minutes)
            assert not any(overlap(own_time, span) for span in mover.patient_busy)
            place(real, clinic, visit_type, suggestion.start, therapist=clinic.therapists_by_id[suggestion.therapist])
        if suggestions:
            for resource, span in promise(calendar, clinic, mover, suggestions[0], taken).items():
                taken.setdefault(resource, []).append(span)
