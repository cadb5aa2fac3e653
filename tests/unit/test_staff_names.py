"""What staff are called, and which passwords are refused."""

from uuid import UUID

import pytest

from scheduler.domain.actors import COMMAND_LINE, SYSTEM, Actor
from scheduler.domain.staff import actor_name, initials_of, password_problem, read_username


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("Ana Rivera", "A.R."),
        ("Dr. Ana Maria Rivera, PT, DPT", "A.R."),
        ("A. Rivera", "A.R."),
        ("ana de la rivera", "A.R."),
        ("Ana", "A."),
        ("Dr. Rivera", "R."),
        ("李 小龍", "李.小."),
        ("Ana 2nd", "A."),
        ("7 of 9", "O."),
        ("99", "9"),
        ("dr.", "D"),
        ("", ""),
    ],
)
def test_initials_are_of_the_first_and_the_last_name(name: str, initials: str) -> None:
    assert initials_of(name) == initials


@pytest.mark.parametrize(
    ("typed", "username"),
    [
        (" Ana.Rivera+1@Clinic-A.example ", "ana.rivera+1@clinic-a.example"),
        ("7", "7"),
        ("a_b", "a_b"),
        ("a" * 120, "a" * 120),
        ("a" * 121, ""),
        (".ana", ""),
        ("ana rivera", ""),
        ("anä", ""),
        ("", ""),
    ],
)
def test_a_username_is_compared_in_lower_case(typed: str, username: str) -> None:
    assert read_username(typed) == username


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("ninesigns", "Use 10 characters or more; a few words are easy to remember."),
        ("ten signs!", None),
        ("abcde" * 51 + "f", None),
        ("abcde" * 51 + "fg", "Use 256 characters or fewer."),
        ("aAbBcCdDdD", "That is too easy to guess."),
        ("aAbBcCdDeE", None),
        ("walking on Rivera street", "That is too easy to guess."),
        ("walking on riverastreet", None),
    ],
)
def test_a_password_is_long_and_neither_one_sign_again_and_again_nor_the_name(
    password: str, problem: str | None
) -> None:
    assert password_problem(password, "rivera") == problem


def test_whoever_did_something_is_kept_by_an_id() -> None:
    assert actor_name(UUID(int=5)) == f"staff:{UUID(int=5)}"


def test_limits_of_patients_bind_neither_the_system_nor_the_command_line() -> None:
    assert [(actor.name, actor.staff) for actor in (SYSTEM, COMMAND_LINE)] == [("system", True), ("command line", True)]
    assert not Actor(name="public").staff
