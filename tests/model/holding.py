"""Booking and holding as rules of a hypothesis state machine, and what they are drawn from."""

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from scheduler.domain.actors import Actor
from scheduler.services.bookings import Booking, book, book_hold
from scheduler.services.holds import Hold, extend_hold, place_hold, release_hold
from scheduler.store.holds import expire_holds
from tests.model import rules
from tests.model.comparing import ComparingMachine
from tests.model.facts import DAY, EXTENSIONS, KINDS, ROOMS, THERAPISTS, may_perform, needs_room
from tests.model.rules import Place, Refused, Stay, Wish
from tests.model.world import SECRET_KEY, instant

PUBLIC = Actor(name="public")
PATIENT = Actor(name="patient")
DESK = Actor(name="key:desk", staff=True)

CLINICS = st.sampled_from([0, 0, 0, 1])
PATIENTS = st.sampled_from(["ash", "jo", "kim"])
ANY_KIND = st.sampled_from(KINDS)
ANY_THERAPIST = st.sampled_from([None, *THERAPISTS])
ANYBODY = "anybody"
# Mostly what somebody may perform; okafor has no time for runners, and marsh not the credential for evaluations.
ABLE = [(kind, code) for kind in KINDS for code in THERAPISTS if may_perform(code, kind)]
PERFORMED = st.sampled_from([*ABLE, ("run", "okafor"), ("eval", "marsh")])
ANY_WISH = st.sampled_from([*((kind, None) for kind in KINDS), *ABLE, ("run", "okafor"), ("eval", "marsh")])
ANY_ROOM = st.sampled_from([None, None, *ROOMS])
ANY_STAY = st.integers(0, 40)
RARELY = st.sampled_from([False] * 6 + [True])
OFTEN = st.booleans()
# On the grid, between it, at the edges of the windows and in the lunch break; most of them on one morning. What is less
# than nothing is the start of a stay that there is.
_MINUTES = [540, 555, 600, 615, 630, 490, 705, 780]
STARTS = st.sampled_from([*_MINUTES, *(DAY + minute for minute in _MINUTES[:6]), 2 * DAY + 600, *range(-10, 0)])

Wanted = tuple[str, str | None]


def _still_held(stay: Stay) -> bool:
    return stay.status == "held"


def _nobodys(stay: Stay) -> bool:
    """Whether a hold may still be booked, even where it has run out or was let go."""
    return stay.patient is None


class HoldingMachine(ComparingMachine):
    """What the desk, patients and the sweeper of two clinics may do until there is a visit, in any order."""

    # Booking

    @rule(clinic=CLINICS, patient=PATIENTS, wanted=ANY_WISH, starts=STARTS, room=ANY_ROOM, stranger=RARELY)
    def book(self, clinic: int, patient: str, wanted: Wanted, starts: int, room: str | None, stranger: bool) -> None:
        self._book(clinic, patient, wanted, starts, room, stranger=stranger)

    @rule(clinic=CLINICS, patient=PATIENTS, wanted=PERFORMED, starts=STARTS, room=ANY_ROOM)
    def overbook(self, clinic: int, patient: str, wanted: Wanted, starts: int, room: str | None) -> None:
        self._book(clinic, patient, wanted, starts, room, squeeze=True)

    def _book(
        self, clinic: int, patient: str, wanted: Wanted, starts: int, room: str | None,
        *, stranger: bool = False, squeeze: bool = False,
    ) -> None:  # fmt: skip
        """Book directly, as the desk does; a stranger is a patient of the other clinic, named by their id."""
        here, (kind, therapist) = self.world.clinics[clinic], wanted
        starts = self.start(starts)
        wish = Wish(
            clinic=clinic, kind=kind, starts=starts, therapist=therapist, patient=patient, squeeze=squeeze,
            room=room if needs_room(kind) else None,
        )  # fmt: skip
        booking = self.booking(clinic, patient)
        if stranger:
            booking = Booking(patient_id=self.patients.get((1 - clinic, patient), UUID(int=1)))
        answer = self.world.attempt(
            lambda connection: book(
                connection, here, booking, here.visit_types[kind], instant(starts),
                therapist=here.therapists[therapist] if therapist else None,
                room=here.rooms[wish.room] if wish.room else None, overbook_reason="Sample" if squeeze else None,
                secret_key=SECRET_KEY, actor=DESK, now=instant(self.now),
            )
        )  # fmt: skip
        refusals, places = ({Refused("not-found")}, set[Place]()) if stranger else rules.judge(self.stays, wish)
        if not self.agrees("overbook" if squeeze else "book", answer, refusals, wish):
            return
        stay = Stay(
            clinic=clinic, id=answer.visit.id, kind=kind, starts=starts, place=self.place_of(clinic, answer.visit),
            status="booked", patient=patient, booked_at=self.now, changed_at=self.now, squeezed=squeeze,
        )  # fmt: skip
        assert stay.place in places
        self.stays.append(stay)
        self.meet(stay, answer)
        self.note(stay, "visit.booked", DESK, starts_at=starts, therapist=stay.place.therapist)

    # Holds

    @rule(clinic=CLINICS, wanted=ANY_WISH, starts=STARTS, staff=RARELY)
    def hold(self, clinic: int, wanted: Wanted, starts: int, staff: bool) -> None:
        here, (kind, therapist), actor = self.world.clinics[clinic], wanted, DESK if staff else PUBLIC
        starts = self.start(starts)
        wish = Wish(clinic=clinic, kind=kind, starts=starts, therapist=therapist, bound_at=None if staff else self.now)
        answer = self.world.attempt(
            lambda connection: place_hold(
                connection, here, here.visit_types[kind], instant(starts),
                therapist=here.therapists[therapist] if therapist else None, secret_key=SECRET_KEY, actor=actor,
                now=instant(self.now),
            )
        )  # fmt: skip
        refusals, places = rules.judge(self.stays, wish)
        if not self.agrees("hold", answer, refusals, wish):
            return
        assert isinstance(answer, Hold)
        stay = Stay(
            clinic=clinic, id=answer.visit.id, kind=kind, starts=starts, place=self.place_of(clinic, answer.visit),
            status="held", token=answer.token, held_at=self.now,
        )  # fmt: skip
        assert stay.place in places
        self.stays.append(stay)
        self.note(stay, "hold.placed", actor, starts_at=starts)

    @precondition(lambda self: any(map(_nobodys, self.stays)))
    @rule(pick=ANY_STAY, patient=PATIENTS, staff=RARELY, wrong=RARELY, elsewhere=RARELY)
    def book_hold(self, pick: int, patient: str, staff: bool, wrong: bool, elsewhere: bool) -> None:
        stay, actor = self.pick(pick, _nobodys), DESK if staff else PUBLIC
        clinic = 1 - stay.clinic if elsewhere else stay.clinic
        answer = self.world.attempt(
            lambda connection: book_hold(
                connection, self.world.clinics[clinic], self.booking(clinic, patient, by_name=not staff), stay.id,
                "wrong" if wrong else stay.token, secret_key=SECRET_KEY, actor=actor, now=instant(self.now),
            )
        )  # fmt: skip
        refusals, places, wish = self._judge_hold(stay, patient, stranger=not staff)
        if not staff and stay.patient is None and rules.has_enough_online(self.stays, stay.clinic, self.now):
            refusals = {Refused("rate-limited")}
        if wrong or elsewhere or not stay.is_hold or stay.patient not in (None, patient):
            refusals = {Refused("hold-not-found")}
        if not self.agrees("book a hold", answer, refusals, wish):
            return
        if stay.patient is None:
            stay.place = self.place_of(clinic, answer.visit)
            assert stay.place in places
            stay.patient, stay.status, stay.ran_out, stay.online = patient, "booked", False, not staff
            stay.booked_at = stay.changed_at = self.now
            self.note(stay, "visit.booked", actor, starts_at=stay.starts, therapist=stay.place.therapist)
        self.meet(stay, answer)

    def _judge_hold(self, stay: Stay, patient: str, *, stranger: bool) -> tuple[set[Refused], set[Place], Wish | None]:
        """A hold is judged by when it was held, one that ran out like any other wish; its therapist stays."""
        if stay.patient is not None:
            return set(), set(), None
        over = stay.status == "expired" or stay.ran_out
        promised = self.now if over or stay.starts <= self.now else stay.held_at
        wish = Wish(
            clinic=stay.clinic, kind=stay.kind, starts=stay.starts, therapist=stay.place.therapist,
            room=None if over else stay.place.room, patient=patient, besides=stay,
            bound_at=promised if stranger else None, stranger=stranger, kept_until=None if over else stay.starts,
        )  # fmt: skip
        refusals, places = rules.judge(self.stays, wish)
        if over:
            refusals = {
                Refused("hold-expired", each.conflict) if each.code == "slot-taken" else each for each in refusals
            }
        return refusals, places, wish

    @precondition(lambda self: any(map(_still_held, self.stays)))
    @rule(pick=ANY_STAY, times=st.sampled_from([1, 1, 11]), wrong=RARELY, elsewhere=RARELY)
    def extend(self, pick: int, times: int, wrong: bool, elsewhere: bool) -> None:
        stay = self.pick(pick, _still_held)
        clinic = self.world.clinics[1 - stay.clinic if elsewhere else stay.clinic]
        for _ in range(times):
            answer = self.world.attempt(
                lambda connection: extend_hold(
                    connection, clinic, stay.id, "wrong" if wrong else stay.token, actor=PUBLIC
                )
            )
            refusal = None
            if wrong or elsewhere or not stay.is_hold:
                refusal = "hold-not-found"
            elif stay.status == "expired" or stay.ran_out:
                refusal = "hold-expired"
            elif stay.status != "held" or stay.extensions == EXTENSIONS:
                refusal = "wrong-status"
            if not self.agrees("extend", answer, {Refused(refusal)} if refusal else set()):
                return
            stay.extensions += 1
            self.note(stay, "hold.extended", PUBLIC, starts_at=stay.starts)

    @precondition(lambda self: any(map(_still_held, self.stays)))
    @rule(pick=ANY_STAY, wrong=RARELY, elsewhere=RARELY)
    def release(self, pick: int, wrong: bool, elsewhere: bool) -> None:
        stay = self.pick(pick, _still_held)
        clinic = self.world.clinics[1 - stay.clinic if elsewhere else stay.clinic]
        answer = self.world.attempt(
            lambda connection: release_hold(connection, clinic, stay.id, "wrong" if wrong else stay.token, actor=PUBLIC)
        )
        is_found = stay.is_hold and not wrong and not elsewhere
        refusal = ("wrong-status" if stay.patient else None) if is_found else "hold-not-found"
        if self.agrees("release", answer, {Refused(refusal)} if refusal else set()) and stay.status == "held":
            stay.status = "expired"
            self.note(stay, "hold.released", PUBLIC, starts_at=stay.starts)

    @precondition(lambda self: any(map(_still_held, self.stays)))
    @rule(pick=ANY_STAY, swept=OFTEN, next_one=st.none() | PATIENTS)
    def a_hold_runs_out(self, pick: int, swept: bool, next_one: str | None) -> None:
        """Whether the sweeper has noticed or not must make no difference to anybody, not to who comes next either."""
        held = [stay for stay in self.stays if stay.status == "held"]
        stay = held[pick % len(held)]
        self.world.attempt(
            lambda connection: connection.execute(
                "update occupancy set expires_at = now() - interval '1 second' where visit_id = $1", stay.id
            )
        )
        stay.ran_out = True
        if swept:
            self.world.attempt(expire_holds)
            for each in self.stays:
                each.status = "expired" if each.status == "held" and each.ran_out else each.status
        if next_one is not None:
            self._book(stay.clinic, next_one, (stay.kind, None), stay.starts, None)
