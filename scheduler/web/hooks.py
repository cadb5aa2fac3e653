"""What Twilio calls: how far a text is, and the texts that come in. Only what it signed is read.

Nobody is recognised, nothing is counted, and the answer is short: Twilio waits for it, and calls again when it gets
none. The addresses are no part of the API, so no part of its document.
"""

from typing import cast
from uuid import UUID

import structlog
from litestar import Response, post
from litestar.params import FromPath

from scheduler.channels.twilio_reports import Report
from scheduler.channels.twilio_signature import SIGNATURE, SIGNATURE_SETTINGS, Fields, is_signed, read_fields
from scheduler.errors import MalformedRequest, NotFound, SignatureInvalid, UnsupportedMediaType
from scheduler.services.callbacks import take_report
from scheduler.services.directory import Directory
from scheduler.services.opt_outs import record_opt_out
from scheduler.services.replies import Incoming, receive
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.headers import name_request
from scheduler.web.pages.render import PageRequest

_FORM = "application/x-www-form-urlencoded"

# An empty answer to Twilio's question what to do about a text: nothing. What we answer goes through the outbox.
_NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

_log = structlog.get_logger(__name__)


@post("/hooks/twilio/status/{message_id:str}", status_code=204, include_in_schema=False)
async def take_status(request: PageRequest, now: FromNow, message_id: FromPath[str]) -> None:
    """Note how far one of our texts is. Again, or late, changes nothing."""
    fields = await _signed(request)
    report = Report(
        provider_id=_needed(fields, "MessageSid", "SmsSid"),
        status=_needed(fields, "MessageStatus", "SmsStatus"),
        error_code=fields.first("ErrorCode").lstrip("0") or None,
    )
    async with unit_of_work(_pool(request)) as connection:
        opted_out = await take_report(connection, _directory(request).clinics, _as_id(message_id), report, now=now)
    if opted_out:
        async with unit_of_work(_pool(request)) as connection:
            await record_opt_out(connection, opted_out.clinic, opted_out.phone, now=now)


@post("/hooks/twilio/inbound", status_code=200, include_in_schema=False)
async def take_text(request: PageRequest, now: FromNow) -> Response[str]:
    """Keep a text that came in, and do what it asks for. The same one again changes nothing."""
    fields = await _signed(request)
    incoming = Incoming(
        provider_id=_needed(fields, "MessageSid", "SmsSid"),
        sender=_needed(fields, "From"),
        recipient=fields.first("To"),
        text=fields.first("Body"),
        opt_out_type=fields.first("OptOutType").upper(),
        attachments=fields.first("NumMedia"),
    )
    request_id = name_request(request.scope)
    async with unit_of_work(_pool(request)) as connection:
        await receive(connection, _directory(request).clinics, incoming, request_id=request_id, now=now)
    return Response(_NOTHING, media_type="text/xml")


async def _signed(request: PageRequest) -> Fields:
    """Return the fields of a form that Twilio signed for this address. Raises SignatureInvalid.

    The address is the one that Twilio was told, and not what a client says in Host.
    """
    if request.content_type[0] != _FORM:
        raise UnsupportedMediaType(f"Send the body as {_FORM}.")
    settings = cast("Settings", request.app.state.settings)
    fields = read_fields(await request.body())
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    url = settings.public_base_url + path + (f"?{query}" if query else "")
    tokens = (settings.twilio_auth_token, settings.twilio_auth_token_secondary)
    headers = request.headers
    genuine = is_signed(tokens, url, fields, headers.get(SIGNATURE), headers.get(SIGNATURE_SETTINGS))
    if not genuine or fields.first("AccountSid") != settings.twilio_account_sid:
        name_request(request.scope)
        _log.warning("twilio.unsigned", signed=genuine)
        raise SignatureInvalid
    return fields


def _needed(fields: Fields, *names: str) -> str:
    if not (value := fields.first(*names)):
        raise MalformedRequest(f"The field {names[0]} is missing.")
    return value


def _as_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such message.") from None


def _pool(request: PageRequest) -> Pool:
    return cast("Pool", request.app.state.pool)


def _directory(request: PageRequest) -> Directory:
    return cast("Directory", request.app.state.directory)


HOOKS = [take_status, take_text]
