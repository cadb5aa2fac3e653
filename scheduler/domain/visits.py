"""A visit and what may happen to it. The state machine is the table ``TRANSITIONS``."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from scheduler.domain.clinics import VisitType
from scheduler.errors import TooLateToChange, WrongStatus

Status = Literal["held", "booked", "confirmed", "arrived", "completed", "no_show", "cancelled", "expired"]
Action = Literal["confirm", "reschedule", "cancel", "arrive", "complete", "no_show"]

# A visit in one of these takes its therapist's time; in any other it has left the calendar.
LIVE: frozenset[Status] = frozenset({"held", "booked", "confirmed", "arrived"})

# What each action makes of each status it may start from.
TRANSITIONS: dict[Action, dict[Status, Status]] = {
    "confirm": {"booked": "confirmed", "confirmed": "confirmed"},
    "reschedule": {"booked": "booked", "confirmed": "booked"},
    "cancel": {"booked": "cancelled", "confirmed": "cancelled"},
    "arrive": {"booked": "arrived", "confirmed": "arrived"},
    "complete": {"arrived": "completed"},
    "no_show": {"booked": "no_show", "confirmed": "no_show"},
}

# Staff actions that `undo` takes back, and for how long (API contract).
UNDOABLE: frozenset[Status] = frozenset({"confirmed", "arrived", "completed", "no_show", "cancelled"})
UNDO_FOR = timedelta(minutes=10)

# A patient who has just booked the wrong time may change it online however close it is.
GRACE = timedelta(minutes=10)

# Check-in opens an hour before the visit; a no-show can only be known once it should have begun.
ARRIVE_BEFORE = timedelta(minutes=60)

# From how long before the start on an action is possible that is not possible always, and what is said earlier.
FROM_BEFORE: dict[Action, tuple[timedelta, str]] = {
    "arrive": (ARRIVE_BEFORE, "Check-in opens an hour before the visit."),
    "no_show": (timedelta(0), "A visit can be marked a no-show only after its start."),
}


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One appointment of one patient, as stored. Instants are aware, in UTC; ``patient_id`` is None for a hold."""

    id: UUID
    status: Status
    version: int
    visit_type: str
    therapist_id: UUID
    room_id: UUID | None
    equipment_ids: tuple[UUID, ...]
    patient_id: UUID | None
    starts_at: datetime
    ends_at: datetime
    created_by: str
    created_at: datetime
    booked_at: datetime | None
    cancel_reason: str | None
    overbook_reason: str | None
    previous_status: Status | None
    status_changed_at: datetime


def after(visit: Visit, action: Action, now: datetime) -> Status:
    """Return the status that an action leads to. Raises WrongStatus, which says what is allowed instead."""
    status = TRANSITIONS[action].get(visit.status)
    if status is None:
        raise _refusal(f"The visit is {visit.status.replace('_', '-')}.", visit, now)
    if _is_too_early(visit, action, now):
        raise _refusal(FROM_BEFORE[action][1], visit, now)
    return status


def allowed(visit: Visit, now: datetime) -> list[str]:
    """Return what may be done to a visit at this moment, undoing the last change included, as the API names it."""
    steps = [
        action.replace("_", "-")
        for action, steps in TRANSITIONS.items()
        if visit.status in steps and not _is_too_early(visit, action, now)
    ]
    return steps + (["undo"] if _undone(visit, now) else [])


def undone(visit: Visit, now: datetime) -> Status:
    """Return the status that undo goes back to. Raises WrongStatus where there is nothing, or too late."""
    before = _undone(visit, now)
    if before is None:
        nothing = "There is nothing to undo: the last change is older than 10 minutes or cannot be undone."
        raise _refusal(nothing, visit, now)
    return before


def _undone(visit: Visit, now: datetime) -> Status | None:
    lately = now - visit.status_changed_at <= UNDO_FOR
    return visit.previous_status if visit.status in UNDOABLE and lately else None


def _is_too_early(visit: Visit, action: Action, now: datetime) -> bool:
    return action in FROM_BEFORE and now < visit.starts_at - FROM_BEFORE[action][0]


def _refusal(detail: str, visit: Visit, now: datetime) -> WrongStatus:
    return WrongStatus(detail, visit_status=visit.status, allowed=allowed(visit, now))


def check_patient_may_change(visit: Visit, visit_type: VisitType, now: datetime, clinic_phone: str) -> None:
    """Raise TooLateToChange inside the change cutoff, unless the visit was booked in the last ten minutes."""
    cutoff_at = visit.starts_at - timedelta(minutes=visit_type.change_cutoff_minutes)
    in_grace = visit.booked_at is not None and now - visit.booked_at <= GRACE and now < visit.starts_at
    if now > cutoff_at and not in_grace:
        raise TooLateToChange(phone=clinic_phone, cutoff_at=cutoff_at)
