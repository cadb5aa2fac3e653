"""The edges of what is read about patients, and what they may agree to over which channel."""

from datetime import UTC, date, datetime
from typing import get_args

import pytest

from scheduler.domain.patients import (
    CHANNELS_OF,
    CONSENT_METHODS,
    ConsentMethod,
    NameSearch,
    PhoneSearch,
    folded,
    read_birth_date,
    read_name,
    read_phone,
    read_search,
    short_name,
)
from scheduler.errors import FieldError

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def codes(problems: list[FieldError]) -> list[str]:
    return [problem.code for problem in problems]


def test_more_texts_are_agreed_to_for_a_phone_and_all_else_for_either_address() -> None:
    both = {"sms", "email"}
    assert {"visits": both, "reminders": both, "frequent": {"sms"}} == CHANNELS_OF


def test_every_way_to_get_a_consent_has_words() -> None:
    assert set(CONSENT_METHODS) == set(get_args(ConsentMethod))
    assert all(CONSENT_METHODS.values())


# A control character, half a letter, a private one and one that is not assigned: nobody is called so.
@pytest.mark.parametrize("sign", ["\x00", "\x7f", "\ud800", "\ue000", "\u0378"])
def test_what_is_no_letter_is_in_no_name_and_not_looked_for(sign: str) -> None:
    problems: list[FieldError] = []
    read_name(f"Ash{sign}Sample", "/given_name", problems)
    assert codes(problems) == ["name-invalid"]
    searched: list[FieldError] = []
    assert read_search(f"ash{sign}sample", "?q", searched) == NameSearch([])
    assert codes(searched) == ["invalid"]


def test_joiners_that_some_scripts_are_written_with_are_part_of_a_name() -> None:
    problems: list[FieldError] = []
    name = "\u0645\u06cc\u200c\u062e\u0648"
    assert read_name(name, "/given_name", problems) == name
    assert problems == []


@pytest.mark.parametrize("name", ["\u200b", "\u0301", "\u200d\u200d", "\u202e", "\u3164", "\u2800", "\u200c \u0301"])
def test_a_name_in_which_there_is_nothing_to_see_is_missing(name: str) -> None:
    problems: list[FieldError] = []
    read_name(name, "/given_name", problems)
    assert codes(problems) == ["name-missing"]


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200b", "\u200f", "\ufeff", "\u00ad"])
def test_what_only_tells_programs_how_to_set_a_text_is_no_part_of_a_name(sign: str) -> None:
    problems: list[FieldError] = []
    assert read_name(f"{sign}As{sign}h {sign} Ley", "/given_name", problems) == "Ash Ley"
    assert problems == []


@pytest.mark.parametrize(("length", "problem"), [(1, []), (100, []), (101, ["name-too-long"])])
def test_a_name_has_a_hundred_letters_at_most(length: int, problem: list[str]) -> None:
    problems: list[FieldError] = []
    read_name("a" * length, "/given_name", problems)
    assert codes(problems) == problem


@pytest.mark.parametrize("name", ["", " \t", "\n"])
def test_a_name_of_nothing_is_missing(name: str) -> None:
    problems: list[FieldError] = []
    assert read_name(name, "/given_name", problems) == ""
    assert codes(problems) == ["name-missing"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("0142", PhoneSearch("0142")),
        ("1" * 15, PhoneSearch("1" * 15)),
        ("(201) 555-01/42.", PhoneSearch("2015550142")),
        ("as", NameSearch([("", "as"), ("as", "")])),
        ("a b", NameSearch([("", "a b"), ("a", "b"), ("a b", ""), ("b", "a")])),
        ("555 a", NameSearch([("", "555 a"), ("555", "a"), ("555 a", ""), ("a", "555")])),
    ],
)
def test_the_shortest_and_longest_search_finds_without_complaint(typed: str, found: object) -> None:
    problems: list[FieldError] = []
    assert read_search(typed, "?q", problems) == found
    assert problems == []


def test_six_words_and_two_hundred_letters_may_be_typed() -> None:
    problems: list[FieldError] = []
    assert len(read_words("a b c d e f", problems)) == 12
    assert read_words("ab" * 100, problems) == [("", "ab" * 100), ("ab" * 100, "")]
    assert problems == []


def read_words(typed: str, problems: list[FieldError]) -> list[tuple[str, str]]:
    found = read_search(typed, "?q", problems)
    assert isinstance(found, NameSearch)
    return found.readings


@pytest.mark.parametrize(
    ("typed", "phone"),
    [("+44 20 7946 0958", "+442079460958"), ("+1 416 555 0142", "+14165550142"), ("2015550142", "+12015550142")],
)
def test_numbers_of_other_countries_are_numbers(typed: str, phone: str) -> None:
    problems: list[FieldError] = []
    assert read_phone(typed, "/phone", problems) == phone
    assert problems == []


@pytest.mark.parametrize("typed", ["+44 20", "+1 201 555 0142 ext 9", "020 7946 0958"])
def test_numbers_that_cannot_be_texted_are_none(typed: str) -> None:
    problems: list[FieldError] = []
    assert read_phone(typed, "/phone", problems) == ""
    assert codes(problems) == ["phone-invalid"]


@pytest.mark.parametrize(
    ("born", "problem"),
    [
        (None, []),
        (date(1900, 1, 1), []),
        (NOW.date(), []),
        (date(1899, 12, 31), ["birth-date-invalid"]),
        (date(2026, 11, 24), ["birth-date-invalid"]),
    ],
)
def test_whoever_is_treated_was_born_after_1899_and_by_today(born: date | None, problem: list[str]) -> None:
    problems: list[FieldError] = []
    assert read_birth_date(born, NOW, "/birth_date", problems) == born
    assert codes(problems) == problem


def test_only_what_keyboards_make_of_apostrophes_and_hyphens_is_made_alike() -> None:
    for sign in "_.,/\u00b7":
        assert sign in folded(f"a{sign}b")


def test_a_screen_that_faces_the_room_has_one_letter_of_the_family_name() -> None:
    assert short_name("Ash", "Sample") == "Ash S."
