"""The words, dates and errors of the pages: whole in both languages, and none that nobody says."""

import re
from datetime import date, datetime
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from scheduler.domain.clinics import LANGUAGES, Language
from scheduler.domain.messages import State
from scheduler.web.pages import dates
from scheduler.web.pages.advice import ADVICE
from scheduler.web.pages.notice_words import NOTICE_WORDS
from scheduler.web.pages.preview import _STATES
from scheduler.web.pages.words import WORDS, speaker
from scheduler.web.problem_docs import every_error
from tests.unit.factories import NEW_YORK, make_clinic

PACKAGE = Path(__file__).parents[2] / "scheduler"
SOURCES = "".join(
    path.read_text()
    for path in [*(PACKAGE / "templates").glob("*.html"), *(PACKAGE / "web" / "pages").glob("*.py")]
    if not path.name.endswith("words.py")
)

# Said by way of a variable: the parts of the day, the fields with what can be wrong with them, and the error pages.
FIELDS = ("given_name", "family_name", "phone", "email")
BY_VARIABLE = {*get_args(dates.PartOfDay), *FIELDS, "then.sms", "then.email"}
PAGES_OF_ERRORS = {
    "link-expired",
    "visit-busy",
    "visit-failed",
    "not-found",
    "hold-not-found",
    "too-busy",
    "rate-limited",
    "maintenance",
    "call-instead",
    "by-phone",
    "wrong",
    "failed",
}

QUARTER_TO_TEN = datetime(2026, 12, 8, 9, 45, tzinfo=NEW_YORK)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", WORDS)
def test_both_languages_say_the_same_with_the_same_values(key: str) -> None:
    english, spanish = WORDS[key]
    assert english.strip()
    assert spanish.strip()
    assert placeholders(english) == placeholders(spanish)


def test_every_word_that_is_asked_for_exists() -> None:
    assert set(re.findall(r'say\(\s*"([^"]+)"\s*[,)]', SOURCES)) - set(WORDS) == set()


def test_there_is_no_word_that_nobody_says() -> None:
    named = {key for key in WORDS if f'"{key}"' in SOURCES}
    by_field = {key for key in WORDS if key.partition(".")[0] in FIELDS}
    of_errors = {key for key in WORDS if key.removesuffix(".h1") in PAGES_OF_ERRORS}
    of_notices = {key for key in NOTICE_WORDS if key.partition(".")[0] in ("privacy", "terms")}
    assert set(WORDS) - named - BY_VARIABLE - by_field - of_errors - of_notices == set()


@pytest.mark.parametrize("text", [text for pair in WORDS.values() for text in pair])
def test_no_dash_stands_in_for_a_word(text: str) -> None:
    assert not re.search("[\u2010-\u2015\u2212]", text)


def test_spanish_says_usted() -> None:
    familiar = re.compile(r"\b(tú|tus?|te|elige|llama|escribe|reserva tu)\b", re.IGNORECASE)
    assert [spanish for _, spanish in WORDS.values() if familiar.search(spanish)] == []


def test_a_spanish_time_at_the_end_of_a_sentence_ends_it() -> None:
    time = dates.said_clock(QUARTER_TO_TEN, "es")
    assert speaker("es")("hold", time=time) == "Guardamos este horario para usted hasta las 9:45\u00a0a.\u00a0m."


@pytest.mark.parametrize(
    ("language", "day", "short", "moment"),
    [
        ("en", "Tuesday, December\u00a08", "Tue, Dec\u00a08", "Tuesday, December\u00a08 at 9:45\u00a0AM"),
        (
            "es",
            "martes 8\u00a0de\u00a0diciembre",
            "mar 8\u00a0de\u00a0dic",
            "martes 8\u00a0de\u00a0diciembre a las 9:45\u00a0a.\u00a0m.",
        ),
    ],
)
def test_dates_read_as_people_write_them(language: Language, day: str, short: str, moment: str) -> None:
    assert dates.long_day(QUARTER_TO_TEN.date(), language) == day
    assert dates.short_day(QUARTER_TO_TEN.date(), language) == short
    assert dates.when(QUARTER_TO_TEN, language) == moment


def test_noon_is_said_in_a_word_and_one_o_clock_with_its_article() -> None:
    noon, one = QUARTER_TO_TEN.replace(hour=12, minute=0), QUARTER_TO_TEN.replace(hour=13, minute=15)
    assert dates.when(noon, "en").endswith(" at noon")
    assert dates.when(noon, "es").endswith(" al mediodía")
    assert dates.when(one, "es").endswith(" a la 1:15\u00a0p.\u00a0m.")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("offset", range(1, 32))
def test_the_small_sign_of_a_day_says_the_whole_day_in_order(language: Language, offset: int) -> None:
    day = date(2026, 12, offset)
    assert "".join(dates.day_pieces(day, language)) == dates.long_day(day, language)
    assert dates.day_pieces(day, language)[2] == str(offset)


def test_the_months_of_a_strip_are_named_once() -> None:
    assert dates.months(date(2026, 11, 24), date(2026, 11, 28), "en") == "November"
    assert dates.months(date(2026, 11, 27), date(2026, 12, 4), "es") == "noviembre, diciembre"


def test_the_clinics_zone_has_the_name_that_people_use() -> None:
    assert [dates.zone_name(make_clinic(), language) for language in LANGUAGES] == ["Eastern Time", "hora del Este"]


@pytest.mark.parametrize(
    ("hour", "part"), [(0, "morning"), (11, "morning"), (12, "afternoon"), (16, "afternoon"), (17, "evening")]
)
def test_the_day_has_three_parts(hour: int, part: str) -> None:
    assert dates.part_of_day(QUARTER_TO_TEN.replace(hour=hour)) == part


def test_every_error_is_explained_and_no_other() -> None:
    assert set(ADVICE) == {error.code for error in every_error()}


def test_every_state_of_a_message_has_plain_words() -> None:
    assert set(_STATES) == set(get_args(State))
