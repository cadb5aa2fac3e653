"""The rules of the clinic file: what it may say, and the sentence that every mistake is answered with."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinic_files import DatedWindows, parse
from scheduler.errors import ConfigurationError

SHIPPED = Path(__file__).parents[2] / "config" / "clinic.toml"

# The smallest clinic that can be booked. Each line that a test changes is there once.
MINIMAL = """
code = "hill-street"
name = "Hill Street Physical Therapy"
sms_name = "Hill Street PT"
timezone = "America/New_York"
phone = "(201) 791-1100"
address = "1 Hill Street"
map_url = "https://maps.example/hill-street"
hosts = ["hill-street.example"]
languages = ["en", "es"]
opening_hours = [{ days = ["monday", "friday"], from = "08:00", to = "18:00" }]
[booking]
grid_minutes = 15
hold_minutes = 10
[messages]
email_from = "Hill Street <visits@hill-street.example>"
text_window = { from = "09:00", to = "20:00" }
consent_wording_version = "1"
[[reminders]]
template = "reminder_24h"
channel = "sms"
lead_hours = 24
visit_types = ["eval"]
[visit_types.eval]
names = { en = "First visit", es = "Primera visita" }
bring = { en = "Shoes", es = "Zapatos" }
duration_minutes = 60
credential = "PT"
room_kind = "private"
equipment_kinds = ["treadmill"]
online = true
minimum_notice_hours = 24
horizon_days = 90
change_cutoff_hours = 24
[therapists.rivera]
name = "Dr. A. Rivera"
credential = "PT"
languages = ["en"]
performs = ["eval"]
hours = [
  { days = ["monday", "tuesday"], from = "08:00", to = "12:00" },
  { days = ["monday"], from = "13:00", to = "17:00" },
]
overrides = [{ date = 2026-12-24, windows = [{ from = "08:00", to = "12:00" }] }]
[rooms]
room-1 = { name = "Room 1", kind = "private" }
[equipment]
treadmill-1 = { name = "Treadmill", kind = "treadmill" }
[[closures]]
date = 2026-12-25
reason = "Christmas Day"
"""


def changed(old: str, new: str) -> str:
    """Return the minimal file with one thing changed."""
    assert MINIMAL.count(old) == 1, f"{old} is not there once"
    return MINIMAL.replace(old, new)


def problems(text: str) -> list[str]:
    """Return the lines of the error that the text is refused with, none where it is not."""
    try:
        parse(text, "clinic.toml")
    except ConfigurationError as problem:
        return str(problem).splitlines()
    return []


def test_the_shipped_file_is_right_and_warns_of_nothing() -> None:
    file = parse(SHIPPED.read_text(encoding="utf-8"), "config/clinic.toml")
    assert file.warnings == ()
    assert (file.code, file.timezone, file.settings.phone) == ("fair-lawn", "America/New_York", "(201) 791-1100")
    assert {"eval-run", "eval", "follow-up", "gait", "return-run"} < {each.code for each in file.visit_types}
    assert [each.credential for each in file.therapists] == ["PT", "PT", "PT", "PTA"]
    assert {room.kind for room in file.rooms} == {"evaluation", "gym"}
    assert [device.kind for device in file.equipment] == ["treadmill"]


def test_values_become_minutes_spans_and_dates() -> None:
    file = parse(MINIMAL, "clinic.toml")
    (visit_type,) = file.visit_types
    (therapist,) = file.therapists
    assert (visit_type.duration_minutes, visit_type.buffer_after_minutes) == (60, 0)
    assert (visit_type.minimum_notice_minutes, visit_type.change_cutoff_minutes) == (1440, 1440)
    assert therapist.weekly == (WeeklyWindow(1, 480, 720), WeeklyWindow(1, 780, 1020), WeeklyWindow(2, 480, 720))
    assert [(plan.day.isoformat(), plan.windows) for plan in therapist.overrides] == [("2026-12-24", ((480, 720),))]
    assert [(plan.day.isoformat(), plan.windows) for plan in file.closures] == [("2026-12-25", ())]
    assert file.settings.opening_hours == (((480, 1080),), (), (), (), ((480, 1080),), (), ())
    assert file.settings.text_window == (540, 1200)
    assert [rung.lead_minutes for rung in file.settings.reminders] == [1440]


HINT = "; for hours past midnight add ends_next_day = true"
WEEK = "monday, tuesday, wednesday, thursday, friday, saturday, sunday"

# What is changed in the minimal file, into what, and what is said about it.
REFUSED = {
    "not toml": ('code = "hill-street"', "code = hill", "cannot be read as TOML: Invalid value (at line 2, column 8)"),
    "endless number": (
        "hold_minutes = 10",
        f"hold_minutes = {'9' * 5000}",
        "cannot be read as TOML: a number is too long or brackets are nested too deeply",
    ),
    "bottomless list": (
        "performs = [",
        f"performs = [{'[' * 5000}",
        "cannot be read as TOML: a number is too long or brackets are nested too deeply",
    ),
    "code used twice": (
        "[rooms]",
        "[therapists.rivera]\n[rooms]",
        "cannot be read as TOML: Cannot declare ('therapists', 'rivera') twice (at line 45, column 19)",
    ),
    "unknown key": (
        "hold_minutes = 10",
        "hold_minutes = 10\nbuffer_within_hours = true",
        "booking.buffer_within_hours: is not a known key; did you mean buffers_within_hours?",
    ),
    "unknown key alone": ("[rooms]", "[parking]\n[rooms]", "parking: is not a known key"),
    "missing key": ("horizon_days = 90\n", "", "visit_types.eval.horizon_days: is missing"),
    "not a table": ("[rooms]\nroom-1 = {", "[rooms]\nroom-1 = 1 # {", "rooms.room-1: is not a table"),
    "not a list": ('performs = ["eval"]', 'performs = "eval"', "therapists.rivera.performs: is not a [list]"),
    "not text": ('"Hill Street PT"', "5", 'sms_name: expected text in "quotes", got a whole number'),
    "empty text": ('"Hill Street PT"', '""', "sms_name: is not one line of text, of 1 to 500 characters"),
    "two lines": ('"Hill Street PT"', '"a\\nb"', "sms_name: is not one line of text, of 1 to 500 characters"),
    "nul byte": (
        'reason = "Ch',
        'reason = "\\u0000',
        "closures[0].reason: is not one line of text, of at most 500 characters",
    ),
    "not yes or no": (
        "online = true",
        'online = "yes"',
        'visit_types.eval.online: expected true or false, got text in "quotes"',
    ),
    "clinic code": (
        '"hill-street"',
        '"Hill Street"',
        "code: is not a code: use lower-case letters, digits and hyphens, at most 40",
    ),
    "therapist code": (
        "[therapists.rivera]",
        "[therapists.Rivera]",
        "therapists.Rivera: is not a code: use lower-case letters, digits and hyphens, at most 40",
    ),
    "long code": (
        "[visit_types.eval]",
        f"[visit_types.{'e' * 41}]",
        f"visit_types.{'e' * 41}: is not a code: use lower-case letters, digits and hyphens, at most 40",
    ),
    "zone": ("America/New_York", "America/New_Yrok", "timezone: is not a time zone; did you mean America/New_York?"),
    "phone": (
        "(201) 791-1100",
        "(201) 791-110",
        "phone: is not a telephone number; write it like (201) 791-1100, or with + and the country's code",
    ),
    "email": (
        "Hill Street <visits@hill-street.example>",
        "visits@",
        "messages.email_from: is not an email address; write it like Clinic <appointments@example.com>",
    ),
    "email that hides a header": (
        "Hill Street <visits@",
        "Hill\\n Street <visits@",
        "messages.email_from: is not an email address; write it like Clinic <appointments@example.com>",
    ),
    "host": (
        '["hill-street.example"]',
        '["https://hill-street.example"]',
        "hosts[0]: is not a host name: write it in lower case, without https:// and port",
    ),
    "map": ("https://maps.example", "javascript:", "map_url: is not a link that begins with https://"),
    "no language": ('languages = ["en", "es"]', "languages = []", "languages: names no language"),
    "unknown language": ('languages = ["en", "es"]', 'languages = ["en", "fr"]', "languages[1]: is not one of en, es"),
    "language missing in a name": (', es = "Primera visita"', "", "visit_types.eval.names.es: is missing"),
    "language missing in what to bring": ('en = "Shoes", ', "", "visit_types.eval.bring.en: is missing"),
    "time": (
        'from = "13:00"',
        'from = "13.00"',
        'therapists.rivera.hours[1].from: is not a time from "00:00" to "24:00"',
    ),
    "time past midnight": (
        'to = "17:00"',
        'to = "24:30"',
        'therapists.rivera.hours[1].to: is not a time from "00:00" to "24:00"',
    ),
    "weekday": (
        'days = ["monday"]',
        'days = ["mondey"]',
        f"therapists.rivera.hours[1].days[0]: is not one of {WEEK}; did you mean monday?",
    ),
    "weekday twice": (
        'days = ["monday"]',
        'days = ["monday", "monday"]',
        "therapists.rivera.hours[1].days[1]: repeats monday",
    ),
    "backwards": (
        'to = "17:00"',
        'to = "07:00"',
        f"therapists.rivera.hours[1]: ends before it starts{HINT}",
    ),
    "empty window": (
        'to = "17:00"',
        'to = "13:00"',
        f"therapists.rivera.hours[1]: ends as it starts{HINT}",
    ),
    "longer than a day": (
        'days = ["monday"], from = "13:00", to = "17:00"',
        'days = ["thursday"], from = "13:00", to = "13:01", ends_next_day = true',
        "therapists.rivera.hours[1]: is longer than 24 hours",
    ),
    "begins at the end of the day": (
        'from = "13:00", to = "17:00"',
        'from = "24:00", to = "02:00", ends_next_day = true',
        'therapists.rivera.hours[1]: starts at "24:00"; write "00:00" of the next day',
    ),
    "overlapping hours": (
        'from = "13:00"',
        'from = "11:59"',
        "therapists.rivera.hours[1]: overlaps hours[0] on Monday",
    ),
    "overlap into the next day": (
        'days = ["monday"], from = "13:00", to = "17:00"',
        'days = ["sunday"], from = "20:00", to = "08:01", ends_next_day = true',
        "therapists.rivera.hours[1]: overlaps hours[0] on Monday",
    ),
    "overlapping opening hours": (
        "opening_hours = [",
        'opening_hours = [{ days = ["friday"], from = "17:00", to = "19:00" }, ',
        "opening_hours[1]: overlaps opening_hours[0] on Friday",
    ),
    "validity backwards": (
        'to = "17:00"',
        'to = "17:00", valid_from = 2027-02-01, valid_until = 2027-01-31',
        "therapists.rivera.hours[1].valid_until: is before valid_from",
    ),
    "overlap in an override": (
        'windows = [{ from = "08:00", to = "12:00" }]',
        'windows = [{ from = "08:00", to = "12:00" }, { from = "11:00", to = "13:00" }]',
        "therapists.rivera.overrides[0].windows[1]: overlaps windows[0]",
    ),
    "backwards override": (
        'windows = [{ from = "08:00"',
        'windows = [{ from = "13:00"',
        f"therapists.rivera.overrides[0].windows[0]: ends before it starts{HINT}",
    ),
    "two overrides of one date": (
        "overrides = [",
        "overrides = [{ date = 2026-12-24 }, ",
        "therapists.rivera.overrides[1]: is a second entry for 2026-12-24",
    ),
    "two closures of one date": (
        "[[closures]]",
        "[[closures]]\ndate = 2026-12-25\n[[closures]]",
        "closures[1]: is a second entry for 2026-12-25",
    ),
    "closure past midnight": (
        'reason = "Christmas Day"',
        'windows = [{ from = "20:00", to = "02:00", ends_next_day = true }]',
        "closures[0].windows[0]: runs past midnight; a closure is about one date",
    ),
    "date in quotes": ("date = 2026-12-25", 'date = "Christmas"', "closures[0].date: invalid RFC3339 encoded date"),
    "nobody performs": (
        'performs = ["eval"]',
        "performs = []",
        "visit_types.eval: has no therapist who may perform it: none lists it under performs and is a PT",
    ),
    "nobody is qualified": (
        'name = "Dr. A. Rivera"\ncredential = "PT"',
        'name = "Dr. A. Rivera"\ncredential = "PTA"',
        "visit_types.eval: has no therapist who may perform it: none lists it under performs and is a PT",
    ),
    "performs what is not there": (
        'performs = ["eval"]',
        'performs = ["eval", "evil"]',
        "therapists.rivera.performs[1]: evil is not a visit type; did you mean eval?",
    ),
    "no room of the kind": (
        'room_kind = "private"',
        'room_kind = "privat"',
        "visit_types.eval.room_kind: no room is of the kind privat; did you mean private?",
    ),
    "no equipment of the kind": (
        'equipment_kinds = ["treadmill"]',
        'equipment_kinds = ["treadmill", "pool"]',
        "visit_types.eval.equipment_kinds[1]: no equipment is of the kind pool",
    ),
    "equipment twice": (
        'equipment_kinds = ["treadmill"]',
        'equipment_kinds = ["treadmill", "treadmill"]',
        "visit_types.eval.equipment_kinds[1]: repeats treadmill",
    ),
    "credential": (
        '\ncredential = "PT"\nroom',
        '\ncredential = "MD"\nroom',
        "visit_types.eval.credential: is not one of PT, PTA",
    ),
    "duration of half minutes": (
        "duration_minutes = 60",
        "duration_minutes = 22.5",
        "visit_types.eval.duration_minutes: expected a whole number, got a number",
    ),
    "duration too short": (
        "duration_minutes = 60",
        "duration_minutes = 4",
        "visit_types.eval.duration_minutes: expected a whole number >= 5",
    ),
    "notice of half minutes": (
        "minimum_notice_hours = 24",
        "minimum_notice_hours = 24.001",
        "visit_types.eval.minimum_notice_hours: is not a whole number of minutes",
    ),
    "endless notice": (
        "minimum_notice_hours = 24",
        "minimum_notice_hours = inf",
        "visit_types.eval.minimum_notice_hours: expected a number <= 8760.0",
    ),
    "grid": (
        "grid_minutes = 15",
        "grid_minutes = 7",
        "booking.grid_minutes: does not divide the 1440 minutes of a day evenly",
    ),
    "text window": (
        'text_window = { from = "09:00", to = "20:00" }',
        'text_window = { from = "20:00", to = "09:00", ends_next_day = true }',
        "messages.text_window: runs past midnight; texts go out by day",
    ),
    "reminder's text": (
        "reminder_24h",
        "reminder_24",
        "reminders[0].template: there is no sms text reminder_24; did you mean reminder_24h?",
    ),
    "reminder's channel": ('"sms"', '"fax"', "reminders[0].channel: is not one of sms, email"),
    "reminder's visit type": (
        'visit_types = ["eval"]',
        'visit_types = ["evl"]',
        "reminders[0].visit_types[0]: evl is not a visit type; did you mean eval?",
    ),
    "reminder twice": (
        "[visit_types.eval]",
        '[[reminders]]\ntemplate = "reminder_24h"\nchannel = "sms"\nlead_hours = 24\n[visit_types.eval]',
        "reminders[1]: is the same as reminders[0] for eval",
    ),
}


@pytest.mark.parametrize(("old", "new", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_file_is_refused_with_the_file_the_key_and_the_reason(old: str, new: str, problem: str) -> None:
    assert problems(changed(old, new)) == [f"clinic.toml: {problem}"]


def test_everything_wrong_is_told_at_once() -> None:
    text = (
        changed("hold_minutes", "hold_minuts").replace("New_York", "New_Yrok").replace('to = "17:00"', 'to = "07:00"')
    )
    assert [line.split(": ")[1] for line in problems(text)] == [
        "timezone",
        "booking.hold_minuts",
        "booking.hold_minutes",
        "therapists.rivera.hours[1]",
    ]


def test_an_unknown_key_does_not_hide_how_the_rest_fits_together() -> None:
    text = changed("[rooms]", "[parking]\n[rooms]").replace('performs = ["eval"]', "performs = []")
    assert [line.split(": ")[1] for line in problems(text)] == ["parking", "visit_types.eval"]


def test_hours_that_touch_are_one_window_but_never_longer_than_a_day() -> None:
    touching = parse(changed('from = "13:00"', 'from = "12:00"'), "clinic.toml")
    assert touching.therapists[0].weekly == (WeeklyWindow(1, 480, 1020), WeeklyWindow(2, 480, 720))
    entry = '{ days = ["monday"], from = "13:00", to = "17:00" }'
    day_and_night = changed(
        f'[\n  {{ days = ["monday", "tuesday"], from = "08:00", to = "12:00" }},\n  {entry},\n]',
        '[{ days = ["monday"], from = "00:00", to = "20:00" },'
        ' { days = ["monday"], from = "20:00", to = "06:00", ends_next_day = true }]',
    )
    (therapist,) = parse(day_and_night, "clinic.toml").therapists
    assert therapist.weekly == (WeeklyWindow(1, 0, 1200), WeeklyWindow(1, 1200, 1800))


def test_hours_of_seasons_that_do_not_meet_may_cover_the_same_time() -> None:
    seasons = changed(
        '{ days = ["monday"], from = "13:00", to = "17:00" }',
        '{ days = ["monday"], from = "13:00", to = "17:00", valid_until = 2027-05-31 },'
        ' { days = ["monday"], from = "12:00", to = "20:00", valid_from = 2027-06-01 }',
    )
    assert len(parse(seasons, "clinic.toml").therapists[0].weekly) == 4
    with pytest.raises(ConfigurationError, match=r"hours\[2\]: overlaps hours\[1\] on Monday"):
        parse(seasons.replace("2027-06-01", "2027-05-31"), "clinic.toml")


def test_the_pieces_of_a_date_are_sorted_and_those_that_touch_are_one() -> None:
    text = changed(
        'reason = "Christmas Day"',
        'windows = [{ from = "10:00", to = "12:00" }, { from = "14:00", to = "24:00" },'
        ' { from = "08:00", to = "10:00" }]',
    )
    (closure,) = parse(text, "clinic.toml").closures
    assert closure == DatedWindows(closure.day, ((480, 720), (840, 1440)), "")


@pytest.mark.parametrize(("online", "warned"), [("true", True), ("false", False)])
def test_notice_shorter_than_the_cutoff_is_a_warning_where_patients_book_themselves(online: str, warned: bool) -> None:
    text = changed("minimum_notice_hours = 24", "minimum_notice_hours = 23.5").replace(
        "online = true", f"online = {online}"
    )
    warning = (
        "clinic.toml: visit_types.eval.minimum_notice_hours: is shorter than change_cutoff_hours: "
        "patients can book what they can no longer change online"
    )
    assert parse(text, "clinic.toml").warnings == ((warning,) if warned else ())


def test_a_reminder_may_name_any_text_that_there_is() -> None:
    text = changed("reminder_24h", "week_before")
    file = parse(text, "clinic.toml", {"sms": ["week_before"]})
    assert file.settings.reminders[0].template == "week_before"


LITERALS = (
    *("", "1", "-1", "1.5", "nan", "inf", "true", "{}", "[]", "[[]]", "{ a = 1 }", '"x"', '"24:00"', '["eval", 1]'),
    *("2026-12-24", "2026-12-24T08:00:00", "08:00:00", '[{ from = "1" }]', "0x" + "f" * 5000, "9" * 5000, "[" * 2000),
)
LINES = st.one_of(
    st.text(max_size=20), st.sampled_from([f"KEY = {literal}" for literal in LITERALS]), st.just("[[KEY]]")
)


@st.composite
def spoilt_files(draw: st.DrawFn) -> str:
    """Draw the minimal file with a few of its lines replaced, mostly by another value for the same key."""
    lines = list[str](MINIMAL.splitlines())
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(lines) - 1))
        lines[index] = draw(LINES).replace("KEY", lines[index].partition("=")[0])
    return "\n".join(lines)


@given(st.one_of(st.text(), spoilt_files()))
@example(changed('timezone = "America/New_York"', f"timezone = 0x{'f' * 5000}"))
@example(changed("(201) 791-1100", "+" + "1" * 300))
@example(changed("[rooms]", '["a\\nb"]\n[rooms]'))
def test_no_text_makes_parsing_fail_in_any_other_way(text: str) -> None:
    assert all(line.startswith("clinic.toml: ") for line in problems(text))
