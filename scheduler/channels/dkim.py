"""DKIM (RFC 6376): a signature by which a receiver knows that an email is the clinic's and was not changed.

The key is RSA; one signature takes some 20 ms of pure Python, so sign in a thread.
"""

import re
from collections.abc import Callable
from pathlib import Path

import dkim
import msgspec
from dkim.dnsplug import get_txt  # pyright: ignore[reportUnknownVariableType]

from scheduler.errors import ConfigurationError

# Receivers heed one-click unsubscribing only where both of its headers are signed (RFC 8058).
SIGNED = (
    "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    "List-Unsubscribe", "List-Unsubscribe-Post",
)  # fmt: skip

# What the library raises for a key that it cannot use, depending on how far it gets.
UNUSABLE = (dkim.DKIMException, ValueError, IndexError, TypeError)

_TRIAL = b"From: trial@clinic.example\r\n\r\nTrial\r\n"

# Relays may fold a header or drop a blank at the end of a line; that is no change.
_CANONICALIZE = (b"relaxed", b"relaxed")


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Signs for a domain, whose DNS holds the public key under ``selector._domainkey``. ``key`` is a PEM text."""

    selector: str
    domain: str
    key: bytes

    def sign(self, message: bytes) -> bytes:
        """Return a whole message with its signature before it."""
        present = {name.lower() for name in re.findall(rb"^([\w-]+):", message.partition(b"\r\n\r\n")[0], re.MULTILINE)}
        # Named once more than it is there, so that no second From can be added.
        headers = [*(name.encode() for name in SIGNED if name.lower().encode() in present), b"From"]
        signature = dkim.sign(  # pyright: ignore[reportUnknownMemberType]
            message,
            self.selector.encode(),
            self.domain.encode(),
            self.key,
            canonicalize=_CANONICALIZE,
            include_headers=headers,
        )
        return signature + message

    def is_published(self, look_up: Callable[..., bytes | None] = get_txt) -> bool:
        """Return whether the DNS holds the public key, so that receivers can check what is signed. Asks the DNS."""
        return dkim.verify(self.sign(_TRIAL), dnsfunc=look_up)  # pyright: ignore[reportUnknownMemberType]


def open_signer(selector: str, domain: str, key_file: Path) -> Signer:
    """Return a signer. Raises ConfigurationError where the file holds no RSA key that it can use."""
    try:
        signer = Signer(selector=selector, domain=domain, key=key_file.read_bytes().replace(b"\r\n", b"\n"))
        signer.sign(_TRIAL)
    except (OSError, *UNUSABLE):
        raise ConfigurationError(
            "DKIM_PRIVATE_KEY_FILE must name a file with an RSA private key in PEM form, without a password."
        ) from None
    return signer
