"""What an authenticator app is given, and what it shows: the examples of the standards themselves."""

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import pytest

from scheduler.domain.totp import code_at, matching_step, secret_of, uri, written

# The secret and the codes of RFC 4226, appendix D.
SECRET = b"12345678901234567890"
CODES = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]


@pytest.mark.parametrize(("step", "code"), list(enumerate(CODES)))
def test_codes_are_those_of_rfc_4226(step: int, code: str) -> None:
    assert code_at(SECRET, step) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_codes_are_those_of_rfc_6238_which_has_eight_digits_of_them(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert matching_step(SECRET, code, now, after=0) == seconds // 30
    assert matching_step(SECRET, f" {code[:3]} {code[3:]}\n", now, after=0) == seconds // 30


def test_a_code_fits_one_step_early_and_one_late_and_each_once() -> None:
    now = datetime.fromtimestamp(5 * 30 + 12, UTC)
    fitting = [step for step, code in enumerate(CODES) if matching_step(SECRET, code, now, after=0) == step]
    assert fitting == [4, 5, 6]
    assert matching_step(SECRET, CODES[5], now, after=4) == 5
    assert matching_step(SECRET, CODES[5], now, after=5) is None
    assert matching_step(SECRET, CODES[6], now, after=5) == 6
    assert matching_step(SECRET, "", now, after=0) is None


def test_a_secret_is_an_accounts_own_as_long_as_the_digest_and_nothing_without_the_services_key() -> None:
    one = secret_of("key", UUID(int=1), b"salt")
    others = {
        secret_of("other key", UUID(int=1), b"salt"), secret_of("key", UUID(int=2), b"salt"),
        secret_of("key", UUID(int=1), b"other salt"),
    }  # fmt: skip
    assert len(one) == 20
    assert one == secret_of("key", UUID(int=1), b"salt")
    assert len(others | {one}) == 4


def test_a_secret_is_typed_in_groups_of_four_and_read_from_a_picture() -> None:
    assert written(SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
    assert base64.b32decode(written(SECRET).replace(" ", "")) == SECRET
    address = urlsplit(uri(SECRET, issuer="Hill: Street/PT", username="a/b c"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert address.path == "/Hill%3A%20Street%2FPT:a%2Fb%20c"
    assert unquote(address.path) == "/Hill: Street/PT:a/b c"
    assert parse_qs(address.query) == {"secret": [base64.b32encode(SECRET).decode()], "issuer": ["Hill: Street/PT"]}
    assert "+" not in address.query
