"""Private links: tokens that nobody can guess, that end in time, and what a visit looks like to its patient."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from scheduler.domain.links import form_key, hash_token, link_hash, manage_url, opens_until, token_of
from scheduler.domain.own_visits import LastChange, look_at, texting
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Status, Visit
from scheduler.telemetry import scrub
from tests.unit.factories import NEW_YORK, make_clinic, make_visit_type, therapist_id

SECRET = "a secret that is long enough for tests"
CLINIC, VISIT = uuid4(), uuid4()
START = datetime(2026, 12, 8, 9, 45, tzinfo=NEW_YORK)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY_OF_NOTICE = make_clinic(visit_types=[make_visit_type(change_cutoff_minutes=24 * 60)])


def make_visit(status: Status = "booked", **changes: Any) -> Visit:
    fields: dict[str, Any] = {
        "id": VISIT,
        "status": status,
        "version": 2,
        "visit_type": "visit",
        "therapist_id": therapist_id(0),
        "room_id": None,
        "equipment_ids": (),
        "patient_id": UUID(int=7),
        "starts_at": START,
        "ends_at": START + HOUR,
        "created_by": "public",
        "created_at": START - timedelta(days=14),
        "booked_at": START - timedelta(days=14),
        "cancel_reason": None,
        "overbook_reason": None,
        "previous_status": None,
        "status_changed_at": START - timedelta(days=14),
    }
    return Visit(**(fields | changes))


def change(action: str, actor: str = "patient", **details: Any) -> LastChange:
    return LastChange(actor=actor, action=action, details=details)


def make_patient(**changes: Any) -> Patient:
    fields: dict[str, Any] = {
        "id": UUID(int=7), "given_name": "Ash", "family_name": "Sample", "phone": "+12015550142", "email": None,
        "birth_date": None, "language": "en", "sms_consent": None,
    }  # fmt: skip
    return Patient(**(fields | changes))


def test_a_token_is_the_same_whenever_it_is_made_and_another_for_anything_else() -> None:
    token = token_of(SECRET, CLINIC, VISIT)
    assert token == token_of(SECRET, CLINIC, VISIT, 1)
    others = {
        token_of(SECRET, CLINIC, VISIT, 2),
        token_of(SECRET, uuid4(), VISIT),
        token_of(SECRET, CLINIC, uuid4()),
        token_of("another secret of enough letters", CLINIC, VISIT),
        form_key(SECRET, token),
    }
    assert token not in others
    assert len(others) == 5


def test_a_token_has_128_bits_and_nothing_that_a_telephone_leaves_out_of_a_link() -> None:
    tokens = [token_of(SECRET, CLINIC, uuid4()) for _ in range(500)]
    assert all(re.fullmatch("[A-Za-z0-9]{22}", token) for token in tokens)
    assert len(set(tokens)) == 500
    # Every place takes nearly every value: 62 letters and digits, two of them twice as often, are 5.94 bits each.
    assert all(len({token[place] for token in tokens}) > 55 for place in range(22))


def test_what_is_kept_is_the_hash_of_the_token_in_the_link() -> None:
    url = manage_url(SECRET, "https://book.example/", CLINIC, VISIT)
    base, _, token = url.rpartition("/")
    assert base == "https://book.example/m"
    assert hash_token(token) == link_hash(SECRET, CLINIC, VISIT)
    assert len(hash_token(token)) == 32


@pytest.mark.parametrize("token", ["", "ñ" * 50, "\ud800", "\x00", "x" * 10_000])
def test_whatever_is_sent_for_a_token_can_be_looked_up(token: str) -> None:
    assert len(hash_token(token)) == 32
    assert form_key(SECRET, token)


def test_a_link_is_hidden_in_logs() -> None:
    url = manage_url(SECRET, "https://book.example", CLINIC, VISIT)
    token = url.rpartition("/")[2]
    for text in (url, f"GET /m/{token}/confirm", f"/m/{token}.ics?lang=es"):
        assert token not in scrub(text)
        assert "/m/[hidden]" in scrub(text)


@pytest.mark.parametrize(
    ("start", "until"),
    [
        (START, datetime(2026, 12, 10, tzinfo=NEW_YORK)),
        (START.replace(hour=23, minute=30), datetime(2026, 12, 10, tzinfo=NEW_YORK)),
        # The days on which the clocks change are as long as they are.
        (datetime(2027, 3, 13, 10, tzinfo=NEW_YORK), datetime(2027, 3, 15, tzinfo=NEW_YORK)),
        (datetime(2026, 10, 31, 10, tzinfo=NEW_YORK), datetime(2026, 11, 2, tzinfo=NEW_YORK)),
    ],
)
def test_a_link_opens_until_the_end_of_the_day_after_the_visit_wherever_it_moves(
    start: datetime, until: datetime
) -> None:
    assert opens_until(make_visit(starts_at=start, ends_at=start + HOUR), NEW_YORK) == until


def test_a_cancelled_visit_is_shown_for_thirty_days_more() -> None:
    visit = make_visit("cancelled", status_changed_at=START - timedelta(days=3))
    assert opens_until(visit, NEW_YORK) == visit.status_changed_at + timedelta(days=30)


@pytest.mark.parametrize(
    ("status", "after_start", "stage"),
    [
        ("booked", -HOUR, "ahead"),
        ("confirmed", -MINUTE, "ahead"),
        ("booked", 0 * HOUR, "begun"),
        ("confirmed", HOUR - MINUTE, "begun"),
        ("booked", HOUR, "over"),
        ("arrived", -10 * MINUTE, "arrived"),
        ("arrived", HOUR, "over"),
        ("completed", HOUR / 2, "over"),
        ("no_show", HOUR / 2, "missed"),
        ("cancelled", -HOUR, "cancelled"),
        ("cancelled", 2 * HOUR, "cancelled"),
    ],
)
def test_how_far_a_visit_is(status: Status, after_start: timedelta, stage: str) -> None:
    outlook = look_at(DAY_OF_NOTICE, make_visit(status), None, START + after_start)
    assert outlook.stage == stage
    if stage != "ahead":
        assert outlook.may == set()


def test_outside_the_notice_everything_may_be_done_and_inside_it_only_confirming() -> None:
    notice = timedelta(hours=24)
    early = look_at(DAY_OF_NOTICE, make_visit(), None, START - notice)
    assert (early.may, early.late) == ({"confirm", "move", "cancel"}, False)
    late = look_at(DAY_OF_NOTICE, make_visit(), None, START - notice + MINUTE)
    assert (late.may, late.late) == ({"confirm"}, True)


def test_what_was_booked_a_moment_ago_may_be_changed_for_ten_minutes() -> None:
    booked_at = START - 3 * HOUR
    visit = make_visit(booked_at=booked_at)
    in_grace = look_at(DAY_OF_NOTICE, visit, None, booked_at + 10 * MINUTE)
    assert in_grace.may == {"confirm", "move", "cancel"}
    assert in_grace.grace_until == booked_at + 10 * MINUTE
    assert look_at(DAY_OF_NOTICE, visit, None, booked_at + 11 * MINUTE).may == {"confirm"}


def test_the_minutes_of_grace_are_told_only_to_whoever_needs_them() -> None:
    """A visit that was booked long before, or of which the notice has not begun, is changed without them."""
    early = START - timedelta(hours=24)
    for visit, now, until in (
        (make_visit(booked_at=early), early, None),
        (make_visit(booked_at=early), early + MINUTE, early + 10 * MINUTE),
        (make_visit(booked_at=None), early, None),
    ):
        outlook = look_at(DAY_OF_NOTICE, visit, None, now)
        assert (outlook.late, outlook.grace_until) == (False, until)
    assert look_at(DAY_OF_NOTICE, make_visit(), None, START - HOUR).grace_until is None


def test_what_is_ahead_is_told_and_nothing_of_it_is_closed_late_or_to_be_undone() -> None:
    outlook = look_at(DAY_OF_NOTICE, make_visit(), None, START - 48 * HOUR)
    assert (outlook.told, outlook.late, outlook.closed) == (True, False, False)
    assert outlook.grace_until is outlook.undo_until is outlook.was is None
    for status in ("booked", "cancelled"):
        begun = look_at(DAY_OF_NOTICE, make_visit(status), None, START)
        assert (begun.late, begun.closed, begun.may) == (False, False, set())
    gone = look_at(DAY_OF_NOTICE, make_visit(visit_type="gone"), None, START - MINUTE)
    assert (gone.late, gone.grace_until) == (False, None)


def test_what_cannot_be_booked_online_cannot_be_moved_online() -> None:
    clinic = make_clinic(visit_types=[make_visit_type(online=False)])
    assert look_at(clinic, make_visit(), None, START - HOUR).may == {"confirm", "cancel"}


def test_a_visit_of_a_kind_that_is_no_longer_offered_is_changed_by_telephone() -> None:
    visit = make_visit(visit_type="gone")
    assert look_at(DAY_OF_NOTICE, visit, None, START - 100 * HOUR).may == {"confirm"}


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        (None, False),
        ([], True),
        ([(600, 1200)], True),
        ([(585, 645)], False),
        ([(586, 645)], True),
        ([(585, 644)], True),
        ([(0, 600), (540, 720)], False),
        ([(0, 600), (601, 720)], True),
    ],
)
def test_a_closure_that_the_visit_does_not_fit_is_said_and_nobody_is_asked_to_confirm(
    opened: list[tuple[int, int]] | None, closed: bool
) -> None:
    outlook = look_at(DAY_OF_NOTICE, make_visit(), None, START - 48 * HOUR, opened=opened)
    assert outlook.closed is closed
    assert ("confirm" in outlook.may) is not closed
    assert "move" in outlook.may


def test_a_patient_takes_back_their_own_cancellation_for_ten_minutes_and_nobody_elses() -> None:
    now = START - 48 * HOUR
    visit = make_visit("cancelled", status_changed_at=now, previous_status="confirmed")
    own, by_staff = change("visit.cancelled"), change("visit.cancelled", "key:front desk")
    assert look_at(DAY_OF_NOTICE, visit, own, now + 10 * MINUTE).may == {"undo"}
    assert look_at(DAY_OF_NOTICE, visit, own, now + 11 * MINUTE).may == set()
    assert look_at(DAY_OF_NOTICE, visit, by_staff, now).may == set()
    assert look_at(DAY_OF_NOTICE, visit, None, now).may == set()
    begun = make_visit("cancelled", status_changed_at=START - MINUTE)
    assert look_at(DAY_OF_NOTICE, begun, own, START).may == set()
    assert look_at(DAY_OF_NOTICE, begun, own, START - MINUTE / 2).may == {"undo"}
    assert look_at(DAY_OF_NOTICE, visit, own, now).undo_until == now + 10 * MINUTE
    assert look_at(DAY_OF_NOTICE, visit, change("visit.rescheduled"), now).may == set()
    gone = make_visit("cancelled", status_changed_at=now, visit_type="gone")
    assert look_at(DAY_OF_NOTICE, gone, own, now).may == set()
    # A page that somebody forgot to close tells nothing of it any more.
    assert look_at(DAY_OF_NOTICE, visit, own, now).told
    assert not look_at(DAY_OF_NOTICE, visit, own, START + 25 * HOUR).told


def test_a_move_by_the_clinic_is_told_until_the_patient_answers() -> None:
    now, was = START - 48 * HOUR, START - 24 * HOUR
    moved = change("visit.rescheduled", "key:front desk", **{"from": {"starts_at": was.isoformat()}})
    assert look_at(DAY_OF_NOTICE, make_visit(), moved, now).was == was
    assert look_at(DAY_OF_NOTICE, make_visit("confirmed"), moved, now).was is None
    own = change("visit.rescheduled", "patient", **{"from": {"starts_at": was.isoformat()}})
    assert look_at(DAY_OF_NOTICE, make_visit(), own, now).was is None
    earlier_release = change("visit.rescheduled", "key:front desk", **{"from": was.isoformat()})
    assert look_at(DAY_OF_NOTICE, make_visit(), earlier_release, now).was == was
    cancelled = change("visit.cancelled", "key:front desk", **{"from": was.isoformat()})
    assert look_at(DAY_OF_NOTICE, make_visit(), cancelled, now).was is None
    other_therapist = change("visit.rescheduled", "key:front desk", **{"from": {"starts_at": START.isoformat()}})
    assert look_at(DAY_OF_NOTICE, make_visit(), other_therapist, now).was is None


def test_a_day_after_the_visit_nothing_is_told_of_it() -> None:
    assert look_at(DAY_OF_NOTICE, make_visit("completed"), None, START + 24 * HOUR).told
    assert not look_at(DAY_OF_NOTICE, make_visit("completed"), None, START + 25 * HOUR).told
    assert look_at(DAY_OF_NOTICE, make_visit("completed"), None, START + 25 * HOUR - MINUTE).told


@pytest.mark.parametrize(
    ("consent", "stopped", "state"),
    [
        (True, False, "on"),
        (None, False, "off"),
        (False, False, "off"),
        (False, True, "stopped"),
        (None, True, "stopped"),
    ],
)
def test_texts_that_were_stopped_elsewhere_are_not_turned_on_by_a_link(
    consent: bool | None, stopped: bool, state: str
) -> None:
    assert texting(make_patient(sms_consent=consent), stopped=stopped) == state
