"""How many SMS segments a text costs, and how to keep it in the cheap alphabet (3GPP TS 23.038)."""

import unicodedata
from typing import Literal

import msgspec

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")

_ALL = _BASIC | _EXTENDED

_BEYOND_ONE_UNIT = 0xFFFF

# Typographic quotes, dashes and spaces to their plain forms; marks that nobody sees to nothing; and of the Spanish
# letters only the vowels that GSM-7 lacks to their bare ones.
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022", "-")
    | dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f", " ")
    | dict.fromkeys("\u200b\u200e\u200f\u2060\ufeff", "")
    | {"\u2026": "..."}
    | dict(zip("áíóúÁÍÓÚ", "aiouAIOU", strict=True))
)


class Segments(msgspec.Struct, frozen=True, kw_only=True):
    """What a text costs: ``units`` are septets in GSM-7 and UTF-16 code units in UCS-2."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


def count(text: str) -> Segments:
    """Return the segments of a text as carriers bill it; an empty text counts as one.

    A single message holds 160 septets or 70 code units; parts of a longer one hold 153 or 67, because a header
    joins them, and neither an escaped character nor a surrogate pair is split between two parts.
    """
    if gsm := _ALL.issuperset(text):
        widths = [2 if character in _EXTENDED else 1 for character in text]
    else:
        widths = [2 if ord(character) > _BEYOND_ONE_UNIT else 1 for character in text]
    single, part = (160, 153) if gsm else (70, 67)
    units = sum(widths)
    segments = 1
    if units > single:
        room = part
        for width in widths:
            if width > room:
                segments += 1
                room = part
            room -= width
    return Segments(encoding="GSM-7" if gsm else "UCS-2", units=units, segments=segments)


def normalise(text: str) -> str:
    """Return the text as it should leave by SMS: composed, with plain quotes, dashes and spaces, and á, í, ó, ú bare.

    One á doubles the price of a text; é, ñ, ü, ¿ and ¡ cost nothing and stay.
    """
    return unicodedata.normalize("NFC", text).translate(_PLAIN)
