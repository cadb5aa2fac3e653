"""How the text of a setting becomes a value, and a value a text that may be shown.

A function that reads returns the value, or raises ValueError with what the text must be.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

MINIMUM_SECRET_LENGTH = 32
MASK = "********"


def text(raw: str) -> str:
    return raw


def path(raw: str) -> Path:
    return Path(raw).expanduser()


def optional_file(raw: str) -> Path | None:
    if raw and not os.access(path(raw), os.R_OK):
        raise ValueError("must name a file that can be read")
    return path(raw) if raw else None


def flag(raw: str) -> bool:
    answers = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if raw.lower() not in answers:
        raise ValueError("must be true or false")
    return answers[raw.lower()]


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(raw)

    return parse


def choice(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw.lower() not in choices:
            raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
        return raw.lower()

    return parse


def rising_seconds(raw: str) -> tuple[int, ...]:
    parts = [part.strip() for part in raw.split(",")]
    seconds = tuple(int(part) for part in parts if part.isascii() and part.isdigit())
    if len(seconds) != len(parts) or min(seconds) < 1 or any(a >= b for a, b in pairwise(seconds)):
        raise ValueError("must be rising whole seconds separated by commas, such as 15,45,120,300")
    return seconds


def address(raw: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if raw == "localhost" else raw))
    except ValueError:
        raise ValueError("must be an IP address to listen on, such as 127.0.0.1 or 0.0.0.0") from None


def _split(raw: str) -> SplitResult:
    try:
        parts = urlsplit(raw)
        _ = parts.port
    except ValueError:
        raise ValueError("is not an address that can be read") from None
    return parts


def networks(raw: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in raw.split(",")) if raw else ()
    except ValueError:
        raise ValueError("must be networks or addresses separated by commas, such as 10.0.0.0/8,127.0.0.1") from None


def database_url(raw: str) -> str:
    if raw and _split(raw).scheme not in ("postgresql", "postgres"):
        raise ValueError("must begin with postgresql://")
    return raw


def base_url(raw: str) -> str:
    parts = _split(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a web address such as https://clinic.example")
    return raw.rstrip("/")


def safe_base_url(raw: str) -> str:
    url = base_url(raw)
    parts = _split(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// unless it is on this machine")
    return url


def secret_key(raw: str) -> str:
    if raw and len(raw) < MINIMUM_SECRET_LENGTH:
        raise ValueError(f"must have at least {MINIMUM_SECRET_LENGTH} characters")
    return raw


def sender(raw: str) -> str:
    if raw and ("@" not in parseaddr(raw)[1] or "\n" in raw or "\r" in raw):
        raise ValueError("must be an email address such as Clinic <desk@clinic.example>")
    return raw


def domain(raw: str) -> str:
    label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    if raw and not re.fullmatch(rf"{label}(?:\.{label})*", raw.lower()):
        raise ValueError("must be a name as the DNS has it, such as clinic.example")
    return raw.lower()


def beginning(prefix: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw and not raw.startswith(prefix):
            raise ValueError(f"must begin with {prefix}")
        return raw

    return parse


def host_of(url: str) -> str:
    return _split(url).hostname or ""


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def shown_secret(value: str) -> str:
    return MASK if value else ""


def shown_url(value: str) -> str:
    # Rather too much is hidden than too little: a password may hold any sign, and may stand among the parameters.
    return re.sub(r"(//[^:@]*:).*(?=@)|((?:^|[?&])\w*password=)[^&]*", rf"\1\2{MASK}", value)


def local_url(host: str, port: int) -> str:
    """Return the address at which this machine reaches what listens on the host and port."""
    address = ipaddress.ip_address(host)
    # Listening on every address is no address to go to; the loopback of the same family is.
    shown = {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else str(address)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
