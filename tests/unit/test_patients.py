"""Names of any script, phones as people write them, and what is refused."""

from datetime import UTC, date, datetime

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.patients import (
    NAME_LENGTH,
    NameSearch,
    PhoneSearch,
    folded,
    name_key,
    read_birth_date,
    read_email,
    read_name,
    read_phone,
    read_search,
)
from scheduler.errors import FieldError

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    ["2015550142", "(201) 555-0142", "201.555.0142", "+1 201 555 0142", "1-201-555-0142", " 201 555 0142 "],
)
def test_a_us_number_is_understood_however_it_is_written(written: str) -> None:
    problems: list[FieldError] = []
    assert read_phone(written, "/phone", problems) == "+12015550142"
    assert not problems


@pytest.mark.parametrize("written", ["", "123", "201 555 01", "call me", "201 555 0142 x7", "000 000 0000", "٣"])
def test_what_is_no_number_is_refused_with_an_example(written: str) -> None:
    problems: list[FieldError] = []
    read_phone(written, "/patient/phone", problems)
    assert [(problem.pointer, problem.code) for problem in problems] == [("/patient/phone", "phone-invalid")]
    assert "201 555 0142" in problems[0].detail


@given(st.text(max_size=60))
def test_no_text_at_all_makes_the_phone_reader_fail(text: str) -> None:
    problems: list[FieldError] = []
    phone = read_phone(text, "/phone", problems)
    assert bool(problems) == (phone == "")
    assert phone == "" or phone.removeprefix("+").isascii()


@pytest.mark.parametrize("name", ["Ash", "José María", "Nguyễn", "O'Neil-Smith", "李小龍", "عمر", "Ng"])
def test_names_of_any_script_are_names(name: str) -> None:
    problems: list[FieldError] = []
    assert read_name(name, "/given_name", problems) == name
    assert not problems


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name-missing"),
        ("   ", "name-missing"),
        ("a" * (NAME_LENGTH + 1), "name-too-long"),
        ("A\x07", "name-invalid"),
    ],
)
def test_what_is_no_name_is_refused(name: str, code: str) -> None:
    problems: list[FieldError] = []
    read_name(name, "/given_name", problems)
    assert [problem.code for problem in problems] == [code]


def test_the_same_person_is_recognised_whatever_the_case_accents_and_spaces() -> None:
    assert name_key("García  López", "JOSÉ") == name_key("garcia lopez", "josé")
    assert name_key("Ng", "Ann Lee") != name_key("Ng Ann", "Lee")


# Beginnings and ends that the library takes, changes or refuses, and some that look like those which nobody asks it
# about.
LOCALS = ["ash", "a.b-c_d", "Ash", "postmaster", "a..b", ".a", "a.", "a+b", "o'neil", "a" * 60, "a" * 65, "ä", "1", ""]
DOMAINS = [
    "example.com", "EXAMPLE.com", "xn--bcher-kva.example", "bücher.example", "example", "localhost", "a-.com", "-a.com",
    "a..com", ".com", "com.", "[127.0.0.1]", "x.test", "x.invalid", f"{'a' * 64}.com", "a.b.c.d.org", "1.2.3.4", "",
]  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_email_is_what_the_library_says_it_is(domain: str) -> None:
    for value in (f"{local}@{domain}" for local in LOCALS):
        try:
            expected = validate_email(value, check_deliverability=False, allow_smtputf8=False).normalized
        except EmailNotValidError:
            expected = ""
        # The second time the end is known.
        assert [read_email(value, "/email", []) for _ in range(2)] == [expected] * 2, value


def test_an_email_is_normalised_and_a_wrong_one_is_refused() -> None:
    problems: list[FieldError] = []
    assert read_email(" Ash@EXAMPLE.com ", "/email", problems) == "Ash@example.com"
    assert not problems
    read_email("ash@", "/email", problems)
    assert [problem.code for problem in problems] == ["email-invalid"]


@pytest.mark.parametrize("born", [date(1899, 12, 31), date(2026, 11, 24)])
def test_nobody_is_born_in_the_future_or_before_1900(born: date) -> None:
    problems: list[FieldError] = []
    read_birth_date(born, NOW, "/birth_date", problems)
    assert [problem.code for problem in problems] == ["birth-date-invalid"]


@pytest.mark.parametrize(
    ("typed", "ending"),
    [("0142", "0142"), ("555-0142", "5550142"), ("(201) 555-0142", "2015550142"), ("+1 201 555 0142", "12015550142")],
)
def test_digits_alone_are_the_end_of_a_phone(typed: str, ending: str) -> None:
    assert read_search(typed, "?q", []) == PhoneSearch(ending)


def test_words_of_a_name_come_in_either_order_and_names_may_have_several() -> None:
    assert read_search(" SÁM ", "?q", []) == NameSearch([("", "sam"), ("sam", "")])
    two = read_search("sam as", "?q", [])
    assert isinstance(two, NameSearch)
    assert set(two.readings) == {("", "sam as"), ("sam as", ""), ("sam", "as"), ("as", "sam")}
    assert read_search("Sample, Ash", "?q", []) == read_search("sample ash", "?q", [])


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "too-short"),
        ("  ", "too-short"),
        ("s", "too-short"),
        ("Á", "too-short"),
        ("014", "too-short"),
        ("+1", "too-short"),
        ("1" * 16, "too-long"),
        ("a b c d e f g", "too-long"),
        ("ab" * 101, "too-long"),
        ("sam\x00", "invalid"),
    ],
)
def test_a_search_for_too_little_or_too_much_is_refused(typed: str, code: str) -> None:
    problems: list[FieldError] = []
    read_search(typed, "?q", problems)
    assert [(problem.pointer, problem.code) for problem in problems] == [("?q", code)]


NAMES = st.text(st.characters(categories=["L", "M", "Zs"]), min_size=2, max_size=20).filter(folded)


@given(family=NAMES, given_name=NAMES, letters=st.integers(1, 20))
def test_whoever_is_on_file_is_found_by_how_their_names_begin(family: str, given_name: str, letters: int) -> None:
    typed = f"{given_name[:letters]} {family[:letters]}"
    problems: list[FieldError] = []
    search = read_search(typed, "?q", problems)
    if problems:
        assert {problem.code for problem in problems} <= {"too-short", "too-long"}
        return
    assert isinstance(search, NameSearch)
    key_family, key_given = name_key(family, given_name).split("\x1f")
    assert any(key_family.startswith(one) and key_given.startswith(other) for one, other in search.readings)


@given(st.text(max_size=60))
def test_no_text_at_all_makes_the_search_reader_fail(text: str) -> None:
    problems: list[FieldError] = []
    search = read_search(text, "?q", problems)
    if isinstance(search, PhoneSearch) and not problems:
        assert search.ending.isascii()
        assert search.ending.isdigit()


@pytest.mark.parametrize("apostrophe", "'\u2019\u2018\u201b\u02bc\u02bb`\u2032\uff07")
def test_a_name_is_the_same_with_whichever_apostrophe_a_keyboard_makes(apostrophe: str) -> None:
    assert name_key(f"O{apostrophe}Neil", "Pat") == name_key("o'neil", "pat")
    assert name_key("ONeil", "Pat") != name_key("O'Neil", "Pat")
    assert read_search(f"o{apostrophe}ne", "?q", []) == read_search("O'Ne", "?q", [])


@pytest.mark.parametrize("hyphen", "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d")
def test_a_double_name_is_the_same_with_whichever_hyphen(hyphen: str) -> None:
    assert name_key(f"Smith{hyphen}Jones", "Jo") == name_key("Smith-Jones", "Jo")
    assert name_key("Smith Jones", "Jo") != name_key("Smith-Jones", "Jo")
