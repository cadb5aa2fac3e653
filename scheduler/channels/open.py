"""The channels as configured, opened together and closed together."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from scheduler.channels.base import MessageChannel
from scheduler.channels.dkim import open_signer
from scheduler.channels.email import SmtpChannel
from scheduler.channels.preview import PreviewChannel
from scheduler.channels.sms import TwilioChannel
from scheduler.domain.clinics import Channel
from scheduler.errors import ConfigurationError
from scheduler.settings import Settings


@asynccontextmanager
async def open_channels(settings: Settings) -> AsyncGenerator[dict[Channel, MessageChannel]]:
    """Yield the way out for each channel that the settings chose. Nothing is connected to yet.

    Raises ConfigurationError when SMTP_CA_FILE holds no certificates, or DKIM_PRIVATE_KEY_FILE no key.
    """
    # Twilio's last: it holds connections, which must not be left open when the other one cannot be made.
    email = _smtp(settings) if settings.email_channel == "smtp" else PreviewChannel()
    sms = _twilio(settings) if settings.sms_channel == "twilio" else PreviewChannel()
    channels: dict[Channel, MessageChannel] = {"sms": sms, "email": email}
    try:
        yield channels
    finally:
        for channel in channels.values():
            await channel.close()


def _twilio(settings: Settings) -> TwilioChannel:
    return TwilioChannel(
        account_sid=settings.twilio_account_sid,
        auth_token=settings.twilio_auth_token,
        sender=settings.twilio_messaging_service_sid or settings.twilio_from,
        public_base_url=settings.public_base_url,
        api_base_url=settings.twilio_api_base_url,
    )


def _smtp(settings: Settings) -> SmtpChannel:
    key = settings.dkim_private_key_file
    signer = open_signer(settings.dkim_selector, settings.dkim_domain, key) if key else None
    try:
        return SmtpChannel(
            host=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password,
            tls=settings.smtp_tls,
            ca_file=settings.smtp_ca_file,
            signer=signer,
        )
    except ssl.SSLError:
        raise ConfigurationError("SMTP_CA_FILE must name a file of certificates in PEM form.") from None
