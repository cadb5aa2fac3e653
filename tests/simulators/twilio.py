"""A Twilio on this machine: the Messages resource with its state, its errors, its status callbacks and its silences.

In a test: ``async with TwilioSimulator() as twilio``. As a process of its own: ``tests.simulators.twilio_process``.
"""

import asyncio
import base64
import random
import secrets
from collections import deque
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urldefrag

import aiohttp
import msgspec
from aiohttp import web
from twilio.request_validator import RequestValidator

from tests.simulators.logs import append_to_log
from tests.simulators.twilio_shapes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    OUR_NUMBER,
    START_WORDS,
    STOP_WORDS,
    VERSION,
    Accepted,
    as_json,
    error_answer,
    lacking,
    page_as_json,
)

_REQUEST_ID = web.RequestKey("request_id", str)
_SIMULATOR: web.AppKey["TwilioSimulator"] = web.AppKey("simulator")
_BY_HAND = "/texts"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with one request. ``accepted`` tells whether the message was taken before it did.

    ``answer`` sends ``status`` with Twilio's ``code``; ``garbage`` sends it with a body that is not JSON, ``empty``
    with one that names no message; ``drop`` ends the connection without an answer; ``hang`` keeps it and says nothing.
    The body of an answer follows its headers by ``delay`` seconds.
    """

    then: Literal["answer", "garbage", "empty", "drop", "hang"] = "answer"
    status: int = 500
    code: int = 20500
    delay: float = 0.0
    accepted: bool = False


BUSY = Fault(status=429, code=20429)
BROKEN = Fault(status=500)
BROKEN_AFTERWARDS = Fault(status=500, accepted=True)
DROP = Fault(then="drop")
DROP_AFTERWARDS = Fault(then="drop", accepted=True)
HANG = Fault(then="hang")
HANG_AFTERWARDS = Fault(then="hang", accepted=True)
GARBAGE_AFTERWARDS = Fault(then="garbage", status=201, accepted=True)
EMPTY_AFTERWARDS = Fault(then="empty", status=201, accepted=True)

NAMED_FAULTS = {
    "busy": BUSY, "broken": BROKEN, "broken-afterwards": BROKEN_AFTERWARDS, "drop": DROP,
    "drop-afterwards": DROP_AFTERWARDS, "hang": HANG, "hang-afterwards": HANG_AFTERWARDS,
}  # fmt: skip


def refusal(code: int, status: int = 400) -> Fault:
    """Twilio's answer to a message that it does not take."""
    return Fault(status=status, code=code)


class TwilioSimulator:
    """Answers for Twilio on a loopback port.

    ``accepted`` holds every message taken, oldest first; ``forms`` and ``lists`` hold every create and list as it came,
    whatever became of it, and ``request_ids`` what the answer to a create called itself, by the message's body.
    ``faults`` are met by the next creates in order, ``list_faults`` by the next lists; when ``faults`` are used up,
    ``chances`` (fault and probability) apply. ``list_lag`` is how many seconds the list takes to show a message.
    A create takes up to ``latency`` seconds to get here, each its own time. ``opted_out`` are numbers whose owners
    wrote STOP, to which nothing is taken. ``peers`` are the connections made.

    Each of ``callbacks`` (a status, or ``status:error code``) is sent in turn, ``callback_delay`` seconds apart, once a
    message is taken; or all by themselves, in whatever order comes of it, where they are ``shuffled``. Of all
    callbacks ``callback_loss`` never come and ``callback_repeats`` come twice.

    Beside Twilio's own addresses, ``/texts`` is for people at a terminal: GET shows what phones were sent, and POST,
    with the fields From and Body, texts the ``service`` from a phone and shows what it answered Twilio.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        callbacks: Sequence[str] = (),
        callback_delay: float = 0.0,
        callback_loss: float = 0.0,
        callback_repeats: float = 0.0,
        shuffled: bool = False,
        list_lag: float = 0.0,
        latency: float = 0.0,
        chances: Sequence[tuple[Fault, float]] = (),
        seed: int = 0,
        log: Path | None = None,
        service: str = "",
    ) -> None:
        self.port = port
        self.service = service
        self.callbacks = callbacks
        self.callback_delay = callback_delay
        self.callback_loss = callback_loss
        self.callback_repeats = callback_repeats
        self.shuffled = shuffled
        self.list_lag = list_lag
        self.latency = latency
        self.chances = chances
        self.faults: deque[Fault] = deque()
        self.list_faults: deque[Fault] = deque()
        self.accepted: list[Accepted] = []
        self.forms: list[dict[str, str]] = []
        self.request_ids: dict[str, str] = {}
        self.lists: list[dict[str, str]] = []
        self.opted_out: set[str] = set()
        self.callback_answers: list[int | str] = []
        self.peers: set[object] = set()
        self._random = random.Random(seed)
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[_guarded])
        app[_SIMULATOR] = self
        base = f"/{VERSION}/Accounts/{{account}}"
        app.router.add_post(f"{base}/Messages.json", self._create)
        app.router.add_get(f"{base}/Messages.json", self._list)
        app.router.add_get(f"{base}/Messages/{{sid}}.json", self._fetch)
        app.router.add_post(f"{base}/Messages/{{sid}}.json", self._update)
        app.router.add_get(_BY_HAND, self._show_texts)
        app.router.add_post(_BY_HAND, self._bring_text)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def quiet(self) -> None:
        """Wait until every callback under way has been sent."""
        await asyncio.gather(*self._tasks)

    async def text_us(self, base_url: str, sender: str, body: str, **more: str) -> aiohttp.ClientResponse:
        """Bring the service a text from somebody, as the webhook of our number is set up; return its answer, read.

        ``more`` are further fields of the form, such as OptOutType, or a MessageSid that came before. A word to stop or
        start has its effect on what is taken from us first.
        """
        word = body.strip().upper()
        if word in STOP_WORDS:
            self.opted_out.add(sender)
        elif word in START_WORDS:
            self.opted_out.discard(sender)
        fields = {
            "AccountSid": ACCOUNT_SID, "ApiVersion": VERSION, "MessageSid": "SM" + secrets.token_hex(16),
            "From": sender, "To": OUR_NUMBER, "Body": body, "NumMedia": "0", "NumSegments": "1", "FromState": "",
        } | more  # fmt: skip
        return await self._post_signed(f"{base_url}/hooks/twilio/inbound", fields)

    async def report(self, base_url: str, message_id: object, sid: str, status: str, **more: str) -> int:
        """Tell the service how far a message is, whatever we think of it ourselves; return the status it answers."""
        fields = {"AccountSid": ACCOUNT_SID, "MessageSid": sid, "MessageStatus": status} | more
        return (await self._post_signed(f"{base_url}/hooks/twilio/status/{message_id}", fields)).status

    async def _post_signed(self, url: str, fields: dict[str, str]) -> aiohttp.ClientResponse:
        signature = RequestValidator(AUTH_TOKEN).compute_signature(url, fields)
        async with self._session.post(url, data=fields, headers={"X-Twilio-Signature": signature}) as answer:
            await answer.read()
            return answer

    async def _show_texts(self, request: web.Request) -> web.StreamResponse:
        to = request.query.get("To")
        shown = [message for message in self.accepted if to in (None, message.to)]
        return web.Response(text="".join(f"{one.to}  {one.status:9}  {one.body}\n" for one in shown))

    async def _bring_text(self, request: web.Request) -> web.StreamResponse:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        if not self.service or not fields.keys() >= {"From", "Body"}:
            return web.Response(status=400, text="Say where the service is (--service), and send From and Body.\n")
        # An unescaped plus arrives as a blank.
        sender, body = f"+{fields.pop('From').lstrip(' +')}", fields.pop("Body")
        answer = await self.text_us(self.service, sender, body, **fields)
        return web.Response(text=f"{answer.status} {await answer.text()}\n")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        # Whoever sent it may be dead by the time it gets here.
        await asyncio.sleep(self._random.uniform(0, self.latency))
        self.forms.append(form)
        self.request_ids[form.get("Body", "")] = request[_REQUEST_ID]
        if code := lacking(form):
            return error_answer(400, code)
        if form["To"] in self.opted_out:
            return error_answer(400, 21610)
        fault = self.faults.popleft() if self.faults else self._chance()
        if fault and not fault.accepted:
            return await self._suffer(request, fault)
        message = self._accept(form)
        return await self._suffer(request, fault) if fault else web.json_response(as_json(message), status=201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.lists.append(query)
        if self.list_faults:
            return await self._suffer(request, self.list_faults.popleft())
        now = asyncio.get_running_loop().time()
        matching = [
            message
            for message in reversed(self.accepted)
            if message.listed_at <= now and query.get("To", message.to) == message.to
        ]
        return web.json_response(page_as_json(request.path, query, matching))

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        found = self._known(request.match_info["sid"])
        return web.json_response(as_json(found)) if found else error_answer(404, 20404)

    async def _update(self, request: web.Request) -> web.StreamResponse:
        found = self._known(request.match_info["sid"])
        if not found:
            return error_answer(404, 20404)
        form = await request.post()
        if form.get("Status") == "canceled":
            found.status = "canceled"
        if form.get("Body") == "":
            found.body = ""
        return web.json_response(as_json(found))

    def _known(self, sid: str) -> Accepted | None:
        return next((message for message in self.accepted if message.sid == sid), None)

    def _chance(self) -> Fault | None:
        drawn = self._random.random()
        for fault, probability in self.chances:
            drawn -= probability
            if drawn < 0:
                return fault
        return None

    def _accept(self, form: dict[str, str]) -> Accepted:
        service = form.get("MessagingServiceSid")
        message = Accepted(
            sid="SM" + secrets.token_hex(16),
            to=form["To"],
            sender=form.get("From"),
            service=service,
            body=form["Body"],
            status="accepted" if service else "queued",
            status_callback=form.get("StatusCallback"),
            created_at=datetime.now(UTC),
            listed_at=asyncio.get_running_loop().time() + self.list_lag,
        )
        self.accepted.append(message)
        if self._log:
            append_to_log(self._log, form | {"sid": message.sid, "at": message.created_at.isoformat()})
        if message.status_callback and self.callbacks:
            task = asyncio.create_task(self._call_back(message, message.status_callback))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return message

    async def _call_back(self, message: Accepted, address: str) -> None:
        # What follows "#" is for Twilio: how to connect. It is neither requested nor signed.
        url = urldefrag(address).url
        steps = [self._report(message, url, status) for status in self.callbacks]
        if self.shuffled:
            await asyncio.gather(*(self._after(self._random.uniform(0, self.callback_delay), step) for step in steps))
        else:
            for step in steps:
                await self._after(self.callback_delay, step)

    async def _after(self, seconds: float, step: Coroutine[Any, Any, None]) -> None:
        await asyncio.sleep(seconds)
        await step

    async def _report(self, message: Accepted, url: str, status_and_code: str) -> None:
        status, _, code = status_and_code.partition(":")
        message.status = status
        fields = {
            "AccountSid": ACCOUNT_SID, "ApiVersion": VERSION, "MessageSid": message.sid, "MessageStatus": status,
            "SmsSid": message.sid, "SmsStatus": status, "To": message.to, "From": message.sender or OUR_NUMBER,
            **({"ErrorCode": code} if code else {}),
        }  # fmt: skip
        if self._random.random() < self.callback_loss:
            return
        for _ in range(2 if self._random.random() < self.callback_repeats else 1):
            try:
                self.callback_answers.append((await self._post_signed(url, fields)).status)
            except (aiohttp.ClientError, OSError) as error:
                self.callback_answers.append(type(error).__name__)

    async def _suffer(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.then == "answer":
            answer = error_answer(fault.status, fault.code)
            return await _slowly(request, answer, fault.delay) if fault.delay else answer
        if fault.then == "garbage":
            return web.Response(status=fault.status, text="<html>Bad Gateway</html>", content_type="text/html")
        if fault.then == "empty":
            return web.json_response({}, status=fault.status)
        if fault.then == "hang":
            await self._stopping.wait()
        if request.transport:
            request.transport.abort()
        return web.Response()


@web.middleware
async def _guarded(request: web.Request, handler: Any) -> web.StreamResponse:
    request.app[_SIMULATOR].peers.add(request.transport and request.transport.get_extra_info("peername"))
    request[_REQUEST_ID] = "RQ" + secrets.token_hex(16)
    response = await _respond(request, handler)
    if not response.prepared:
        response.headers["Twilio-Request-Id"] = request[_REQUEST_ID]
    return response


async def _slowly(request: web.Request, answer: web.Response, delay: float) -> web.StreamResponse:
    headers = {"Content-Type": "application/json", "Twilio-Request-Id": request[_REQUEST_ID]}
    slow = web.StreamResponse(status=answer.status, headers=headers)
    await slow.prepare(request)
    await asyncio.sleep(delay)
    await slow.write((answer.text or "").encode())
    return slow


async def _respond(request: web.Request, handler: Any) -> web.StreamResponse:
    if request.path == _BY_HAND:
        return await handler(request)
    credentials = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {credentials}":
        return error_answer(401, 20003)
    if request.match_info.get("account") != ACCOUNT_SID:
        return error_answer(404, 20404)
    return await handler(request)
