"""Codes by text, where a clinic wants the phone proven before a booking from its pages is final.

A code belongs to one hold and one phone. It is good for ten minutes and five tries; a hold may have three, half a
minute apart. Whoever typed one right has a proof that stays good for half an hour, so that a time which is lost in the
same moment does not cost a second text.
"""

import base64
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from scheduler.domain.clinics import Clinic, Language
from scheduler.domain.messages import PlannedMessage
from scheduler.services.limits import subject_of
from scheduler.store import phone_codes as store
from scheduler.store.connections import Connection
from scheduler.store.messages import add_messages

DIGITS = 6
GOOD_FOR = timedelta(minutes=10)
TRIES = 5
SENDS = 3
AGAIN_AFTER = timedelta(seconds=30)
PROVEN_FOR = timedelta(minutes=30)

# Whether a code may be sent now: "waiting" is for one that is good and has been sent before, "soon" for one that was
# sent a moment ago, and "never" for a hold that has had as many as it may.
Sending = Literal["now", "waiting", "soon", "never"]

# What came of typing a code: it is "spent" after too many tries, and "none" where there is none for this phone.
Tried = Literal["right", "wrong", "spent", "expired", "none"]


async def may_send(
    connection: Connection, clinic: Clinic, hold_id: UUID, phone: str, *, again: bool, secret_key: str, now: datetime
) -> Sending:
    """Return whether a hold may have a code sent to a phone now; ``again`` is whether a new one was asked for."""
    code = await store.fetch_code(connection, clinic.id, hold_id)
    if code is None:
        return "now"
    same = hmac.compare_digest(code.phone_hash, subject_of(secret_key, "phone", phone))
    if same and now < code.expires_at and code.wrong < TRIES and not again:
        return "waiting"
    if code.sent >= SENDS:
        return "never"
    return "soon" if same and now < code.sent_at + AGAIN_AFTER else "now"


async def send_code(
    connection: Connection, clinic: Clinic, hold_id: UUID, phone: str, language: Language, *, secret_key: str,
    now: datetime,
) -> None:  # fmt: skip
    """Text a new code to a phone; any earlier one of the hold is good no more."""
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    number = await store.save_code(
        connection,
        clinic.id,
        hold_id,
        phone_hash=subject_of(secret_key, "phone", phone),
        code_hash=_hash(secret_key, clinic, hold_id, phone, code),
        sent_at=now,
        expires_at=now + GOOD_FOR,
    )
    planned = PlannedMessage(
        visit_id=None, patient_id=None, visit_version=0, kind="otp", template="code", channel="sms", lead_minutes=0,
        language=language, address=phone, variables={"code": code}, not_before=now, expires_at=now + GOOD_FOR,
        dedupe_key=f"otp:{hold_id}:{number}",
    )  # fmt: skip
    await add_messages(connection, clinic.id, [planned])


async def try_code(
    connection: Connection, clinic: Clinic, hold_id: UUID, phone: str, code: str, *, secret_key: str, now: datetime
) -> tuple[Tried, int]:
    """Return what came of typing a code, and how many tries are left; a right one is used up.

    It counts when the caller commits.
    """
    phone_hash = subject_of(secret_key, "phone", phone)
    right = await store.try_code(
        connection, clinic.id, hold_id, phone_hash=phone_hash,
        code_hash=_hash(secret_key, clinic, hold_id, phone, code), most_wrong=TRIES, now=now,
    )  # fmt: skip
    if right:
        await store.use_up_code(connection, clinic.id, hold_id)
        return "right", 0
    known = await store.fetch_code(connection, clinic.id, hold_id)
    if known is None or known.phone_hash != phone_hash:
        return "none", 0
    if now >= known.expires_at:
        return "expired", 0
    return ("wrong", TRIES - known.wrong) if known.wrong < TRIES else ("spent", 0)


def make_proof(secret_key: str, clinic: Clinic, phone: str, now: datetime) -> str:
    """Return what a page carries along as a proof that whoever sees it has the phone."""
    until = int((now + PROVEN_FOR).timestamp())
    return f"{until}.{_seal(secret_key, clinic, phone, until)}"


def is_proven(secret_key: str, clinic: Clinic, phone: str, proof: str, now: datetime) -> bool:
    """Return whether this is a proof for the phone that is still good."""
    until, _, seal = proof.partition(".")
    if not until.isdecimal() or not until.isascii() or int(until) <= now.timestamp():
        return False
    return hmac.compare_digest(seal.encode(), _seal(secret_key, clinic, phone, int(until)).encode())


def _seal(secret_key: str, clinic: Clinic, phone: str, until: int) -> str:
    digest = hmac.digest(secret_key.encode(), f"phone-proof:{clinic.id}:{phone}:{until}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _hash(secret_key: str, clinic: Clinic, hold_id: UUID, phone: str, code: str) -> bytes:
    # A million codes are soon tried, so the hash is keyed: nobody without the key can try them.
    return hmac.digest(secret_key.encode(), f"phone-code:{clinic.id}:{hold_id}:{phone}:{code}".encode(), "sha256")
