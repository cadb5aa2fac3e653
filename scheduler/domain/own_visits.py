"""A visit as its patient sees it by the private link: how far it is, and what they may do about it online."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from scheduler.domain.clinics import Clinic, VisitType
from scheduler.domain.patients import Patient
from scheduler.domain.times import Span
from scheduler.domain.visits import GRACE, UNDO_FOR, Visit, check_patient_may_change
from scheduler.errors import TooLateToChange

Stage = Literal["ahead", "begun", "arrived", "over", "missed", "cancelled"]
OwnAction = Literal["confirm", "move", "cancel", "undo"]

# Whether messages reach a patient: "off" they may turn on by their link, "stopped" they may not.
Reached = Literal["on", "off", "stopped"]

# The name by which audit rows call whoever acts by a private link.
PATIENT = "patient"

# The method of a consent that was given or taken back by a private link.
BY_LINK = "private link"

# A page that somebody forgot to close tells nothing of a visit that was a day ago.
TOLD_FOR = timedelta(hours=24)


class LastChange(msgspec.Struct, frozen=True, kw_only=True):
    """The audit row of the change that led to the present version of a visit."""

    actor: str
    action: str
    details: dict[str, Any]

    @property
    def by_patient(self) -> bool:
        return self.actor.partition(":")[0] == PATIENT


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """How far a visit is, and what its patient may do about it.

    ``told`` is whether the page still says when and where it was. ``late`` is inside the notice in which only the
    clinic changes visits; ``grace_until`` is when that begins for a visit that was booked inside it a moment ago.
    ``closed`` is whether the clinic has closed since for that time. ``was`` is the start from which the clinic moved
    the visit, while the patient has not answered. ``undo_until`` is until when a cancellation can be taken back.
    """

    stage: Stage
    may: frozenset[OwnAction] = frozenset()
    told: bool = True
    late: bool = False
    closed: bool = False
    grace_until: datetime | None = None
    undo_until: datetime | None = None
    was: datetime | None = None


def look_at(
    clinic: Clinic, visit: Visit, last: LastChange | None, now: datetime, *, opened: Sequence[Span] | None = None
) -> Outlook:
    """Return how a visit looks to its patient.

    ``opened`` are the wall-clock minutes to which a closure limits the clinic on the visit's date, None without one.
    """
    stage = _stage(visit, now)
    told = now < visit.ends_at + TOLD_FOR
    if stage == "cancelled":
        return _cancelled(clinic, visit, last, now, told=told)
    if stage != "ahead":
        return Outlook(stage=stage, told=told)
    visit_type = clinic.visit_types.get(visit.visit_type)
    closed = opened is not None and not _lies_within(clinic, visit, opened)
    may: set[OwnAction] = set() if closed else {"confirm"}
    late, grace_until = False, None
    if visit_type is not None:
        late = _is_late(clinic, visit, visit_type, now)
        may |= set() if late else {"cancel", "move"} if visit_type.online else {"cancel"}
        if not late and visit.booked_at and now > visit.starts_at - timedelta(minutes=visit_type.change_cutoff_minutes):
            grace_until = visit.booked_at + GRACE
    return Outlook(
        stage=stage, may=frozenset(may), late=late, closed=closed, grace_until=grace_until, was=_was(visit, last)
    )


def texting(patient: Patient, *, stopped: bool) -> Reached:
    """Return whether texts reach the patient; ``stopped`` is whether they were stopped other than by a private link.

    Whoever said stop starts again by a text or at the desk; whoever switched texts off here may switch them on here.
    """
    if patient.sms_consent:
        return "on"
    return "stopped" if stopped else "off"


def _stage(visit: Visit, now: datetime) -> Stage:
    match visit.status:
        case "cancelled":
            return "cancelled"
        case "no_show":
            return "missed"
        case "completed":
            return "over"
        case _ if now >= visit.ends_at:
            return "over"
        case "arrived":
            return "arrived"
        case _:
            return "ahead" if now < visit.starts_at else "begun"


def _cancelled(clinic: Clinic, visit: Visit, last: LastChange | None, now: datetime, *, told: bool) -> Outlook:
    undo_until = visit.status_changed_at + UNDO_FOR
    own = last is not None and last.action == "visit.cancelled" and last.by_patient
    possible = visit.visit_type in clinic.visit_types and now <= undo_until and now < visit.starts_at
    if not own or not possible:
        return Outlook(stage="cancelled", told=told)
    return Outlook(stage="cancelled", told=told, may=frozenset({"undo"}), undo_until=undo_until)


def _was(visit: Visit, last: LastChange | None) -> datetime | None:
    if visit.status != "booked" or last is None or last.action != "visit.rescheduled" or last.by_patient:
        return None
    source: dict[str, str] | str = last.details["from"]
    # An earlier release wrote the start alone.
    was = datetime.fromisoformat(source if isinstance(source, str) else source["starts_at"])
    return was if was != visit.starts_at else None


def _is_late(clinic: Clinic, visit: Visit, visit_type: VisitType, now: datetime) -> bool:
    try:
        check_patient_may_change(visit, visit_type, now, clinic.settings.phone)
    except TooLateToChange:
        return True
    return False


def _lies_within(clinic: Clinic, visit: Visit, windows: Sequence[Span]) -> bool:
    starts_at = clinic.local(visit.starts_at)
    start = starts_at.hour * 60 + starts_at.minute
    end = start + int((visit.ends_at - visit.starts_at).total_seconds() // 60)
    return any(low <= start and end <= high for low, high in windows)
