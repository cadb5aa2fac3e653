"""A day at the desk, as full as a real one, written without a request for each: who comes when, and how far they are.

The times are those of a clinic whose clock shows between nine and ten in the morning.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from scheduler.domain.clinics import Clinic, Place
from scheduler.ids import new_id
from scheduler.store.connections import Pool
from tests.integration.bulk import phones

# By therapist: hours, then visits as "start kind name status, what became of the messages". No such people exist.
DAY = {
    "rivera": (
        "08:00-12:00 12:45-16:00",
        """08:00 eval Robin_Anders completed
        09:00 follow-up Casey_Brook arrived
        09:45 eval-run Jordan_Sample confirmed sms:delivered
        11:00 follow-up Ash_Winter confirmed sms:delivered
        12:45 follow-up Quinn_Dorn booked sms:delivered
        13:30 eval-run Devon_Hale booked sms:undelivered
        14:45 follow-up Morgan_Lake confirmed email:sent""",
    ),
    "okafor": (
        "07:00-12:15 13:00-15:45",
        """07:00 follow-up Lee_Frost completed
        07:45 follow-up Reese_Kerr no_show
        08:30 follow-up Emery_Pine completed
        09:30 follow-up Blake_Moss arrived
        10:15 eval Sam_Oster confirmed sms:delivered
        13:00 follow-up Harper_Jay confirmed sms:delivered
        13:45 follow-up Rowan_Cove booked opted-out
        14:30 follow-up Parker_Vale booked online""",
    ),
    "lind": (
        "10:00-13:30 14:00-19:00",
        """10:00 follow-up Alex_North confirmed sms:delivered
        10:45 follow-up Jamie_Reed confirmed sms:delivered
        11:30 eval Finley_Gray confirmed sms:delivered
        14:00 follow-up held held
        15:00 follow-up Kai_Elm confirmed sms:sent
        15:45 eval Micah_York booked sms:delivered
        17:30 follow-up Tatum_Ivey confirmed sms:delivered
        18:15 follow-up Noel_Upton confirmed sms:delivered""",
    ),
    "marsh": (
        "08:00-12:15 13:00-16:00",
        """08:00 follow-up Drew_Xander completed
        08:45 follow-up Shay_Birch completed
        09:30 follow-up Remy_Quill arrived
        10:15 follow-up Lane_Zeller confirmed sms:delivered
        11:30 follow-up Ari_Keene booked sms:delivered
        13:00 follow-up Toby_Marlow confirmed sms:delivered
        13:45 follow-up Wren_Poole cancelled
        15:15 follow-up Cody_Lowe confirmed sms:delivered""",
    ),
}  # fmt: skip

_LIVE = ("held", "booked", "confirmed", "arrived")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One visit of a day to be; ``told`` is ``channel:state`` of its message, ``online`` or ``opted-out``."""

    therapist: str
    start: str
    kind: str
    given_name: str
    family_name: str
    status: str
    told: str


def wanted() -> list[Wanted]:
    """Return the visits of the day above."""
    return [Wanted(**dict(zip(Wanted.__struct_fields__, one, strict=True))) for one in _rows()]


def _rows() -> Iterator[tuple[str, ...]]:
    for therapist, (_, text) in DAY.items():
        for line in text.splitlines():
            start, kind, name, status, *told = line.split()
            given, _, family = name.partition("_")
            yield therapist, start, kind, given, family, status, "".join(told)


def morning_zone() -> str:
    """Return a zone whose clocks show between nine and ten in the morning now."""
    hours = 9 - datetime.now(UTC).hour
    hours += 24 if hours < -12 else -24 if hours > 12 else 0
    return f"Etc/GMT{-hours:+}" if hours else "Etc/GMT"


async def set_hours(pool: Pool, clinic: Clinic, day: date, hours: dict[str, str] | None = None) -> None:
    """Have the therapists work on a date what the day above says, whatever they do on that weekday."""
    rows: list[tuple[Any, ...]] = []
    for code, text in (hours or {code: hours for code, (hours, _) in DAY.items()}).items():
        windows = [tuple(_minute(end) for end in window.split("-")) for window in text.split()]
        rows.append((clinic.id, clinic.therapists[code].id, day, [asyncpg.Range(*window) for window in windows]))
    async with pool.acquire() as connection:
        await connection.executemany(
            """insert into overrides (clinic_id, therapist_id, date, windows, set_by) values ($1, $2, $3, $4, 'desk')
            on conflict (clinic_id, therapist_id, date) do update set windows = excluded.windows, removed = false""",
            rows,
        )


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


async def add_day(pool: Pool, clinic: Clinic, day: date, visits: Sequence[Wanted] | None = None) -> dict[str, UUID]:
    """Write a day's visits with all that belongs to them, and return their ids by the given names of the patients."""
    made: dict[str, UUID] = {}
    numbers = phones()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        busy: dict[UUID, list[tuple[datetime, datetime]]] = {}
        for one in visits or wanted():
            await _add(connection, clinic, day, one, next(numbers), made, busy)
    return made


async def _add(
    connection: Any, clinic: Clinic, day: date, one: Wanted, phone: str, made: dict[str, UUID], busy: Any
) -> None:
    visit_id, patient_id = new_id(), None if one.status == "held" else new_id()
    kind, therapist = clinic.visit_types[one.kind], clinic.therapists[one.therapist]
    starts = datetime.combine(day, time.fromisoformat(one.start), ZoneInfo(clinic.timezone)).astimezone(UTC)
    taken = starts - kind.buffer_before, starts + kind.duration + kind.buffer_after
    # What is over or off keeps no room busy, so any will do.
    kept: Any = busy if one.status in _LIVE else {}
    places = [_free(list(clinic.rooms.values()), kind.room_kind, taken, kept)]
    places += [_free(list(clinic.equipment.values()), device, taken, kept) for device in kind.equipment_kinds]
    booked = datetime.now(UTC) - timedelta(days=4)
    made[one.given_name] = visit_id
    if patient_id is not None:
        await connection.execute(
            """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
            values ($1, $2, $3, $4, lower($4) || E'\\x1f' || lower($3), $5, 'en')""",
            clinic.id, patient_id, one.given_name, one.family_name, phone,
        )  # fmt: skip
        await connection.execute(
            """insert into consents (clinic_id, id, patient_id, channel, scope, granted, address, language,
                wording_version, method, actor)
            values ($1, $2, $3, 'sms', 'visits', $4, $5, 'en', '2026-11', 'phone', 'front desk')""",
            clinic.id, new_id(), patient_id, one.told != "opted-out", phone,
        )  # fmt: skip
    await connection.execute(
        """insert into visits (clinic_id, id, status, visit_type, therapist_id, room_id, equipment_ids, patient_id,
            starts_at, ends_at, created_by, booked_at, created_at, status_changed_at, cancel_reason)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12, $13)""",
        clinic.id, visit_id, one.status, one.kind, therapist.id, places[0].id,
        [place.id for place in places[1:]], patient_id, starts, starts + kind.duration,
        "public" if one.told == "online" else "front desk", booked,
        "The patient called it off" if one.status == "cancelled" else None,
    )  # fmt: skip
    if one.status in _LIVE:
        spans = [(resource, *taken) for resource in (therapist.id, *(place.id for place in places))]
        spans += [(patient_id, starts, starts + kind.duration)] if patient_id else []
        expires = datetime.now(UTC) + timedelta(minutes=9) if one.status == "held" else None
        await connection.executemany(
            """insert into occupancy (clinic_id, resource_id, visit_id, kind, expires_at, during)
            values ($1, $2, $3, $4, $5, tstzrange($6, $7))""",
            [(clinic.id, resource, visit_id, "hold" if expires else "visit", expires, first, last)
             for resource, first, last in spans],
        )  # fmt: skip
    if ":" in one.told:
        channel, state = one.told.split(":")
        await connection.execute(
            """insert into messages (clinic_id, id, visit_id, patient_id, visit_version, kind, template, channel,
                language, address, variables, dedupe_key, not_before, expires_at, state, error_code,
                reason, finished_at)
            values ($1, $2, $3, $4, 1, 'reminder', 'reminder_24h', $5, 'en', $6, '{}', $2::uuid::text, $7, $8, $9,
                $10, $11, now() - interval '1 hour')""",
            clinic.id, new_id(), visit_id, patient_id, channel, phone, booked, starts, state,
            "30006" if state == "undelivered" else None,
            "This number is a landline, or its carrier takes no texts." if state == "undelivered" else None,
        )  # fmt: skip


def _free(places: list[Place], kind: str | None, taken: tuple[datetime, datetime], busy: Any) -> Place:
    """Return the first place of a kind that nobody has then, and keep it."""
    for place in places:
        mine = busy.setdefault(place.id, [])
        if place.kind == kind and not any(first < taken[1] and taken[0] < last for first, last in mine):
            mine.append(taken)
            return place
    raise AssertionError(f"no {kind} is free: the day cannot be as it is written")
