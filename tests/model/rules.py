"""What the booking core should do, said a second time in lists and loops (DESIGN, sections 4 and 5).

Nothing of the service is used here: the clinic is read from its file as a person reads it, and every rule is looked up
by walking through all stays there are. Times are whole minutes of the clinic's clock since the midnight before the
first day; no clock changes in that week. A stay is a hold or a visit, whatever became of it.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any
from uuid import UUID

import msgspec

from tests.model.facts import (
    CHECK_IN_MINUTES,
    DAY,
    FACTS,
    GRACE_MINUTES,
    GRID,
    KIND_FACTS,
    LIVE,
    STEPS,
    THERAPISTS,
    UNDO_MINUTES,
    duration,
    may_perform,
    needs_room,
    of_kind,
    overlap,
    with_buffers,
    works,
)


class Refused(msgspec.Struct, frozen=True):
    """A refusal by its code and, for a time that is taken, by what is in the way."""

    code: str
    conflict: str | None = None


class Place(msgspec.Struct, frozen=True):
    """Who and what takes a stay, by their codes."""

    therapist: str
    room: str | None
    devices: tuple[str, ...]


class Stay(msgspec.Struct, kw_only=True):
    """A hold or a visit. ``ran_out`` is a hold whose minutes are over, noticed or not; ``squeezed`` an overbook."""

    clinic: int
    id: UUID
    kind: str
    starts: int
    place: Place
    status: str
    patient: str | None = None
    version: int = 1
    token: str = ""
    held_at: int = 0
    ran_out: bool = False
    extensions: int = 0
    booked_at: int = 0
    online: bool = False
    squeezed: bool = False
    before: str | None = None
    changed_at: int = 0
    history: list[dict[str, Any]] = []

    @property
    def ends(self) -> int:
        return self.starts + duration(self.kind)

    @property
    def is_hold(self) -> bool:
        """Whether it began as one."""
        return self.token != ""

    @property
    def takes_time(self) -> bool:
        return self.status in LIVE and not self.ran_out


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. ``bound_at`` is the minute by which notice and horizon are judged; None binds nobody.

    A ``stranger`` has only said who the patient is. What was squeezed in before ``kept_until`` is not in the way.
    """

    clinic: int
    kind: str
    starts: int
    therapist: str | None = None
    room: str | None = None
    patient: str | None = None
    besides: Stay | None = None
    bound_at: int | None = None
    stranger: bool = False
    squeeze: bool = False
    kept_until: int | None = None


def judge(stays: Sequence[Stay], wish: Wish) -> tuple[set[Refused], set[Place]]:
    """Return every refusal that would be true, or where there is none, every place that would be right."""
    if wish.squeeze:
        return _judge_squeezed(stays, wish)
    refusals = _limits_broken(wish)
    able = [code for code in THERAPISTS if wish.therapist in (None, code) and may_perform(code, wish.kind)]
    at_work = [code for code in able if works(code, wish.starts, wish.starts + duration(wish.kind))]
    if not at_work:
        return refusals | {Refused("outside-hours" if able else "not-qualified")}, set()
    free = [code for code in at_work if _is_free(stays, wish, code)]
    rooms = [code for code in _rooms_for(wish) if code is None or _is_free(stays, wish, code)]
    devices = [[code for code in fitting if _is_free(stays, wish, code)] for fitting in _devices_for(wish)]
    in_the_way = {
        "therapist": not free,
        "patient": _is_elsewhere(stays, wish),
        "room": not rooms,
        "equipment": not all(devices),
    }
    for what, is_in_the_way in in_the_way.items():
        if is_in_the_way:
            # Where somebody is at what time is told to staff alone.
            told = "therapist" if what == "patient" and wish.bound_at is not None else what
            refusals.add(Refused("slot-taken", told))
    if refusals:
        return refusals, set()
    loads = [_load(stays, wish, code) for code in free]
    least = free[loads.index(min(loads))]
    return set(), {Place(least, room, chosen) for room in rooms for chosen in product(*devices)}


def _judge_squeezed(stays: Sequence[Stay], wish: Wish) -> tuple[set[Refused], set[Place]]:
    """Staff squeeze a visit in: only the credential and the patient's own calendar bind; free places go first."""
    assert wish.therapist is not None
    if not may_perform(wish.therapist, wish.kind):
        return {Refused("not-qualified")}, set()
    if _is_elsewhere(stays, wish):
        return {Refused("slot-taken", "patient")}, set()
    rooms = _rooms_for(wish)
    rooms = [code for code in rooms if code is None or _is_free(stays, wish, code)] or rooms
    devices = [[code for code in fitting if _is_free(stays, wish, code)] or fitting for fitting in _devices_for(wish)]
    return set(), {Place(wish.therapist, room, chosen) for room in rooms for chosen in product(*devices)}


def open_slots(
    stays: Sequence[Stay], clinic: int, kind: str, *, within: tuple[int, int], now: int, staff: bool
) -> list[tuple[int, str]]:
    """Return every (start, therapist) that is offered, in that order, found by asking for each of them."""
    return [
        (starts, therapist)
        for starts in range(within[0], within[1] - duration(kind) + 1)
        if starts % GRID == 0 and is_offered(stays, clinic, kind, starts, therapist=None, now=now, staff=staff)
        for therapist in THERAPISTS
        if is_offered(stays, clinic, kind, starts, therapist=therapist, now=now, staff=staff)
    ]


def is_offered(
    stays: Sequence[Stay], clinic: int, kind: str, starts: int, *, therapist: str | None, now: int, staff: bool
) -> bool:
    wish = Wish(clinic=clinic, kind=kind, starts=starts, therapist=therapist, bound_at=None if staff else now)
    return starts >= now and not judge(stays, wish)[0]


def is_alternative(stays: Sequence[Stay], wish: Wish, starts: int, therapist: str, *, now: int) -> bool:
    """Whether whoever was refused a wish could have this instead, asking in the same way.

    A visit that is to move is in nobody's way and goes elsewhere. A hold stays until it is let go, and its room was
    nobody's wish. Of the patient's other visits a stranger is told nothing.
    """
    moving = wish.besides if wish.besides is not None and wish.besides.patient is not None else None
    if moving is not None and (starts, therapist) == (moving.starts, moving.place.therapist):
        return False
    instead = msgspec.structs.replace(
        wish, starts=starts, therapist=therapist, besides=moving, squeeze=False, kept_until=None,
        room=wish.room if wish.besides is None else None, patient=None if wish.stranger else wish.patient,
        bound_at=None if wish.bound_at is None else now,
    )  # fmt: skip
    return starts >= now and starts % GRID == 0 and not judge(stays, instead)[0]


def nearer_starts(starts: int, distance: int) -> range:
    """Return the starts on the grid that are nearer to a start than this; none are looked for two days before it."""
    first = max(starts - distance + 1, starts - 2 * DAY)
    return range(first + -first % GRID, starts + distance, GRID)


def step(stay: Stay, action: str, now: int) -> str | None:
    """Return the status that an action leads to, or None where it may not be taken."""
    too_early = (action == "no_show" and now < stay.starts) or (
        action == "arrive" and now < stay.starts - CHECK_IN_MINUTES
    )
    return None if too_early else STEPS.get((action, stay.status))


def undo(stay: Stay, now: int) -> str | None:
    """Return the status that undo goes back to, or None where there is nothing to take back, or no longer."""
    return stay.before if now - stay.changed_at <= UNDO_MINUTES else None


def is_too_late_for_patients(stay: Stay, now: int) -> bool:
    just_booked = now - stay.booked_at <= GRACE_MINUTES and now < stay.starts
    return now > stay.starts - 60 * KIND_FACTS[stay.kind]["change_cutoff_hours"] and not just_booked


def has_enough_online(stays: Sequence[Stay], clinic: int, now: int) -> bool:
    """Whether the one phone of all the patients here has as many visits to come as may be booked online with it."""
    to_come = [
        stay
        for stay in stays
        if stay.clinic == clinic and stay.online and stay.status in ("booked", "confirmed") and stay.starts > now
    ]
    return len(to_come) >= FACTS["limits"]["online_visits_per_phone"]


def occupied(stay: Stay) -> Iterator[tuple[str, int, int, bool]]:
    """Yield what a stay keeps busy: resource, from, until, and whether others may be there as well."""
    if stay.takes_time:
        first, last = with_buffers(stay.kind, stay.starts)
        for resource in (stay.place.therapist, stay.place.room, *stay.place.devices):
            if resource is not None:
                yield resource, first, last, stay.squeezed
        if stay.patient is not None:
            yield stay.patient, stay.starts, stay.ends, False


def _limits_broken(wish: Wish) -> set[Refused]:
    """Return the rules for patients that a wish breaks: online, notice, horizon and grid."""
    if wish.bound_at is None:
        return set()
    kind = KIND_FACTS[wish.kind]
    last_day = wish.bound_at // DAY + kind["horizon_days"]
    broken = {
        "not-bookable-online": not kind["online"],
        "too-soon": wish.starts < wish.bound_at + 60 * kind["minimum_notice_hours"],
        "too-far-ahead": wish.starts // DAY > last_day,
        "outside-hours": wish.starts % GRID != 0,
    }
    return {Refused(code) for code, is_broken in broken.items() if is_broken}


def _rooms_for(wish: Wish) -> Sequence[str | None]:
    if not needs_room(wish.kind):
        return [None]
    return [wish.room] if wish.room is not None else list(of_kind("rooms", KIND_FACTS[wish.kind]["room_kind"]))


def _devices_for(wish: Wish) -> list[list[str]]:
    return [list(of_kind("equipment", kind)) for kind in KIND_FACTS[wish.kind].get("equipment_kinds", ())]


def _is_free(stays: Sequence[Stay], wish: Wish, resource: str) -> bool:
    """Whether nobody else keeps a therapist, room or device busy anywhere in the wish's time, buffers included."""
    wanted = with_buffers(wish.kind, wish.starts)
    return not any(overlap(wanted, busy) for busy in _busy(stays, wish, resource))


def _is_elsewhere(stays: Sequence[Stay], wish: Wish) -> bool:
    own_time = wish.starts, wish.starts + duration(wish.kind)
    return wish.patient is not None and any(overlap(own_time, busy) for busy in _busy(stays, wish, wish.patient))


def _busy(stays: Sequence[Stay], wish: Wish, resource: str) -> Iterator[tuple[int, int]]:
    for stay in stays:
        if stay.clinic == wish.clinic and stay is not wish.besides:
            came_late = wish.kept_until is None or stay.booked_at >= wish.kept_until
            for taken, first, last, is_squeezed in occupied(stay):
                if taken == resource and (came_late or not is_squeezed):
                    yield first, last


def _load(stays: Sequence[Stay], wish: Wish, therapist: str) -> int:
    """Return how many minutes of the wish's date a therapist is busy, buffers included."""
    midnight = wish.starts - wish.starts % DAY
    return sum(
        max(0, min(last, midnight + DAY) - max(first, midnight)) for first, last in _busy(stays, wish, therapist)
    )
