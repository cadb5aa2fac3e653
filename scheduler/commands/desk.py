"""`scheduler slots` and `scheduler book`: the desk's two questions, answered on a terminal."""

from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import click

from scheduler.commands.opening import clinic_work, print_table
from scheduler.domain.actors import COMMAND_LINE
from scheduler.domain.clinics import Clinic
from scheduler.domain.times import day_end, day_pieces, day_start
from scheduler.errors import ConfigurationError, InvalidRequest
from scheduler.services.availability import list_slots
from scheduler.services.bookings import Booking
from scheduler.services.bookings import book as book_visit
from scheduler.settings import Settings
from scheduler.store.messages import list_messages
from scheduler.web.reading import PatientBody, Problems, read_patient, read_start, read_therapist, read_visit_type


async def slots(
    settings: Settings,
    visit_type: str,
    from_date: str | None,
    days: int,
    therapist: str | None,
    clinic_code: str | None,
) -> None:
    """Print the open times of a stretch of clinic dates, a row for each time, days apart."""
    now = datetime.now(UTC)
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        problems = Problems()
        wanted = read_visit_type(visit_type, "VISIT_TYPE", problems, clinic)
        who = read_therapist(therapist, "--therapist", problems, clinic)
        problems.settle()
        assert wanted is not None  # noqa: S101 - settled above
        first = _read_date(from_date) if from_date else clinic.local(now).date()
        within = (day_start(first, clinic.zone), day_end(first + timedelta(days=days - 1), clinic.zone))
        found = await list_slots(connection, clinic, wanted, within=within, now=now, therapist=who, staff=True)
    click.echo(f"{wanted.names['en']}, {wanted.duration_minutes} minutes, {clinic.settings.name} ({clinic.timezone})")
    if not found.items:
        after = f" The next is {found.next_available:%a %b %d %Y %I:%M %p}." if found.next_available else ""
        click.echo(f"No open times from {first} for {days} days.{after}")
        return
    click.echo()
    rows = [
        (f"{starts_at:%a %b %d}", f"{starts_at:%I:%M %p}".lstrip("0"), ", ".join(slot.therapist for slot in same))
        for starts_at, same in groupby(found.items, key=lambda slot: slot.starts_at)
    ]
    print_table(("Day", "Time", "Therapists"), [_without_repeats(rows, index) for index in range(len(rows))])


async def book(
    settings: Settings,
    visit_type: str,
    starts_at: str,
    clinic_code: str | None,
    *,
    therapist: str | None,
    given_name: str,
    family_name: str,
    phone: str,
    email: str | None,
    language: str,
    sms_consent: bool | None,
) -> None:
    """Book a visit and print what was booked and which messages are planned."""
    now = datetime.now(UTC)
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        problems = Problems()
        wanted = read_visit_type(visit_type, "VISIT_TYPE", problems, clinic)
        who = read_therapist(therapist, "--therapist", problems, clinic)
        body = PatientBody(given_name=given_name, family_name=family_name, phone=phone, email=email, language=language)
        details = read_patient(body, "--", problems, clinic, now)
        start = read_start(_with_offset(starts_at, clinic), "START", problems, now=now, staff=True)
        problems.settle()
        assert wanted is not None  # noqa: S101 - settled above
        booked = await book_visit(
            connection,
            clinic,
            Booking(
                details=details,
                sms_consent=sms_consent,
                wording_version=clinic.settings.consent_wording_version,
                consent_method="desk",
            ),
            wanted,
            start,
            therapist=who,
            secret_key=settings.secret_key,
            actor=COMMAND_LINE,
            now=now,
        )
        visit = booked.visit
        messages = await list_messages(connection, clinic.id, visit_id=visit.id, limit=20)
        room = clinic.rooms_by_id.get(visit.room_id) if visit.room_id else None
        click.echo(f"Booked {visit.id}")
        print_table(
            ("What", "When", "Therapist", "Room", "Patient"),
            [
                (
                    visit.visit_type,
                    f"{clinic.local(visit.starts_at):%a %b %d %Y %I:%M %p}",
                    clinic.therapists_by_id[visit.therapist_id].code,
                    room.code if room else "",
                    booked.patient.display_name,
                )
            ],
        )
        click.echo()
        print_table(
            ("Message", "Channel", "Due"),
            [
                (message.template, message.channel, f"{clinic.local(message.not_before):%a %b %d %I:%M %p}")
                for message in reversed(messages)
            ],
        )


def _without_repeats(rows: list[tuple[str, str, str]], index: int) -> tuple[str, str, str]:
    day, time, therapists = rows[index]
    return ("" if index and rows[index - 1][0] == day else day, time, therapists)


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise ConfigurationError(f"--from {text}: write a date like 2026-12-07") from problem


def _with_offset(text: str, clinic: Clinic) -> str:
    """Return a wall-clock time of the clinic as an instant; one with an offset is left as it is.

    Raises InvalidRequest for a time that the clocks skip or show twice, which only an offset can tell apart.
    """
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return text
    if local.tzinfo is not None:
        return text
    minute = local.hour * 60 + local.minute
    shown = [first for first, wall, length in day_pieces(local.date(), clinic.zone) if wall <= minute < wall + length]
    if len(shown) != 1:
        problems = Problems()
        how = "twice" if shown else "never"
        problems.add("START", "time-ambiguous", f"The clinic's clocks show this time {how} that day; add an offset")
        raise InvalidRequest(*problems)
    return local.replace(tzinfo=clinic.zone).isoformat()
