"""Whether a request comes from Twilio: it signs the address it calls and every field it sends with the account's token.

https://www.twilio.com/docs/usage/security#validating-requests
"""

from collections.abc import Iterable
from urllib.parse import parse_qsl

from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    RequestValidator,
    get_signature_algorithm,  # pyright: ignore[reportUnknownVariableType]
)

SIGNATURE = "X-Twilio-Signature"
# Names another algorithm than the usual one, where the account has webhooks signed so.
SIGNATURE_SETTINGS = "X-Twilio-Webhooks-Signature-Settings"

_ALGORITHMS = (HMAC_SHA1, HMAC_SHA256)


class Fields(dict[str, list[str]]):
    """The fields of a form, each with every value it has, as the library asks for them."""

    def getall(self, name: str) -> list[str]:
        return self[name]

    def first(self, *names: str) -> str:
        """Return the value of the first of these fields that has one, or nothing; without NULs, which no text holds."""
        return next((value for name in names for value in self.get(name, []) if value), "").replace("\x00", "")


def read_fields(body: bytes) -> Fields:
    """Return the fields of a form. Blank ones stay, because they are signed as well; what is no text is replaced."""
    fields = Fields()
    for name, value in parse_qsl(body.decode("latin-1"), keep_blank_values=True, errors="replace"):
        fields.setdefault(name, []).append(value)
    return fields


def is_signed(tokens: Iterable[str], url: str, fields: Fields, signature: str | None, settings: str | None) -> bool:
    """Return whether one of the tokens signed these fields for this very address.

    ``url`` is the one that Twilio was told, with its query; ``signature`` and ``settings`` are what the two headers
    say, if anything. An empty token signs nothing: anybody has it.
    """
    algorithm = str(get_signature_algorithm(settings)).upper()
    if not signature or algorithm not in _ALGORITHMS:
        return False
    validators = [RequestValidator(token) for token in tokens if token]
    return any(one.validate(url, fields, signature, algorithm) is True for one in validators)  # pyright: ignore[reportUnknownMemberType]
