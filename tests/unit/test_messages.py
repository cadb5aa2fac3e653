"""Which messages a visit gets, and when: the ladder, the text hours, and what is not worth sending."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.clinics import Clinic, Reminder
from scheduler.domain.messages import next_text_time, plan_notice, plan_reminders, retry_delay
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Visit
from tests.unit.factories import make_clinic
from tests.unit.test_visits import VISIT

NEW_YORK = ZoneInfo("America/New_York")
LADDER = (
    Reminder(template="reminder_72h", channel="email", lead_minutes=72 * 60),
    Reminder(template="reminder_24h", channel="sms", lead_minutes=24 * 60),
    Reminder(template="reminder_72h", channel="sms", lead_minutes=72 * 60, visit_types=("eval",)),
)
PATIENT = Patient(
    id=UUID(int=3),
    given_name="Ash",
    family_name="Sample",
    phone="+12015550142",
    email="ash@example.com",
    birth_date=None,
    language="es",
    sms_consent=True,
)


def clinic(**settings: Any) -> Clinic:
    return make_clinic(reminders=LADDER, text_window=(9 * 60, 20 * 60), **settings)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def visit_at(text: str, **changes: Any) -> Visit:
    start = at(text).astimezone(UTC)
    return msgspec.structs.replace(VISIT, starts_at=start, ends_at=start + timedelta(minutes=45), **changes)


def reminders(visit: Visit, now: datetime, patient: Patient = PATIENT) -> list[tuple[str, str, str]]:
    return [
        (message.template, message.channel, f"{message.not_before.astimezone(NEW_YORK):%Y-%m-%d %H:%M}")
        for message in plan_reminders(clinic(), visit, patient, now)
    ]


def test_a_follow_up_gets_an_email_three_days_and_a_text_one_day_before() -> None:
    assert reminders(visit_at("2026-12-08 14:00"), at("2026-12-01 10:00")) == [
        ("reminder_72h", "email", "2026-12-05 14:00"),
        ("reminder_24h", "sms", "2026-12-07 14:00"),
    ]


def test_a_rung_for_evaluations_is_for_evaluations_only() -> None:
    planned = reminders(visit_at("2026-12-08 14:00", visit_type="eval"), at("2026-12-01 10:00"))
    assert ("reminder_72h", "sms", "2026-12-05 14:00") in planned


def test_a_reminder_whose_moment_has_passed_is_not_planned() -> None:
    assert reminders(visit_at("2026-12-08 14:00"), at("2026-12-06 10:00")) == [
        ("reminder_24h", "sms", "2026-12-07 14:00")
    ]
    assert reminders(visit_at("2026-12-08 14:00"), at("2026-12-07 14:00")) == []


def test_an_early_visits_text_waits_for_the_morning_and_a_late_ones_comes_the_evening_before() -> None:
    assert reminders(visit_at("2026-12-08 07:00"), at("2026-12-06 10:00")) == [
        ("reminder_24h", "sms", "2026-12-07 09:00")
    ]
    assert reminders(visit_at("2026-12-08 21:00"), at("2026-12-06 10:00")) == [
        ("reminder_24h", "sms", "2026-12-07 19:30")
    ]


def test_nobody_is_texted_without_consent_or_mailed_without_an_address() -> None:
    silent = msgspec.structs.replace(PATIENT, sms_consent=False)
    assert reminders(visit_at("2026-12-08 14:00"), at("2026-12-01 10:00"), silent) == [
        ("reminder_72h", "email", "2026-12-05 14:00")
    ]
    unreachable = msgspec.structs.replace(silent, email=None)
    assert reminders(visit_at("2026-12-08 14:00"), at("2026-12-01 10:00"), unreachable) == []
    assert plan_notice(clinic(), visit_at("2026-12-08 14:00"), unreachable, "booked", at("2026-12-01 10:00")) == []


def test_a_notice_goes_at_once_by_mail_and_in_the_text_hours_by_text() -> None:
    night = at("2026-12-01 23:30")
    planned = {
        message.channel: message
        for message in plan_notice(clinic(), visit_at("2026-12-08 14:00"), PATIENT, "booked", night)
    }
    assert planned["email"].not_before == night
    assert planned["sms"].not_before == at("2026-12-02 09:00")
    assert planned["sms"].language == "es"


def test_a_text_that_could_only_come_after_the_visit_is_not_planned() -> None:
    planned = plan_notice(clinic(), visit_at("2026-12-02 08:00"), PATIENT, "booked", at("2026-12-01 23:30"))
    assert [message.channel for message in planned] == ["email"]


def test_a_move_says_where_the_visit_was() -> None:
    was = at("2026-12-07 10:00").astimezone(UTC)
    planned = plan_notice(
        clinic(), visit_at("2026-12-08 14:00"), PATIENT, "rescheduled", at("2026-12-01 10:00"), was=was
    )
    assert {message.variables["was_starts_at"] for message in planned} == {was.isoformat()}


def test_the_same_reminder_planned_twice_has_the_same_key_and_another_start_another() -> None:
    now = at("2026-12-01 10:00")
    first = plan_reminders(clinic(), visit_at("2026-12-08 14:00"), PATIENT, now)
    again = plan_reminders(clinic(), visit_at("2026-12-08 14:00", version=5), PATIENT, now)
    moved = plan_reminders(clinic(), visit_at("2026-12-09 14:00"), PATIENT, now)
    assert [one.dedupe_key for one in first] == [one.dedupe_key for one in again]
    assert not {one.dedupe_key for one in first} & {one.dedupe_key for one in moved}


def test_reminders_keep_their_wall_clock_lead_in_elapsed_hours_when_the_clocks_change() -> None:
    # The clocks go forward in the night to Sunday 2027-03-14, so 24 hours before 14:00 it was 13:00.
    assert reminders(visit_at("2027-03-14 14:00"), at("2027-03-10 10:00"))[-1] == (
        "reminder_24h",
        "sms",
        "2027-03-13 13:00",
    )


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(NEW_YORK)))  # noqa: DTZ001
def test_the_next_text_time_is_never_earlier_and_always_within_the_hours(moment: datetime) -> None:
    moment = moment.astimezone(UTC)
    allowed = next_text_time(clinic(), moment)
    local = allowed.astimezone(NEW_YORK)
    assert moment <= allowed <= moment + timedelta(hours=14)
    assert 9 <= local.hour < 20


@pytest.mark.parametrize("attempts", range(1, 30))
def test_a_retry_waits_longer_each_time_but_never_more_than_five_minutes_nor_not_at_all(attempts: int) -> None:
    longest = retry_delay(attempts, 1.0)
    assert timedelta(seconds=0.2) <= retry_delay(attempts, 0.0) <= longest <= timedelta(minutes=5)
    assert retry_delay(attempts + 1, 1.0) >= longest
