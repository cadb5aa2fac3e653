"""Email through one mail server: a connection for each message, and an outcome that is never guessed.

Until DATA begins, nothing was sent whatever happens. From then on only the server's own answer tells: a drop or a
silence may follow an accepted message and is ``unknown``. SMTP cannot be asked afterwards, but the Message-ID stays
the same over retries, so that a mailbox may hide the second copy.
"""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Literal

import aiosmtplib
import structlog
from msgspec.structs import replace

from scheduler.channels.base import Envelope, Outcome

Tls = Literal["starttls", "implicit", "none"]

# A message takes some eight steps. Together they end well before a worker's lease does.
WHOLE_SEND_IN_TIMEOUTS = 3
QUIT_SECONDS = 1.0

# Mail relays need not offer 8BITMIME.
_POLICY = SMTP_POLICY.clone(cte_type="7bit")

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
_BAD_SENDER = Outcome(result="paused", reason="The clinic's own email address is not valid.")

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class SmtpChannel:
    """Sends email through one server. ``timeout_seconds`` bounds each step; three times that, the whole message.

    An envelope's sender is ``local@domain`` or ``Name <local@domain>``.

    With ``starttls`` a server that does not offer encryption gets nothing. ``ca_file`` names an authority to trust
    beside the system's own.
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
        timeout_seconds: float = 10.0,
    ) -> None:
        self._host, self._port = host, port
        self._username, self._password = username or None, password or None
        self._tls: Tls = tls
        self._context = ssl.create_default_context()
        if ca_file:
            self._context.load_verify_locations(ca_file)
        self._timeout = timeout_seconds

    async def send(self, envelope: Envelope) -> Outcome:
        # By hand, because people write a comma in a name without the quotes that the standard wants around it.
        name, _, mailbox = envelope.sender.rpartition("<")
        sender = _mailbox(mailbox.removesuffix(">"), name.strip(' "'))
        recipient = _mailbox(envelope.address)
        if sender is None:
            return _BAD_SENDER
        if recipient is None:
            return _BAD_ADDRESS
        message = compose(envelope, sender, recipient, datetime.now(UTC))
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
            outcome = await self._attempt(client, message, sender.addr_spec, recipient.addr_spec)
            with contextlib.suppress(aiosmtplib.SMTPException):
                await client.quit(timeout=QUIT_SECONDS)
        finally:
            client.close()
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

    async def _attempt(self, client: aiosmtplib.SMTP, message: EmailMessage, sender: str, recipient: str) -> Outcome:
        handed_over = False
        try:
            async with asyncio.timeout(WHOLE_SEND_IN_TIMEOUTS * self._timeout):
                await client.connect()
                await client.mail(sender)
                await client.rcpt(recipient)
                handed_over = True
                await client.data(message.as_bytes())
        except (aiosmtplib.SMTPException, OSError) as error:
            return _verdict(error, handed_over=handed_over)
        return Outcome(result="accepted", provider_id=message["Message-ID"].strip("<>"))


def compose(envelope: Envelope, sender: Address, recipient: Address, now: datetime) -> EmailMessage:
    """Return the email as it leaves: text first, HTML beside it if there is any, marked as sent by a machine.

    ``now`` is aware. The Message-ID is made from the message's own id, so every attempt has the same.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = envelope.subject
    message["Date"] = now
    message["Message-ID"] = f"<{envelope.message_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(envelope.text)
    if envelope.html:
        message.add_alternative(envelope.html, subtype="html")
    return message


def _mailbox(mailbox: str, name: str = "") -> Address | None:
    """Return ``local@domain`` as an address, or None where it is none or plain SMTP cannot carry it."""
    try:
        address = Address(display_name=name, addr_spec=mailbox)
    except (ValueError, IndexError, MessageError):  # what the standard library's parser raises for nonsense
        return None
    return address if address.domain and mailbox.isascii() else None


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
