"""Email through one mail server: a connection for each message, and an outcome that is never guessed.

Until DATA begins, nothing was sent whatever happens. From then on only the server's own answer tells: a drop or a
silence may follow an accepted message and is ``unknown``. SMTP cannot be asked afterwards, but the Message-ID stays
the same over retries, so that a mailbox may hide the second copy.
"""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import Policy
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import aiosmtplib
import structlog
from msgspec.structs import replace

from scheduler.channels.addresses import make_address, read_mailbox
from scheduler.channels.base import Envelope, Outcome
from scheduler.channels.calendar import calendar_file
from scheduler.channels.dkim import UNUSABLE, Signer

Tls = Literal["starttls", "implicit", "none"]

# A message takes some eight steps. Together they end well before a worker's lease does.
WHOLE_SEND_IN_TIMEOUTS = 3
QUIT_SECONDS = 1.0


class _Links(UnstructuredHeader, BaseHeader):
    """A header of links, which are never cut, nor encoded for being long: there is one on each line."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {str(self).replace(', ', f',{policy.linesep} ')}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("List-Unsubscribe", _Links)

# Mail relays need not offer 8BITMIME.
_POLICY = SMTP_POLICY.clone(cte_type="7bit", header_factory=_HEADERS)

# What a refusal for good (5xx) means, by the step that met it: the message's own fault, or the channel's.
_REFUSALS: tuple[tuple[type[aiosmtplib.SMTPException], Outcome], ...] = (
    (
        aiosmtplib.SMTPRecipientRefused,
        Outcome(result="refused", reason="The mail server does not accept this email address."),
    ),
    (aiosmtplib.SMTPDataError, Outcome(result="refused", reason="The mail server refused the email.")),
    (
        aiosmtplib.SMTPAuthenticationError,
        Outcome(result="paused", reason="The mail server does not accept our user name and password."),
    ),
    (
        aiosmtplib.SMTPSenderRefused,
        Outcome(result="paused", reason="The mail server does not let the clinic's address send."),
    ),
    (aiosmtplib.SMTPException, Outcome(result="paused", reason="The mail server does not let us in.")),
)
_BUSY = Outcome(result="retry", reason="The mail server asked us to try again later.")
_UNREACHABLE = Outcome(result="retry", reason="The mail server could not be reached.")
_NOT_SAFE = Outcome(result="paused", reason="No secure connection to the mail server can be made.")
_NOT_OFFERED = Outcome(result="paused", reason="The mail server does not offer encryption or sign-in as configured.")
_UNKNOWN = Outcome(result="unknown", reason="The mail server did not confirm the email; it may have been sent.")
_BAD_ADDRESS = Outcome(result="refused", reason="This is not an email address that we can write to.")
_NOT_SIGNED = Outcome(result="paused", reason="The email could not be signed with the clinic's DKIM key.")
_BAD_SENDER = Outcome(result="paused", reason="The clinic's own email address is not valid.")

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class SmtpChannel:
    """Sends email through one server. ``timeout_seconds`` bounds each step; three times that, the whole message.

    An envelope's sender is ``local@domain`` or ``Name <local@domain>``.

    With ``starttls`` a server that does not offer encryption gets nothing. ``ca_file`` names an authority to trust
    beside the system's own. A ``signer`` signs each email; without one, that is the server's business.
    """

    can_be_asked = False

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str = "",
        password: str = "",
        tls: Tls = "starttls",
        ca_file: Path | None = None,
        signer: Signer | None = None,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._host, self._port = host, port
        self._username, self._password = username or None, password or None
        self._tls: Tls = tls
        self._context = ssl.create_default_context()
        if ca_file:
            self._context.load_verify_locations(ca_file)
        self._signer = signer
        self._timeout = timeout_seconds

    async def send(self, envelope: Envelope) -> Outcome:
        sender = read_mailbox(envelope.sender)
        recipient = make_address(envelope.address)
        if sender is None:
            return _BAD_SENDER
        if recipient is None:
            return _BAD_ADDRESS
        content = compose(envelope, sender, recipient, datetime.now(UTC)).as_bytes()
        if self._signer:
            try:
                content = await asyncio.to_thread(self._signer.sign, content)
            except UNUSABLE:
                return _NOT_SIGNED
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            # How we greet. The default is a look-up of this machine's name, which may hang.
            local_hostname=sender.domain,
            use_tls=self._tls == "implicit",
            start_tls=self._tls == "starttls",
            tls_context=self._context,
            timeout=self._timeout,
        )
        try:
            outcome = await self._attempt(client, content, sender.addr_spec, recipient.addr_spec)
            with contextlib.suppress(aiosmtplib.SMTPException):
                await client.quit(timeout=QUIT_SECONDS)
        finally:
            client.close()
        if outcome.result == "accepted":
            outcome = replace(outcome, provider_id=_message_id(envelope, sender))
        _log.info(
            "mail server answered",
            message_id=str(envelope.message_id),
            result=outcome.result,
            code=outcome.error_code,
            reason=outcome.reason,
        )
        return outcome

    async def find(self, envelope: Envelope, since: datetime) -> None:  # noqa: ARG002 - SMTP cannot be asked
        return None

    async def close(self) -> None:
        """Nothing is open between messages."""

    async def _attempt(self, client: aiosmtplib.SMTP, content: bytes, sender: str, recipient: str) -> Outcome:
        handed_over = False
        try:
            async with asyncio.timeout(WHOLE_SEND_IN_TIMEOUTS * self._timeout):
                await client.connect()
                await client.mail(sender)
                await client.rcpt(recipient)
                handed_over = True
                await client.data(content)
        except (aiosmtplib.SMTPException, OSError) as error:
            return _verdict(error, handed_over=handed_over)
        return Outcome(result="accepted")


def compose(envelope: Envelope, sender: Address, recipient: Address, now: datetime) -> EmailMessage:
    """Return the email as it leaves: text first, HTML beside it if there is any, marked as sent by a machine.

    ``now`` is aware. The Message-ID is made from the message's own id, so every attempt has the same. An invitation
    goes beside the text, where mail programs take it up, and once more as a file for those that do not.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = envelope.subject
    reply_to = read_mailbox(envelope.reply_to)
    if reply_to:
        message["Reply-To"] = reply_to
    message["Date"] = now
    message["Message-ID"] = f"<{_message_id(envelope, sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    if envelope.unsubscribe_url:
        desk = quote((reply_to or sender).addr_spec, safe="@")
        message["List-Unsubscribe"] = f"<{envelope.unsubscribe_url}>, <mailto:{desk}?subject=unsubscribe>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(envelope.text)
    if envelope.html:
        message.add_alternative(envelope.html, subtype="html")
    if event := envelope.invitation:
        file = calendar_file(event, organizer=sender, attendee=recipient, now=now)
        message.add_alternative(
            file.decode(), subtype="calendar", charset="utf-8", cte="base64", params={"method": event.method}
        )
        message.add_attachment(file, maintype="application", subtype="ics", filename="invite.ics")
    return message


def _message_id(envelope: Envelope, sender: Address) -> str:
    return f"{envelope.message_id}@{sender.domain}"


def _verdict(error: Exception, *, handed_over: bool) -> Outcome:
    """What trouble means. Replies of 4xx and 5xx speak for themselves, also after DATA."""
    if isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code < 600:  # noqa: PLR2004
        for_good = error.code >= 500  # noqa: PLR2004
        outcome = next(outcome for kind, outcome in _REFUSALS if isinstance(error, kind)) if for_good else _BUSY
        return replace(outcome, error_code=str(error.code))
    if handed_over:
        return _UNKNOWN
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return _NOT_SAFE
    # The library raises the bare class for what the server lacks: STARTTLS, AUTH, or a way of it that we know.
    return _NOT_OFFERED if type(error) is aiosmtplib.SMTPException else _UNREACHABLE
