"""The people of the clinic who sign in: what they may be called, what they may do, and what a password must be."""

import re
from datetime import timedelta
from typing import Literal, get_args
from uuid import UUID

import msgspec

Role = Literal["desk", "therapist", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)

# An actor whose name begins so is a person with an account, whose id follows.
ACTOR_PREFIX = "staff:"

# NIST SP 800-63B, 5.1.1.2: a length, and no rules about which signs; eight at least beside a second factor. The upper
# bound only keeps a body from being all password.
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 256
_FEWEST_SIGNS = 5

LONGEST_NAME = 80

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._+@-]{0,119}")

# How long a person who gave the right password may look for their phone.
SECOND_FACTOR_MINUTES = 5


class Tries(msgspec.Struct, frozen=True):
    """How often somebody may fail before they wait: ``FIRST_PAUSE`` then, and twice as long after each further time."""

    free: int


FIRST_PAUSE = timedelta(seconds=30)

# With one try an hour six digits hold out for decades (NIST SP 800-63B, 5.2.2, asks for no more than 100 in a row).
LONGEST_PAUSE = timedelta(hours=1)

# After a day without a try they are forgotten.
TRIES_FORGOTTEN_AFTER = timedelta(days=1)

# Of one name from one client: who forgot a password tries a few. Of one name from all over: the rest of the world can
# keep nobody from signing in by guessing now and then, and a thousand machines guess no more than one.
TRIES_OF_CLIENT = Tries(5)
TRIES_OF_NAME = Tries(50)
TRIES_OF_CODE = Tries(5)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A staff account. One without ``totp_salt`` has no second factor; the steps are those of ``totp``."""

    id: UUID
    clinic_id: UUID
    username: str
    display_name: str
    initials: str
    role: Role
    therapist_id: UUID | None
    password_hash: str
    must_change_password: bool
    totp_salt: bytes | None
    totp_step: int
    totp_next_salt: bytes | None
    deactivated: bool


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody signed in: the session and whose it is. It does not open anything while ``needs_second_factor``.

    ``search_key`` is whether they want "/" to lead to the search of a page; ``waiting`` is how much waits for a person
    at the desk.
    """

    id: UUID
    clinic_id: UUID
    account_id: UUID
    needs_second_factor: bool
    hide_names: bool
    patient_search: str
    username: str
    display_name: str
    initials: str
    role: Role
    therapist_id: UUID | None
    must_change_password: bool
    search_key: bool
    has_second_factor: bool
    waiting: int


def actor_name(account_id: UUID) -> str:
    """Return what rows say of who did something: an id, because names change and are for people."""
    return f"{ACTOR_PREFIX}{account_id}"


def read_username(text: str) -> str:
    """Return a name as it is compared, or "" where nobody can have it."""
    username = text.strip().lower()
    return username if _USERNAME.fullmatch(username) else ""


def initials_of(name: str) -> str:
    """Return the initials of a name, as in "A.M."; titles and what follows a comma are none of it."""
    words = [word for word in name.partition(",")[0].split() if not word.endswith(".") or len(word) == len("A.")]
    letters = [word[0].upper() for word in words if word[0].isalpha()]
    chosen = letters if len(letters) < len("FL") else [letters[0], letters[-1]]
    return "".join(f"{letter}." for letter in chosen) or name[:1].upper()


def password_problem(password: str, username: str) -> str | None:
    """Return what is wrong with a new password, one sentence, or None."""
    if len(password) < SHORTEST_PASSWORD:
        return f"Use {SHORTEST_PASSWORD} characters or more; a few words are easy to remember."
    if len(password) > LONGEST_PASSWORD:
        return f"Use {LONGEST_PASSWORD} characters or fewer."
    if len(set(password.lower())) < _FEWEST_SIGNS or username in password.lower().split():
        return "That is too easy to guess."
    return None
