"""What is said and kept, compared with the model after every step of a run."""

from collections.abc import Callable
from datetime import datetime
from itertools import combinations
from typing import Any, cast
from uuid import UUID

import asyncpg
from hypothesis.stateful import RuleBasedStateMachine, invariant

from scheduler.domain.actors import Actor
from scheduler.domain.patients import PatientDetails
from scheduler.domain.visits import Visit
from scheduler.errors import SchedulerError
from scheduler.services import visit_records
from scheduler.services.bookings import Booking
from scheduler.store.booked_visits import BookedVisit
from tests.model import rules
from tests.model.facts import ALTERNATIVES, DAY, THERAPISTS, overlap
from tests.model.rules import Place, Refused, Stay, Wish
from tests.model.world import World, instant, minute_of

# The minute at which every run begins.
SEVEN = 7 * 60

_VISITS = """select clinic_id, id, status, version, visit_type, therapist_id, room_id, equipment_ids, patient_id,
    starts_at, ends_at, overbook_reason is not null as squeezed, previous_status from visits"""
_OCCUPANCY = """select clinic_id, visit_id, resource_id, kind, overbooked, lower(during) as first, upper(during) as last
    from occupancy where kind = 'visit' or expires_at > now()"""
_HISTORY = """select clinic_id, visit_id, actor, action, details from audit_events
    where visit_id is not null order by id"""
# What is compared of an audit row's details.
_TOLD = ("version", "from", "to", "starts_at", "therapist", "by")


class ComparingMachine(RuleBasedStateMachine):
    """A run as the model knows it: the minute it is, every stay, and whose id is whose."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.now = SEVEN
        self.stays: list[Stay] = []
        self.patients: dict[tuple[int, str], UUID] = {}
        self.seen: dict[UUID, tuple[Any, ...]] = {}
        self.agreed = True
        world.empty()

    @invariant()
    def what_is_kept_is_what_the_model_keeps(self) -> None:
        visits, occupancy, history = self.world.look(_VISITS, _OCCUPANCY, _HISTORY)
        self._compare_visits(visits)
        self._compare_occupancy(occupancy)
        told: dict[UUID, list[dict[str, Any]]] = {stay.id: [] for stay in self.stays}
        for row in history:
            told[row["visit_id"]].append(self._told(row))
        assert told == {stay.id: stay.history for stay in self.stays}
        self.agreed = True

    def teardown(self) -> None:
        """Each clinic sees its own visits and nothing of the other's; a run that failed has said what it had to."""
        if not self.agreed:
            return
        for number, clinic in enumerate(self.world.clinics):
            own = [stay for stay in self.stays if stay.clinic == number and stay.patient]
            found, more = self.world.attempt(
                lambda connection, clinic=clinic: visit_records.list_visits(
                    connection, clinic, starts_from=None, starts_before=None, therapist_id=None, patient_id=None,
                    status=None, after=None, limit=200,
                )
            )  # fmt: skip
            assert not more
            assert [one.visit.id for one in found] == [
                stay.id for stay in sorted(own, key=lambda stay: (stay.starts, stay.id))
            ]
            for stay in self.stays:
                answer = self.world.attempt(
                    lambda connection, clinic=clinic, stay=stay: visit_records.find_visit(connection, clinic, stay.id)
                )
                assert isinstance(answer, BookedVisit) == (stay in own)

    def pick(self, pick: int, likely: Callable[[Stay], object]) -> Stay:
        """Choose a stay, mostly one that is likely to let happen what is tried."""
        among = [stay for stay in self.stays if likely(stay) and pick % 8 != 7] or self.stays
        return among[pick % len(among)]

    def start(self, starts: int) -> int:
        """Return the start that is meant, or that of a later day: nobody asks for what was more than an hour ago."""
        if starts < 0:
            starts = self.stays[starts % len(self.stays)].starts if self.stays else DAY + 600
        while starts < self.now - 60:
            starts += DAY
        return starts

    def booking(self, clinic: int, patient: str, *, by_name: bool = False) -> Booking:
        """Name a patient by their id once the desk knows it, or by name and phone, the same in both clinics."""
        if (clinic, patient) in self.patients and len(self.stays) % 2 and not by_name:
            return Booking(patient_id=self.patients[clinic, patient])
        details = PatientDetails(
            given_name=patient, family_name="Sample", phone="+12015550142", email=None, birth_date=None, language=None
        )
        return Booking(details=details)

    def place_of(self, clinic: int, visit: Visit) -> Place:
        codes = self.world.codes
        return Place(
            codes[clinic, visit.therapist_id],
            codes[clinic, visit.room_id] if visit.room_id else None,
            tuple(codes[clinic, device] for device in visit.equipment_ids),
        )

    def agrees(self, what: str, answer: Any, refusals: set[Refused], wish: Wish | None = None) -> bool:
        """Check an answer against every refusal that would be true; return whether it was accepted."""
        self.agreed = False
        refused = None
        if isinstance(answer, SchedulerError):
            refused = Refused(answer.code, answer.members.get("conflict"))
            if wish is not None and "alternatives" in answer.members:
                self._check_alternatives(answer.members["alternatives"], wish)
        assert refused in (refusals or {None}), what
        return refused is None

    def _check_alternatives(self, alternatives: list[Any], wish: Wish) -> None:
        """At most five starts, the nearest first, each of which whoever was refused could have instead."""
        offers = [(minute_of(slot.starts_at), slot.therapist) for slot in alternatives]
        assert len({starts for starts, _ in offers}) == len(offers) <= ALTERNATIVES
        distances = [abs(starts - wish.starts) for starts, _ in offers]
        assert distances == sorted(distances)
        for starts, therapist in offers:
            assert rules.is_alternative(self.stays, wish, starts, therapist, now=self.now)
        if len(offers) == ALTERNATIVES and not wish.stranger:
            asked_for = [wish.therapist] if any(wish.therapist == each for _, each in offers) else THERAPISTS
            missed = set(rules.nearer_starts(wish.starts, distances[-1])) - {starts for starts, _ in offers}
            for starts in missed:
                assert not any(
                    rules.is_alternative(self.stays, wish, starts, each, now=self.now) for each in asked_for if each
                )

    def refusal(self, stay: Stay, action: str, *, staff: bool, stale: bool, elsewhere: bool) -> Refused | None:
        """Return why a visit may not be changed: found first, then its version, then its status, then the cutoff."""
        if elsewhere or stay.patient is None:
            return Refused("not-found")
        if stale:
            return Refused("version-mismatch")
        status = rules.undo(stay, self.now) if action == "undo" else rules.step(stay, action, self.now)
        if status is None:
            return Refused("wrong-status")
        return Refused("too-late-to-change") if not staff and rules.is_too_late_for_patients(stay, self.now) else None

    def becomes(self, stay: Stay, status: str, *, before: str | None) -> None:
        stay.status, stay.before, stay.changed_at = status, before, self.now
        stay.version += 1

    def meet(self, stay: Stay, answer: BookedVisit) -> None:
        """Check what was answered about a visit, and that a patient of one clinic is always the same one."""
        assert stay.patient is not None
        assert answer.patient.id == self.patients.setdefault((stay.clinic, stay.patient), answer.patient.id)
        assert (answer.visit.id, answer.visit.status, answer.visit.version, answer.visit.starts_at) == (
            stay.id, stay.status, stay.version, instant(stay.starts),
        )  # fmt: skip

    def note(self, stay: Stay, action: str, actor: Actor, **details: Any) -> None:
        stay.history.append({"action": action, "actor": actor.name, "version": stay.version, **details})

    def _told(self, row: asyncpg.Record) -> dict[str, Any]:
        details = {name: value for name, value in row["details"].items() if name in _TOLD}
        return {"action": row["action"], "actor": row["actor"], **_with_minutes(details)}

    def _compare_visits(self, rows: list[asyncpg.Record]) -> None:
        kept = {row["id"]: self._visit(row) for row in rows}
        for stay in self.stays:
            # Whether a hold that ran out has been swept is nobody's promise.
            if stay.status == "held" and stay.ran_out and stay.id in kept and kept[stay.id][1] == "expired":
                stay.status = "expired"
        assert kept == {
            stay.id: (
                stay.clinic, stay.status, stay.version, stay.kind, stay.place, stay.patient, stay.starts, stay.ends,
                stay.squeezed, stay.before,
            )
            for stay in self.stays
        }  # fmt: skip
        for visit_id, visit in kept.items():
            last = self.seen.get(visit_id)
            if last is not None and last[5] is not None and last != visit:
                assert visit[2] > last[2], "a visit changed and its version did not rise"
        self.seen = kept

    def _visit(self, row: asyncpg.Record) -> tuple[Any, ...]:
        clinic = self.world.numbers[row["clinic_id"]]
        codes = self.world.codes
        room = codes[clinic, row["room_id"]] if row["room_id"] else None
        devices = tuple(codes[clinic, device] for device in row["equipment_ids"])
        place = Place(codes[clinic, row["therapist_id"]], room, devices)
        return (
            clinic, row["status"], row["version"], row["visit_type"], place, self._name(clinic, row["patient_id"]),
            minute_of(row["starts_at"]), minute_of(row["ends_at"]), row["squeezed"], row["previous_status"],
        )  # fmt: skip

    def _compare_occupancy(self, rows: list[asyncpg.Record]) -> None:
        kept: list[tuple[Any, ...]] = []
        for row in rows:
            clinic = self.world.numbers[row["clinic_id"]]
            resource = self.world.codes.get((clinic, row["resource_id"])) or self._name(clinic, row["resource_id"])
            span = minute_of(row["first"]), minute_of(row["last"])
            kept.append((clinic, row["visit_id"], row["kind"] == "hold", resource, *span, row["overbooked"]))
        expected = [
            (stay.clinic, stay.id, stay.status == "held", *taken)
            for stay in self.stays
            for taken in rules.occupied(stay)
        ]
        assert sorted(kept) == sorted(expected)
        for one, other in combinations(kept, 2):
            if (one[0], one[3]) == (other[0], other[3]) and not one[6] and not other[6]:
                assert not overlap((one[4], one[5]), (other[4], other[5])), "two live visits share a resource"

    def _name(self, clinic: int, patient_id: UUID | None) -> str | None:
        names = {(of, known): name for (of, name), known in self.patients.items()}
        return names[clinic, patient_id] if patient_id else None


def _with_minutes(details: dict[str, Any]) -> dict[str, Any]:
    """Return an audit row's details with the model's minutes for instants."""
    told: dict[str, Any] = {}
    for name, value in details.items():
        if isinstance(value, dict):
            told[name] = _with_minutes(cast("dict[str, Any]", value))
        else:
            is_instant = isinstance(value, str) and value[:1].isdigit()
            told[name] = minute_of(datetime.fromisoformat(value)) if is_instant else value
    return told
