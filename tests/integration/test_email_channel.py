"""Email through a real SMTP conversation: what leaves, how it is kept private, and what every kind of trouble means."""

import asyncio
import base64
import logging
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import dkim
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from scheduler.channels.base import Envelope
from scheduler.channels.calendar import Event, Method
from scheduler.channels.dkim import SIGNED, Signer, open_signer
from scheduler.channels.email import SmtpChannel
from scheduler.errors import ConfigurationError
from scheduler.ids import new_id
from tests.simulators.calendars import READERS
from tests.simulators.certificates import Certificate, make_certificate
from tests.simulators.smtp import (
    DROP,
    DROP_AFTERWARDS,
    HANG,
    HANG_AFTERWARDS,
    Fault,
    SmtpSimulator,
    Stage,
    parts_of,
    refusal,
)

ADDRESS = "jordan.sample@patient.example"
SENDER = "Twin Boro Physical Therapy, Fair Lawn <appointments@clinic.example>"
TEXT = "Su cita está reservada.\n\n.\n.Cuándo: miércoles 2\u00a0de\u00a0diciembre\n" + "largo " * 200 + "\n"
# Long enough for a busy machine to answer in, short enough to wait for.
PATIENCE = 0.4


@pytest.fixture
async def server() -> AsyncIterator[SmtpSimulator]:
    async with SmtpSimulator() as simulator:
        yield simulator


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def secure_server(certificate: Certificate) -> AsyncIterator[SmtpSimulator]:
    async with SmtpSimulator(certificate=certificate, account=("clinic", "secret")) as simulator:
        yield simulator


def to(server: SmtpSimulator, **changes: Any) -> SmtpChannel:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "tls": "none", "timeout_seconds": PATIENCE}
    return SmtpChannel(**(given | changes))


def safely_to(server: SmtpSimulator, **changes: Any) -> SmtpChannel:
    assert server.certificate
    given: dict[str, Any] = {
        "tls": "starttls",
        "ca_file": server.certificate.certificate,
        "username": "clinic",
        "password": "secret",
        "timeout_seconds": 2.0,
    }
    return to(server, **(given | changes))


def envelope(message_id: UUID | None = None, **changes: Any) -> Envelope:
    given: dict[str, Any] = {
        "message_id": message_id or new_id(),
        "address": ADDRESS,
        "sender": SENDER,
        "subject": "Su cita del miércoles 2 de diciembre",
        "text": TEXT,
        "html": "<p>Su cita está reservada.</p>",
        "useful_for_seconds": 3600,
    }
    return Envelope(**(given | changes))


def said(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


async def test_an_email_leaves_as_it_was_written(server: SmtpSimulator) -> None:
    sent = envelope()
    before = datetime.now(UTC).replace(microsecond=0)
    outcome = await to(server).send(sent)
    assert (outcome.result, outcome.provider_id) == ("accepted", f"{sent.message_id}@clinic.example")
    [received] = server.received
    assert (received.sender, received.recipients) == ("appointments@clinic.example", (ADDRESS,))
    message = received.message
    headers = {name: str(message[name]) for name in ("From", "To", "Subject", "Message-ID", "Auto-Submitted")}
    assert headers == {
        "From": '"Twin Boro Physical Therapy, Fair Lawn" <appointments@clinic.example>',
        "To": ADDRESS,
        "Subject": "Su cita del miércoles 2 de diciembre",
        "Message-ID": f"<{sent.message_id}@clinic.example>",
        "Auto-Submitted": "auto-generated",
    }
    assert before <= message["Date"].datetime <= datetime.now(UTC)
    assert message.get_content_type() == "multipart/alternative"
    assert said(message, "plain") == TEXT
    assert said(message, "html").strip() == "<p>Su cita está reservada.</p>"
    assert received.raw.isascii(), "a relay without 8BITMIME can carry it"
    assert max(map(len, received.raw.splitlines())) <= 998


async def test_an_email_without_html_is_plain_text(server: SmtpSimulator) -> None:
    await to(server).send(envelope(html=""))
    assert server.received[0].message.get_content_type() == "text/plain"


async def test_a_retry_is_the_same_message_to_a_mailbox(server: SmtpSimulator) -> None:
    message_id = new_id()
    for _ in range(2):
        await to(server).send(envelope(message_id))
    first, second = (received.message["Message-ID"] for received in server.received)
    assert first == second


INVITATION = Event(
    method="REQUEST",
    visit_id=UUID(int=7),
    version=2,
    starts_at=datetime(2026, 12, 2, 15, 0, tzinfo=UTC),
    ends_at=datetime(2026, 12, 2, 16, 0, tzinfo=UTC),
    summary="Cita - Twin Boro Fair Lawn",
    description="Preguntas o cambios: (201) 791-1100",
    location="100 Sample Plaza, Fair Lawn, piso décimo, edificio de la Constitución",
)


@pytest.mark.parametrize("method", ["REQUEST", "CANCEL"])
async def test_an_invitation_is_where_each_mail_program_looks_for_it(server: SmtpSimulator, method: Method) -> None:
    await to(server).send(envelope(invitation=replace(INVITATION, method=method)))
    message = server.received[0].message
    assert message.get_content_type() == "multipart/mixed"
    beside, attached = message.iter_parts()
    assert beside.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in beside.iter_parts()] == ["text/plain", "text/html", "text/calendar"]
    told = next(part for part in parts_of(message) if part.get_content_type() == "text/calendar")
    assert dict(told["Content-Type"].params) == {"charset": "utf-8", "method": method}
    assert (attached.get_content_type(), attached.get_filename()) == ("application/ics", "invite.ics")
    file = attached.get_payload(decode=True)
    assert isinstance(file, bytes)
    assert told.get_payload(decode=True) == file
    assert file.count(b"\n") == file.count(b"\r\n")
    assert said(message, "plain") == TEXT
    for read in READERS:
        event = read(file)
        assert event.method == method
        assert event.organizer == f"mailto:{message['From'].addresses[0].addr_spec}"
        assert event.attendees == (f"mailto:{ADDRESS}",)
        assert event.uid == f"{INVITATION.visit_id}@clinic.example"
        assert event.location == INVITATION.location


async def test_without_html_an_invitation_is_beside_the_text(server: SmtpSimulator) -> None:
    await to(server).send(envelope(html="", invitation=INVITATION))
    kinds = [part.get_content_type() for part in parts_of(server.received[0].message)]
    assert kinds == ["text/plain", "text/calendar", "application/ics"]


# Longer than a line should be, and longer than a line may be before Python would encode it.
LONG_URL = f"https://appointments.twin-boro-physical-therapy.clinic.example/u/{'aB3-_' * 9}"


async def test_a_reminder_can_be_ended_by_one_click(server: SmtpSimulator) -> None:
    await to(server).send(envelope(unsubscribe_url=LONG_URL))
    received = server.received[0]
    links = f"List-Unsubscribe: <{LONG_URL}>,\r\n <mailto:appointments@clinic.example?subject=unsubscribe>\r\n"
    assert links.encode() in received.raw
    assert received.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_no_other_email_offers_to_end_what_it_is_no_part_of(server: SmtpSimulator) -> None:
    await to(server).send(envelope())
    assert not [name for name in server.received[0].message.keys() if name.startswith("List-")]  # noqa: SIM118


async def test_answers_go_where_the_clinic_says(server: SmtpSimulator) -> None:
    await to(server).send(envelope(reply_to="Front desk, Fair Lawn <desk@clinic.example>", unsubscribe_url=LONG_URL))
    message = server.received[0].message
    assert message["Reply-To"] == '"Front desk, Fair Lawn" <desk@clinic.example>'
    assert "mailto:desk@clinic.example" in message["List-Unsubscribe"]
    await to(server).send(envelope())
    assert server.received[1].message["Reply-To"] is None


async def test_nothing_in_an_email_reports_back(server: SmtpSimulator) -> None:
    await to(server).send(envelope(invitation=INVITATION, unsubscribe_url=LONG_URL))
    message = server.received[0].message
    for header in ("Disposition-Notification-To", "Return-Receipt-To", "X-Confirm-Reading-To"):
        assert message[header] is None


async def test_the_greeting_does_not_name_this_machine(server: SmtpSimulator) -> None:
    await to(server).send(envelope())
    assert server.greetings == ["clinic.example"]


async def test_with_starttls_everything_is_encrypted_and_signed_in(secure_server: SmtpSimulator) -> None:
    assert (await safely_to(secure_server).send(envelope())).result == "accepted"
    assert secure_server.received[0].encrypted


async def test_tls_from_the_start_works_too(certificate: Certificate) -> None:
    async with SmtpSimulator(certificate=certificate, implicit=True) as server:
        outcome = await safely_to(server, tls="implicit", username="", password="").send(envelope())
        assert outcome.result == "accepted"
        assert server.received[0].encrypted


async def test_nothing_leaves_in_the_clear_when_encryption_is_not_offered(
    server: SmtpSimulator, certificate: Certificate
) -> None:
    outcome = await to(server, tls="starttls", ca_file=certificate.certificate).send(envelope())
    assert outcome.result == "paused"
    assert server.senders == []
    assert server.received == []


async def test_a_certificate_that_nobody_vouches_for_gets_nothing(secure_server: SmtpSimulator) -> None:
    outcome = await safely_to(secure_server, ca_file=None).send(envelope())
    assert outcome.result == "paused"
    assert secure_server.senders == []


async def test_a_certificate_for_another_host_gets_nothing(certificate: Certificate) -> None:
    async with SmtpSimulator(certificate=certificate, implicit=True) as server:
        outcome = await safely_to(server, host="127.0.0.2", tls="implicit").send(envelope())
    assert outcome.result == "retry", "nobody listens on that address"
    async with SmtpSimulator(host="127.0.0.2", certificate=certificate, implicit=True) as server:
        outcome = await safely_to(server, host="127.0.0.2", tls="implicit").send(envelope())
    assert outcome.result == "paused"


async def test_tls_spoken_to_a_server_that_does_not_pauses_the_channel(
    server: SmtpSimulator, certificate: Certificate
) -> None:
    outcome = await to(server, tls="implicit", ca_file=certificate.certificate).send(envelope())
    assert outcome.result == "paused"


async def test_a_sign_in_that_is_not_offered_pauses_the_channel(server: SmtpSimulator) -> None:
    assert (await to(server, username="clinic", password="secret").send(envelope())).result == "paused"
    assert server.received == []


async def test_a_wrong_password_pauses_the_channel(secure_server: SmtpSimulator) -> None:
    outcome = await safely_to(secure_server, password="wrong").send(envelope())
    assert (outcome.result, outcome.error_code) == ("paused", "535")


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dkim") / "key.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path],
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture(scope="session")
def published(key: Path) -> Callable[..., bytes | None]:
    """What the DNS says about the key."""
    command = ["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"]
    public = base64.b64encode(subprocess.run(command, check=True, capture_output=True).stdout)
    records = {b"mail._domainkey.clinic.example.": b"v=DKIM1; k=rsa; p=" + public}

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:  # noqa: ARG001 - as the library calls it
        return records.get(name)

    return look_up


def verified(raw: bytes, published: Callable[..., bytes | None]) -> bool:
    return dkim.verify(raw, dnsfunc=published)  # pyright: ignore[reportUnknownMemberType]


async def test_a_signature_holds_after_the_journey(
    secure_server: SmtpSimulator, key: Path, published: Callable[..., bytes | None]
) -> None:
    channel = safely_to(secure_server, signer=open_signer("mail", "clinic.example", key))
    sent = envelope(invitation=INVITATION, unsubscribe_url=LONG_URL, reply_to="desk@clinic.example")
    assert (await channel.send(sent)).result == "accepted"
    received = secure_server.received[0]
    assert verified(received.raw, published)
    assert received.message["Message-ID"] == f"<{sent.message_id}@clinic.example>"
    signed = "".join(str(received.message["DKIM-Signature"]).split()).partition(";h=")[2].partition(";")[0].split(":")
    # From once more than it is there, so that a second one would break the signature with every verifier.
    assert sorted(signed) == sorted([*(name.lower() for name in SIGNED), "from"])
    # A relay may fold headers anew, and drop blanks at the ends of lines.
    assert verified(received.raw.replace(b"List-Unsubscribe: <", b"List-Unsubscribe:\r\n <"), published)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (b"Sample Plaza", b"Another Plaza"),
        (b"To: jordan", b"To: gordan"),
        (b"Subject: ", b"Subject: Re: "),
        (b"<mailto:appointments@", b"<mailto:somebody@"),
        (b"=One-Click", b"=Two-Clicks"),
        (b"From: ", b"From: someone@else.example\r\nFrom: "),
        (b"MIME-Version: 1.0", b"MIME-Version: 2.0"),
        (b"Content-Type: multipart/alternative", b"Content-Type: multipart/mixed"),
        (b"Message-ID: <", b"Message-ID: <0"),
    ],
)
async def test_a_signature_does_not_hold_for_what_was_changed(
    server: SmtpSimulator, key: Path, published: Callable[..., bytes | None], written: bytes, instead: bytes
) -> None:
    channel = to(server, signer=open_signer("mail", "clinic.example", key))
    await channel.send(envelope(text="100 Sample Plaza\n", unsubscribe_url=LONG_URL))
    raw = server.received[0].raw
    assert verified(raw, published)
    assert written in raw
    assert not verified(raw.replace(written, instead, 1), published)


async def test_the_check_of_a_key_compares_it_with_what_is_published(
    key: Path, published: Callable[..., bytes | None]
) -> None:
    assert open_signer("mail", "clinic.example", key).is_published(published)
    assert not open_signer("post", "clinic.example", key).is_published(published)
    assert not open_signer("mail", "other.example", key).is_published(published)


@pytest.mark.parametrize("content", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "\x00"])
async def test_a_file_without_a_usable_key_is_refused_when_the_process_starts(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.pem"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="DKIM_PRIVATE_KEY_FILE must name a file with an RSA private key"):
        open_signer("mail", "clinic.example", path)


async def test_another_kind_of_key_is_refused_too(certificate: Certificate) -> None:
    with pytest.raises(ConfigurationError, match="DKIM_PRIVATE_KEY_FILE"):
        open_signer("mail", "clinic.example", certificate.key)


async def test_what_cannot_be_signed_does_not_leave(server: SmtpSimulator) -> None:
    channel = to(server, signer=Signer(selector="mail", domain="clinic.example", key=b"lost"))
    assert (await channel.send(envelope())).result == "paused"
    assert server.greetings == []


GARBAGE = refusal("what?")


@pytest.mark.parametrize(
    ("stage", "fault", "result"),
    [
        ("connect", refusal("421 4.3.2 Too many connections"), "retry"),
        ("connect", refusal("554 5.7.1 Go away"), "paused"),
        ("connect", GARBAGE, "retry"),
        ("connect", DROP, "retry"),
        ("connect", HANG, "retry"),
        ("ehlo", refusal("421 4.3.2 Shutting down"), "retry"),
        ("ehlo", refusal("550 5.7.1 Who are you"), "paused"),
        ("ehlo", DROP, "retry"),
        ("ehlo", HANG, "retry"),
        ("starttls", refusal("454 4.7.0 TLS not available for now"), "retry"),
        ("starttls", refusal("554 5.7.3 No TLS"), "paused"),
        ("starttls", DROP, "retry"),
        ("starttls", HANG, "retry"),
        ("auth", refusal("454 4.7.0 Try later"), "retry"),
        ("auth", refusal("535 5.7.8 Wrong"), "paused"),
        ("auth", refusal("530 5.7.0 Must sign in elsewhere"), "paused"),
        ("auth", DROP, "retry"),
        ("mail", refusal("451 4.3.0 Later"), "retry"),
        ("mail", refusal("550 5.7.1 Not your address"), "paused"),
        ("mail", DROP, "retry"),
        ("mail", HANG, "retry"),
        ("rcpt", refusal("450 4.2.1 Greylisted"), "retry"),
        ("rcpt", refusal("452 4.2.2 Mailbox full"), "retry"),
        ("rcpt", refusal("421 4.4.2 Too slow"), "retry"),
        ("rcpt", refusal("550 5.1.1 No such user"), "refused"),
        ("rcpt", GARBAGE, "retry"),
        ("rcpt", DROP, "retry"),
        ("rcpt", HANG, "retry"),
        ("data", refusal("451 4.3.0 Later"), "retry"),
        ("data", refusal("554 5.6.0 No"), "refused"),
        ("data", DROP, "unknown"),
        ("data", HANG, "unknown"),
        ("content", DROP, "unknown"),
        ("content", HANG, "unknown"),
        ("message", refusal("452 4.3.1 Disk full"), "retry"),
        ("message", refusal("421 4.3.2 Shutting down"), "retry"),
        ("message", refusal("554 5.7.1 Spam"), "refused"),
        ("message", GARBAGE, "unknown"),
        ("message", DROP, "unknown"),
        ("message", HANG, "unknown"),
    ],
)
async def test_trouble_means_what_the_table_says(
    secure_server: SmtpSimulator, stage: Stage, fault: Fault, result: str
) -> None:
    # A refused EHLO is followed by HELO, and a refused AUTH by another way to sign in.
    secure_server.faults[stage].extend([fault] * 4)
    outcome = await safely_to(secure_server, timeout_seconds=PATIENCE).send(envelope())
    assert outcome.result == result
    assert outcome.provider_id is None
    assert outcome.error_code == (fault.reply[:3] if fault.reply[:3].isdigit() else None)
    assert outcome.reason.endswith(".")
    assert "@" not in outcome.reason
    assert secure_server.received == []


@pytest.mark.parametrize("fault", [DROP_AFTERWARDS, HANG_AFTERWARDS])
async def test_trouble_after_the_server_took_an_email_is_never_taken_for_a_failure(
    server: SmtpSimulator, fault: Fault
) -> None:
    server.faults["message"].append(fault)
    assert (await to(server).send(envelope())).result == "unknown"
    assert len(server.received) == 1


async def test_a_server_that_is_not_there_is_tried_again(server: SmtpSimulator, unused_tcp_port: int) -> None:
    assert (await to(server, port=unused_tcp_port).send(envelope())).result == "retry"


async def test_a_greylisted_email_arrives_on_the_next_attempt(server: SmtpSimulator) -> None:
    server.faults["rcpt"].append(refusal("451 4.7.1 Greylisted, come back"))
    message = envelope()
    assert [(await to(server).send(message)).result for _ in range(2)] == ["retry", "accepted"]
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "nobody@",
        "a b@c.example",
        "josé@c.example",
        "a@dómain.example",
        "a@c.example, b@c.example",
        "a@c.example\r\nBcc: b@c.example",
        "a@c.example> SIZE=1 <b@c.example",
    ],
)
async def test_an_address_that_mail_cannot_reach_is_refused_before_anyone_is_bothered(
    server: SmtpSimulator, address: str
) -> None:
    outcome = await to(server).send(envelope(address=address))
    assert (outcome.result, outcome.provider_id) == ("refused", None)
    assert server.greetings == []


async def test_a_sender_that_is_no_address_pauses_the_channel(server: SmtpSimulator) -> None:
    assert (await to(server).send(envelope(sender="Twin Boro"))).result == "paused"
    assert server.greetings == []


async def test_the_time_limit_is_kept_when_each_step_is_slow(server: SmtpSimulator) -> None:
    for stage in ("connect", "ehlo", "mail", "rcpt", "data", "content", "message"):
        server.faults[stage].append(Fault(delay=PATIENCE * 0.8))
    started = time.monotonic()
    outcome = await to(server).send(envelope())
    assert outcome.result in ("retry", "unknown")
    assert time.monotonic() - started < PATIENCE * 3 + 1.5
    assert server.received == []


async def test_a_send_that_is_cancelled_ends_at_once(server: SmtpSimulator) -> None:
    server.faults["message"].append(HANG)
    sending = asyncio.create_task(to(server, timeout_seconds=10).send(envelope()))
    await server.hanging.wait()
    started = time.monotonic()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert time.monotonic() - started < 0.3


async def test_a_server_that_never_says_goodbye_has_the_email_all_the_same(server: SmtpSimulator) -> None:
    server.faults["quit"].append(HANG)
    assert (await to(server, timeout_seconds=10).send(envelope())).result == "accepted"


async def test_twenty_emails_at_once_have_a_connection_each(server: SmtpSimulator) -> None:
    channel = to(server, timeout_seconds=10)
    messages = [envelope(address=f"patient{number}@c.example", text=f"Text {number}") for number in range(20)]
    outcomes = await asyncio.gather(*(channel.send(message) for message in messages))
    assert {outcome.result for outcome in outcomes} == {"accepted"}
    arrived = {received.recipients: said(received.message, "plain").strip() for received in server.received}
    assert arrived == {(message.address,): message.text for message in messages}
    assert len(server.greetings) == 20


async def test_mail_cannot_be_asked_what_became_of_it(server: SmtpSimulator) -> None:
    assert await to(server).find(envelope(), datetime.now(UTC)) is None


async def test_no_email_address_is_ever_logged(server: SmtpSimulator, caplog: pytest.LogCaptureFixture) -> None:
    server.faults["rcpt"].extend([refusal(f"550 5.1.1 <{ADDRESS}> unknown"), DROP])
    server.faults["message"].append(refusal(f"451 4.3.0 <{ADDRESS}> later"))
    with caplog.at_level(logging.INFO), capture_logs() as logs:
        outcomes = [await to(server).send(envelope()) for _ in range(4)]
    assert [outcome.result for outcome in outcomes] == ["refused", "retry", "retry", "accepted"]
    # The simulated server's own log is another machine's in life.
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    # Other parts of a running application may log beside us.
    assert len([entry for entry in logs if entry.get("message_id")]) == 4
    for private in ("jordan", "miércoles"):
        assert private not in f"{logs} {ours} {outcomes}"
