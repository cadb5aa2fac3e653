"""What a patient types about themselves, kept as typed until it can be used."""

from datetime import datetime

import msgspec

from scheduler.domain.patients import PatientDetails
from scheduler.services.phone_codes import DIGITS
from scheduler.web.pages.render import Visitor
from scheduler.web.reading import PatientBody, Problems, read_patient

# A field that a person cannot see. It has no name that a browser fills in by itself.
TRAP = "also"


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the form, exactly as they were typed. ``texts`` is "yes" where the box was ticked.

    ``proof`` comes along once a code has proven the phone.
    """

    given_name: str = ""
    family_name: str = ""
    phone: str = ""
    email: str = ""
    texts: str = ""
    proof: str = ""

    @property
    def anything(self) -> bool:
        return any(msgspec.structs.astuple(self))


def read_typed(form: dict[str, str]) -> Typed:
    return Typed(**{name: form[name] for name in Typed.__struct_fields__ if name in form})


def read_code(text: str) -> str | None:
    """Return the digits of a code, however they were typed, or None where they cannot be one."""
    digits = "".join(letter for letter in text if not letter.isspace() and letter != "-")
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdecimal() else None


def read_details(typed: Typed, visitor: Visitor, now: datetime) -> tuple[PatientDetails, dict[str, str]]:
    """Return the details, and what is wrong with them by field, in the visitor's words; they are of use without any."""
    problems = Problems()
    body = PatientBody(
        given_name=typed.given_name,
        family_name=typed.family_name,
        phone=typed.phone,
        email=typed.email.strip() or None,
        language=visitor.language,
    )
    details = read_patient(body, "", problems, visitor.clinic, now)
    fields = [(problem.pointer.removeprefix("/"), problem.code) for problem in problems]
    return details, {field: visitor.say(f"{field}.{code}") for field, code in fields}
