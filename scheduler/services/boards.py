"""The front desk's board: a day of everybody, a week of one therapist, and where a visit on the move would fit."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.board_visits import BoardVisit
from scheduler.domain.boards import Board, Facts, Moving, build_board, day_places, week_of
from scheduler.domain.clinics import Clinic, Therapist
from scheduler.domain.times import day_end, day_start, epoch_minute, instant_at
from scheduler.services.availability import Slot, list_slots
from scheduler.services.readings import note_watching
from scheduler.store.boards import load_facts
from scheduler.store.booked_visits import BookedVisit
from scheduler.store.connections import Connection
from scheduler.store.inbox import Today, fetch_today

# How many days after one are looked at for a visit on the move, and how many of them are named.
_OTHER_DAYS = 14
_SUGGESTED = 4

# How many messages that failed are shown beside a day; all of them are on the page of messages.
_FAILURES = 3


class ReadBoard(msgspec.Struct, frozen=True, kw_only=True):
    """A board and what is beside it: the visits that were cancelled, in order of their start, and today's messages.

    ``messages`` are there on the board of today alone.
    """

    board: Board
    cancelled: Sequence[BoardVisit]
    messages: Today | None = None


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """A visit on the move, and the slots of one day that it would fit into."""

    booked: BookedVisit
    slots: Sequence[Slot]


async def read_day(
    connection: Connection,
    clinic: Clinic,
    day: date,
    *,
    moving: Places | None = None,
    actor: Actor,
    now: datetime,
) -> ReadBoard:
    """Return a day of the clinic, and note whose visits were seen; with ``moving`` its gaps say where that fits."""
    facts = await load_facts(connection, clinic, [day])
    sought = moving and _sought(clinic, moving)
    board = build_board(facts, clinic, day_places(facts, clinic, day), now=now, moving=sought)
    messages = None
    if day == clinic.local(now).date():
        since = instant_at(day_start(day, clinic.zone), clinic.zone).astimezone(UTC)
        messages = await fetch_today(connection, clinic.id, now=now, since=since, limit=_FAILURES)
    return await _seen(connection, clinic, facts, board, actor, now, messages)


async def read_week(
    connection: Connection, clinic: Clinic, therapist: Therapist, day: date, *, actor: Actor, now: datetime
) -> ReadBoard:
    """Return one therapist's week, in which a date lies, and note whose visits were seen."""
    days = week_of(day)
    facts = await load_facts(connection, clinic, days, therapist_id=therapist.id)
    board = build_board(facts, clinic, [(therapist.id, each) for each in days], now=now)
    return await _seen(connection, clinic, facts, board, actor, now)


async def find_places(
    connection: Connection, clinic: Clinic, booked: BookedVisit, day: date, *, now: datetime
) -> Places:
    """Return where a visit could move to on a day; where it is now is none of these, and its kind may be gone."""
    visit_type = clinic.visit_types.get(booked.visit.visit_type)
    if visit_type is None:
        return Places(booked=booked, slots=())
    within = day_start(day, clinic.zone), day_end(day, clinic.zone)
    found = await list_slots(connection, clinic, visit_type, within=within, now=now, staff=True, moving=booked.visit)
    return Places(booked=booked, slots=found.items)


async def other_days(
    connection: Connection, clinic: Clinic, booked: BookedVisit, day: date, *, now: datetime
) -> list[Slot]:
    """Return where a visit could go with its own therapist on the days after one, at the time nearest to its own."""
    visit = booked.visit
    visit_type = clinic.visit_types.get(visit.visit_type)
    therapist = clinic.therapists_by_id.get(visit.therapist_id)
    if visit_type is None or therapist is None:
        return []
    within = day_end(day, clinic.zone), day_end(day + timedelta(days=_OTHER_DAYS), clinic.zone)
    found = await list_slots(
        connection, clinic, visit_type, within=within, now=now, therapist=therapist, staff=True, moving=visit
    )
    return nearest_each_day(found.items, clinic.local(visit.starts_at))[:_SUGGESTED]


def nearest_each_day(slots: Iterable[Slot], wanted: datetime) -> list[Slot]:
    """Return the slot of each date whose time of day is nearest to a moment's, in order."""

    def distance(slot: Slot) -> int:
        return abs((slot.starts_at.hour - wanted.hour) * 60 + slot.starts_at.minute - wanted.minute)

    nearest: dict[date, Slot] = {}
    for slot in slots:
        day = slot.starts_at.date()
        if day not in nearest or distance(slot) < distance(nearest[day]):
            nearest[day] = slot
    return list(nearest.values())


def _sought(clinic: Clinic, moving: Places) -> Moving:
    visit = moving.booked.visit
    visit_type = clinic.visit_types.get(visit.visit_type)
    starts: dict[UUID, list[int]] = {}
    for slot in moving.slots:
        starts.setdefault(clinic.therapists[slot.therapist].id, []).append(epoch_minute(slot.starts_at))
    return Moving(
        visit_id=visit.id,
        minutes=visit_type.duration_minutes if visit_type else 0,
        able=frozenset(each.id for each in clinic.therapists.values() if visit_type and each.may_perform(visit_type)),
        starts=starts,
    )


async def _seen(
    connection: Connection,
    clinic: Clinic,
    facts: Facts,
    board: Board,
    actor: Actor,
    now: datetime,
    messages: Today | None = None,
) -> ReadBoard:
    shown = [visit.patient.id for visit in facts.visits if visit.patient is not None]
    shown += [person.id for item in (messages.failures if messages else ()) for person in item.people]
    await note_watching(connection, clinic, actor, "board.listed", shown, now=now)
    cancelled = [visit for visit in facts.visits if visit.status == "cancelled"]
    return ReadBoard(board=board, cancelled=cancelled, messages=messages)
