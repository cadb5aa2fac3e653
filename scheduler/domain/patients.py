"""Who comes to the clinic: names as compared, phones as dialled, emails as delivered."""

import re
import unicodedata
from datetime import date, datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from scheduler.domain.clinics import Channel, Language
from scheduler.errors import FieldError

NAME_LENGTH = 100
EMAIL_LENGTH = 254

# A search with less would be a list of everybody.
SHORTEST_NAME = 2
SHORTEST_PHONE = 4
LONGEST_PHONE = 15

# Nobody types more words of a name than this, and every word more is two more ways to read the others.
MOST_WORDS = 6

# The apostrophes and hyphens that keyboards and documents make, and the one of each that names are compared with. What
# NFKD takes for one of these already is not here. Migration 0006 has the same.
_APOSTROPHES = "\u2018\u2019\u201b\u02bb\u02bc\u0060\u2032"
_HYPHENS = "\u2010\u2012\u2013\u2014\u2015\u2212"
_PLAIN = str.maketrans(dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_HYPHENS, "-"))

# Persian and the scripts of India write names with these; any other format character is no part of one.
_JOINERS = "\u200c\u200d"

# Letters and a sign by their category, which are blank all the same: of Hangul, and of Braille.
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"

# Stands between family and given name in a name_key, and is part of no name.
_BETWEEN = "\x1f"

ConsentMethod = Literal["phone", "in_person", "paper", "email", "sms", "api"]

# How the front desk may have got a consent. Other ways to give one write their own: the booking page, a reply by text.
CONSENT_METHODS: dict[ConsentMethod, str] = {
    "phone": "said on the telephone",
    "in_person": "said at the front desk",
    "paper": "signed on paper",
    "email": "written in an email",
    "sms": "written in a text",
    "api": "given in another program, which holds the proof",
}

# How a box that a patient ticked as they booked is told from what the desk was told.
BY_PAGE = "booking page"

# What a patient may agree to, or not, over a channel: whatever is about their visits, reminders of them, or more texts
# than one a visit. Who takes back the first is written to about nothing.
Scope = Literal["visits", "reminders", "frequent"]
CHANNELS_OF: dict[Scope, frozenset[Channel]] = {
    "visits": frozenset({"sms", "email"}),
    "reminders": frozenset({"sms", "email"}),
    "frequent": frozenset({"sms"}),
}


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """A person on file; ``phone`` is E.164.

    The consents are what they last said about messages to the phone and the email they have now, None if nothing:
    an agreement is for an address, and does not move to another. ``frequent_texts`` is whether they agreed to more
    texts than one a visit.
    """

    id: UUID
    given_name: str
    family_name: str
    phone: str
    email: str | None
    birth_date: date | None
    language: Language
    sms_consent: bool | None
    email_consent: bool | None = None
    frequent_texts: bool | None = None

    @property
    def display_name(self) -> str:
        """The name as a desk screen shows it, which faces the room: given name and initial."""
        return short_name(self.given_name, self.family_name)


class PatientDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller says about a patient, normalised; ``language`` is None where nothing was said."""

    given_name: str
    family_name: str
    phone: str
    email: str | None
    birth_date: date | None
    language: Language | None

    @property
    def name_key(self) -> str:
        return name_key(self.family_name, self.given_name)

    @property
    def display_name(self) -> str:
        """The name as they write it, as ``Patient.display_name`` has it."""
        return short_name(self.given_name, self.family_name)


class NameSearch(msgspec.Struct, frozen=True):
    """How a name may begin: each (family name, given name) is one way to read what was typed, "" meaning any."""

    readings: list[tuple[str, str]]


class PhoneSearch(msgspec.Struct, frozen=True):
    """The digits that a phone ends with."""

    ending: str


def short_name(given_name: str, family_name: str) -> str:
    return f"{given_name} {family_name[:1]}."


def name_key(family_name: str, given_name: str) -> str:
    """Return the name as compared, family name first."""
    return f"{folded(family_name)}{_BETWEEN}{folded(given_name)}"


def folded(name: str) -> str:
    """Return a name without accents, case or stray spacing, and with one kind of apostrophe and of hyphen."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(kept.translate(_PLAIN).split())


def read_search(text: str, pointer: str, problems: list[FieldError]) -> NameSearch | PhoneSearch:
    """Return what somebody looks for: the end of a phone where they typed digits alone, else how a name begins.

    Words of a name may come in either order, and a family or given name may have several: every split is a reading.
    """
    if any(map(_is_in_no_name, text)):
        problems.append(FieldError(pointer, "invalid", "Type the beginning of a name, or the end of a phone number"))
        return NameSearch([])
    digits = re.sub(r"[ ().+/-]", "", text)
    if re.fullmatch("[0-9]+", digits):
        if len(digits) < SHORTEST_PHONE:
            detail = f"Type at least the last {SHORTEST_PHONE} digits of a phone number"
            problems.append(FieldError(pointer, "too-short", detail))
        elif len(digits) > LONGEST_PHONE:
            problems.append(FieldError(pointer, "too-long", "No phone number has so many digits"))
        return PhoneSearch(digits)
    words = folded(text.replace(",", " ")).split()
    if sum(map(len, words)) < SHORTEST_NAME:
        problems.append(FieldError(pointer, "too-short", f"Type at least {SHORTEST_NAME} letters of a name"))
    elif len(words) > MOST_WORDS or len(text) > 2 * NAME_LENGTH:
        problems.append(FieldError(pointer, "too-long", f"Type at most {MOST_WORDS} words of a name"))
    splits = [(" ".join(words[:index]), " ".join(words[index:])) for index in range(len(words) + 1)]
    return NameSearch(list(dict.fromkeys(splits + [(given, family) for family, given in splits])))


def read_name(value: str, pointer: str, problems: list[FieldError]) -> str:
    """Return the name in NFC with single spaces; names of any script pass, control characters do not.

    What only tells programs how to set a text is left out, as what turns the direction of writing would turn the words
    around the name as well. A name in which there is nothing to see is missing.
    """
    shown = "".join(
        character for character in value if unicodedata.category(character) != "Cf" or character in _JOINERS
    )
    name = " ".join(unicodedata.normalize("NFC", shown).split())
    if not name or (not any(map(_is_seen, name)) and not any(map(_is_in_no_name, name))):
        problems.append(FieldError(pointer, "name-missing", "Enter a name"))
    elif len(name) > NAME_LENGTH:
        problems.append(FieldError(pointer, "name-too-long", f"Use at most {NAME_LENGTH} characters"))
    elif any(map(_is_in_no_name, name)):
        problems.append(FieldError(pointer, "name-invalid", "Use letters, spaces, hyphens and apostrophes"))
    return name


def _is_seen(character: str) -> bool:
    """Tell what stands by itself from accents, joiners and fillers, which nobody sees without a letter."""
    return unicodedata.category(character)[0] in "LNPS" and character not in _FILLERS


def _is_in_no_name(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn")


def read_phone(value: str, pointer: str, problems: list[FieldError]) -> str:
    """Return a US number, or one with a country code, in E.164."""
    phone = _e164(value)
    if phone is None:
        problems.append(FieldError(pointer, "phone-invalid", "Enter a 10-digit US number, like 201 555 0142"))
        return ""
    return phone


# The library finds a number in whatever people write, and takes as long for one that has only to be looked at.
_AS_PROGRAMS_WRITE = re.compile(r"\+1[2-9][0-9]{9}")


# Whoever is treated comes two or three times a week for some weeks, and reading a number takes as long as writing it.
@lru_cache(maxsize=4096)
def _e164(value: str) -> str | None:
    number: phonenumbers.PhoneNumber
    if _AS_PROGRAMS_WRITE.fullmatch(value):
        number = phonenumbers.PhoneNumber(country_code=1, national_number=int(value[len("+1") :]))
    else:
        try:
            number = phonenumbers.parse(value, "US")
        except phonenumbers.NumberParseException:
            return None
    # Of the two dozen countries that share the code 1 it is nearly always this one, and the library tries all of them.
    valid = phonenumbers.is_valid_number_for_region(number, "US") or phonenumbers.is_valid_number(number)
    if number.extension or not valid:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def read_email(value: str, pointer: str, problems: list[FieldError]) -> str:
    """Return the address as it should be written to; nothing is looked up."""
    email = _mailbox(value.strip())
    if email is None:
        problems.append(FieldError(pointer, "email-invalid", "Enter an email address, like name@example.com"))
        return ""
    return email


# No rule changes or refuses what nearly all addresses begin with, and nearly all end with one of a few providers.
_PLAIN_MAILBOX = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*@([a-z0-9.-]+)")
_PLAIN_LENGTH = 64


def _mailbox(value: str) -> str | None:
    plain = _PLAIN_MAILBOX.fullmatch(value) if len(value) <= _PLAIN_LENGTH else None
    return value if plain and _is_as_written(plain[1]) else _normalized(value)


@lru_cache(maxsize=1024)
def _is_as_written(domain: str) -> bool:
    mailbox = f"somebody@{domain}"
    return _normalized(mailbox) == mailbox


def _normalized(value: str) -> str | None:
    try:
        return validate_email(value, check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError:
        return None


def read_birth_date(value: date | None, now: datetime, pointer: str, problems: list[FieldError]) -> date | None:
    if value is not None and not date(1900, 1, 1) <= value <= now.date():
        problems.append(FieldError(pointer, "birth-date-invalid", "Enter a date of birth in the past"))
    return value
