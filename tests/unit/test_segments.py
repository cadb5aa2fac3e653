"""Segments: what a text costs, and what is done to keep it cheap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.channels.segments import Segments, count, normalise


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("é è ù ì ò à ñ ü ö ä Ñ Ü É Ç ¿ ¡ £ @ $ _", "GSM-7", 39, 1),
        ("á" * 70, "UCS-2", 70, 1),
        ("á" * 71, "UCS-2", 71, 2),
        ("á" * 134, "UCS-2", 134, 2),
        ("á" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("a" * 159 + "\u2019", "UCS-2", 160, 3),
    ],
)
def test_a_text_costs_what_carriers_bill(text: str, encoding: str, units: int, segments: int) -> None:
    assert count(text) == Segments(encoding=encoding, units=units, segments=segments)  # pyright: ignore[reportArgumentType]


def test_an_escaped_character_is_never_split_between_two_parts() -> None:
    assert count("a" * 152 + "€" + "a" * 151).segments == 2
    assert count("a" * 152 + "€" + "a" * 152).segments == 3, "the first part holds 152 septets, because € takes two"


def test_a_surrogate_pair_is_never_split_between_two_parts() -> None:
    assert count("á" * 66 + "😀" + "á" * 65).segments == 2
    assert count("á" * 66 + "😀" + "á" * 66).segments == 3


@given(st.text(alphabet="aé€{á😀", max_size=400))
def test_a_longer_text_never_costs_less(text: str) -> None:
    assert count(text + "a").segments >= count(text).segments


def test_typographic_marks_leave_as_plain_ones() -> None:
    assert normalise("\u201cCan\u2019t\u201d\u00a0\u2013 it\u2019s 9:45\u202fAM\u2026") == "\"Can't\" - it's 9:45 AM..."


def test_spanish_keeps_every_letter_that_costs_nothing() -> None:
    assert normalise("¿Mañana, miércoles? ¡Pingüino! ÑÜÉ") == "¿Mañana, miércoles? ¡Pingüino! ÑÜÉ"


def test_spanish_loses_only_the_accents_that_double_the_price() -> None:
    said = normalise("Sí, llámenos; está aquí según público. ÁÍÓÚ")
    assert said == "Si, llamenos; esta aqui segun publico. AIOU"
    assert count(said).encoding == "GSM-7"


def test_letters_and_their_accents_typed_apart_are_put_together_first() -> None:
    assert normalise("man\u0303ana mie\u0301rcoles sa\u0301bado") == "mañana miércoles sabado"
