"""What the operator decides, read once from the environment.

Every setting is one row of ``SETTINGS`` and one field of ``Settings`` of the same name in small letters. An empty
variable counts as not set, so that a compose file may pass on what it does not have.
"""

import difflib
import ipaddress
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from scheduler.errors import ConfigurationError

# A variable that begins with one of these is meant for us, so one that we do not know is a mistake.
OUR_PREFIXES = ("SCHEDULER_", "TWILIO_", "SMTP_", "SMS_", "EMAIL_", "MESSAGE_")

SECRET_KEY_FILE = "secret_key"  # noqa: S105 - the name of a file, not what is in it
MINIMUM_SECRET_LENGTH = 32
MASK = "********"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set, valid and complete. Texts that are not set are empty; times are in seconds.

    ``database_url`` is empty when the embedded PostgreSQL is meant. ``given`` names what did not come by default.
    """

    database_url: str
    database_pool_size: int
    database_statement_cache_size: int
    database_allow_unsafe: bool
    scheduler_data: Path
    scheduler_clinic: Path
    host: str
    port: int
    public_base_url: str
    secret_key: str
    sms_channel: Literal["preview", "twilio"]
    twilio_account_sid: str
    twilio_auth_token: str
    twilio_messaging_service_sid: str
    twilio_from: str
    twilio_api_base_url: str
    email_channel: Literal["preview", "smtp"]
    smtp_host: str
    smtp_port: int
    smtp_username: str
    smtp_password: str
    smtp_tls: Literal["starttls", "implicit", "none"]
    smtp_ca_file: Path | None
    email_from: str
    message_lease_seconds: int
    message_reconcile_seconds: tuple[int, ...]
    log_format: Literal["console", "json"]
    log_level: Literal["debug", "info", "warning", "error"]
    given: frozenset[str]

    def rows(self) -> list[tuple[str, str, bool]]:
        """Return (name, value fit to be shown, whether it is the default) for every setting, in the table's order."""
        return [
            (name, setting.show(getattr(self, name.lower())), name not in self.given)
            for name, setting in SETTINGS.items()
        ]


def _text(raw: str) -> str:
    return raw


def _path(raw: str) -> Path:
    return Path(raw).expanduser()


def _optional_file(raw: str) -> Path | None:
    if raw and not os.access(_path(raw), os.R_OK):
        raise ValueError("must name a file that can be read")
    return _path(raw) if raw else None


def _flag(raw: str) -> bool:
    answers = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if raw.lower() not in answers:
        raise ValueError("must be true or false")
    return answers[raw.lower()]


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(raw)

    return parse


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw.lower() not in choices:
            raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
        return raw.lower()

    return parse


def _rising_seconds(raw: str) -> tuple[int, ...]:
    parts = [part.strip() for part in raw.split(",")]
    seconds = tuple(int(part) for part in parts if part.isascii() and part.isdigit())
    if len(seconds) != len(parts) or min(seconds) < 1 or any(a >= b for a, b in pairwise(seconds)):
        raise ValueError("must be rising whole seconds separated by commas, such as 15,45,120,300")
    return seconds


def _address(raw: str) -> str:
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


def _database_url(raw: str) -> str:
    if raw and _split(raw).scheme not in ("postgresql", "postgres"):
        raise ValueError("must begin with postgresql://")
    return raw


def _base_url(raw: str) -> str:
    parts = _split(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a web address such as https://clinic.example")
    return raw.rstrip("/")


def _safe_base_url(raw: str) -> str:
    url = _base_url(raw)
    parts = _split(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// unless it is on this machine")
    return url


def _secret_key(raw: str) -> str:
    if raw and len(raw) < MINIMUM_SECRET_LENGTH:
        raise ValueError(f"must have at least {MINIMUM_SECRET_LENGTH} characters")
    return raw


def _sender(raw: str) -> str:
    if raw and ("@" not in parseaddr(raw)[1] or "\n" in raw or "\r" in raw):
        raise ValueError("must be an email address such as Clinic <desk@clinic.example>")
    return raw


def _beginning(prefix: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw and not raw.startswith(prefix):
            raise ValueError(f"must begin with {prefix}")
        return raw

    return parse


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _shown_secret(value: str) -> str:
    return MASK if value else ""


def _shown_url(value: str) -> str:
    # Rather too much is hidden than too little: a password may hold any sign, and may stand among the parameters.
    return re.sub(r"(//[^:@]*:).*(?=@)|((?:^|[?&])\w*password=)[^&]*", rf"\1\2{MASK}", value)


class Setting(NamedTuple):
    """How one setting is read and shown. ``default`` is written as it would be in the environment."""

    parse: Callable[[str], Any]
    default: str = ""
    show: Callable[[Any], str] = _shown


SETTINGS: dict[str, Setting] = {
    "DATABASE_URL": Setting(_database_url, show=_shown_url),
    # PostgreSQL's own default allows 100 connections: two web processes and two workers leave room for people.
    "DATABASE_POOL_SIZE": Setting(_integer(2, 200), "10"),
    # asyncpg's own default. Must be 0 behind PgBouncer in transaction mode, which moves sessions between clients.
    "DATABASE_STATEMENT_CACHE_SIZE": Setting(_integer(0, 10000), "100"),
    # For tests only: a server with fsync or synchronous_commit off is faster and loses acknowledged bookings.
    "DATABASE_ALLOW_UNSAFE": Setting(_flag, "false"),
    "SCHEDULER_DATA": Setting(_path, ".data"),
    "SCHEDULER_CLINIC": Setting(_path, "config/clinic.toml"),
    "HOST": Setting(_address, "127.0.0.1"),
    "PORT": Setting(_integer(1, 65535), "8000"),
    # Links in messages and the check of Twilio's signatures; never taken from what a client sent.
    "PUBLIC_BASE_URL": Setting(_base_url),
    "SECRET_KEY": Setting(_secret_key, show=_shown_secret),
    "SMS_CHANNEL": Setting(_choice("preview", "twilio"), "preview"),
    "TWILIO_ACCOUNT_SID": Setting(_beginning("AC")),
    "TWILIO_AUTH_TOKEN": Setting(_text, show=_shown_secret),
    "TWILIO_MESSAGING_SERVICE_SID": Setting(_beginning("MG")),
    "TWILIO_FROM": Setting(_text),
    # Another place answers for Twilio in tests. The account's token travels there, so never in the clear.
    "TWILIO_API_BASE_URL": Setting(_safe_base_url, "https://api.twilio.com"),
    "EMAIL_CHANNEL": Setting(_choice("preview", "smtp"), "preview"),
    "SMTP_HOST": Setting(_text),
    "SMTP_PORT": Setting(_integer(1, 65535), "587"),
    "SMTP_USERNAME": Setting(_text),
    "SMTP_PASSWORD": Setting(_text, show=_shown_secret),
    "SMTP_TLS": Setting(_choice("starttls", "implicit", "none"), "starttls"),
    # An extra authority to trust, for a mail server inside the house whose certificate no public one signed.
    "SMTP_CA_FILE": Setting(_optional_file),
    "EMAIL_FROM": Setting(_sender),
    # How long a worker may take over one message before another may look at it. Longer than any provider's timeout.
    "MESSAGE_LEASE_SECONDS": Setting(_integer(5, 3600), "60"),
    # When, after a send that may or may not have arrived, the provider is asked. Providers list a message seconds
    # after taking it, so the last moment is far behind that: only after it may the message be sent again.
    "MESSAGE_RECONCILE_SECONDS": Setting(_rising_seconds, "15,45,120,300"),
    # People read a terminal, machines read the rest: json unless standard error is a terminal.
    "LOG_FORMAT": Setting(_choice("console", "json")),
    "LOG_LEVEL": Setting(_choice("debug", "info", "warning", "error"), "info"),
}


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read every setting, or raise ConfigurationError with one sentence that names the wrong or missing one.

    In embedded mode (no DATABASE_URL) a missing SECRET_KEY is made and kept in the SCHEDULER_DATA folder.
    """
    _refuse_unknown(environ)
    raw = {name: environ.get(name, "").strip() for name in SETTINGS}
    given = frozenset(name for name, value in raw.items() if value)
    raw["LOG_FORMAT"] = raw["LOG_FORMAT"] or ("console" if sys.stderr.isatty() else "json")
    values = {name: _parse(name, raw[name]) for name in SETTINGS if name != "PUBLIC_BASE_URL"}
    values["PUBLIC_BASE_URL"] = _parse(
        "PUBLIC_BASE_URL", raw["PUBLIC_BASE_URL"] or local_url(values["HOST"], values["PORT"])
    )
    if complaints := _complaints(values):
        raise ConfigurationError(complaints[0])
    values["SECRET_KEY"] = values["SECRET_KEY"] or _stored_secret(values["SCHEDULER_DATA"])
    return Settings(given=given, **{name.lower(): value for name, value in values.items()})


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    for name in sorted(environ):
        if name.startswith(OUR_PREFIXES) and name not in SETTINGS:
            close = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.75)
            hint = f"; did you mean {close[0]}?" if close else "; `scheduler check` lists those there are."
            raise ConfigurationError(f"{name} is not a setting{hint}")


def _parse(name: str, raw: str) -> Any:
    setting = SETTINGS[name]
    try:
        return setting.parse(raw or setting.default)
    except ValueError as problem:
        secret = setting.show is not _shown
        raise ConfigurationError(f"{name} {problem}{'' if secret else f', not {raw!r}'}.") from None


def local_url(host: str, port: int) -> str:
    """Return the address at which this machine reaches what listens on the host and port."""
    address = ipaddress.ip_address(host)
    # Listening on every address is no address to go to; the loopback of the same family is.
    shown = {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else str(address)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _complaints(values: Mapping[str, Any]) -> list[str]:
    """Return what is missing or does not go together, one sentence each."""
    twilio = values["SMS_CHANNEL"] == "twilio"
    smtp = values["EMAIL_CHANNEL"] == "smtp"
    needed = {
        "TWILIO_ACCOUNT_SID is needed when SMS_CHANNEL is twilio.": twilio and not values["TWILIO_ACCOUNT_SID"],
        "TWILIO_AUTH_TOKEN is needed when SMS_CHANNEL is twilio.": twilio and not values["TWILIO_AUTH_TOKEN"],
        "TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM is needed when SMS_CHANNEL is twilio.": twilio
        and not values["TWILIO_MESSAGING_SERVICE_SID"]
        and not values["TWILIO_FROM"],
        "SMTP_HOST is needed when EMAIL_CHANNEL is smtp.": smtp and not values["SMTP_HOST"],
        "SMTP_USERNAME and SMTP_PASSWORD belong together: set both or neither.": smtp
        and bool(values["SMTP_USERNAME"]) != bool(values["SMTP_PASSWORD"]),
        "SMTP_TLS may be none only when SMTP_HOST is this machine.": smtp
        and values["SMTP_TLS"] == "none"
        and not is_loopback(values["SMTP_HOST"]),
        "SECRET_KEY is needed when DATABASE_URL is set: a random text of at least "
        f"{MINIMUM_SECRET_LENGTH} characters, the same for every process.": values["DATABASE_URL"]
        and not values["SECRET_KEY"],
    }
    return [sentence for sentence, wrong in needed.items() if wrong]


def _stored_secret(folder: Path) -> str:
    """Return the key kept in the folder, making both on first use. Readable by this account alone."""
    path = folder / SECRET_KEY_FILE
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            # Written beside and moved into place, so that a crash leaves no half a key.
            handle, name = tempfile.mkstemp(dir=folder, prefix=SECRET_KEY_FILE)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(48))
            Path(name).replace(path)
        return path.read_text().strip()
    except OSError as problem:
        raise ConfigurationError(
            f"SCHEDULER_DATA: {path} cannot be written or read ({problem.strerror}); "
            "choose a folder that this account may write to."
        ) from None
