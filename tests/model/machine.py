"""Everything that may happen in two clinics, as rules of a hypothesis state machine.

Every step is a transaction of its own, committed. The services get their ``now``; holds run out by the database's
clock, so a hold that ran out is one whose end was put into the past.
"""

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from scheduler.domain.actors import Actor
from scheduler.domain.times import epoch_minute
from scheduler.domain.visits import Action
from scheduler.services import visits as visit_services
from scheduler.services.availability import list_slots
from scheduler.services.bookings import Booking, book, book_hold
from scheduler.services.holds import Hold, extend_hold, place_hold, release_hold
from scheduler.store.holds import expire_holds
from tests.model import rules
from tests.model.comparing import ComparingMachine
from tests.model.rules import DAY, KINDS, LIVE, ROOMS, THERAPISTS, Place, Refused, Stay, Wish
from tests.model.world import MIDNIGHT, SECRET_KEY, instant, minute_of

PUBLIC = Actor(name="public")
PATIENT = Actor(name="patient")
DESK = Actor(name="key:desk", staff=True)

CLINICS = st.sampled_from([0, 0, 0, 1])
PATIENTS = st.sampled_from(["ash", "jo", "kim"])
ANY_KIND = st.sampled_from(KINDS)
ANY_THERAPIST = st.sampled_from([None, *THERAPISTS])
ANYBODY = "anybody"
# Mostly what somebody may perform; okafor has no time for runners, and marsh not the credential for evaluations.
ABLE = [(kind, code) for kind in KINDS for code in THERAPISTS if rules.may_perform(code, kind)]
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


def _may_change(stay: Stay) -> bool:
    return ("cancel", stay.status) in rules.STEPS


class BookingMachine(ComparingMachine):
    """What the desk, patients, the clock and the sweeper of two clinics may do, in any order."""

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
            room=room if rules.needs_room(kind) else None,
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
            bound_at=promised if stranger else None, stranger=stranger,
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
            elif stay.status != "held" or stay.extensions == rules.EXTENSIONS:
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

    # What happens to a visit

    @precondition(lambda self: self.stays)
    @rule(pick=ANY_STAY, starts=STARTS, therapist=st.sampled_from([None, ANYBODY, *THERAPISTS]), staff=OFTEN,
          stale=RARELY, elsewhere=RARELY)  # fmt: skip
    def move(self, pick: int, starts: int, therapist: str | None, staff: bool, stale: bool, elsewhere: bool) -> None:
        stay, actor = self.pick(pick, _may_change), DESK if staff else PATIENT
        clinic = self.world.clinics[1 - stay.clinic if elsewhere else stay.clinic]
        starts = self.start(starts)
        answer = self.world.attempt(
            lambda connection: visit_services.reschedule(
                connection, clinic, stay.id, instant(starts), version=stay.version + stale,
                therapist=clinic.therapists.get(therapist or ""), anybody=therapist == ANYBODY, actor=actor,
                now=instant(self.now),
            )
        )  # fmt: skip
        wish = Wish(
            clinic=stay.clinic, kind=stay.kind, starts=starts, patient=stay.patient, besides=stay,
            therapist=None if therapist == ANYBODY else therapist or stay.place.therapist,
            bound_at=None if staff else self.now,
        )  # fmt: skip
        refusal = self.refusal(stay, "reschedule", staff=staff, stale=stale, elsewhere=elsewhere)
        refusals, places = ({refusal}, set[Place]()) if refusal else rules.judge(self.stays, wish)
        if not self.agrees("move", answer, refusals, wish):
            return
        was = {"starts_at": stay.starts, "therapist": stay.place.therapist}
        stay.starts, stay.place, stay.squeezed = starts, self.place_of(stay.clinic, answer.visit), False
        assert stay.place in places
        self.becomes(stay, "booked", before=None)
        self.meet(stay, answer)
        self.note(
            stay, "visit.rescheduled", actor,
            **{"from": was, "to": {"starts_at": starts, "therapist": stay.place.therapist}},
        )  # fmt: skip

    @precondition(lambda self: self.stays)
    @rule(pick=ANY_STAY, staff=OFTEN, stale=RARELY, elsewhere=RARELY)
    def cancel(self, pick: int, staff: bool, stale: bool, elsewhere: bool) -> None:
        stay, actor = self.pick(pick, _may_change), DESK if staff else PATIENT
        clinic = self.world.clinics[1 - stay.clinic if elsewhere else stay.clinic]
        answer = self.world.attempt(
            lambda connection: visit_services.cancel(
                connection, clinic, stay.id, version=stay.version + stale, reason="Sample", actor=actor,
                now=instant(self.now),
            )
        )  # fmt: skip
        refusal = self.refusal(stay, "cancel", staff=staff, stale=stale, elsewhere=elsewhere)
        if self.agrees("cancel", answer, {refusal} if refusal else set()):
            was = stay.status
            self.becomes(stay, "cancelled", before=was)
            self.meet(stay, answer)
            self.note(stay, "visit.cancelled", actor, by="patient", **{"from": was})

    @precondition(lambda self: self.stays)
    @rule(pick=ANY_STAY, action=st.sampled_from(["confirm", "arrive", "complete", "no_show"]), stale=RARELY,
          elsewhere=RARELY)  # fmt: skip
    def step(self, pick: int, action: Action, stale: bool, elsewhere: bool) -> None:
        stay = self.pick(pick, lambda stay: rules.step(stay, action, self.now))
        clinic = self.world.clinics[1 - stay.clinic if elsewhere else stay.clinic]
        answer = self.world.attempt(
            lambda connection: visit_services.change_status(
                connection, clinic, stay.id, action, version=stay.version + stale, actor=DESK, now=instant(self.now)
            )
        )
        status, was = rules.step(stay, action, self.now), stay.status
        refusal = self.refusal(stay, action, staff=True, stale=stale, elsewhere=elsewhere)
        if self.agrees(action, answer, {refusal} if refusal else set()):
            assert status is not None
            if status != was:
                self.becomes(stay, status, before=was)
                self.note(stay, f"visit.{status}", DESK, **{"from": was})
            self.meet(stay, answer)

    @precondition(lambda self: self.stays)
    @rule(pick=ANY_STAY, stale=RARELY, elsewhere=RARELY)
    def undo(self, pick: int, stale: bool, elsewhere: bool) -> None:
        stay = self.pick(pick, lambda stay: stay.before)
        clinic = self.world.clinics[1 - stay.clinic if elsewhere else stay.clinic]
        answer = self.world.attempt(
            lambda connection: visit_services.undo(
                connection, clinic, stay.id, version=stay.version + stale, actor=DESK, now=instant(self.now)
            )
        )
        refusal = self.refusal(stay, "undo", staff=True, stale=stale, elsewhere=elsewhere)
        was, status = stay.status, stay.before
        refusals, places = {refusal} if refusal else set[Refused](), {stay.place}
        wish = Wish(
            clinic=stay.clinic, kind=stay.kind, starts=stay.starts, therapist=stay.place.therapist,
            patient=stay.patient, besides=stay, squeeze=stay.squeezed,
        )  # fmt: skip
        if not refusal and was not in LIVE and status in LIVE:
            refusals, places = rules.judge(self.stays, wish)
        if self.agrees("undo", answer, refusals, wish):
            assert status is not None
            stay.place = self.place_of(stay.clinic, answer.visit)
            assert stay.place in places
            self.becomes(stay, status, before=None)
            self.meet(stay, answer)
            self.note(stay, "visit.undone", DESK, **{"from": was, "to": status})

    # Time

    @precondition(lambda self: self.stays)
    @rule(minutes=st.sampled_from([1, 10, 11, 45]))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes

    @precondition(lambda self: self.stays)
    @rule(pick=ANY_STAY, minutes=st.sampled_from([-59, 0, -60, -1, -61, -120, -121]))
    def a_visit_comes_closer(self, pick: int, minutes: int) -> None:
        self.now = max(self.now, self.pick(pick, lambda stay: stay.takes_time).starts + minutes)

    # What everybody sees

    @precondition(lambda self: self.stays)
    @rule(clinic=CLINICS, kind=ANY_KIND, day=st.sampled_from([0, 0, 1, 2]), therapist=ANY_THERAPIST, staff=OFTEN)
    def look_for_slots(self, clinic: int, kind: str, day: int, therapist: str | None, staff: bool) -> None:
        """What is offered is what the model would let somebody book, one start after another."""
        here, within = self.world.clinics[clinic], (day * DAY + 420, day * DAY + 1050)
        first = epoch_minute(MIDNIGHT)
        answer = self.world.attempt(
            lambda connection: list_slots(
                connection, here, here.visit_types[kind], within=(first + within[0], first + within[1]),
                now=instant(self.now), therapist=here.therapists[therapist] if therapist else None, staff=staff,
            )
        )  # fmt: skip
        online = staff or rules.is_online(kind)
        if self.agrees("slots", answer, set() if online else {Refused("not-bookable-online")}):
            offered = rules.open_slots(self.stays, clinic, kind, within=within, now=self.now, staff=staff)
            assert [(minute_of(slot.starts_at), slot.therapist) for slot in answer.items] == [
                (starts, code) for starts, code in offered if therapist in (None, code)
            ]
