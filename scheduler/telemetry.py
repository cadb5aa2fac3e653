"""Structured logs that may be read by anyone: no phone, email, name, token or text of a message is ever in them."""

import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import date, time, timedelta
from pathlib import PurePath
from typing import Any
from uuid import UUID

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from scheduler.settings import Settings

HIDDEN = "[hidden]"

# A value is dropped where one of these is a word of its key: `phone`, `patient_phone`, `Given-Name`.
PERSONAL_WORDS = frozenset(
    "address addresses authorization birth body cookie email emails html name names note notes password phone phones "
    "recipient secret sender subject text texts token tokens".split()
)

# Which request is being answered, for all that is logged meanwhile.
REQUEST_ID: ContextVar[str] = ContextVar("request_id")

# They tell every request with its address and headers, or every step they take, as mere information.
NOISY_LOGGERS = ("twilio", "aiohttp", "granian.access", "apscheduler", "alembic")

# What a value may be, besides text and collections, for it to be shown as it is. Anything else is named by its type.
_HARMLESS = (bool, int, float, UUID, date, time, timedelta, PurePath)

# In order: what stays although it looks like a number to call, then what goes and what stands in its place.
_SCRUBBED = (
    (re.compile(r"^([ \t]*)(DETAIL|HINT|CONTEXT):.*$", re.MULTILINE), rf"\1\2: {HIDDEN}"),
    (re.compile(r"(://)[^\s/@]*:[^\s@]*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w+/=.~-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\btbs_[\w-]+"), f"tbs_{HIDDEN}"),
    (re.compile(r"\bwhsec_[\w+/=]+"), f"whsec_{HIDDEN}"),
    (re.compile(r"(/[mu]/)[\w~-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+"), HIDDEN),
)
_PHONE = re.compile(
    r"""
    (?P<kept>
        \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b          # a UUID
      | \b(?=\d*[a-f])[0-9a-f]{16,}\b                           # a digest
      | \d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?   # an instant
    )
  | \+\d(?:[\s().-]{0,2}\d){6,14}                                # international, with any separators
  | (?<!\d)(?:1[\s.-]?)?\(?\d{3}\)?[\s.-]{0,2}\d{3}[\s.-]?\d{4}(?!\d)   # North American
  | (?<!\d)\d{10,15}(?!\d)                                       # any other run of as many digits
    """,
    re.VERBOSE | re.IGNORECASE,
)


def scrub(text: str) -> str:
    """Return the text with what identifies or admits a person hidden; ids and instants stay.

    Hidden are phone numbers, email addresses, link tokens, API keys, passwords in addresses, and PostgreSQL's
    details, which quote rows.
    """
    for pattern, replacement in _SCRUBBED:
        text = pattern.sub(replacement, text)
    return _PHONE.sub(lambda match: match["kept"] or HIDDEN, text)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop or scrub every value of a log event, however deep; the last step before it is written."""
    return {key: _shown(key, value) for key, value in event.items()}


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if request_id := REQUEST_ID.get(None):
        event.setdefault("request_id", request_id)
    return event


def _shown(key: str, value: Any) -> Any:
    if value is None:
        return None
    if PERSONAL_WORDS.intersection(re.split(r"[\W_]+", key.lower())):
        return HIDDEN
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, _HARMLESS):
        return value
    if isinstance(value, Mapping):
        return {scrub(str(inner)): _shown(str(inner), item) for inner, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, BaseException):
        return scrub(f"{type(value).__name__}: {value}")
    return f"<{type(value).__name__}>"


def configure_logging(settings: Settings) -> None:
    """Send everything that is logged, by us or by a library, through one redaction to standard error."""
    shared: list[Processor] = [
        _add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
