"""A mail server on this machine, on the test's own loop, that fails at whichever step it is told to.

In a test: ``async with SmtpSimulator() as server``. As a process that outlives the one it serves:
``python -m tests.simulators.smtp --port 0 --log accepted.jsonl``, which prints its port and writes every accepted
message to the log, and to the disk, before it answers.
"""

import argparse
import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.simulators.certificates import Certificate
from tests.simulators.logs import append_to_log

# The steps of a session in order; ``content`` comes between the leave to send and the final dot, which ``message``
# answers. There is nothing to reply at ``content``: it can only break off, fall silent or be slow.
Stage = Literal["connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "message", "quit"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong at one step: the server answers with ``reply``, drops the connection, or says nothing more.

    With none of these it is only slow, by ``delay`` seconds. ``accepted`` is for the step ``message``: whether the
    server has the message all the same.
    """

    reply: str = ""
    then: Literal["reply", "drop", "hang"] = "reply"
    delay: float = 0.0
    accepted: bool = False


# What the server says before the content of a message.
GO_AHEAD = "354 End data with <CR><LF>.<CR><LF>"

DROP = Fault(then="drop")
HANG = Fault(then="hang")
DROP_AFTERWARDS = Fault(then="drop", accepted=True)
HANG_AFTERWARDS = Fault(then="hang", accepted=True)

NAMED_FAULTS: dict[str, tuple[Stage, Fault]] = {
    "busy": ("rcpt", Fault(reply="451 4.3.0 Try again later")),
    "drop": ("mail", DROP),
    "drop-afterwards": ("message", DROP_AFTERWARDS),
    "hang-afterwards": ("message", HANG_AFTERWARDS),
}


def refusal(reply: str) -> Fault:
    return Fault(reply=reply)


def parts_of(message: EmailMessage) -> list[EmailMessage]:
    """Return the parts of a mail that hold something, in order."""
    return [part for part in message.walk() if not part.is_multipart()]


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the server has. ``encrypted`` tells how it came."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    raw: bytes
    encrypted: bool


class SmtpSimulator:
    """Answers SMTP on a loopback port.

    ``received`` holds every message taken, oldest first; ``greetings`` and ``senders`` are what sessions said to EHLO
    and MAIL, whatever became of them; ``hanging`` is set once one is kept waiting. ``faults`` of a step are met in
    order by the sessions that reach it; when there are none, ``chances`` (step, fault and probability) apply. With a
    ``certificate`` STARTTLS is offered, or TLS spoken from the start if ``implicit``. With an ``account`` (name,
    password) a sign-in is required.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Certificate | None = None,
        implicit: bool = False,
        account: tuple[str, str] | None = None,
        chances: Sequence[tuple[Stage, Fault, float]] = (),
        seed: int = 0,
        log: Path | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.certificate = certificate
        self.implicit = implicit
        self.account = account
        self.received: list[Received] = []
        self.faults: defaultdict[Stage, deque[Fault]] = defaultdict(deque)
        self.sessions: set[_Session] = set()
        self.hanging = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self.greetings: list[str] = []
        self.senders: list[str] = []
        self.chances = chances
        self._random = random.Random(seed)
        self._log = log

    async def __aenter__(self) -> Self:
        implicit = self.certificate.context if self.certificate and self.implicit else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), self.host, self.port, ssl=implicit)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for session in list(self.sessions):
            session.abort()
        await self._server.wait_closed()
        await self.idle.wait()

    def fault(self, stage: Stage) -> Fault | None:
        """The trouble that this step is to meet now, if any."""
        if self.faults[stage]:
            return self.faults[stage].popleft()
        for at, fault, probability in self.chances:
            if at == stage and self._random.random() < probability:
                return fault
        return None

    def take(self, session: Session, envelope: Envelope) -> None:
        raw = envelope.original_content or b""
        message = message_from_bytes(raw, policy=default_policy)
        self.received.append(
            Received(
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                message=message,
                raw=raw,
                encrypted=self.implicit or session.ssl is not None,
            )
        )
        if self._log:
            names = {"message_id": "Message-ID", "to": "To", "subject": "Subject"}
            entry = {name: str(message[header]) for name, header in names.items()}
            append_to_log(self._log, entry | {"at": datetime.now(UTC).isoformat()})


class _Handler:
    """What aiosmtpd asks at the end of a message."""

    def __init__(self, simulator: SmtpSimulator) -> None:
        self._simulator = simulator

    async def handle_DATA(self, server: "_Session", session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self._simulator.fault("message")
        if fault is None or fault.accepted:
            self._simulator.take(session, envelope)
        return (fault and await server.suffer(fault)) or "250 2.0.0 Queued"


class _Session(SMTP):
    """One connection, which asks at each step whether it is to go wrong."""

    def __init__(self, simulator: SmtpSimulator) -> None:
        self._simulator = simulator
        self._greeted = False
        starttls = simulator.certificate.context if simulator.certificate and not simulator.implicit else None
        super().__init__(
            _Handler(simulator),
            hostname="mail.example",
            tls_context=starttls,
            auth_required=simulator.account is not None,
            auth_require_tls=starttls is not None,
            authenticator=self._sign_in,
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._simulator.sessions.add(self)
        self._simulator.idle.clear()
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._simulator.sessions.discard(self)
        if not self._simulator.sessions:
            self._simulator.idle.set()
        super().connection_lost(error)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()  # pyright: ignore[reportAttributeAccessIssue] - always a full transport

    async def suffer(self, fault: Fault) -> str:
        """Return what to answer, if anything; a session that is dropped or left hanging never gets there."""
        await asyncio.sleep(fault.delay)
        if fault.then != "reply":
            if fault.then == "drop":
                self.abort()
            self._simulator.hanging.set()
            await asyncio.Event().wait()
        return fault.reply

    async def push(self, status: Any) -> None:
        if not self._greeted:
            self._greeted = True
            if fault := self._simulator.fault("connect"):
                status = await self.suffer(fault) or status
        await super().push(status)
        if status == GO_AHEAD and (fault := self._simulator.fault("content")):
            await self.suffer(fault)

    async def _spoiled(self, stage: Stage) -> bool:
        fault = self._simulator.fault(stage)
        reply = await self.suffer(fault) if fault else ""
        if reply:
            await self.push(reply)
        return bool(reply)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        self._simulator.greetings.append(hostname)
        if not await self._spoiled("ehlo"):
            await super().smtp_EHLO(hostname)

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802
        if not await self._spoiled("ehlo"):
            await super().smtp_HELO(hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if not await self._spoiled("starttls"):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        if not await self._spoiled("auth"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if not await self._spoiled("mail"):
            await super().smtp_MAIL(arg)

        if self.envelope and self.envelope.mail_from:
            self._simulator.senders.append(self.envelope.mail_from)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if not await self._spoiled("rcpt"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if not await self._spoiled("data"):
            await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        if not await self._spoiled("quit"):
            await super().smtp_QUIT(arg)

    def _sign_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        name, password = self._simulator.account or ("", "")
        expected = LoginPassword(login=name.encode(), password=password.encode())
        return AuthResult(success=data == expected, handled=False)


async def _serve(arguments: argparse.Namespace) -> None:
    pairs = (word.split("=") for word in arguments.chance)
    chances = [(*NAMED_FAULTS[name], float(probability)) for name, probability in pairs]
    async with SmtpSimulator(port=arguments.port, chances=chances, seed=arguments.seed, log=arguments.log) as simulator:
        print(simulator.port, flush=True)  # noqa: T201 - how the one who started it learns the port
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers SMTP on a loopback port until it is stopped.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="every accepted message, one line of JSON each")
    parser.add_argument("--chance", nargs="*", default=[], metavar="FAULT=P", help=f"of {', '.join(NAMED_FAULTS)}")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
