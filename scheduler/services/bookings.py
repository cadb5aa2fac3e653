"""Booking a visit, directly or from a hold, with its messages planned in the same transaction."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.availability import Placement
from scheduler.domain.clinics import Clinic, Place, Therapist, VisitType
from scheduler.domain.links import link_hash
from scheduler.domain.messages import kinds, plan_notice, plan_reminders
from scheduler.domain.patients import Patient, PatientDetails, name_key
from scheduler.domain.times import day_end, day_start, instant_at
from scheduler.domain.visits import Visit
from scheduler.errors import HoldExpired, HoldNotFound, NotFound, PhoneUnproven, SlotTaken
from scheduler.services.desk_tasks import open_task
from scheduler.services.holds import find_hold
from scheduler.services.limits import check_visits_to_come
from scheduler.services.patients import Agreement, agree, find_or_add, find_patient
from scheduler.services.placement import Wish, draft, occupied_by, placed
from scheduler.services.visit_records import find_visit
from scheduler.services.visits import audit_visit, patient_of
from scheduler.store import visits as store
from scheduler.store.booked_visits import BookedVisit, Reminder
from scheduler.store.connections import Connection
from scheduler.store.holds import HeldVisit, book_held
from scheduler.store.messages import add_messages


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for: details of a patient, or the id of one on file, and what they said about texts.

    ``sms_consent`` is None where nothing was said. ``consent_method`` names how it was given.
    """

    details: PatientDetails | None = None
    patient_id: UUID | None = None
    sms_consent: bool | None = None
    wording_version: str = ""
    consent_method: str = "api"


async def book(
    connection: Connection,
    clinic: Clinic,
    booking: Booking,
    visit_type: VisitType,
    starts_at: datetime,
    *,
    therapist: Therapist | None = None,
    room: Place | None = None,
    overbook_reason: str | None = None,
    secret_key: str,
    actor: Actor,
    now: datetime,
) -> BookedVisit:
    """Book a visit directly. Its private link is made with ``secret_key``.

    Raises PlacementRefused with alternatives, or NotFound for an unknown patient.
    """
    patient = await _patient(connection, clinic, booking, actor, now)
    wish = Wish(
        visit_type=visit_type,
        starts_at=starts_at,
        therapist=therapist,
        room=room,
        patient_id=patient.id,
        bound_at=None if actor.staff else now,
        by_stranger=not actor.staff,
        overbook=overbook_reason is not None,
    )

    async def write(placement: Placement) -> Visit:
        visit = draft(wish, placement, status="booked", actor=actor, now=now, overbook_reason=overbook_reason)
        await store.insert_visit(
            connection, clinic.id, visit, occupied_by(wish, placement),
            link_hash=link_hash(secret_key, clinic.id, visit.id),
        )  # fmt: skip
        return visit

    visit = await placed(connection, clinic, wish, now=now, write=write)
    return await _announce_booking(connection, clinic, visit, patient, actor, now)


async def book_hold(
    connection: Connection,
    clinic: Clinic,
    booking: Booking,
    hold_id: UUID,
    token: str,
    *,
    secret_key: str,
    actor: Actor,
    now: datetime,
    phone_proven: bool = False,
) -> BookedVisit:
    """Book what a hold keeps; one that ran out is booked all the same while its place is free.

    The same hold booked twice for the same patient is one visit, so a double click is harmless. Notice is judged
    by the moment the time was held, for that was the promise. Raises HoldNotFound, PhoneUnproven where the clinic
    wants the public's phones proven and this one is not, PlacementRefused with alternatives (HoldExpired where the
    time ran out and somebody else has it now), or RateLimited where the public has booked as many visits with one
    phone as it may.
    """
    held = await find_hold(connection, clinic, hold_id, token, for_update=True)
    if held.visit.status not in ("held", "expired"):
        return await _booked_already(connection, clinic, held.visit, booking)
    if not actor.staff:
        await _check_public(connection, clinic, booking, actor, now, phone_proven=phone_proven)
    patient = await _patient(connection, clinic, booking, actor, now)
    visit = held.visit
    therapist = clinic.therapists_by_id.get(visit.therapist_id)
    visit_type = clinic.visit_types.get(visit.visit_type)
    if visit_type is None or therapist is None:
        raise HoldNotFound
    wish = Wish(
        visit_type=visit_type,
        starts_at=visit.starts_at,
        therapist=therapist,
        # A hold that ran out has lost its room as well; any other of the kind is as good.
        room=clinic.rooms_by_id.get(visit.room_id) if visit.room_id and not held.expired else None,
        patient_id=patient.id,
        visit=visit,
        bound_at=None if actor.staff else _promised_at(held, now),
        by_stranger=not actor.staff,
        kept_until=None if held.expired else visit.starts_at,
    )

    async def write(placement: Placement) -> Visit | None:
        chosen = msgspec.structs.replace(
            visit, patient_id=patient.id, ends_at=wish.ends_at, room_id=placement.room,
            equipment_ids=placement.equipment,
        )  # fmt: skip
        booked = await book_held(
            connection, clinic.id, chosen, link_hash=link_hash(secret_key, clinic.id, visit.id),
            created_by=actor.name, now=now,
        )  # fmt: skip
        if booked is not None:
            await store.occupy(connection, clinic.id, visit.id, occupied_by(wish, placement))
        return booked

    try:
        booked = await placed(connection, clinic, wish, now=now, write=write)
    except SlotTaken as taken:
        if held.expired:
            raise HoldExpired(**taken.members) from taken
        raise
    if booked is None:
        held = await find_hold(connection, clinic, hold_id, token)
        return await _booked_already(connection, clinic, held.visit, booking)
    if not actor.staff:
        await _flag_second_visit(connection, clinic, booked, patient, now)
    return await _announce_booking(connection, clinic, booked, patient, actor, now)


async def _check_public(
    connection: Connection, clinic: Clinic, booking: Booking, actor: Actor, now: datetime, *, phone_proven: bool
) -> None:
    """Raise PhoneUnproven where the clinic wants a proof and there is none, or RateLimited for a phone with enough."""
    if clinic.settings.phone_code and not phone_proven:
        raise PhoneUnproven
    if booking.details is not None:
        await check_visits_to_come(connection, clinic, booking.details.phone, booked_by=actor.name, now=now)


async def _flag_second_visit(
    connection: Connection, clinic: Clinic, visit: Visit, patient: Patient, now: datetime
) -> None:
    """Have the desk look where a phone has another visit on the same day.

    The form does not ask about it: it would tell a stranger that somebody has a visit, and when.
    """
    day = clinic.local(visit.starts_at).date()
    begins, ends = (instant_at(bound(day, clinic.zone), clinic.zone) for bound in (day_start, day_end))
    if await store.has_other_visit(
        connection, clinic.id, patient.phone, not_visit_id=visit.id, starts_from=begins, starts_before=ends
    ):
        await open_task(
            connection, clinic.id, kind="same-day-twice", subject_id=visit.id, visit_id=visit.id, patient_id=patient.id,
            reason="This visit was booked online, and its phone has another one on the same day.", now=now,
        )  # fmt: skip


def _promised_at(held: HeldVisit, now: datetime) -> datetime:
    """Return the moment by which notice is judged: when the time was held, while that promise stands."""
    stands = not held.expired and held.visit.starts_at > now
    return held.visit.created_at if stands else now


async def _announce_booking(
    connection: Connection, clinic: Clinic, visit: Visit, patient: Patient, actor: Actor, now: datetime
) -> BookedVisit:
    planned = plan_notice(clinic, visit, patient, "booked", now) + plan_reminders(clinic, visit, patient, now)
    ids = await add_messages(connection, clinic.id, planned)
    details: dict[str, Any] = {
        "visit_type": visit.visit_type,
        "starts_at": visit.starts_at,
        "therapist": clinic.therapist_code(visit.therapist_id),
        "messages": kinds(planned),
    }
    if visit.overbook_reason is not None:
        details["overbook_reason"] = visit.overbook_reason
    await audit_visit(connection, clinic, actor, "visit.booked", visit, details)
    # None of these was planned before, so they stand as they were written, and the visit's link is its first.
    reminders = [
        Reminder(
            id=message_id, template=message.template, channel=message.channel, not_before=message.not_before,
            state="pending",
        )
        for message_id, message in zip(ids, planned, strict=True)
        if message.kind == "reminder"
    ]  # fmt: skip
    reminders.sort(key=lambda reminder: (reminder.not_before, reminder.id))
    return BookedVisit(visit=visit, patient=patient, reminders=tuple(reminders), link_generation=1)


async def _booked_already(connection: Connection, clinic: Clinic, visit: Visit, booking: Booking) -> BookedVisit:
    """Answer a hold booked a second time: with the visit for the same patient, as unknown for anybody else."""
    patient = await patient_of(connection, clinic, visit)
    details = booking.details
    same = patient.id == booking.patient_id or (
        details is not None
        and details.phone == patient.phone
        and details.name_key == name_key(patient.family_name, patient.given_name)
    )
    if not same:
        raise HoldNotFound
    return await find_visit(connection, clinic, visit.id)


async def _patient(connection: Connection, clinic: Clinic, booking: Booking, actor: Actor, now: datetime) -> Patient:
    """Return whom the visit is for, with what they said about texts recorded. Raises NotFound for an unknown id."""
    if booking.details is not None:
        patient, _ = await find_or_add(connection, clinic, booking.details, actor=actor, now=now)
    elif booking.patient_id is not None:
        patient = await find_patient(connection, clinic, booking.patient_id)
    else:
        raise NotFound("There is no such patient.")
    if booking.sms_consent is None:
        return patient
    agreement = Agreement(
        channel="sms",
        granted=booking.sms_consent,
        wording_version=booking.wording_version,
        method=booking.consent_method,
    )
    return await agree(connection, clinic, patient, agreement, actor=actor, now=now)
