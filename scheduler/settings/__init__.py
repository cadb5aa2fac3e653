"""What the operator decides, read once from the environment.

Every setting is one row of ``SETTINGS`` and one field of ``Settings`` of the same name in small letters. An empty
variable counts as not set, so that a compose file may pass on what it does not have.
"""

import difflib
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from scheduler.errors import ConfigurationError
from scheduler.settings import forms
from scheduler.settings.forms import MINIMUM_SECRET_LENGTH, is_loopback, local_url

# A variable that begins with one of these is meant for us, so one that we do not know is a mistake.
OUR_PREFIXES = ("SCHEDULER_", "TWILIO_", "SMTP_", "SMS_", "EMAIL_", "MESSAGE_", "MESSAGES_", "WEBHOOKS_", "DKIM_")

SECRET_KEY_FILE = "secret_key"  # noqa: S105 - the name of a file, not what is in it


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set, valid and complete. Texts that are not set are empty; times are in seconds.

    ``database_url`` is empty when the embedded PostgreSQL is meant. ``given`` names what did not come by default.
    """

    database_url: str
    database_owner_url: str
    database_pool_size: int
    database_statement_cache_size: int
    database_allow_unsafe: bool
    scheduler_data: Path
    scheduler_clinic: Path
    host: str
    port: int
    public_base_url: str
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    secret_key: str
    sms_channel: Literal["preview", "twilio"]
    twilio_account_sid: str
    twilio_auth_token: str
    twilio_auth_token_secondary: str
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
    dkim_domain: str
    dkim_selector: str
    dkim_private_key_file: Path | None
    message_lease_seconds: int
    message_reconcile_seconds: tuple[int, ...]
    messages_per_second: int
    webhooks_allow_private: bool
    log_format: Literal["console", "json"]
    log_level: Literal["debug", "info", "warning", "error"]
    given: frozenset[str]

    @property
    def owner_url(self) -> str:
        """The address at which the schema may be changed and everything read: for commands, never for a server."""
        return self.database_owner_url or self.database_url

    def rows(self) -> list[tuple[str, str, bool]]:
        """Return (name, value fit to be shown, whether it is the default) for every setting, in the table's order."""
        return [
            (name, setting.show(getattr(self, name.lower())), name not in self.given)
            for name, setting in SETTINGS.items()
        ]


class Setting(NamedTuple):
    """How one setting is read and shown. ``default`` is written as it would be in the environment."""

    parse: Callable[[str], Any]
    default: str = ""
    show: Callable[[Any], str] = forms.shown


SETTINGS: dict[str, Setting] = {
    "DATABASE_URL": Setting(forms.database_url, show=forms.shown_url),
    # Whoever owns the schema could rewrite the audit. With another role here, that of DATABASE_URL owns nothing.
    "DATABASE_OWNER_URL": Setting(forms.database_url, show=forms.shown_url),
    # PostgreSQL's own default allows 100 connections: two web processes and two workers leave room for people.
    "DATABASE_POOL_SIZE": Setting(forms.integer(2, 200), "10"),
    # asyncpg's own default. Must be 0 behind PgBouncer in transaction mode, which moves sessions between clients.
    "DATABASE_STATEMENT_CACHE_SIZE": Setting(forms.integer(0, 10000), "100"),
    # For tests only: a server with fsync or synchronous_commit off is faster and loses acknowledged bookings.
    "DATABASE_ALLOW_UNSAFE": Setting(forms.flag, "false"),
    "SCHEDULER_DATA": Setting(forms.path, ".data"),
    "SCHEDULER_CLINIC": Setting(forms.path, "config/clinic.toml"),
    "HOST": Setting(forms.address, "127.0.0.1"),
    "PORT": Setting(forms.integer(1, 65535), "8000"),
    # Links in messages and the check of Twilio's signatures; never taken from what a client sent.
    "PUBLIC_BASE_URL": Setting(forms.base_url),
    # Whose word on where a request comes from is taken. Anybody can write X-Forwarded-For, so nobody's by default.
    "TRUSTED_PROXIES": Setting(forms.networks),
    "SECRET_KEY": Setting(forms.secret_key, show=forms.shown_secret),
    "SMS_CHANNEL": Setting(forms.choice("preview", "twilio"), "preview"),
    "TWILIO_ACCOUNT_SID": Setting(forms.beginning("AC")),
    "TWILIO_AUTH_TOKEN": Setting(forms.text, show=forms.shown_secret),
    # While the account's token is changed: what Twilio signed with the other one counts as well.
    "TWILIO_AUTH_TOKEN_SECONDARY": Setting(forms.text, show=forms.shown_secret),
    "TWILIO_MESSAGING_SERVICE_SID": Setting(forms.beginning("MG")),
    "TWILIO_FROM": Setting(forms.text),
    # Another place answers for Twilio in tests. The account's token travels there, so never in the clear.
    "TWILIO_API_BASE_URL": Setting(forms.safe_base_url, "https://api.twilio.com"),
    "EMAIL_CHANNEL": Setting(forms.choice("preview", "smtp"), "preview"),
    "SMTP_HOST": Setting(forms.text),
    "SMTP_PORT": Setting(forms.integer(1, 65535), "587"),
    "SMTP_USERNAME": Setting(forms.text),
    "SMTP_PASSWORD": Setting(forms.text, show=forms.shown_secret),
    "SMTP_TLS": Setting(forms.choice("starttls", "implicit", "none"), "starttls"),
    # An extra authority to trust, for a mail server inside the house whose certificate no public one signed.
    "SMTP_CA_FILE": Setting(forms.optional_file),
    "EMAIL_FROM": Setting(forms.sender),
    # Signatures of our own, for a relay that makes none. Never both: two signatures of one domain tell nobody more.
    "DKIM_DOMAIN": Setting(forms.domain),
    "DKIM_SELECTOR": Setting(forms.domain),
    "DKIM_PRIVATE_KEY_FILE": Setting(forms.optional_file),
    # How long a worker may take over one message before another may look at it. Longer than any provider's timeout.
    "MESSAGE_LEASE_SECONDS": Setting(forms.integer(5, 3600), "60"),
    # When, after a send that may or may not have arrived, the provider is asked. Providers list a message seconds
    # after taking it, so the last moment is far behind that: only after it may the message be sent again.
    "MESSAGE_RECONCILE_SECONDS": Setting(forms.rising_seconds, "15,45,120,300"),
    # How many texts a second leave for one clinic, whatever the number of workers. An ordinary long number sends one
    # segment a second (Twilio, error 30001); a pool of numbers or a short code sends more.
    "MESSAGES_PER_SECOND": Setting(forms.integer(1, 10_000), "1"),
    # Whether webhooks may lead to addresses that are not on the internet, which could be anything in the house. This
    # machine itself may be told all the same while PUBLIC_BASE_URL says that the service is tried out on it.
    "WEBHOOKS_ALLOW_PRIVATE": Setting(forms.flag, "false"),
    # People read a terminal, machines read the rest: json unless standard error is a terminal.
    "LOG_FORMAT": Setting(forms.choice("console", "json")),
    "LOG_LEVEL": Setting(forms.choice("debug", "info", "warning", "error"), "info"),
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
        secret = setting.show is not forms.shown
        raise ConfigurationError(f"{name} {problem}{'' if secret else f', not {raw!r}'}.") from None


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
        "DKIM_DOMAIN, DKIM_SELECTOR and DKIM_PRIVATE_KEY_FILE belong together: set all three or none.": len(
            {bool(values[name]) for name in ("DKIM_DOMAIN", "DKIM_SELECTOR", "DKIM_PRIVATE_KEY_FILE")}
        )
        > 1,
        "DATABASE_URL is needed when DATABASE_OWNER_URL is set.": values["DATABASE_OWNER_URL"]
        and not values["DATABASE_URL"],
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
