"""What Twilio's Messages resource looks like from outside: its fields, its codes for a bad create, its errors."""

import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

ACCOUNT_SID = "AC" + "5" * 32
AUTH_TOKEN = "token-of-the-simulated-account"
VERSION = "2010-04-01"
OUR_NUMBER = "+12015550100"
STOP_WORDS = frozenset("STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT".split())
START_WORDS = frozenset("START YES UNSTOP".split())
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class Accepted(msgspec.Struct, kw_only=True):
    """A message that Twilio has. ``listed_at`` is when the list begins to show it, by the loop's clock."""

    sid: str
    to: str
    sender: str | None
    service: str | None
    body: str
    status: str
    status_callback: str | None
    created_at: datetime
    listed_at: float


def lacking(form: dict[str, str]) -> int | None:
    """Twilio's code for what a create lacks, or None."""
    if not form.get("To"):
        return 21604
    if not _E164.fullmatch(form["To"]):
        return 21211
    if not form.get("From") and not form.get("MessagingServiceSid"):
        return 21603
    return None if form.get("Body") else 21602


def as_json(message: Accepted) -> dict[str, Any]:
    uri = f"/{VERSION}/Accounts/{ACCOUNT_SID}/Messages/{message.sid}"
    created = format_datetime(message.created_at)
    return {
        "account_sid": ACCOUNT_SID,
        "api_version": VERSION,
        "body": message.body,
        "date_created": created,
        "date_sent": created if message.status in ("sent", "delivered") else None,
        "date_updated": created,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": message.sender,
        "messaging_service_sid": message.service,
        "num_media": "0",
        "num_segments": "0" if message.service else "1",
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def page_as_json(path: str, query: dict[str, str], messages: Sequence[Accepted]) -> dict[str, Any]:
    """The page of a list that the query asks for."""
    size, page = int(query.get("PageSize", 50)), int(query.get("Page", 0))
    start, end = page * size, min((page + 1) * size, len(messages))

    def uri(number: int) -> str:
        return f"{path}?{urlencode(query | {'Page': number})}"

    return {
        "messages": [as_json(message) for message in messages[start:end]],
        "page": page,
        "page_size": size,
        "start": start,
        "end": max(end - 1, 0),
        "uri": uri(page),
        "first_page_uri": uri(0),
        "next_page_uri": uri(page + 1) if end < len(messages) else None,
        "previous_page_uri": uri(page - 1) if page else None,
    }


def error_answer(status: int, code: int) -> web.Response:
    body = {
        "code": code,
        "message": f"Simulated error {code}",
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return web.json_response(body, status=status)
