"""Everything that may happen in two clinics, as rules of a hypothesis state machine.

Every step is a transaction of its own, committed. The services get their ``now``; holds run out by the database's
clock, so a hold that ran out is one whose end was put into the past.
"""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from scheduler.domain.times import epoch_minute
from scheduler.domain.visits import Action
from scheduler.services import visits as visit_services
from scheduler.services.availability import list_slots
from tests.model import rules
from tests.model.facts import DAY, LIVE, STEPS, THERAPISTS, is_online
from tests.model.holding import (
    ANY_KIND,
    ANY_STAY,
    ANY_THERAPIST,
    ANYBODY,
    CLINICS,
    DESK,
    OFTEN,
    PATIENT,
    RARELY,
    STARTS,
    HoldingMachine,
)
from tests.model.rules import Place, Refused, Stay, Wish
from tests.model.world import MIDNIGHT, instant, minute_of


def _may_change(stay: Stay) -> bool:
    return ("cancel", stay.status) in STEPS


class BookingMachine(HoldingMachine):
    """What the desk, patients, the clock and the sweeper of two clinics may do, in any order."""

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
            patient=stay.patient, besides=stay, squeeze=stay.squeezed, kept_until=stay.changed_at,
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
        online = staff or is_online(kind)
        if self.agrees("slots", answer, set() if online else {Refused("not-bookable-online")}):
            offered = rules.open_slots(self.stays, clinic, kind, within=within, now=self.now, staff=staff)
            assert [(minute_of(slot.starts_at), slot.therapist) for slot in answer.items] == [
                (starts, code) for starts, code in offered if therapist in (None, code)
            ]
