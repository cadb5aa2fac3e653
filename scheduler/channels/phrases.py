"""The ways of saying one moment, by text or by email, in English and in Spanish."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_date, format_time, get_timezone_name

from scheduler.domain.clinics import Channel, Language


class _Style(msgspec.Struct, frozen=True):
    """How a date and a time are written: Babel patterns, the locale of the clock, and the two together."""

    day: str
    time: str
    clock: str
    when: str


# Texts are short and plain; prose keeps a day with its month and a time with its half of the day on one line.
_STYLES: dict[tuple[Channel, Language], _Style] = {
    ("sms", "en"): _Style("EEE MMM d", "h:mm a", "en_US", "{day} {time}"),
    ("sms", "es"): _Style("EEE d MMM", "h:mm a", "en_US", "{day} {time}"),
    ("email", "en"): _Style("EEEE, MMMM\u00a0d", "h:mm\u00a0a", "en_US", "{day} {at_time}"),
    ("email", "es"): _Style("EEEE d\u00a0'de'\u00a0MMMM", "h:mm\u00a0a", "es", "{day} {at_time}"),
}
# "12:00 PM" alone puzzles people, so prose says it in a word.
_NOON: dict[Language, dict[str, str]] = {
    "en": {"time": "noon", "at_time": "at noon"},
    "es": {"time": "mediodía", "at_time": "al mediodía"},
}
# How many days ahead a visit is, in words that go before its date. Spanish has an article where there is no such word.
_SOON: dict[Language, dict[int, str]] = {
    "en": {0: "today, ", 1: "tomorrow, "},
    "es": {0: "hoy, ", 1: "mañana, "},
}
_OTHERWISE: dict[Language, str] = {"en": "", "es": "el "}


# Babel knows this zone by a name that people in it do not use.
_SPOKEN = {"hora oriental": "hora del Este"}


@cache
def zone_name(zone: ZoneInfo, language: Language) -> str:
    """The name of a time zone, as in "Eastern Time" or "hora del Este"."""
    name = get_timezone_name(zone, locale=language)
    return _SPOKEN.get(name, name)


def phrases(local: datetime, channel: Channel, language: Language) -> dict[str, str]:
    """Return ``day``, ``time``, ``at_time`` and ``when`` of a moment that is given as the clinic's clocks show it."""
    return {**_said_of(local.replace(tzinfo=None), channel, language)}


# A clinic's visits of a day begin at the same few times. Without a zone, because moments that are equal differ in it.
@lru_cache(maxsize=4096)
def _said_of(local: datetime, channel: Channel, language: Language) -> Mapping[str, str]:
    style = _STYLES[channel, language]
    clock = format_time(local.time(), style.time, locale=style.clock).replace("\u202f", "\u00a0")
    preposition = "at" if language == "en" else "a la" if local.hour % 12 == 1 else "a las"
    said = {
        "day": format_date(local.date(), style.day, locale=language),
        "time": clock,
        "at_time": f"{preposition} {clock}",
    }
    if channel == "email" and local.time() == time(12):
        said |= _NOON[language]
    return said | {"when": style.when.format_map(said)}


def soon(day: date, today: date, language: Language) -> str:
    """Return what goes before the date of a visit: that it is today or tomorrow, where that is so."""
    return _SOON[language].get((day - today).days, _OTHERWISE[language])


@cache
def longest_phrases(language: Language) -> dict[str, str]:
    """Return what a text says of half past twelve on whichever day of a leap year takes most room."""
    days = (datetime(2028, 1, 1, 12, 30) + timedelta(days=day) for day in range(366))  # noqa: DTZ001 - wall clock
    longest = max((phrases(day, "sms", language) for day in days), key=lambda said: len(said["when"]))
    return longest | {"soon": max(_SOON[language].values(), key=len)}
