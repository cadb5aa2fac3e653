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
from scheduler.domain.messages import plan_notice, plan_reminders, reminder_key
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


SOON = Reminder(
    template="reminder_2h", channel="sms", lead_minutes=120, only_unconfirmed=True, needs_consent="frequent"
)
WILLING = msgspec.structs.replace(PATIENT, frequent_texts=True)


LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)

# The text of the day before a visit at two in the afternoon of 2026-12-08.
IN_TIME = ("reminder_24h", "sms", "2026-12-07 14:00")


def clinic(*, ladder: tuple[Reminder, ...] = LADDER) -> Clinic:
    return make_clinic(reminders=ladder, text_window=(9 * 60, 20 * 60))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def visit_at(text: str, **changes: Any) -> Visit:
    start = at(text).astimezone(UTC)
    return msgspec.structs.replace(VISIT, starts_at=start, ends_at=start + timedelta(minutes=45), **changes)


def reminders(
    visit: Visit,
    booked_at: datetime,
    patient: Patient = PATIENT,
    *,
    now: datetime | None = None,
    ladder: tuple[Reminder, ...] = LADDER,
) -> list[tuple[str, str, str]]:
    """Return what is planned for a visit as it is booked, or at a later moment where nothing was planned then."""
    booked = msgspec.structs.replace(visit, booked_at=booked_at)
    if booked.status == "booked":
        booked = msgspec.structs.replace(booked, status_changed_at=booked_at)
    return [
        (message.template, message.channel, f"{message.not_before.astimezone(NEW_YORK):%Y-%m-%d %H:%M}")
        for message in plan_reminders(clinic(ladder=ladder), booked, patient, now or booked_at)
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


@pytest.mark.parametrize(
    ("booked_at", "planned"),
    [
        # Six hours are a twelfth of 72, and two of 24.
        ("2026-12-05 07:59", ["reminder_72h", "reminder_24h"]),
        ("2026-12-05 08:00", ["reminder_24h"]),
        ("2026-12-07 11:59", ["reminder_24h"]),
        ("2026-12-07 12:00", []),
    ],
)
def test_what_the_confirmation_has_just_said_is_not_said_again_a_moment_later(
    booked_at: str, planned: list[str]
) -> None:
    assert [template for template, *_ in reminders(visit_at("2026-12-08 14:00"), at(booked_at))] == planned


@pytest.mark.parametrize(
    ("now", "planned"),
    [
        ("2026-12-06 10:00", [("reminder_72h", "email", "2026-12-06 10:00"), IN_TIME]),
        ("2026-12-07 01:59", [("reminder_72h", "email", "2026-12-07 01:59"), IN_TIME]),
        # From 36 and 12 hours before the start they are of no more use.
        ("2026-12-07 02:00", [IN_TIME]),
        ("2026-12-07 19:59", [("reminder_24h", "sms", "2026-12-07 19:59")]),
        # From here it would wait for the morning, and be of no use then.
        ("2026-12-07 20:00", []),
    ],
)  # fmt: skip
def test_a_reminder_that_nobody_planned_goes_late_while_it_is_of_use(
    now: str, planned: list[tuple[str, str, str]]
) -> None:
    assert reminders(visit_at("2026-12-08 14:00"), at("2026-12-01 10:00"), now=at(now)) == planned


def test_a_reminder_whose_moment_passed_before_the_visit_was_moved_there_is_never_late() -> None:
    moved = visit_at("2026-12-08 14:00", booked_at=at("2026-12-01 10:00"), status_changed_at=at("2026-12-07 17:00"))
    assert plan_reminders(clinic(), moved, PATIENT, at("2026-12-07 17:00")) == []
    assert plan_reminders(clinic(), moved, PATIENT, at("2026-12-07 18:00")) == []
    # An undone cancellation tells the patient nothing new.
    told_at = at("2026-12-07 13:55")
    (late,) = plan_reminders(clinic(), moved, PATIENT, at("2026-12-07 17:00"), told_at=told_at)
    assert late.template == "reminder_24h"


def test_reminders_stop_being_of_use_half_their_lead_before_the_start() -> None:
    visit = visit_at("2026-12-08 14:00", booked_at=LONG_AGO, status_changed_at=LONG_AGO)
    planned = plan_reminders(clinic(ladder=(*LADDER, SOON)), visit, WILLING, at("2026-12-05 15:00"))
    assert {one.template: f"{one.expires_at.astimezone(NEW_YORK):%d %H:%M}" for one in planned} == {
        "reminder_72h": "07 02:00",
        "reminder_24h": "08 02:00",
        "reminder_2h": "08 13:00",
    }


def test_the_text_of_two_hours_before_is_for_those_who_agreed_to_more_texts() -> None:
    visit, booked_at = visit_at("2026-12-08 14:00"), at("2026-12-01 10:00")
    assert reminders(visit, booked_at, WILLING, ladder=(SOON,)) == [("reminder_2h", "sms", "2026-12-08 12:00")]
    for said in (None, False):
        patient = msgspec.structs.replace(PATIENT, frequent_texts=said)
        assert reminders(visit, booked_at, patient, ladder=(SOON,)) == []
    # An early visit's would come too late to be of use.
    assert reminders(visit_at("2026-12-08 09:45"), booked_at, WILLING, ladder=(SOON,)) == []
    assert reminders(visit_at("2026-12-08 10:30"), booked_at, WILLING, ladder=(SOON,)) == [
        ("reminder_2h", "sms", "2026-12-08 09:00")
    ]


@pytest.mark.parametrize(
    ("confirmed_at", "planned"),
    [
        (None, ["email", "sms", "sms", "sms"]),
        ("2026-12-03 10:00", ["email", "sms", "sms"]),
        ("2026-12-04 15:00", ["email"]),
    ],
)
def test_texts_stop_once_the_patient_has_confirmed_within_four_days_and_emails_do_not(
    confirmed_at: str | None, planned: list[str]
) -> None:
    changes: dict[str, Any] = {}
    if confirmed_at:
        changes = {"status": "confirmed", "status_changed_at": at(confirmed_at)}
    visit = visit_at("2026-12-08 14:00", visit_type="eval", **changes)
    now = at(confirmed_at or "2026-12-03 10:00")
    going = reminders(visit, at("2026-12-01 10:00"), WILLING, now=now, ladder=(*LADDER, SOON))
    assert sorted(channel for _, channel, _ in going) == planned


def test_what_must_still_be_so_when_a_reminder_leaves_travels_with_it() -> None:
    visit = visit_at("2026-12-08 14:00", booked_at=LONG_AGO, status_changed_at=LONG_AGO)
    day, soon = plan_reminders(clinic(ladder=(LADDER[1], SOON)), visit, WILLING, at("2026-12-06 10:00"))
    assert soon.variables.items() >= {"only_unconfirmed": "yes", "needs_consent": "frequent"}.items()
    assert day.variables.keys() == {"starts_at", "ends_at", "visit_type"}


def test_what_is_known_is_not_planned_again() -> None:
    visit = visit_at("2026-12-08 14:00", booked_at=LONG_AGO, status_changed_at=LONG_AGO)
    now = at("2026-12-01 10:00")
    keys = {one.dedupe_key for one in plan_reminders(clinic(), visit, PATIENT, now)}
    assert keys == {reminder_key(visit, rung) for rung in LADDER[:2]}
    assert plan_reminders(clinic(), visit, PATIENT, now, known=keys) == []


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
    booked: dict[str, Any] = {"booked_at": now, "status_changed_at": now}
    first = plan_reminders(clinic(), visit_at("2026-12-08 14:00", **booked), PATIENT, now)
    again = plan_reminders(clinic(), visit_at("2026-12-08 14:00", version=5, **booked), PATIENT, now)
    moved = plan_reminders(clinic(), visit_at("2026-12-09 14:00", **booked), PATIENT, now)
    assert len(first) == 2
    assert [one.dedupe_key for one in first] == [one.dedupe_key for one in again]
    assert not {one.dedupe_key for one in first} & {one.dedupe_key for one in moved}


def test_reminders_keep_their_wall_clock_lead_in_elapsed_hours_when_the_clocks_change() -> None:
    # The clocks go forward in the night to Sunday 2027-03-14, so 24 hours before 14:00 it was 13:00.
    assert reminders(visit_at("2027-03-14 14:00"), at("2027-03-10 10:00"))[-1] == (
        "reminder_24h",
        "sms",
        "2027-03-13 13:00",
    )


# New York, Chicago, Los Angeles, Honolulu, and Guam on the other side of the date line.
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(NEW_YORK)),  # noqa: DTZ001
    st.integers(0, 100 * 60),
    st.sampled_from([
        ("+12015550142", "America/New_York"), ("+13125550142", "America/Chicago"),
        ("+13105550142", "America/Los_Angeles"), ("+18085550142", "Pacific/Honolulu"), ("+16715550142", "Pacific/Guam"),
    ]),
)  # fmt: skip
def test_no_text_is_due_at_night_where_the_patient_is_nor_after_it_stopped_being_of_use(
    start: datetime, minutes_ahead: int, phone_and_zone: tuple[str, str]
) -> None:
    phone, zone = phone_and_zone
    patient = msgspec.structs.replace(WILLING, phone=phone)
    start = start.astimezone(UTC)
    visit = msgspec.structs.replace(
        VISIT, visit_type="eval", starts_at=start, ends_at=start + timedelta(hours=1), booked_at=None
    )
    now = start - timedelta(minutes=minutes_ahead)
    planned = plan_reminders(clinic(ladder=(*LADDER, SOON)), visit, patient, now, told_at=start - timedelta(days=30))
    for message in (*planned, *plan_notice(clinic(), visit, patient, "booked", now)):
        assert now <= message.not_before < message.expires_at <= start
        if message.channel == "sms":
            assert 9 <= message.not_before.astimezone(ZoneInfo(zone)).hour < 20
