"""Everything that may happen to a booked visit. One function is one use case, in the caller's transaction."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.availability import Placement
from scheduler.domain.clinics import Clinic, Therapist, VisitType
from scheduler.domain.messages import Notice, PlannedMessage, kinds, plan_notice, plan_reminders
from scheduler.domain.patients import Patient
from scheduler.domain.visits import LIVE, Action, Status, Visit, after, check_patient_may_change, undone
from scheduler.domain.webhooks import event_of_visit
from scheduler.errors import NotFound, NotQualified, VersionMismatch
from scheduler.services.failures import have_called
from scheduler.services.placement import Wish, occupied_by, placed
from scheduler.store import visits as store
from scheduler.store.audit import add_audit_event
from scheduler.store.booked_visits import BookedVisit
from scheduler.store.connections import Connection
from scheduler.store.hours import list_closures
from scheduler.store.messages import add_messages, fetch_told_start, void_messages
from scheduler.store.patients import fetch_patient


async def reschedule(
    connection: Connection,
    clinic: Clinic,
    visit_id: UUID,
    starts_at: datetime,
    *,
    version: int,
    therapist: Therapist | None = None,
    anybody: bool = False,
    notify: bool = True,
    actor: Actor,
    now: datetime,
) -> BookedVisit:
    """Move a visit in one step: it keeps its old time until the new one is its own.

    Without a therapist it stays with the one it has, unless ``anybody`` may treat; the alternatives of a refusal name
    others.
    Raises NotFound, VersionMismatch, WrongStatus, TooLateToChange, or PlacementRefused with alternatives.
    """
    visit, patient = await _changeable(connection, clinic, visit_id, version, actor, now, "reschedule")
    visit_type = _type_of(clinic, visit)
    wish = Wish(
        visit_type=visit_type,
        starts_at=starts_at,
        therapist=None if anybody else therapist or clinic.therapists_by_id.get(visit.therapist_id),
        patient_id=patient.id,
        visit=visit,
        bound_at=None if actor.staff else now,
    )

    async def write(placement: Placement) -> Visit:
        await store.occupy(connection, clinic.id, visit.id, occupied_by(wish, placement))
        moved = msgspec.structs.replace(
            visit,
            starts_at=wish.starts_at,
            ends_at=wish.ends_at,
            therapist_id=placement.therapist,
            room_id=placement.room,
            equipment_ids=placement.equipment,
            # The new time was free: nothing is squeezed in any more, not by undoing a cancellation either.
            overbook_reason=None,
        )
        return await store.move(connection, clinic.id, moved, status=after(visit, "reschedule", now), now=now)

    moved = await placed(connection, clinic, wish, now=now, write=write)
    # With somebody else at the same time, what was said and is to be said about it stays true.
    planned = (
        await _replan(connection, clinic, visit, moved, patient, notify=notify, actor=actor, now=now)
        if moved.starts_at != visit.starts_at
        else []
    )
    await audit_visit(
        connection, clinic, actor, "visit.rescheduled", moved,
        {
            "from": {"starts_at": visit.starts_at, "therapist": clinic.therapist_code(visit.therapist_id)},
            "to": {"starts_at": moved.starts_at, "therapist": clinic.therapist_code(moved.therapist_id)},
            "messages": kinds(planned),
        },
    )  # fmt: skip
    return BookedVisit(visit=moved, patient=patient)


async def _replan(
    connection: Connection, clinic: Clinic, visit: Visit, moved: Visit, patient: Patient, *, notify: bool, actor: Actor,
    now: datetime,
) -> list[PlannedMessage]:  # fmt: skip
    """Void what was planned for a visit's old start and plan what its new one needs; return that.

    Whoever was last told of the new start, because it was moved there and back, is told nothing.
    """
    await void_messages(connection, clinic.id, visit.id, "The visit was moved.")
    planned = plan_reminders(clinic, moved, patient, now)
    told = await fetch_told_start(connection, clinic.id, visit.id)
    if notify and told != moved.starts_at:
        notices = plan_notice(clinic, moved, patient, "rescheduled", now, was=told or visit.starts_at)
        planned = notices + planned
        if actor.staff and not notices:
            await have_called(connection, clinic.id, moved, did="moved the visit", now=now)
    await add_messages(connection, clinic.id, planned)
    return planned


async def cancel(
    connection: Connection,
    clinic: Clinic,
    visit_id: UUID,
    *,
    version: int,
    reason: str,
    by: Literal["patient", "clinic"] = "patient",
    notify: bool = True,
    actor: Actor,
    now: datetime,
) -> BookedVisit:
    """Cancel a visit and void its reminders. Raises NotFound, VersionMismatch, WrongStatus or TooLateToChange."""
    visit, patient = await _changeable(connection, clinic, visit_id, version, actor, now, "cancel")
    cancelled = await store.set_status(
        connection, clinic.id, visit, after(visit, "cancel", now), now=now, undo_to=visit.status, cancel_reason=reason
    )
    await void_messages(connection, clinic.id, visit.id, "The visit was cancelled.")
    notice = "cancelled_by_patient" if by == "patient" else await _regret(connection, clinic, visit)
    planned = plan_notice(clinic, cancelled, patient, notice, now) if notify else []
    await add_messages(connection, clinic.id, planned)
    if notify and by == "clinic" and not planned:
        await have_called(connection, clinic.id, visit, did="canceled", now=now)
    await audit_visit(
        connection, clinic, actor, "visit.cancelled", cancelled,
        {"from": visit.status, "by": by, "reason": reason, "messages": kinds(planned)},
    )  # fmt: skip
    return BookedVisit(visit=cancelled, patient=patient)


async def _regret(connection: Connection, clinic: Clinic, visit: Visit) -> Notice:
    """Return what tells a patient that the clinic cancels: that it is closed that day, where it is."""
    day = clinic.local(visit.starts_at).date()
    closures = await list_closures(connection, clinic.id, first_day=day, last_day=day, limit=1)
    return "closure" if closures and not closures[0].plan.windows else "cancelled_by_clinic"


async def change_status(
    connection: Connection,
    clinic: Clinic,
    visit_id: UUID,
    action: Action,
    *,
    version: int,
    actor: Actor,
    now: datetime,
) -> BookedVisit:
    """Confirm, check in, complete or mark a no-show. Raises NotFound, VersionMismatch or WrongStatus.

    Confirming what is confirmed changes nothing, so that a second tap is harmless.
    """
    visit = await _locked(connection, clinic, visit_id, version)
    patient = await patient_of(connection, clinic, visit)
    status = after(visit, action, now)
    if status == visit.status:
        return BookedVisit(visit=visit, patient=patient)
    changed = await store.set_status(connection, clinic.id, visit, status, now=now, undo_to=visit.status)
    if status not in LIVE or status == "arrived":
        await void_messages(connection, clinic.id, visit.id, "The visit has begun or is over.")
    if status == "no_show":
        await add_messages(connection, clinic.id, plan_notice(clinic, changed, patient, "no_show", now))
    await audit_visit(connection, clinic, actor, f"visit.{status}", changed, {"from": visit.status})
    return BookedVisit(visit=changed, patient=patient)


async def undo(
    connection: Connection, clinic: Clinic, visit_id: UUID, *, version: int, actor: Actor, now: datetime
) -> BookedVisit:
    """Take back the last change of status within ten minutes, where the visit's place is still free.

    Raises NotFound, VersionMismatch, WrongStatus, or SlotTaken with alternatives.
    """
    visit = await _locked(connection, clinic, visit_id, version)
    patient = await patient_of(connection, clinic, visit)
    status = undone(visit, now)
    if visit.status in LIVE or status not in LIVE:
        back = await store.set_status(connection, clinic.id, visit, status, now=now, undo_to=None)
    else:
        back = await _return_to_calendar(connection, clinic, visit, patient, status, now)
    if status in ("booked", "confirmed"):
        # What fell due between the change and this goes now.
        planned = plan_reminders(clinic, back, patient, now, told_at=visit.status_changed_at)
        if visit.status == "cancelled":
            await void_messages(connection, clinic.id, visit.id, "The cancellation was undone.")
            # Where the last thing the patient heard is not that they are booked then, they hear it now.
            if await fetch_told_start(connection, clinic.id, visit.id) != back.starts_at:
                planned = plan_notice(clinic, back, patient, "booked", now) + planned
        await add_messages(connection, clinic.id, planned)
    await audit_visit(connection, clinic, actor, "visit.undone", back, {"from": visit.status, "to": status})
    return BookedVisit(visit=back, patient=patient)


async def _return_to_calendar(
    connection: Connection, clinic: Clinic, visit: Visit, patient: Patient, status: Status, now: datetime
) -> Visit:
    therapist = clinic.therapists_by_id.get(visit.therapist_id)
    if therapist is None:
        raise NotQualified("The therapist of this visit is not at the clinic any more.")
    wish = Wish(
        visit_type=_type_of(clinic, visit),
        starts_at=visit.starts_at,
        therapist=therapist,
        patient_id=patient.id,
        visit=visit,
        overbook=visit.overbook_reason is not None,
        kept_until=visit.status_changed_at,
        # Whoever came, or did not, was to come then, whatever has become of the hours since.
        in_hours=visit.status == "cancelled",
    )

    async def write(placement: Placement) -> Visit:
        await store.occupy(
            connection,
            clinic.id,
            visit.id,
            occupied_by(wish, placement),
            patient_id=patient.id,
            overbooked=wish.overbook,
        )
        placed_again = msgspec.structs.replace(
            visit, ends_at=wish.ends_at, therapist_id=placement.therapist, room_id=placement.room,
            equipment_ids=placement.equipment,
        )  # fmt: skip
        return await store.move(connection, clinic.id, placed_again, status=status, now=now)

    return await placed(connection, clinic, wish, now=now, write=write)


async def patient_of(connection: Connection, clinic: Clinic, visit: Visit) -> Patient:
    """Return whose visit it is. Raises NotFound."""
    patient = visit.patient_id and await fetch_patient(connection, clinic.id, visit.patient_id)
    if not patient:
        raise NotFound
    return patient


async def _locked(connection: Connection, clinic: Clinic, visit_id: UUID, version: int) -> Visit:
    visit = _known(await store.fetch_visit(connection, clinic.id, visit_id, for_update=True))
    if visit.version != version:
        raise VersionMismatch(etag=f'"{visit.version}"')
    return visit


async def _changeable(
    connection: Connection, clinic: Clinic, visit_id: UUID, version: int, actor: Actor, now: datetime, action: Action
) -> tuple[Visit, Patient]:
    visit = await _locked(connection, clinic, visit_id, version)
    after(visit, action, now)
    if not actor.staff:
        check_patient_may_change(visit, _type_of(clinic, visit), now, clinic.settings.phone)
    return visit, await patient_of(connection, clinic, visit)


def _known(visit: Visit | None) -> Visit:
    if visit is None:
        raise NotFound("There is no such visit.")
    return visit


def _type_of(clinic: Clinic, visit: Visit) -> VisitType:
    visit_type = clinic.visit_types.get(visit.visit_type)
    if visit_type is None:
        raise NotFound("The clinic no longer offers this kind of visit.")
    return visit_type


async def audit_visit(
    connection: Connection, clinic: Clinic, actor: Actor, action: str, visit: Visit, details: dict[str, Any]
) -> None:
    """Append what happened to a visit to its trace."""
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor.name,
        action=action,
        visit_id=visit.id,
        patient_id=visit.patient_id,
        request_id=actor.request_id,
        details={"version": visit.version, **details},
        announce=event_of_visit(action, visit),
    )
