"""Codes of an authenticator app, as RFC 6238 makes them: six digits, another every thirty seconds, HMAC-SHA-1.

Of SHA-1 nothing but its HMAC is used, which is sound, and it is what every app knows.
"""

import base64
import hmac
from datetime import datetime
from urllib.parse import quote, urlencode
from uuid import UUID

STEP_SECONDS = 30
DIGITS = 6
SALT_BYTES = 16

# RFC 4226, 4: as long as the digest of SHA-1.
SECRET_BYTES = 20

# A phone's clock may be a little off, and a code takes a while to type (RFC 6238, 5.2).
STEPS_AROUND = 1


def secret_of(secret_key: str, account_id: UUID, salt: bytes) -> bytes:
    """Return an account's secret. Without the service's own key the salt tells nothing about it."""
    return hmac.digest(secret_key.encode(), b"second factor:" + account_id.bytes + salt, "sha256")[:SECRET_BYTES]


def code_at(secret: bytes, step: int) -> str:
    """Return the code of one step of thirty seconds since 1970 (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: bytes, code: str, now: datetime, *, after: int) -> int | None:
    """Return the step whose code this is, or None. Steps up to ``after`` have been used. Blanks in a code are nothing.

    Every code is compared in full and in constant time, whichever fits.
    """
    typed = "".join(code.split()).encode()
    current = int(now.timestamp()) // STEP_SECONDS
    fitting = [
        step
        for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1)
        if hmac.compare_digest(code_at(secret, step).encode(), typed)
    ]
    return next((step for step in fitting if step > after), None)


def written(secret: bytes) -> str:
    """Return the secret as it is typed into an app, in groups of four."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def uri(secret: bytes, *, issuer: str, username: str) -> str:
    """Return the otpauth address that an app reads from a QR code. The issuer is the clinic's name."""
    query = urlencode({"secret": base64.b32encode(secret).decode(), "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(username, safe='')}?{query}"
