"""The words of every message: read from one file per language, checked, and filled in when a message leaves."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar, get_args

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scheduler.channels.phrases import longest_phrases, phrases, soon, zone_name
from scheduler.channels.segments import count, normalise
from scheduler.channels.staff_words import STAFF
from scheduler.domain.clinics import LANGUAGES, Channel, Clinic, Language, VisitType
from scheduler.domain.links import TOKEN_CHARACTERS
from scheduler.errors import ConfigurationError

Kind = TypeVar("Kind")

CHANNELS: tuple[Channel, ...] = get_args(Channel)

# What the service writes of its own accord. The files may hold more, for a clinic's own rungs of the ladder.
_NOTICES = ("booked", "rescheduled", "cancelled_by_patient", "cancelled_by_clinic", "closure")
_ANSWERS = ("confirm_ack", "resched_link", "new_link")
# Answers that are of no visit, or of one that nobody can be sure of.
_CODE = "code"
_TIMELESS = (_CODE, "resched_request_ack", "which_visit", "unknown_reply", "help_ack", "optin_ack", "optin_confirm")
REQUIRED: dict[Channel, tuple[str, ...]] = {
    "sms": (*_NOTICES, "no_show", "reminder_72h", "reminder_24h", "reminder_2h", *_ANSWERS, *_TIMELESS),
    "email": (*_NOTICES, "reminder_72h", "reminder_24h"),
}

# What may stand in braces. ``at_time`` has the preposition with it, which Spanish bends: "a la 1:00", "a las 2:00".
_ALWAYS = frozenset({"clinic", "phone"})
_OF_VISITS = _ALWAYS | {"when", "day", "time", "at_time", "soon", "link"}
PLACEHOLDERS: dict[Channel, frozenset[str]] = {
    "sms": _OF_VISITS,
    "email": _OF_VISITS | {"address", "map", "bring", "zone", "stopped", "unsubscribe"},
}
_OF_MOVES = frozenset({"old", "new"})

# Words that tell an onlooker about somebody's health or money, without accents. The clinic's name is not looked at.
CLINICAL_WORDS = frozenset(
    """
    ankle balance condition diagnosis evaluation exercise gait hip injury insurance knee pain patient physical rehab
    rehabilitation runner running shoulder spine surgery symptom therapist therapy treadmill treatment
    cadera caminadora cirugia condicion diagnostico dolor ejercicio evaluacion fisioterapia hombro lesion lesiones
    paciente rehabilitacion rodilla saldo sintoma terapeuta terapia tobillo tratamiento
    """.split()
)
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


def lint(texts: Texts, clinic_name: str, phone: str, base_url: str) -> list[str]:
    """Return what is wrong with the texts, one sentence each, which names the file and the text.

    Every SMS must say who writes and where to call, and fit one GSM-7 segment on the longest of dates, with a link
    at ``base_url`` in it where it has one. No message may hold a word about somebody's health, or a typographic dash.
    """
    problems = list(_shape_problems(texts))
    for language, channel, name, template in _every(texts):
        words = f"{template.subject}\n{template.text}"
        where = f"{language}.toml: {channel}.{name}"
        problems += [f"{where} holds the clinical word {word!r}." for word in _clinical_words(words)]
        problems += [f"{where} holds a typographic dash."] * bool(_DASHES.search(words))
        if channel == "sms" and not _placeholder_problem(channel, name, template):
            problems += [f"{where} does not say {part}." for part in ("{clinic}", "{phone}") if part not in words]
            said = longest_phrases(language)
            longest = said | {"old": said["when"], "new": said["when"], "clinic": clinic_name, "phone": phone}
            longest |= {"link": sample_link(base_url), "code": "000000"}
            cost = count(normalise(template.text.format_map(longest)))
            if cost.encoding != "GSM-7" or cost.segments > 1:
                problems.append(f"{where} takes {cost.segments} {cost.encoding} segments ({cost.units} units).")
    return problems


def lint_bring(visit_types: Iterable[VisitType]) -> list[str]:
    """Return which words on what to bring tell an onlooker about somebody's health, one sentence each.

    They stand in emails. That people bring an insurance card is no secret.
    """
    return [
        f"bring.{language} of visit type {visit_type.code} holds the clinical word {word!r}, and stands in emails."
        for visit_type in visit_types
        for language, words in visit_type.bring.items()
        for word in _clinical_words(words)
        if word != "insurance"
    ]


def sample_link(base_url: str) -> str:
    """Return a link as long as a visit's own, which opens nothing."""
    return f"{base_url.rstrip('/')}/m/{'x' * TOKEN_CHARACTERS}"


def render(
    texts: Texts,
    clinic: Clinic,
    *,
    template: str,
    channel: Channel,
    language: Language,
    variables: Mapping[str, str],
    now: datetime,
    link: str = "",
) -> Rendered:
    """Return the message in its final words, with times as the clinic's clocks show them.

    ``now`` decides whether the visit is today or tomorrow, so that a reminder which leaves late says nothing wrong.
    ``link`` is the patient's private page of the visit.

    ``variables`` is what the outbox keeps: ``starts_at`` and, for a moved visit, ``was_starts_at`` as ISO instants,
    and the code of the ``visit_type``; a reminder that is about to leave has its ``unsubscribe_url`` as well, and an
    answer about no visit has nothing. Mail to staff has what its braces say (``staff_words``). A line of an email that
    has nothing to say (nothing to bring, no link, texts that were not stopped) is left out.
    """
    words = texts.languages[language][channel][template]
    values = _values(clinic, channel, language, variables, now) | {"link": link}
    if template in STAFF:
        values |= variables
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
        unsubscribe_url=values["unsubscribe"],
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
    required.extend(("email", name) for name in STAFF)
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
    known = PLACEHOLDERS[channel] if name not in _TIMELESS else _ALWAYS
    if name in STAFF:
        known = _ALWAYS | STAFF[name]
    if name == _CODE:
        known |= {"code"}
    if name == "rescheduled":
        known |= _OF_MOVES
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
    clinic: Clinic, channel: Channel, language: Language, variables: Mapping[str, str], now: datetime
) -> dict[str, str]:
    settings = clinic.settings
    visit_type = clinic.visit_types.get(variables.get("visit_type", ""))
    values = {
        "clinic": settings.sms_name if channel == "sms" else settings.name,
        "phone": settings.phone,
        "address": settings.address,
        "map": settings.map_url,
        "bring": visit_type.bring.get(language, "") if visit_type else "",
        "zone": zone_name(clinic.zone, language),
        "stopped": variables.get("stopped", ""),
        "unsubscribe": variables.get("unsubscribe_url", ""),
        "code": variables.get("code", ""),
    }
    if "starts_at" in variables:
        starts_at = clinic.local(datetime.fromisoformat(variables["starts_at"]))
        values |= phrases(starts_at, channel, language)
        values["soon"] = soon(starts_at.date(), clinic.local(now).date(), language)
    if "was_starts_at" in variables:
        was = phrases(clinic.local(datetime.fromisoformat(variables["was_starts_at"])), channel, language)
        values |= {"old": was["when"], "new": values["when"]}
    return values
