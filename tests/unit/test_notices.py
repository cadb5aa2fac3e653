"""How long each message about a visit is of use, who gets it, and why a reminder has none."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from scheduler.domain.clinics import Reminder
from scheduler.domain.messages import (
    Notice,
    addresses,
    kinds,
    plan_notice,
    plan_reminders,
    plan_welcome,
    reminder_is_off,
    reminder_key,
)
from scheduler.domain.patients import Patient
from tests.unit.test_messages import LADDER, PATIENT, SOON, WILLING, at, clinic, reminders, visit_at


@pytest.mark.parametrize(
    ("notice", "now", "until"),
    [
        ("booked", "2026-12-01 10:00", "2026-12-08 14:00"),
        ("rescheduled", "2026-12-01 10:00", "2026-12-08 14:00"),
        ("cancelled_by_patient", "2026-12-01 10:00", "2026-12-02 10:00"),
        ("cancelled_by_clinic", "2026-12-01 10:00", "2026-12-02 10:00"),
        ("closure", "2026-12-01 10:00", "2026-12-02 10:00"),
        ("closure", "2026-12-08 10:00", "2026-12-08 14:00"),
        ("no_show", "2026-12-08 14:20", "2026-12-09 00:00"),
    ],
)
def test_a_notice_is_of_use_until_the_start_a_cancellation_for_a_day_and_a_missed_visit_s_until_midnight(
    notice: Notice, now: str, until: str
) -> None:
    planned = plan_notice(clinic(), visit_at("2026-12-08 14:00"), PATIENT, notice, at(now))
    assert {message.expires_at for message in planned} == {at(until)}
    assert {message.kind for message in planned} == {message.template for message in planned} == {notice}


def test_that_a_visit_was_missed_is_said_by_text_once_it_cannot_be_undone() -> None:
    (text,) = plan_notice(clinic(), visit_at("2026-12-08 14:00"), PATIENT, "no_show", at("2026-12-08 14:20"))
    assert (text.channel, text.not_before) == ("sms", at("2026-12-08 14:30"))
    late = visit_at("2026-12-08 19:00")
    assert plan_notice(clinic(), late, PATIENT, "no_show", at("2026-12-08 19:50")) == []
    by_email = msgspec.structs.replace(PATIENT, sms_consent=None)
    assert plan_notice(clinic(), visit_at("2026-12-08 14:00"), by_email, "no_show", at("2026-12-08 14:20")) == []


def test_whoever_stopped_the_texts_reads_by_email_which_phone_gets_none() -> None:
    for said, stopped in ((False, "42"), (None, None), (True, None)):
        patient = msgspec.structs.replace(PATIENT, sms_consent=said)
        planned = plan_notice(clinic(), visit_at("2026-12-08 14:00"), patient, "booked", at("2026-12-01 10:00"))
        assert {message.variables.get("stopped") for message in planned} == {stopped}


def test_whoever_wants_no_email_gets_none_and_whoever_said_nothing_does() -> None:
    for said, channels in ((None, {"sms", "email"}), (True, {"sms", "email"}), (False, {"sms"})):
        assert addresses(msgspec.structs.replace(PATIENT, email_consent=said)).keys() == channels
    assert addresses(PATIENT) == {"sms": "+12015550142", "email": "ash@example.com"}


def test_a_notice_is_told_from_another_by_visit_version_and_channel_and_a_reminder_by_its_start() -> None:
    visit = visit_at("2026-12-08 14:00", version=3)
    (text, email) = plan_notice(clinic(), visit, PATIENT, "booked", at("2026-12-01 10:00"))
    assert text.dedupe_key == f"booked:{visit.id}:v3:booked:0:sms"
    assert email.dedupe_key == f"booked:{visit.id}:v3:booked:0:email"
    assert reminder_key(visit, LADDER[1]) == f"reminder:{visit.id}:2026-12-08T19:00:00+00:00:reminder_24h:1440:sms"
    assert kinds([text, email]) == [("booked", "sms", 0), ("booked", "email", 0)]


def test_whoever_agrees_to_more_texts_is_told_so_once_by_text() -> None:
    night, consent = at("2026-12-01 22:00"), UUID(int=77)
    (text,) = plan_welcome(clinic(), PATIENT, night, consent_id=consent)
    assert (text.kind, text.template, text.channel, text.address) == ("welcome", "optin_confirm", "sms", PATIENT.phone)
    assert (text.patient_id, text.visit_id, text.visit_version, text.variables) == (PATIENT.id, None, 0, {})
    assert (text.not_before, text.expires_at) == (at("2026-12-02 09:00"), night + timedelta(hours=24))
    assert (text.dedupe_key, text.language, text.lead_minutes) == (f"welcome:{consent}", "es", 0)
    assert plan_welcome(clinic(), msgspec.structs.replace(PATIENT, sms_consent=None), night, consent_id=consent) == []


def test_a_confirmation_is_late_from_four_days_before_the_start_on() -> None:
    """The visit is at two: whoever confirmed at two four days before still gets the text, a minute later not."""
    start = "2026-12-08 14:00"
    for confirmed_at, off in (("2026-12-04 14:00", None), ("2026-12-04 14:01", "The patient has confirmed.")):
        visit = visit_at(start, status="confirmed", status_changed_at=at(confirmed_at))
        assert reminder_is_off(LADDER[1], visit, PATIENT) == off
        assert reminder_is_off(LADDER[0], visit, PATIENT) is None


def test_a_reminder_that_is_due_the_moment_the_patient_hears_of_the_start_says_nothing_new() -> None:
    long_ago = at("2026-11-01 10:00")
    visit = visit_at("2026-12-08 14:00", booked_at=long_ago, status_changed_at=long_ago)
    for told_at, planned in (("2026-12-07 13:59", 1), ("2026-12-07 14:00", 0)):
        now = at("2026-12-07 14:01")
        assert len(plan_reminders(clinic(ladder=LADDER[1:2]), visit, PATIENT, now, told_at=at(told_at))) == planned


@pytest.mark.parametrize(
    ("rung", "visit_type", "patient", "why"),
    [
        (LADDER[2], "eval", PATIENT, None),
        (LADDER[2], "follow-up", PATIENT, "This reminder is not for such a visit any more."),
        (SOON, "eval", WILLING, None),
        (SOON, "eval", PATIENT, "The patient has not agreed to more texts."),
    ],
)
def test_a_rung_says_why_it_has_no_reminder(rung: Reminder, visit_type: str, patient: Patient, why: str | None) -> None:
    assert reminder_is_off(rung, visit_at("2026-12-08 14:00", visit_type=visit_type), patient) == why


def test_a_reminder_is_due_to_the_minute_at_the_edges_of_the_text_hours() -> None:
    """Texts go from nine to eight; half an hour before their end is the last moment a reminder is pulled back to."""
    due = {"09:00": "09:00", "08:59": "09:00", "19:30": "19:30", "19:31": "19:30", "21:00": "19:30", "00:30": "09:00"}
    for start, goes in due.items():
        planned = reminders(visit_at(f"2026-12-08 {start}"), at("2026-12-01 10:00"), ladder=(LADDER[1],))
        assert planned == [("reminder_24h", "sms", f"2026-12-07 {goes}")]
