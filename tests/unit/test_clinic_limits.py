"""The edges of what a clinic file may say: the last value that is right and the first that is not."""

from datetime import date

import pytest

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinic_files import ClinicFile, parse
from scheduler.domain.clinics import Limits, Reminder, StaffLimits, TextLimits
from tests.unit.factories import make_clinic
from tests.unit.test_clinic_files import MINIMAL, changed, problems

TEXT = '"Hill Street PT"'

# What msgspec calls a type, somebody who edits the file reads in words of their own.
TYPES = {
    "5": "a whole number",
    "1.5": "a number",
    "true": "true or false",
    "2026-12-25": "a date such as 2026-12-24",
    "2026-12-25T08:00:00": "a date with a time",
    "08:00:00": "a time without quotes",
    "[1]": "a [list]",
    "{ a = 1 }": "a table",
}


@pytest.mark.parametrize(("value", "words"), TYPES.items())
def test_every_type_has_words_of_its_own(value: str, words: str) -> None:
    assert problems(changed(TEXT, value)) == [f'clinic.toml: sms_name: expected text in "quotes", got {words}']


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("date = 2026-12-25", "date = 5", "closures[0].date: expected a date such as 2026-12-24, got a whole number"),
        ("online = true", "online = 1", "visit_types.eval.online: expected true or false, got a whole number"),
        (
            "minimum_notice_hours = 24",
            'minimum_notice_hours = "a day"',
            'visit_types.eval.minimum_notice_hours: expected a number, got text in "quotes"',
        ),
        ('languages = ["en", "es"]', 'languages = "en"', "languages: is not a [list]"),
        ('bring = { en = "Shoes", es = "Zapatos" }', "bring = 1", "visit_types.eval.bring: is not a table"),
        ('code = "hill-street"\n', "", "code: is missing"),
        (
            "[rooms]",
            '[rooms]\n"a b" = { name = "A", kind = "gym" }',
            "rooms.'a b': is not a code: use lower-case letters, digits and hyphens, at most 40",
        ),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_key(old: str, new: str, problem: str) -> None:
    assert problems(changed(old, new)) == [f"clinic.toml: {problem}"]


# What is changed in the minimal file, the last value that is right, and the first that is wrong.
EDGES = {
    "text of 500": (TEXT, f'"{"a" * 500}"', f'"{"a" * 501}"'),
    "text of one letter": (TEXT, '"a"', '""'),
    "code of 40": ('code = "hill-street"', f'code = "{"a" * 40}"', f'code = "{"a" * 41}"'),
    "shortest visit": ("duration_minutes = 60", "duration_minutes = 5", "duration_minutes = 4"),
    "longest visit": ("duration_minutes = 60", "duration_minutes = 480", "duration_minutes = 481"),
    "no notice": ("minimum_notice_hours = 24", "minimum_notice_hours = 0", "minimum_notice_hours = -1"),
    "a year's notice": ("minimum_notice_hours = 24", "minimum_notice_hours = 8760", "minimum_notice_hours = 8760.5"),
    "grid of a day": ("grid_minutes = 15", "grid_minutes = 1440", "grid_minutes = 1441"),
    "grid of a minute": ("grid_minutes = 15", "grid_minutes = 1", "grid_minutes = 0"),
    "longest hold": ("hold_minutes = 10", "hold_minutes = 60", "hold_minutes = 61"),
    "one day ahead": ("horizon_days = 90", "horizon_days = 1", "horizon_days = 0"),
    "two years ahead": ("horizon_days = 90", "horizon_days = 730", "horizon_days = 731"),
    "end of the day": ('to = "17:00"', 'to = "24:00"', 'to = "24:01"'),
    "last minute": ('to = "17:00"', 'to = "23:59"', 'to = "23:60"'),
    "hours that touch": ('from = "13:00"', 'from = "12:00"', 'from = "11:59"'),
    "hours of a minute": ('to = "17:00"', 'to = "13:01"', 'to = "13:00"'),
    "texts until midnight": (
        'text_window = { from = "09:00", to = "20:00" }',
        'text_window = { from = "09:00", to = "24:00" }',
        'text_window = { from = "09:00", to = "00:01", ends_next_day = true }',
    ),
    "a whole day": (
        'days = ["monday"], from = "13:00", to = "17:00"',
        'days = ["thursday"], from = "13:00", to = "13:00", ends_next_day = true',
        'days = ["thursday"], from = "13:00", to = "13:01", ends_next_day = true',
    ),
    "valid on one day": (
        'to = "17:00"',
        'to = "17:00", valid_from = 2027-02-01, valid_until = 2027-02-01',
        'to = "17:00", valid_from = 2027-02-01, valid_until = 2027-01-31',
    ),
    "Sunday night before Monday": (
        'days = ["monday"], from = "13:00", to = "17:00"',
        'days = ["sunday"], from = "20:00", to = "08:00", ends_next_day = true',
        'days = ["sunday"], from = "20:00", to = "08:01", ends_next_day = true',
    ),
    "Monday after Sunday night": (
        '  { days = ["monday", "tuesday"], from = "08:00", to = "12:00" },',
        '  { days = ["sunday"], from = "20:00", to = "13:00", ends_next_day = true },',
        '  { days = ["sunday"], from = "20:00", to = "13:01", ends_next_day = true },',
    ),
    "Tuesday after Monday night": (
        'days = ["monday"], from = "13:00", to = "17:00"',
        'days = ["monday"], from = "13:00", to = "08:00", ends_next_day = true',
        'days = ["monday"], from = "13:00", to = "08:01", ends_next_day = true',
    ),
    "pieces of a date that touch": (
        'windows = [{ from = "08:00", to = "12:00" }]',
        'windows = [{ from = "08:00", to = "12:00" }, { from = "12:00", to = "13:00" }]',
        'windows = [{ from = "08:00", to = "12:00" }, { from = "11:59", to = "13:00" }]',
    ),
    "closure until midnight": (
        'reason = "Christmas Day"',
        'windows = [{ from = "20:00", to = "24:00" }]',
        'windows = [{ from = "20:00", to = "00:01", ends_next_day = true }]',
    ),
    "digest before noon": (
        'consent_wording_version = "1"',
        'consent_wording_version = "1"\ndigest_at = "11:59"',
        'consent_wording_version = "1"\ndigest_at = "12:00"',
    ),
    "agreement to texts": (
        "lead_hours = 24",
        'lead_hours = 24\nneeds_consent = "frequent"',
        'lead_hours = 24\nneeds_consent = "other"',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "right", "wrong"), EDGES.values(), ids=EDGES.keys())
def test_the_last_value_is_right_and_the_next_is_wrong(old: str, right: str, wrong: str) -> None:
    assert problems(changed(old, right)) == []
    assert len(problems(changed(old, wrong))) == 1


def test_a_reminder_that_needs_an_agreement_to_texts_is_a_text() -> None:
    text = changed("lead_hours = 24", 'lead_hours = 24\nneeds_consent = "frequent"').replace('"sms"', '"email"')
    assert problems(text) == [
        "clinic.toml: reminders[0].needs_consent: frequent is an agreement to texts, and this reminder is an email"
    ]


def test_a_clinic_that_names_no_limits_has_the_usual_ones() -> None:
    """Those of texts are the ones under which the law asks for no consent (47 CFR 64.1200(a)(9)(iv))."""
    file: ClinicFile = parse(MINIMAL, "clinic.toml")
    settings = file.settings
    assert settings.text_limits == TextLimits(per_day=1, per_week=3, frequent_per_day=2, frequent_per_week=6)
    assert settings.staff == StaffLimits(idle_minutes=10, session_hours=12)
    assert settings.limits == Limits(
        reads_per_minute=240, changes_per_minute=30, holds_at_once=6, bookings_per_phone_per_day=10,
        online_visits_per_phone=12, codes_per_phone_per_day=5,
    )  # fmt: skip
    assert (settings.buffers_within_hours, settings.phone_code) == (False, False)
    assert (settings.email_reply_to, settings.desk_email, settings.short_name) == ("", "", "")
    (visit_type,) = file.visit_types
    assert (visit_type.buffer_before_minutes, visit_type.buffer_after_minutes) == (0, 0)
    (therapist,) = file.therapists
    assert {(each.valid_from, each.valid_until) for each in therapist.weekly} == {(date.min, date.max)}
    assert settings.reminders == (
        Reminder(template="reminder_24h", channel="sms", lead_minutes=1440, visit_types=("eval",)),
    )
    assert not settings.reminders[0].only_unconfirmed


def test_a_clinic_that_was_applied_before_there_were_limits_has_the_usual_ones() -> None:
    settings = make_clinic().settings
    assert (settings.limits, settings.text_limits, settings.staff) == (Limits(), TextLimits(), StaffLimits())
    assert (settings.email_reply_to, settings.desk_email, settings.short_name) == ("", "", "")
    assert (settings.phone_code, settings.digest_at) == (False, 6 * 60 + 30)


def test_hours_that_make_a_day_are_one_window_and_no_longer() -> None:
    def hours(ends: str) -> tuple[WeeklyWindow, ...]:
        text = changed(
            '[\n  { days = ["monday", "tuesday"], from = "08:00", to = "12:00" },\n'
            '  { days = ["monday"], from = "13:00", to = "17:00" },\n]',
            f'[{{ days = ["monday"], from = "06:00", to = "20:00" }},'
            f' {{ days = ["monday"], from = "20:00", to = "{ends}", ends_next_day = true }}]',
        )
        return parse(text, "clinic.toml").therapists[0].weekly

    assert hours("06:00") == (WeeklyWindow(1, 360, 1800),)
    assert hours("06:01") == (WeeklyWindow(1, 360, 1200), WeeklyWindow(1, 1200, 1801))


@pytest.mark.parametrize(
    ("address", "right"),
    [("desk@hill-street.example", True), ("Desk <desk@hill-street.example>", False), ("escritório@x.example", False)],
)
def test_the_desk_has_a_mailbox_that_every_server_can_write_to(address: str, *, right: bool) -> None:
    text = changed('consent_wording_version = "1"', f'consent_wording_version = "1"\ndesk_email = "{address}"')
    told = ["clinic.toml: messages.desk_email: is not an email address; write it like desk@example.com, without a name"]
    assert problems(text) == ([] if right else told)


@pytest.mark.parametrize("key", ["about", "badge"])
def test_what_is_said_of_a_visit_type_at_all_is_said_in_every_language(key: str) -> None:
    def with_words(words: str) -> list[str]:
        return problems(changed("duration_minutes = 60", f"duration_minutes = 60\n{key} = {words}"))

    assert with_words('{ en = "Longer" }') == [f"clinic.toml: visit_types.eval.{key}.es: is missing"]
    assert with_words('{ en = "Longer", es = "Más larga" }') == with_words("{}") == []


def test_every_reminder_that_the_house_has_words_for_may_be_on_the_ladder() -> None:
    for channel, templates in (
        ("email", ["reminder_72h", "reminder_24h"]),
        ("sms", ["reminder_72h", "reminder_24h", "reminder_2h"]),
    ):
        for template in ("reminder_72h", "reminder_24h", "reminder_2h", "reminder_1h"):
            text = changed("reminder_24h", template).replace('"sms"', f'"{channel}"')
            assert (problems(text) == []) is (template in templates)


def test_what_the_file_says_is_what_the_clinic_has() -> None:
    text = (
        changed('"1"', '"7"\nemail_reply_to = "desk@hill-street.example"\ndesk_email = "desk@hill-street.example"\n'
        'digest_at = "07:15"\ntexts_per_day = 2\ntexts_per_week = 4\nfrequent_texts_per_day = 3\n'
        "frequent_texts_per_week = 9")
        .replace("hold_minutes = 10", "hold_minutes = 10\nphone_code = true\nbuffers_within_hours = true")
        .replace("[visit_types.eval]", "[limits]\nholds_at_once = 2\n[staff]\nidle_minutes = 5\n[visit_types.eval]")
    )  # fmt: skip
    settings = parse(text, "clinic.toml").settings
    assert (settings.email_reply_to, settings.desk_email) == ("desk@hill-street.example",) * 2
    assert (settings.digest_at, settings.consent_wording_version) == (435, "7")
    assert settings.text_limits == TextLimits(per_day=2, per_week=4, frequent_per_day=3, frequent_per_week=9)
    assert (settings.phone_code, settings.buffers_within_hours) == (True, True)
    assert (settings.limits, settings.staff) == (Limits(holds_at_once=2), StaffLimits(idle_minutes=5))
    assert settings.map_url == "https://maps.example/hill-street"


def test_a_path_of_several_keys_is_written_as_it_would_be_typed() -> None:
    text = changed("[rooms]", '[rooms."a b"]\nname = "A"\nkind = "gym"\nsize = 3\n[rooms]')
    assert "clinic.toml: rooms.'a b'.size: is not a known key" in problems(text)


@pytest.mark.parametrize("number", ["(201) 791-1100", "+44 20 7946 0958", "201 791 1100"])
def test_a_telephone_number_is_kept_as_it_is_written(number: str) -> None:
    assert parse(changed("(201) 791-1100", number), "clinic.toml").settings.phone == number


@pytest.mark.parametrize("number", ["201 791 1100 ext. 5", "911", "+44 20", "call us"])
def test_what_cannot_be_dialled_is_no_telephone_number(number: str) -> None:
    (line,) = problems(changed("(201) 791-1100", number))
    assert line.startswith("clinic.toml: phone: is not a telephone number")
