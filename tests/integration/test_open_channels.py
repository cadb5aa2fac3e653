"""The channels as the settings choose them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.channels.base import Envelope
from scheduler.channels.open import open_channels
from scheduler.channels.preview import PreviewChannel
from scheduler.channels.reachability import reach_dkim
from scheduler.errors import ConfigurationError
from scheduler.ids import new_id
from scheduler.settings import Settings, load_settings
from tests.simulators.smtp import SmtpSimulator
from tests.simulators.twilio import TwilioSimulator
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN


def settings(folder: Path, **environ: str) -> Settings:
    return load_settings({"SCHEDULER_DATA": str(folder), "SECRET_KEY": "k" * 40, **environ})


def envelope(address: str) -> Envelope:
    return Envelope(
        message_id=new_id(), address=address, sender="clinic@clinic.example", text="Hello", useful_for_seconds=60
    )


async def test_by_default_every_message_is_shown_and_none_is_sent(tmp_path: Path) -> None:
    async with open_channels(settings(tmp_path)) as channels:
        for channel in (channels["sms"], channels["email"]):
            assert isinstance(channel, PreviewChannel)
            message = envelope("+12015550142")
            outcome = await channel.send(message)
            assert (outcome.result, outcome.provider_id) == ("accepted", f"preview-{message.message_id}")
            assert await channel.find(message, datetime.now(UTC)) == ()


async def test_messages_go_where_the_settings_say(tmp_path: Path) -> None:
    async with TwilioSimulator() as twilio, SmtpSimulator() as smtp:
        chosen = settings(
            tmp_path,
            SMS_CHANNEL="twilio",
            TWILIO_ACCOUNT_SID=ACCOUNT_SID,
            TWILIO_AUTH_TOKEN=AUTH_TOKEN,
            TWILIO_FROM="+12015550100",
            TWILIO_API_BASE_URL=twilio.url,
            EMAIL_CHANNEL="smtp",
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=str(smtp.port),
            SMTP_TLS="none",
        )
        async with open_channels(chosen) as channels:
            assert (await channels["sms"].send(envelope("+12015550142"))).result == "accepted"
            assert (await channels["email"].send(envelope("jordan@patient.example"))).result == "accepted"
        assert [form["From"] for form in twilio.forms] == ["+12015550100"]
        assert [received.recipients for received in smtp.received] == [("jordan@patient.example",)]
        assert (await channels["sms"].send(envelope("+12015550142"))).result == "unknown", "it is closed"
        assert len(twilio.forms) == 1


async def test_a_messaging_service_is_preferred_to_a_number(tmp_path: Path) -> None:
    service = "MG" + "7" * 32
    async with TwilioSimulator() as twilio:
        chosen = settings(
            tmp_path,
            SMS_CHANNEL="twilio",
            TWILIO_ACCOUNT_SID=ACCOUNT_SID,
            TWILIO_AUTH_TOKEN=AUTH_TOKEN,
            TWILIO_FROM="+12015550100",
            TWILIO_MESSAGING_SERVICE_SID=service,
            TWILIO_API_BASE_URL=twilio.url,
        )
        async with open_channels(chosen) as channels:
            await channels["sms"].send(envelope("+12015550142"))
        assert twilio.forms[0]["MessagingServiceSid"] == service


async def test_a_file_that_holds_no_certificate_is_one_sentence_naming_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing of the kind")
    chosen = settings(tmp_path, EMAIL_CHANNEL="smtp", SMTP_HOST="mail.example", SMTP_CA_FILE=str(file))
    with pytest.raises(ConfigurationError, match=r"^SMTP_CA_FILE must name a file of certificates in PEM form\.$"):
        async with open_channels(chosen):
            pass


async def test_a_process_that_cannot_sign_what_it_should_does_not_start(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    chosen = settings(
        tmp_path,
        EMAIL_CHANNEL="smtp",
        SMTP_HOST="127.0.0.1",
        DKIM_DOMAIN="clinic.example",
        DKIM_SELECTOR="mail",
        DKIM_PRIVATE_KEY_FILE=str(key),
    )
    with pytest.raises(ConfigurationError, match="DKIM_PRIVATE_KEY_FILE must name a file"):
        async with open_channels(chosen):
            pass
    assert (await reach_dkim(chosen)).startswith("DKIM_PRIVATE_KEY_FILE must name a file")
