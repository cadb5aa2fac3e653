"""The words of every message: read from one file per language, checked, and filled in when a message leaves."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar, get_args

import msgspec
from babel.dates import format_date, format_time, get_timezone_name
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scheduler.channels.segments import count, normalise
from scheduler.domain.clinics import LANGUAGES, Channel, Clinic, Language
from scheduler.errors import ConfigurationError

Kind = TypeVar("Kind")

CHANNELS: tuple[Channel, ...] = get_args(Channel)

# What the service writes of its own accord. The files may hold more, for a clinic's own rungs of the ladder.
_NOTICES = ("booked", "rescheduled", "cancelled_by_patient", "cancelled_by_clinic")
REQUIRED: dict[Channel, tuple[str, ...]] = {
    "sms": (*_NOTICES, "reminder_72h", "reminder_24h", "reminder_2h"),
    "email": (*_NOTICES, "reminder_72h", "reminder_24h"),
}

# What may stand in braces. ``at_time`` has the preposition with it, which Spanish bends: "a la 1:00", "a las 2:00".
_EVERYWHERE = frozenset({"clinic", "phone", "when", "day", "time", "at_time", "soon"})
PLACEHOLDERS: dict[Channel, frozenset[str]] = {
    "sms": _EVERYWHERE,
    "email": _EVERYWHERE | {"address", "map", "bring", "zone"},
}
PLACEHOLDERS_OF = {"rescheduled": frozenset({"old", "new"})}

# Words that tell an onlooker about somebody's health or money, without accents. The clinic's name is not looked at.
CLINICAL_WORDS = frozenset(
    """
    ankle balance condition diagnosis evaluation exercise gait hip injury insurance knee pain patient physical rehab
    rehabilitation runner running shoulder spine surgery symptom therapist therapy treadmill treatment
    cadera caminadora cirugia condicion diagnostico dolor ejercicio evaluacion fisioterapia hombro lesion lesiones
    paciente rehabilitacion rodilla saldo sintoma terapeuta terapia tobillo tratamiento
    """.split()
)
# How many days ahead a visit is, in words that go before its date. Spanish has an article where there is no such word.
_SOON: dict[Language, dict[int, str]] = {
    "en": {0: "today, ", 1: "tomorrow, "},
    "es": {0: "hoy, ", 1: "mañana, "},
}
_OTHERWISE: dict[Language, str] = {"en": "", "es": "el "}
_DASHES = re.compile("[\u2010-\u2015\u2212]")


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message before it is filled in. ``subject`` is for email only."""

    text: str
    subject: str = ""


class Texts(msgspec.Struct, frozen=True):
    """The words of all messages by language, channel and name of the template."""

    languages: dict[Language, dict[Channel, dict[str, Template]]]


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A message in its final words. ``subject`` and ``html`` are for email only."""

    text: str
    subject: str = ""
    html: str = ""


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

_layouts = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"), autoescape=True, undefined=StrictUndefined
)


def load_texts(directory: Path) -> Texts:
    """Read ``en.toml`` and ``es.toml``, or raise ConfigurationError naming the file and the text that is wrong.

    What was read can be rendered: every required template is there in each language, and every placeholder in a
    template has a value.
    """
    texts = Texts({language: _load(directory / f"{language}.toml") for language in LANGUAGES})
    for problem in _shape_problems(texts):
        raise ConfigurationError(str(directory / problem))
    return texts


def lint(texts: Texts, clinic_name: str, phone: str) -> list[str]:
    """Return what is wrong with the texts, one sentence each, which names the file and the text.

    Every SMS must say who writes and where to call, and fit one GSM-7 segment on the longest of dates. No message
    may hold a word about somebody's health, or a typographic dash.
    """
    problems = list(_shape_problems(texts))
    for language, channel, name, template in _every(texts):
        words = f"{template.subject}\n{template.text}"
        where = f"{language}.toml: {channel}.{name}"
        problems += [f"{where} holds the clinical word {word!r}." for word in _clinical_words(words)]
        problems += [f"{where} holds a typographic dash."] * bool(_DASHES.search(words))
        if channel == "sms" and not _placeholder_problem(channel, name, template):
            problems += [f"{where} does not say {part}." for part in ("{clinic}", "{phone}") if part not in words]
            cost = count(normalise(template.text.format_map(_longest(language, clinic_name, phone))))
            if cost.encoding != "GSM-7" or cost.segments > 1:
                problems.append(f"{where} takes {cost.segments} {cost.encoding} segments ({cost.units} units).")
    return problems


def render(
    texts: Texts,
    clinic: Clinic,
    *,
    template: str,
    channel: Channel,
    language: Language,
    variables: Mapping[str, str],
    now: datetime,
) -> Rendered:
    """Return the message in its final words, with times as the clinic's clocks show them.

    ``now`` decides whether the visit is today or tomorrow, so that a reminder which leaves late says nothing wrong.

    ``variables`` is what the outbox keeps: ``starts_at`` and, for a moved visit, ``was_starts_at`` as ISO instants,
    and the code of the ``visit_type``. A line of an email that has nothing to say (nothing to bring) is left out.
    """
    words = texts.languages[language][channel][template]
    values = _values(clinic, channel, language, variables, clinic.local(now).date())
    if channel == "sms":
        return Rendered(text=normalise(words.text.format_map(values)).strip())
    lines = [line for line in words.text.strip().splitlines() if all(values[name] for name in _placeholders(line))]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).format_map(values)
    # A header with a no-break space in it would travel encoded.
    subject = words.subject.format_map(values).replace("\u00a0", " ")
    html = _layouts.get_template("email.html").render(
        language=language,
        subject=subject,
        paragraphs=[paragraph.splitlines() for paragraph in text.split("\n\n")],
        clinic=clinic.settings,
    )
    return Rendered(subject=subject, text=f"{text}\n", html=html)


def _load(path: Path) -> dict[Channel, dict[str, Template]]:
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from None
    if unknown := sorted(raw.keys() - set(CHANNELS)):
        raise ConfigurationError(f"{path}: {unknown[0]} is not a channel; there are {' and '.join(CHANNELS)}.")
    loaded: dict[Channel, dict[str, Template]] = {}
    for channel in CHANNELS:
        tables = _convert(path, channel, raw.get(channel, {}), dict[str, Any])
        loaded[channel] = {name: _convert(path, f"{channel}.{name}", table, Template) for name, table in tables.items()}
    return loaded


def _convert(path: Path, where: str, raw: Any, kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {where}: {error}.") from None


def _every(texts: Texts) -> Iterator[tuple[Language, Channel, str, Template]]:
    for language, channels in texts.languages.items():
        for channel, templates in channels.items():
            for name, template in templates.items():
                yield language, channel, name, template


def _shape_problems(texts: Texts) -> Iterator[str]:
    """What would stop a message from being rendered, one sentence each."""
    required: list[tuple[Channel, str]] = [(channel, name) for channel in CHANNELS for name in REQUIRED[channel]]
    # What one language has beyond that, every language has: last, so that a misspelt name shows as the right one.
    found: set[tuple[Channel, str]] = {(channel, name) for _, channel, name, _ in _every(texts)}
    for channel, name in (*required, *sorted(found.difference(required))):
        for language, channels in texts.languages.items():
            if name not in channels[channel]:
                yield f"{language}.toml: {channel}.{name} is missing."
    for language, channel, name, template in _every(texts):
        where = f"{language}.toml: {channel}.{name}"
        if not template.text.strip():
            yield f"{where} has no text."
        if (channel == "email") != bool(template.subject.strip()):
            yield f"{where} {'needs a' if channel == 'email' else 'has no use for a'} subject."
        if problem := _placeholder_problem(channel, name, template):
            yield f"{where} {problem}"


def _placeholder_problem(channel: Channel, name: str, template: Template) -> str | None:
    known = PLACEHOLDERS[channel] | PLACEHOLDERS_OF.get(name, frozenset())
    try:
        unknown = sorted(set(_placeholders(f"{template.subject}\n{template.text}")) - known)
    except ValueError as error:
        return f"has a brace without its partner ({error})."
    return f"holds the unknown placeholder {{{unknown[0]}}}." if unknown else None


def _placeholders(text: str) -> list[str]:
    """The names in braces; a format or a conversion after one counts as a part of the name, so it is unknown."""
    return [
        name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
        for _, name, form, conversion in Formatter().parse(text)
        if name is not None
    ]


def _clinical_words(text: str) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    words = re.findall("[a-z_]+", "".join(letter for letter in decomposed if not unicodedata.combining(letter)))
    return sorted({word for word in words if word in CLINICAL_WORDS or word.removesuffix("s") in CLINICAL_WORDS})


def _values(
    clinic: Clinic, channel: Channel, language: Language, variables: Mapping[str, str], today: date
) -> dict[str, str]:
    settings = clinic.settings
    starts_at = clinic.local(datetime.fromisoformat(variables["starts_at"]))
    visit_type = clinic.visit_types.get(variables["visit_type"])
    values = {
        "clinic": settings.sms_name if channel == "sms" else settings.name,
        "phone": settings.phone,
        "address": settings.address,
        "map": settings.map_url,
        "bring": visit_type.bring.get(language, "") if visit_type else "",
        "zone": get_timezone_name(clinic.zone, locale=language),
        "soon": _SOON[language].get((starts_at.date() - today).days, _OTHERWISE[language]),
        **_phrases(starts_at, channel, language),
    }
    if "was_starts_at" in variables:
        was = _phrases(clinic.local(datetime.fromisoformat(variables["was_starts_at"])), channel, language)
        values |= {"old": was["when"], "new": values["when"]}
    return values


def _phrases(local: datetime, channel: Channel, language: Language) -> dict[str, str]:
    """The ways of saying one moment, which is given as the clinic's clocks show it."""
    style = _STYLES[channel, language]
    clock = format_time(local.time(), style.time, locale=style.clock).replace("\u202f", "\u00a0")
    preposition = "at" if language == "en" else "a la" if local.hour % 12 == 1 else "a las"
    phrases = {
        "day": format_date(local.date(), style.day, locale=language),
        "time": clock,
        "at_time": f"{preposition} {clock}",
    }
    if channel == "email" and local.time() == time(12):
        phrases |= _NOON[language]
    return phrases | {"when": style.when.format_map(phrases)}


def _longest(language: Language, clinic_name: str, phone: str) -> dict[str, str]:
    """Values for a text message at its longest."""
    phrases = _longest_phrases(language)
    soon = max(_SOON[language].values(), key=len)
    return {
        "clinic": clinic_name, "phone": phone, "old": phrases["when"], "new": phrases["when"], "soon": soon, **phrases
    }  # fmt: skip


@cache
def _longest_phrases(language: Language) -> dict[str, str]:
    """Half past twelve on whichever day of a leap year takes most room."""
    days = (datetime(2028, 1, 1, 12, 30) + timedelta(days=day) for day in range(366))  # noqa: DTZ001 - wall clock
    return max((_phrases(day, "sms", language) for day in days), key=lambda phrases: len(phrases["when"]))
