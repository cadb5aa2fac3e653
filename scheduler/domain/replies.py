"""What patients mean by a text, in English or Spanish, and which visit they mean. Pure.

Nothing here cancels a visit: STOP and CANCEL are words by which the law lets anybody end the texts (47 CFR
64.1200(a)(10)), and CANCEL is one of Twilio's own. A text whose meaning is not certain is for a person to read.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from scheduler.domain.clinics import Language
from scheduler.domain.visits import Status, Visit

# ``cancel`` speaks of a visit in words of its own ("cancel my appointment"); ``stop`` ends the texts.
Meaning = Literal["stop", "start", "help", "confirm", "reschedule", "accept", "cancel", "unclear"]

# These are commands: the same one again within seconds is a thumb that slipped, or a phone that sent twice.
COMMANDS: frozenset[Meaning] = frozenset({"start", "help", "confirm", "reschedule", "accept"})
REPEAT_WITHIN = timedelta(seconds=10)

# A visit is what a reply speaks of when its reminder, or the news of its new time, went out this recently.
REMINDED_WITHIN = timedelta(hours=72)

# R answers what was said of a visit this recently; and texts that went out together are answered together.
SPOKEN_WITHIN = timedelta(days=7)
_TOGETHER = timedelta(minutes=1)

# What a text about a visit lets its reader answer. An answer of ours is named by its words, all else by its kind.
_ASKS: dict[str, frozenset[Meaning]] = {
    "reminder": frozenset({"confirm", "reschedule"}),
    "rescheduled": frozenset({"confirm", "reschedule"}),
    "booked": frozenset({"reschedule"}),
    "cancelled_by_patient": frozenset({"reschedule"}),
    "cancelled_by_clinic": frozenset({"reschedule"}),
    "closure": frozenset({"reschedule"}),
    "no_show": frozenset({"reschedule"}),
}

# A visit of these will not take place, whoever was told of it.
LOST: frozenset[Status] = frozenset({"cancelled", "no_show"})

# Whoever writes CANCEL this soon before a visit may mean the visit.
CANCEL_MEANS_VISIT_WITHIN = timedelta(hours=72)

# A whole message that is one of these, politeness aside.
_WHOLE: dict[Meaning, frozenset[str]] = {
    "stop": frozenset({
        "stop", "stop all", "stopall", "unsubscribe", "end", "quit", "revoke", "optout", "opt out", "cancel",
        "stop it", "stop this", "stop texts", "stop messages", "no texts", "no messages",
        "stop stop", "stopp", "stop text", "stop sms", "end texts", "end messages", "cancel texts", "cancel messages",
        "remove", "leave me alone", "unsuscribe", "desuscribir",
        "alto", "parar", "pare", "baja", "dar de baja", "darme de baja", "basta", "ya basta", "no mas", "cancelar",
    }),
    "start": frozenset({"start", "unstop"}),
    "help": frozenset({"help", "info", "ayuda"}),
    "reschedule": frozenset({
        "r", "reschedule", "reprogramar", "cambiar", "2", "change", "cambio", "other time", "another time",
        "new time", "move", "otro horario", "otra hora", "cambiarla", "cambiela", "moverla", "mover",
    }),
    "accept": frozenset({"a", "accept", "acepto", "aceptar"}),
}  # fmt: skip

# A message of nothing but these says yes, however often it says it.
_YES = frozenset({
    "c", "confirm", "confirmed", "confirmo", "confirmar", "confirmado", "confirmada", "y", "yes", "yep", "si", "ok",
    "okay", "1", "\N{THUMBS UP SIGN}", "\N{WHITE HEAVY CHECK MARK}", "\N{OK HAND SIGN}",
})  # fmt: skip

# These say yes to a visit, whatever was said before. The others may as well only thank for the last text.
_CONFIRMS = frozenset({"c", "confirm", "confirmed", "confirmo", "confirmar", "confirmado", "confirmada"})

# Wherever it stands in a message, this says that the texts shall end.
_STOPS_ANYWHERE = (
    "do not text", "dont text", "do not message", "dont message", "do not contact", "dont contact", "unsubscribe me",
    "opt me out", "take me off", "remove me", "remove my number", "quiten mi numero",
)  # fmt: skip

# The same in more wordings than anybody could list. "Don't stop", and what else a body may stop or a visitor stop by
# for, is none of them.
_TEXTS = r"(?:texts?|texting|sms|messages?|messaging|msgs?)"
_MENSAJES = r"(?:mensajes|mensaje|textos|sms)"
_ENDS_TEXTS = re.compile(
    r"(?<!dont )(?<!not )(?<!never )\b(?:"
    r"(?:stop|quit) (?:texting|sending|messaging|contacting)"
    rf"|(?:stop|quit|end|cancel) (?:(?:all|the|these|those|this|your|my|of|me|any|more) )+{_TEXTS}"
    rf"|(?:dont|do not) send (?:(?:me|us|any|more|the|these) )*{_TEXTS}"
    rf"|no more {_TEXTS}"
    r"|(?:revoke|withdraw) (?:my )?consent"
    r"|no (?:me|nos) (?:mande|mandes|manden|envie|envies|envien|escriba|escribas|escriban)"
    rf"|no (?:quiero|deseo) (?:(?:mas|recibir|estos|sus|los) )*{_MENSAJES}"
    rf"|no mas {_MENSAJES}"
    r"|(?:deje|dejen|deja) de (?:escribir|enviar|mandar)\w*"
    r")\b"
)

# A text that holds one of these and is not understood may ask for fewer texts: another one is no answer to it.
_OF_ENDING = frozenset({
    "stop", "stopp", "stopping", "quit", "end", "revoke", "remove", "unsubscribe", "unsuscribe", "optout", "alto",
    "parar", "pare", "paren", "baja", "deje", "dejen", "desuscribir",
})  # fmt: skip

# Somebody who writes one of these among other words may want to cancel a visit.
_CANCELS = frozenset({
    "cancel", "cancelar", "canceling", "cancelling", "cancelen", "cancele", "cancelo", "cancela",
})  # fmt: skip

_POLITE = frozenset({
    "please", "pls", "plz", "thanks", "thank", "you", "thx", "ty", "now", "hi", "hello", "por", "favor", "gracias",
    "hola", "ahora", "muchas", "porfavor",
})  # fmt: skip
# What a yes, or the wish for another time, may say besides.
_OF_VISITS = frozenset({
    "i", "my", "the", "it", "a", "to", "this", "visit", "appointment", "appt", "will", "be", "there", "mi", "la",
    "cita", "visita", "el", "esta",
})  # fmt: skip

_SPANISH = frozenset({
    "si", "confirmo", "confirmar", "confirmado", "confirmada", "reprogramar", "cambiar", "cambio", "acepto", "aceptar",
    "ayuda", "hola", "gracias", "favor", "porfavor", "cita", "alto", "parar", "pare", "baja", "mas", "cancelar",
    "quiero", "hora", "horario", "otra", "otro",
})  # fmt: skip

# How telephones tell that somebody reacted to a text, with the text in quotes: the words in it are our own.
_REACTION = re.compile(
    r"^\W*(?:liked|loved|disliked|emphasized|laughed at|questioned|reacted .{1,8} to)\s+[\"“«]", re.IGNORECASE
)

_KEPT_SIGNS = frozenset(sign for sign in _YES if not sign.isalnum())


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A visit that a reply may speak of. ``prompted`` is whether a text about it went out lately."""

    visit: Visit
    prompted: bool


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A text that went to a phone at a moment. ``about`` is a key of what may be answered to it, or anything else.

    ``visit`` is the visit that it spoke of as it is now, and ``starts_at`` the start that it named; None for none.
    """

    about: str
    said_at: datetime
    visit: Visit | None
    starts_at: datetime | None


def words_of(text: str) -> list[str]:
    """Return the words of a text without case, accents and punctuation; a thumb up counts as a word."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("'", "").replace("’", ""))
    spaced = "".join(
        f" {letter} " if letter in _KEPT_SIGNS else letter if letter.isalnum() else " "
        for letter in decomposed
        if not unicodedata.combining(letter)
    )
    return spaced.split()


def meaning_of(text: str, *, opt_out_type: str = "", opted_out: bool = False) -> Meaning:
    """Return what a text asks for.

    ``opt_out_type`` is what Twilio took it for and has answered already: STOP, START, HELP or nothing; its words may
    be others than ours. ``opted_out`` is whether whoever writes has stopped the texts before: YES starts them again
    at Twilio, and says yes to a visit where nothing was stopped.
    """
    own = _own_meaning(text)
    if opt_out_type == "STOP":
        return "stop"
    if opt_out_type == "START" and (opted_out or own == "unclear"):
        return "start"
    return "help" if opt_out_type == "HELP" else own


def _own_meaning(text: str) -> Meaning:
    if _REACTION.match(text):
        return "unclear"
    words = words_of(text)
    plain = [word for word in words if word not in _POLITE]
    whole = " ".join(plain)
    for meaning, phrases in _WHOLE.items():
        if whole in phrases or (meaning == "reschedule" and _without(plain, _OF_VISITS) in phrases):
            return meaning
    said = f" {' '.join(words)} "
    if any(f" {phrase} " in said for phrase in _STOPS_ANYWHERE) or _ENDS_TEXTS.search(said):
        return "stop"
    if not _CANCELS.isdisjoint(words):
        return "cancel"
    yes = [word for word in plain if word not in _OF_VISITS]
    return "confirm" if yes and _YES.issuperset(yes) else "unclear"


def _without(words: Sequence[str], left_out: frozenset[str]) -> str:
    return " ".join(word for word in words if word not in left_out)


def may_mean_visit(text: str) -> bool:
    """Return whether a text that ends the texts may be about a visit: CANCEL, in either language."""
    return not _CANCELS.isdisjoint(words_of(text))


def may_mean_texts(text: str) -> bool:
    """Return whether a text that is not understood may ask that the texts end."""
    return not _OF_ENDING.isdisjoint(words_of(text))


def is_muted(consents: Sequence[bool | None], last_said: str | None) -> bool:
    """Return whether nothing may be answered to a phone: it said stop, or everybody at it has declined.

    ``consents`` are what those at the phone say of texts now, None for nothing; ``last_said`` is what the phone itself
    last said of them, ``stop``, ``start`` or None. Whoever agrees is answered: a stop had taken that from everybody.
    The claim of messages (``store/dispatch``) asks the same.
    """
    if any(consents):
        return False
    return last_said == "stop" or (bool(consents) and all(consent is False for consent in consents))


def language_of(text: str) -> Language | None:
    """Return Spanish where the words say so, else None: what English words there are prove little."""
    return "es" if not _SPANISH.isdisjoint(words_of(text)) else None


def meant(candidates: Sequence[Candidate]) -> Visit | None:
    """Return the visit that a yes, or the wish for another time, speaks of; None where that is not certain.

    That is the one about which a text went out lately and which nobody has confirmed; failing that, the only one
    there is, or the only one about which a text went out. ``candidates`` are visits to come, in order of start.
    """
    waiting = [one.visit for one in candidates if one.prompted and one.visit.status == "booked"]
    if waiting:
        return waiting[0] if len(waiting) == 1 else None
    prompted = [one.visit for one in candidates if one.prompted]
    if len(candidates) == 1 or len(prompted) == 1:
        return prompted[0] if prompted else candidates[0].visit
    # A second yes after everything is confirmed is no riddle.
    return candidates[0].visit if candidates and all(one.visit.status == "confirmed" for one in candidates) else None


def asks(said: Said, meaning: Meaning) -> bool:
    """Return whether a text about a visit lets its reader answer this."""
    return said.visit is not None and meaning in _ASKS.get(said.about, ())


def only_thanks(text: str, said: Sequence[Said]) -> bool:
    """Return whether a yes answers no question: it names none, and the last text to its phone asked for none.

    ``said`` is newest first, here and below.
    """
    return _CONFIRMS.isdisjoint(words_of(text)) and bool(said) and not asks(said[0], "confirm")


def overtaken(said: Sequence[Said], now: datetime) -> Said | None:
    """Return the last text that asked for a yes, where what it asked about is no longer so; else None."""
    asked = next((one for one in said if asks(one, "confirm") and one.said_at >= now - REMINDED_WITHIN), None)
    if asked is None or asked.visit is None:
        return None
    return asked if asked.visit.status in LOST or asked.visit.starts_at != asked.starts_at else None


def wished_elsewhere(candidates: Sequence[Candidate], said: Sequence[Said]) -> Visit | None:
    """Return the visit for which another time is wished, be it to come or lost; None where that is not certain.

    That is the one of which the last text that offered it spoke; failing that, what a yes would mean.
    """
    offers = [one for one in said if asks(one, "reschedule")]
    coming = {one.visit.id for one in candidates}
    spoken = {
        one.visit.id: one.visit
        for one in offers
        if one.visit
        and one.said_at >= offers[0].said_at - _TOGETHER
        and (one.visit.id in coming or one.visit.status in LOST)
    }
    if not spoken:
        return meant(candidates)
    # Of several that are all off, any tells the desk whom to call.
    return next(iter(spoken.values())) if len(spoken) == 1 or coming.isdisjoint(spoken) else None


def soon(candidates: Sequence[Candidate], now: datetime) -> Visit | None:
    """Return the first visit that begins soon enough for CANCEL to mean it."""
    found = (one.visit for one in candidates if one.visit.starts_at <= now + CANCEL_MEANS_VISIT_WITHIN)
    return next(found, None)
