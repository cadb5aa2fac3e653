"""Texts through Twilio: one attempt each, bounded in time, with an outcome that is never guessed.

Creating a message at Twilio is not idempotent. Only an answer of 4xx, or a connection that never came about, proves
that nothing was sent; every other trouble may follow an accepted message and is ``unknown``.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import structlog
from msgspec.structs import replace
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from scheduler.channels.base import Envelope, Outcome

API_BASE_URL = "https://api.twilio.com"
CONNECTIONS = 10
LISTED = 50
# Clocks differ: Twilio stamps a message by its own, in whole seconds.
CLOCK_TOLERANCE = timedelta(minutes=2)
# Twilio keeps a message in its queue for one second at least and ten hours at most.
VALIDITY_SECONDS = (1, 36_000)
# Three more tries, when the connection, the answer or the server fails (Twilio's webhook connection overrides).
CALLBACK_RETRIES = "#rc=3&rp=ct,rt,5xx"

# Codes that say that a number can never get a text, in the answer to a create or in a status callback.
UNREACHABLE: Mapping[int, str] = {
    21211: "This is not a valid phone number.",
    21614: "This number cannot receive texts.",
    21635: "This number is a landline.",
    30005: "This number is not in use.",
    30006: "This number is a landline, or its carrier takes no texts.",
}
# Codes that are the account's or the sender's fault: every text meets them until a person acts.
_PAUSING = {
    20003: "Twilio does not accept the account's credentials.",
    21606: "Twilio cannot send texts from the clinic's number.",
    21611: "Twilio's queue for the clinic's number is full.",
    21659: "The clinic's number is not one of Twilio's.",
    21660: "The clinic's number belongs to another Twilio account.",
    21701: "The Twilio messaging service does not exist.",
    30034: "The clinic's number is not registered with the carriers.",
    60728: "The Twilio account has reached its limit for the hour.",
    63038: "The Twilio account has reached its limit for the day.",
}
# Codes that may be the sender's fault as well as the recipient's, who may be in another country.
_SUSPECT = {
    21408: "The Twilio account may not send texts to this country.",
    21612: "Twilio cannot send from the clinic's number to this one.",
}
# What Twilio says with a 4xx status. It splits codes over time, so each has its status as the safe default below.
_BY_CODE = {
    **{code: Outcome(result="refused", address="unreachable", reason=why) for code, why in UNREACHABLE.items()},
    **{code: Outcome(result="paused", reason=why) for code, why in _PAUSING.items()},
    **{code: Outcome(result="paused", suspect=True, reason=why) for code, why in _SUSPECT.items()},
    21610: Outcome(result="refused", address="opted_out", reason="This person has opted out of texts."),
}
_BY_STATUS = {
    401: Outcome(result="paused", reason="Twilio does not accept the account's credentials."),
    403: Outcome(result="paused", reason="Twilio does not allow the account to send texts."),
    404: Outcome(result="paused", reason="Twilio does not know the account."),
    408: Outcome(result="unknown", reason="Twilio stopped waiting for us; the text may have been sent."),
    429: Outcome(result="retry", reason="Twilio is busy."),
}
_REFUSED = Outcome(result="refused", reason="Twilio refused the text.")
_UNKNOWN = Outcome(result="unknown", reason="Twilio did not confirm the text; it may have been sent.")
_UNREACHABLE = Outcome(result="retry", reason="Twilio could not be reached.")

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class TwilioChannel:
    """Sends texts from one Twilio account. Build it inside a running event loop, and close it.

    ``sender`` is a messaging service (``MG...``) or a phone number in E.164; the envelope's own is not looked at.
    ``timeout_seconds`` bounds a whole request, and half of it the wait for a connection. ``api_base_url`` is
    another place than Twilio's in tests alone.
    """

    can_be_asked = True

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        sender: str,
        public_base_url: str,
        api_base_url: str = API_BASE_URL,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._account = (account_sid, auth_token)
        self._sender = {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}
        self._api_base_url = api_base_url
        # Twilio calls back over https alone; a simulator does over http too.
        can_call_back = public_base_url.startswith("https://") or api_base_url != API_BASE_URL
        self._callback_base = f"{public_base_url}/hooks/twilio/status/" if can_call_back else None
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds, connect=timeout_seconds / 2),
        )
        # The library imports most of itself, for half a second, when an API is first used: now, and not amid the work.
        _ = self._client(_Exchange(self._session)).messages

    async def send(self, envelope: Envelope) -> Outcome:
        # To wait here is no part of what Twilio takes, for which there is a limit.
        async with self._room:
            return await self._send(envelope)

    async def _send(self, envelope: Envelope) -> Outcome:
        exchange = _Exchange(self._session)
        code: int | None = None
        sid: str | None = None
        try:
            message = await self._client(exchange).messages.create_async(
                to=envelope.address,
                body=envelope.text,
                validity_period=min(max(envelope.useful_for_seconds, VALIDITY_SECONDS[0]), VALIDITY_SECONDS[1]),
                status_callback=self._callback(envelope),  # the library leaves out what is None
                **self._sender,
            )
            sid = message.sid
            outcome = Outcome(result="accepted") if sid else _UNKNOWN
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            outcome = _UNREACHABLE
        except Exception as error:  # noqa: BLE001 - whatever else went wrong, Twilio may have the message
            code = _code(error, exchange.status)
            outcome = _verdict(exchange.status, code)
        _log.info(
            "twilio answered",
            message_id=str(envelope.message_id),
            result=outcome.result,
            status=exchange.status,
            code=code,
            request_id=exchange.headers.get("Twilio-Request-Id"),
        )
        return replace(
            outcome, provider_id=sid, http_status=exchange.status, error_code=None if code is None else str(code)
        )

    async def find(self, envelope: Envelope, since: datetime) -> tuple[str, ...] | None:
        """Ids of texts to this address with this very body that Twilio made since then, newest first.

        Twilio cannot filter by the moment of creation, so the newest 50 to the number are fetched and compared
        here. An account that redacts bodies never matches; callbacks have to tell then.
        """
        client = self._client(_Exchange(self._session))
        try:
            messages = await client.messages.list_async(to=envelope.address, limit=LISTED, page_size=LISTED)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, Twilio did not say
            _log.info("twilio did not list", message_id=str(envelope.message_id), error=type(error).__name__)
            return None
        earliest = since - CLOCK_TOLERANCE
        return tuple(
            message.sid
            for message in messages
            if message.sid and message.date_created and message.date_created >= earliest
            if message.body == envelope.text
        )

    async def close(self) -> None:
        await self._session.close()

    def _client(self, exchange: "_Exchange") -> Client:
        client = Client(*self._account, http_client=exchange)
        # The library takes these from the environment unasked, and would move the host by them.
        client.edge = client.region = None
        client.api.base_url = self._api_base_url
        return client

    def _callback(self, envelope: Envelope) -> str | None:
        return self._callback_base and f"{self._callback_base}{envelope.message_id}{CALLBACK_RETRIES}"


class _Exchange(AsyncHttpClient):
    """One request to Twilio over the shared session, which remembers the answer's status and headers.

    The library's own client ignores its time limit, and its exceptions drop the headers.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._session = session
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the library's signature; the session has the limit
        allow_redirects: bool = False,
    ) -> Response:
        headers = dict(headers or {})
        if auth:
            headers["Authorization"] = aiohttp.encode_basic_auth(*auth)
        fields: Any = {"params": params, "data": data}
        async with self._session.request(
            method, uri, headers=headers, allow_redirects=allow_redirects, **fields
        ) as response:
            self.status = response.status
            self.headers = response.headers
            return Response(response.status, await response.text(), response.headers)


def _verdict(status: int | None, code: int | None) -> Outcome:
    """What an answer means. A status outside 4xx proves nothing, whatever the body says."""
    if status is None or not 400 <= status < 500:  # noqa: PLR2004
        return _UNKNOWN
    return _BY_CODE.get(code or 0) or _BY_STATUS.get(status, _REFUSED)


def _code(error: Exception, status: int | None) -> int | None:
    """Twilio's own code, where the answer had one; the library puts the HTTP status in its place where not."""
    code = getattr(error, "code", None)
    return code if isinstance(code, int) and code != status else None
