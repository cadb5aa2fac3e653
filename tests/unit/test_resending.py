"""What is sent again, by hand or by itself, what stands in for a text that failed, and when somebody should call."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from scheduler.domain.clinics import Clinic
from scheduler.domain.failures import call_for, stand_in, try_again
from scheduler.domain.messages import Message, PlannedMessage, State, plan_notice
from scheduler.domain.patients import Patient
from scheduler.domain.resending import CLOSED, REPEATABLE, check_state, is_true, plan_again
from scheduler.domain.visits import Status, Visit
from scheduler.errors import MessageOutdated, MessageWrongState
from tests.unit.factories import make_clinic
from tests.unit.test_messages import PATIENT
from tests.unit.test_visits import VISIT

# Ten in the morning of the day before the visit, and a clinic that texts from nine to eight in the evening.
NOW = datetime(2026, 12, 7, 10, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
CLINIC: Clinic = make_clinic(text_window=(9 * 60, 20 * 60))
MINUTE = timedelta(minutes=1)

STATES: tuple[State, ...] = get_args(State)
STATUSES: tuple[Status, ...] = get_args(Status)


def message(**changes: Any) -> Message:
    """Return the text of the day before, which failed, with the named fields changed."""
    fields: dict[str, Any] = {
        "id": UUID(int=9), "visit_id": VISIT.id, "patient_id": PATIENT.id, "kind": "reminder",
        "template": "reminder_2h", "channel": "sms", "lead_minutes": 120, "language": "en",
        "variables": {"starts_at": VISIT.starts_at.isoformat(), "visit_type": "follow-up"},
        "not_before": NOW - timedelta(hours=1), "expires_at": VISIT.starts_at, "state": "failed", "attempts": 1,
        "provider_id": None, "error_code": "30003", "reason": "The phone was off.", "rendered": None,
        "created_at": NOW - timedelta(days=1), "finished_at": NOW,
    }  # fmt: skip
    return Message(**(fields | changes))


def visit(status: Status = "booked", **changes: Any) -> Visit:
    return msgspec.structs.replace(VISIT, status=status, **changes)


def patient(**changes: Any) -> Patient:
    return msgspec.structs.replace(PATIENT, **changes)


# By what a message tells, the statuses of a visit of which it is still true.
TRUE_OF = {
    "reminder": {"booked", "confirmed"},
    "booked": {"booked", "confirmed"},
    "rescheduled": {"booked", "confirmed"},
    "cancelled_by_patient": {"cancelled"},
    "cancelled_by_clinic": {"cancelled"},
    "closure": {"cancelled"},
    "no_show": {"no_show"},
}


@pytest.mark.parametrize("kind", TRUE_OF)
@pytest.mark.parametrize("status", STATUSES)
def test_a_message_is_true_of_visits_as_it_tells_of(kind: str, status: Status) -> None:
    assert is_true(message(kind=kind), visit(status)) is (status in TRUE_OF[kind])


def test_what_names_a_start_is_true_of_that_start_alone() -> None:
    moved: dict[str, Any] = {"starts_at": VISIT.starts_at + timedelta(minutes=15)}
    assert not is_true(message(), visit(**moved))
    assert not is_true(message(kind="booked"), visit("confirmed", **moved))
    # What is off is off wherever it was.
    assert is_true(message(kind="cancelled_by_clinic"), visit("cancelled", **moved))


@pytest.mark.parametrize("state", STATES)
def test_what_did_not_arrive_may_be_sent_again_and_only_what_has_ended_be_crossed_off(state: State) -> None:
    did_not_arrive = state in ("undelivered", "failed", "suppressed", "dead")
    for allowed, is_allowed in ((REPEATABLE, did_not_arrive), (CLOSED, did_not_arrive or state == "expired")):
        if is_allowed:
            check_state(message(state=state), allowed)
            continue
        with pytest.raises(MessageWrongState, match=f"The message is {state}") as refused:
            check_state(message(state=state), allowed)
        assert refused.value.members == {"state": state, "allowed": sorted(allowed)}


def test_sent_again_it_says_the_same_to_where_the_patient_is_reached_today() -> None:
    now_known = patient(phone="+12015550199", email="new@example.com", language="es")
    again = plan_again(CLINIC, message(), visit(version=4), now_known, NOW)
    assert again == PlannedMessage(
        visit_id=VISIT.id, patient_id=PATIENT.id, visit_version=4, kind="reminder", template="reminder_2h",
        channel="sms", lead_minutes=120, language="es", address="+12015550199", variables=message().variables,
        not_before=NOW, expires_at=VISIT.starts_at,
    )  # fmt: skip
    assert plan_again(CLINIC, message(channel="email"), visit(), now_known, NOW).address == "new@example.com"


def test_at_night_a_text_waits_for_the_morning_and_an_email_does_not() -> None:
    night = NOW + timedelta(hours=12)
    assert plan_again(CLINIC, message(), visit(), PATIENT, night).not_before == NOW + timedelta(hours=23)
    assert plan_again(CLINIC, message(channel="email"), visit(), PATIENT, night).not_before == night


def test_it_is_not_sent_again_from_the_moment_on_at_which_it_is_of_no_use() -> None:
    for channel in ("sms", "email"):
        one = message(channel=channel, expires_at=NOW + MINUTE)
        assert plan_again(CLINIC, one, visit(), PATIENT, NOW).expires_at == NOW + MINUTE
        with pytest.raises(MessageOutdated, match="too late"):
            plan_again(CLINIC, one, visit(), PATIENT, NOW + MINUTE)


def test_what_is_no_longer_so_and_what_has_nowhere_to_go_is_not_sent_again() -> None:
    with pytest.raises(MessageOutdated, match="no longer as this message says") as refused:
        plan_again(CLINIC, message(), visit("cancelled"), PATIENT, NOW)
    assert refused.value.members == {"visit_status": "cancelled"}
    with pytest.raises(MessageOutdated, match="no address") as refused:
        plan_again(CLINIC, message(channel="email"), visit(), patient(email=None), NOW)
    assert refused.value.members == {"visit_status": "booked"}
    with pytest.raises(MessageWrongState, match="delivered"):
        plan_again(CLINIC, message(state="delivered"), visit(), PATIENT, NOW)


def test_an_email_stands_in_for_a_text_and_has_the_key_of_the_one_planned_beside_it() -> None:
    (_, planned) = plan_notice(CLINIC, visit(), PATIENT, "booked", NOW)
    assert planned.channel == "email"
    text = message(kind="booked", template="booked", lead_minutes=0, variables=planned.variables)
    assert stand_in(text, visit(), PATIENT, NOW) == planned


def test_the_email_instead_of_any_reminder_is_the_one_that_is_right_at_any_moment() -> None:
    found = stand_in(message(), visit(version=3), PATIENT, NOW)
    assert found is not None
    assert (found.template, found.channel, found.address) == ("reminder_24h", "email", "ash@example.com")
    assert (found.lead_minutes, found.visit_version, found.language) == (120, 3, "es")
    assert (found.not_before, found.expires_at) == (NOW, VISIT.starts_at)


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        (message(channel="email"), PATIENT),
        (message(), patient(email=None)),
        (message(), patient(email_consent=False)),
        (message(kind="reply"), PATIENT),
        (message(kind="otp"), PATIENT),
        (message(kind="link"), PATIENT),
        (message(variables={"starts_at": NOW.isoformat()}), PATIENT),
        (message(expires_at=NOW + 30 * MINUTE), PATIENT),
    ],
    ids=["email", "no address", "wants none", "answer", "code", "link", "moved", "too late"],
)
def test_no_email_stands_in_where_it_would_be_wrong(text: Message, whose: Patient) -> None:
    assert stand_in(text, visit(), whose, NOW) is None


def test_that_a_visit_was_missed_is_said_by_text_or_not_at_all() -> None:
    assert stand_in(message(kind="no_show"), visit("no_show"), PATIENT, NOW) is None


def test_an_email_that_stands_in_is_read_for_half_an_hour_at_least() -> None:
    assert stand_in(message(expires_at=NOW + 31 * MINUTE), visit(), PATIENT, NOW) is not None


@pytest.mark.parametrize(
    ("failed", "of", "is_called"),
    [
        (message(), visit(), True),
        (message(), None, True),
        (message(), visit("cancelled"), False),
        (message(), visit(starts_at=NOW), False),
        (message(kind="cancelled_by_clinic"), visit("cancelled"), True),
        (message(kind="cancelled_by_clinic"), visit("cancelled", starts_at=NOW + MINUTE), True),
        (message(kind="reply"), visit(), False),
        (message(kind="otp"), None, False),
        (message(kind="link"), None, False),
        (message(kind="desk_alert"), None, False),
        (message(kind="digest"), None, True),
    ],
)
def test_a_person_is_called_about_what_still_matters(failed: Message, of: Visit | None, *, is_called: bool) -> None:
    assert call_for(failed, of, NOW, mailed=False) == ("The phone was off." if is_called else None)


@pytest.mark.parametrize("state", ["suppressed", "expired"])
def test_nobody_is_called_because_one_of_several_reminders_was_not_tried(state: State) -> None:
    assert call_for(message(state=state), visit(), NOW, mailed=False, reminded=True) is None
    assert call_for(message(state=state), visit(), NOW, mailed=False) == "The phone was off."
    assert call_for(message(), visit(), NOW, mailed=False, reminded=True) == "The phone was off."


def test_whoever_calls_knows_why_and_whether_an_email_says_the_same() -> None:
    assert call_for(message(), visit(), NOW, mailed=True) == "The phone was off. An email says the same."
    assert call_for(message(reason=None), visit(), NOW, mailed=False) == "It could not be delivered."


@pytest.mark.parametrize(("chance", "minutes"), [(0.0, 30), (0.5, 45), (0.9, 57)])
def test_a_text_is_tried_again_half_an_hour_to_an_hour_later(chance: float, minutes: int) -> None:
    again = try_again(CLINIC, message(), visit(), PATIENT, NOW, chance=chance)
    assert again is not None
    assert (again.channel, again.not_before) == ("sms", NOW + minutes * MINUTE)


def test_a_text_is_not_tried_again_twice_nor_for_nothing() -> None:
    assert try_again(CLINIC, message(resend_of=UUID(int=8)), visit(), PATIENT, NOW, chance=0) is None
    assert try_again(CLINIC, message(), visit("cancelled"), PATIENT, NOW, chance=0) is None
    assert try_again(CLINIC, message(state="delivered"), visit(), PATIENT, NOW, chance=0) is None


def test_whoever_gets_the_text_at_last_has_an_hour_to_act_on_it() -> None:
    just, short = message(expires_at=NOW + 90 * MINUTE), message(expires_at=NOW + 89 * MINUTE)
    assert try_again(CLINIC, just, visit(), PATIENT, NOW, chance=0) is not None
    assert try_again(CLINIC, short, visit(), PATIENT, NOW, chance=0) is None
