"""Who comes to the clinic: names as compared, phones as dialled, emails as delivered."""

import unicodedata
from datetime import date, datetime
from uuid import UUID

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from scheduler.domain.clinics import Language
from scheduler.errors import FieldError

NAME_LENGTH = 100
EMAIL_LENGTH = 254


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """A person on file. ``phone`` is E.164; ``sms_consent`` is what they last said about texts, None if nothing."""

    id: UUID
    given_name: str
    family_name: str
    phone: str
    email: str | None
    birth_date: date | None
    language: Language
    sms_consent: bool | None

    @property
    def display_name(self) -> str:
        """The name as a desk screen shows it, which faces the room: given name and initial."""
        return f"{self.given_name} {self.family_name[:1]}."


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


def name_key(family_name: str, given_name: str) -> str:
    """Return the name as compared: without accents, case or stray spacing, family name first."""
    decomposed = unicodedata.normalize("NFKD", f"{family_name}\x1f{given_name}".casefold())
    kept = "".join(character for character in decomposed if not unicodedata.combining(character))
    return "\x1f".join(" ".join(part.split()) for part in kept.split("\x1f"))


def read_name(value: str, pointer: str, problems: list[FieldError]) -> str:
    """Return the name in NFC with single spaces; names of any script pass, control characters do not."""
    name = " ".join(unicodedata.normalize("NFC", value).split())
    if not name:
        problems.append(FieldError(pointer, "name-missing", "Enter a name"))
    elif len(name) > NAME_LENGTH:
        problems.append(FieldError(pointer, "name-too-long", f"Use at most {NAME_LENGTH} characters"))
    elif any(unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in name):
        problems.append(FieldError(pointer, "name-invalid", "Use letters, spaces, hyphens and apostrophes"))
    return name


def read_phone(value: str, pointer: str, problems: list[FieldError]) -> str:
    """Return a US number, or one with a country code, in E.164."""
    try:
        number = phonenumbers.parse(value, "US")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_valid_number(number):
        problems.append(FieldError(pointer, "phone-invalid", "Enter a 10-digit US number, like 201 555 0142"))
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def read_email(value: str, pointer: str, problems: list[FieldError]) -> str:
    """Return the address as it should be written to; nothing is looked up."""
    try:
        return validate_email(value.strip(), check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError:
        problems.append(FieldError(pointer, "email-invalid", "Enter an email address, like name@example.com"))
        return ""


def read_birth_date(value: date | None, now: datetime, pointer: str, problems: list[FieldError]) -> date | None:
    if value is not None and not date(1900, 1, 1) <= value <= now.date():
        problems.append(FieldError(pointer, "birth-date-invalid", "Enter a date of birth in the past"))
    return value
