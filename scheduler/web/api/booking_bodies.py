"""The body of a booking made into the use case that it asks for."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from scheduler.services.bookings import Booking, book, book_hold
from scheduler.services.visits import BookedVisit
from scheduler.store.connections import Connection
from scheduler.web.api.visit_bodies import VisitBody
from scheduler.web.callers import Caller
from scheduler.web.reading import (
    Problems,
    read_patient,
    read_room,
    read_start,
    read_therapist,
    read_visit_type,
)

BookingCase = Callable[[], Awaitable[BookedVisit]]


def read_booking(
    connection: Connection, caller: Caller, data: VisitBody, now: datetime, *, secret_key: str
) -> BookingCase:
    """Return the use case that a booking's body asks for.

    Raises InvalidRequest with every field at fault, or Unauthorized where the public books without a hold or for
    a patient on file.
    """
    problems = Problems()
    booking = _read_patient(caller, data, problems, now)
    if data.hold_id is not None:
        return _from_hold(connection, caller, data, booking, problems, now, secret_key)
    return _direct(connection, caller, data, booking, problems, now, secret_key)


def _read_patient(caller: Caller, data: VisitBody, problems: Problems, now: datetime) -> Booking:
    details = read_patient(data.patient, "/patient", problems, caller.clinic, now) if data.patient else None
    consent = data.patient.sms_consent if data.patient else None
    if (data.patient is None) == (data.patient_id is None):
        problems.add("/patient", "missing", "Say who the patient is: either `patient` or `patient_id`")
    elif data.patient_id is not None:
        caller.require("visits:write")
    return Booking(
        details=details,
        patient_id=data.patient_id,
        sms_consent=consent.granted if consent else None,
        wording_version=consent.wording_version if consent else "",
    )


def _from_hold(
    connection: Connection, caller: Caller, data: VisitBody, booking: Booking, problems: Problems, now: datetime,
    secret_key: str,
) -> BookingCase:  # fmt: skip
    hold_id, token = data.hold_id, data.hold_token
    for name in ("visit_type", "starts_at", "therapist", "room", "overbook"):
        if getattr(data, name) is not None:
            problems.add(f"/{name}", "not-with-hold", "The hold says this already")
    if token is None:
        problems.add("/hold_token", "missing", "Send the token that came with the hold")
    problems.settle()
    assert hold_id is not None and token is not None  # noqa: S101, PT018 - settled above
    return lambda: book_hold(
        connection, caller.clinic, booking, hold_id, token, secret_key=secret_key, actor=caller.actor, now=now
    )


def _direct(
    connection: Connection, caller: Caller, data: VisitBody, booking: Booking, problems: Problems, now: datetime,
    secret_key: str,
) -> BookingCase:  # fmt: skip
    caller.require("visits:write")
    clinic = caller.clinic
    therapist = read_therapist(data.therapist, "/therapist", problems, clinic)
    for name in ("visit_type", "starts_at"):
        if getattr(data, name) is None:
            problems.add(f"/{name}", "missing", "This field is needed where there is no hold")
    if data.hold_token is not None:
        problems.add("/hold_id", "missing", "Say which hold the token came with")
    if data.overbook is not None and data.therapist is None:
        problems.add("/therapist", "missing", "Say whose time is overbooked")
    code, start = data.visit_type, data.starts_at
    visit_type = read_visit_type(code, "/visit_type", problems, clinic) if code is not None else None
    room = read_room(data.room, "/room", problems, clinic, visit_type)
    starts_at = read_start(start, "/starts_at", problems, now=now, staff=True) if start is not None else now
    problems.settle()
    assert visit_type is not None  # noqa: S101 - settled above
    overbook_reason = data.overbook.reason if data.overbook else None
    return lambda: book(
        connection, clinic, booking, visit_type, starts_at, therapist=therapist, room=room,
        overbook_reason=overbook_reason, secret_key=secret_key, actor=caller.actor, now=now,
    )  # fmt: skip
