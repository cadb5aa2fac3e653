"""Dates and times as the pages write them. Moments are given as the clinic's clocks show them."""

from datetime import date, datetime, time, timedelta
from typing import Literal

import msgspec
from babel.dates import format_date, format_time

from scheduler.channels import phrases
from scheduler.domain.clinics import Clinic, Language

PartOfDay = Literal["morning", "afternoon", "evening"]

PARTS_OF_DAY: tuple[PartOfDay, ...] = ("morning", "afternoon", "evening")

# The wall-clock hours at which the afternoon and the evening begin.
_AFTERNOON, _EVENING = 12, 17

_NOON = time(12)

# A weekday and a number do not come together again any sooner than that.
_CLEAR_FOR = timedelta(days=28)


class _Style(msgspec.Struct, frozen=True):
    """Babel patterns, and how a time is said alone and after a day; a day stays with its month on one line.

    Spanish bends its article with the hour: "la 1:15", "las 2:15".
    """

    day: str
    short: str
    one: str
    many: str
    at: str
    noon: str


_STYLES: dict[Language, _Style] = {
    "en": _Style("EEEE, MMMM\u00a0d", "EEE, MMM\u00a0d", "{}", "{}", "at {}", "at noon"),
    "es": _Style("EEEE d\u00a0'de'\u00a0MMMM", "EEE d\u00a0'de'\u00a0MMM", "la {}", "las {}", "a {}", "al mediodía"),
}


def long_day(day: date, language: Language) -> str:
    """As in "Tuesday, December 8" or "martes 8 de diciembre"."""
    return format_date(day, _STYLES[language].day, locale=language)


def short_day(day: date, language: Language) -> str:
    """As in "Tue, Dec 8" or "mar 8 de dic"."""
    return format_date(day, _STYLES[language].short, locale=language)


def near_day(day: date, today: date, language: Language) -> str:
    """As in "Tue 8" or "mar 8", which is clear while no weekday comes with that number twice; else the short day."""
    if day - today >= _CLEAR_FOR:
        return short_day(day, language)
    return format_date(day, "EEE\u00a0d", locale=language)


def months(first: date, last: date, language: Language) -> str:
    """The months of a run of days, as in "December" or "November, December"."""
    names = (format_date(day, "LLLL", locale=language) for day in (first, last))
    return ", ".join(dict.fromkeys(names))


def short_month(day: date, language: Language) -> str:
    """As in "Dec" or "dic"."""
    return format_date(day, "LLL", locale=language)


def day_pieces(day: date, language: Language) -> tuple[str, str, str, str]:
    """The long day in four pieces: the short weekday, what follows it, the number, and what follows that.

    So a small sign can show "Tue 8" and still say "Tuesday, December 8", in the same order and once.
    """
    text = long_day(day, language)
    short = format_date(day, "EEE", locale=language)
    before, number, after = text.removeprefix(short).partition(str(day.day))
    return short, before, number, after


def clock(moment: datetime, language: Language) -> str:
    """As in "9:45 AM" or "9:45 a. m.", on one line."""
    return format_time(moment.time(), "h:mm\u00a0a", locale=language).replace("\u202f", "\u00a0")


def said_clock(moment: datetime, language: Language) -> str:
    """As in "9:45 AM" or "las 9:45 a. m.": the time as it stands in a sentence."""
    style = _STYLES[language]
    return (style.one if moment.hour % 12 == 1 else style.many).format(clock(moment, language))


def when(moment: datetime, language: Language) -> str:
    """As in "Tuesday, December 8 at 9:45 AM" or "martes 8 de diciembre a las 9:45 a. m."."""
    style = _STYLES[language]
    at = style.noon if moment.time() == _NOON else style.at.format(said_clock(moment, language))
    return f"{long_day(moment.date(), language)} {at}"


def zone_name(clinic: Clinic, language: Language) -> str:
    """The name of the clinic's time zone, as in "Eastern Time" or "hora del Este"."""
    return phrases.zone_name(clinic.zone, language)


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def part_of_day(moment: datetime) -> PartOfDay:
    return PARTS_OF_DAY[(moment.hour >= _AFTERNOON) + (moment.hour >= _EVENING)]
