"""The words of mail to the people of the clinic that depend on how much there is to tell.

The sentences around them are in config/messages (``email.digest``, ``email.desk_alert``). Initials and times are all
that is told of anybody: mail is read on telephones that lie about.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from scheduler.channels.phrases import phrases
from scheduler.domain.clinics import Language
from scheduler.domain.desk_tasks import TaskKind
from scheduler.domain.digests import Digest, Entry

# The texts of such mail, and what may stand in their braces beside {clinic} and {phone}.
STAFF: Mapping[str, frozenset[str]] = {
    "digest": frozenset({"day", "count", "span", "marked", "visits", "as_of"}),
    "desk_alert": frozenset({"count", "tasks", "url"}),
}

# Visits that an alert names by their time; of more it says how many.
TIMES_TOLD = 10

# One of a thing, and several.
_WORDS: dict[Language, dict[str, tuple[str, str]]] = {
    "en": {
        "visits": ("1 visit", "{count} visits"),
        "first": ("1 first visit", "{count} first visits"),
        "unconfirmed": ("1 not confirmed", "{count} not confirmed"),
        "tasks": ("1 thing to see to", "{count} things to see to"),
        "times": ("Visit", "Visits"),
        "more": ("and 1 more", "and {count} more"),
    },
    "es": {
        "visits": ("1 cita", "{count} citas"),
        "first": ("1 primera visita", "{count} primeras visitas"),
        "unconfirmed": ("1 sin confirmar", "{count} sin confirmar"),
        "tasks": ("1 asunto por atender", "{count} asuntos por atender"),
        "times": ("Cita", "Citas"),
        "more": ("y 1 más", "y {count} más"),
    },
}
_PHRASES: dict[Language, dict[str, str]] = {
    "en": {"span": "{starts} to {ends}", "first": "first visit", "unconfirmed": "not confirmed", "free": "Free"},
    "es": {"span": "{starts} a {ends}", "first": "primera visita", "unconfirmed": "sin confirmar", "free": "Libre"},
}
_TASKS: dict[Language, dict[TaskKind, tuple[str, str]]] = {
    "en": {
        "undeliverable": ("1 message could not be delivered", "{count} messages could not be delivered"),
        "not-reminded": (
            "1 visit tomorrow of which nobody will be reminded",
            "{count} visits tomorrow of which nobody will be reminded",
        ),
        "wants-to-move": ("1 person asked by text for another time", "{count} people asked by text for another time"),
        "may-want-to-cancel": (
            "1 person stopped the texts with a word that may have been about the next visit",
            "{count} people stopped the texts with a word that may have been about the next visit",
        ),
        "which-visit": (
            "1 person confirmed by text, and has more than one visit",
            "{count} people confirmed by text, and have more than one visit",
        ),
        "sent-twice": ("1 message was sent twice", "{count} messages were sent twice"),
        "same-day-twice": (
            "1 person has two visits on one day",
            "{count} people have two visits on one day",
        ),
        "call-back": ("1 person asked online to be called", "{count} people asked online to be called"),
        "channel-paused": ("Texts or emails wait: none of them can leave", "Texts and emails wait: none can leave"),
    },
    "es": {
        "undeliverable": ("1 mensaje no se pudo entregar", "{count} mensajes no se pudieron entregar"),
        "not-reminded": (
            "1 cita de mañana de la que nadie recibirá recordatorio",
            "{count} citas de mañana de las que nadie recibirá recordatorio",
        ),
        "wants-to-move": (
            "1 persona pidió otro horario por mensaje",
            "{count} personas pidieron otro horario por mensaje",
        ),
        "may-want-to-cancel": (
            "1 persona detuvo los mensajes con una palabra que quizá era sobre su próxima cita",
            "{count} personas detuvieron los mensajes con una palabra que quizá era sobre su próxima cita",
        ),
        "which-visit": (
            "1 persona confirmó por mensaje y tiene más de una cita",
            "{count} personas confirmaron por mensaje y tienen más de una cita",
        ),
        "sent-twice": ("1 mensaje se envió dos veces", "{count} mensajes se enviaron dos veces"),
        "same-day-twice": (
            "1 persona tiene dos citas en un día",
            "{count} personas tienen dos citas en un día",
        ),
        "call-back": ("1 persona pidió en línea que la llamen", "{count} personas pidieron en línea que las llamen"),
        "channel-paused": (
            "Los mensajes o los correos esperan: ninguno puede salir",
            "Los mensajes y los correos esperan: ninguno puede salir",
        ),
    },
}


def digest_words(digest: Digest, language: Language, as_of: datetime) -> dict[str, str]:
    """Return what stands in the braces of ``email.digest``. ``as_of`` is as the clinic's clocks show it.

    What there is nothing to say of is empty, and its line is left out.
    """
    first, marked = digest.entries[0], (("first", digest.first_visits), ("unconfirmed", digest.unconfirmed))
    return {
        "day": phrases(first.starts, "email", language)["day"],
        "count": _counted(language, "visits", len(digest.entries)),
        "span": _span(language, first.starts, max(entry.ends for entry in digest.entries)),
        "marked": ", ".join(_counted(language, name, number) for name, number in marked if number),
        "visits": "\n".join(_lines(digest, language)),
        "as_of": _time(language, as_of),
    }


def _lines(digest: Digest, language: Language) -> Iterable[str]:
    """The day as lines in order: visits, and between them the gaps."""
    words, gaps = _PHRASES[language], list(digest.gaps)
    for entry in digest.entries:
        if gaps and gaps[0][1] == entry.starts:
            yield f"{_span(language, *gaps.pop(0))}  {words['free']}"
        marks = [words["first"]] * entry.is_first + [words["unconfirmed"]] * (not entry.is_confirmed)
        yield ", ".join([f"{_span(language, entry.starts, entry.ends)}  {entry.initials}", *marks])


def alert_words(tasks: Sequence[tuple[str, datetime | None]], language: Language, base_url: str) -> dict[str, str]:
    """Return what stands in the braces of ``email.desk_alert``; the page that lists them is below ``base_url``.

    ``tasks`` are the kind of each and when its visit is, as the clinic's clocks show it, None where it is about none.
    """
    kinds = dict.fromkeys(kind for kind, _ in tasks)
    return {
        "count": _counted(language, "tasks", len(tasks)),
        "tasks": "\n".join(
            _task_line(language, kind, [starts for one, starts in tasks if one == kind]) for kind in kinds
        ),
        "url": f"{base_url}/staff/messages",
    }


def _task_line(language: Language, kind: str, visits: Sequence[datetime | None]) -> str:
    # A release that is being rolled out may know kinds that this one does not.
    words = {**_TASKS[language]}.get(kind, _WORDS[language]["tasks"])
    said = _one_or_several(words, len(visits))
    times = sorted({starts for starts in visits if starts is not None})
    if not times:
        return f"{said}."
    told = [phrases(starts, "sms", language)["when"] for starts in times[:TIMES_TOLD]]
    if rest := len(times) - len(told):
        told.append(_counted(language, "more", rest))
    return f"{said}. {_counted(language, 'times', len(times))}: {'; '.join(told)}."


def sample_words(template: str, language: Language, base_url: str, starts: datetime) -> dict[str, str]:
    """Return what a text of ``STAFF`` says on a made-up day, whose first visit is given in the clinic's time."""
    if template == "desk_alert":
        return alert_words([("undeliverable", starts), ("wants-to-move", None)], language, base_url)
    ends, later = starts + timedelta(hours=1), starts + timedelta(hours=2)
    entries = (
        Entry(starts=starts, ends=ends, initials="A.S.", is_first=True, is_confirmed=True),
        Entry(starts=later, ends=later + timedelta(minutes=45), initials="J.P.", is_first=False, is_confirmed=False),
    )
    return digest_words(Digest(entries=entries, gaps=((ends, later),)), language, starts - timedelta(hours=2))


def _counted(language: Language, name: str, count: int) -> str:
    return _one_or_several(_WORDS[language][name], count)


def _one_or_several(words: tuple[str, str], count: int) -> str:
    one, several = words
    return one if count == 1 else several.format(count=count)


def _span(language: Language, starts: datetime, ends: datetime) -> str:
    return _PHRASES[language]["span"].format(starts=_time(language, starts), ends=_time(language, ends))


def _time(language: Language, local: datetime) -> str:
    return phrases(local, "email", language)["time"]
