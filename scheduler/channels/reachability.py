"""Whether Twilio and the mail relay answer and take our credentials, found out without sending anything."""

import asyncio
import ssl

import aiohttp
import aiosmtplib

from scheduler.channels.dkim import open_signer
from scheduler.errors import ConfigurationError
from scheduler.settings import Settings

SECONDS = 5.0
_OK = 200
_TWILIO = "https://api.twilio.com"


async def reach_twilio(settings: Settings) -> str:
    """Return what is wrong with Twilio in one sentence, or nothing. Reads the account, which costs nothing."""
    account = settings.twilio_account_sid
    url = f"{settings.twilio_api_base_url or _TWILIO}/2010-04-01/Accounts/{account}/Messages.json?PageSize=1"
    headers = {"Authorization": aiohttp.encode_basic_auth(account, settings.twilio_auth_token)}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session,
            session.get(url, headers=headers) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        return f"Twilio cannot be reached ({type(problem).__name__}); look at the network and TWILIO_API_BASE_URL."
    if status in (401, 403):
        return "Twilio refuses TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN."
    return "" if status == _OK else f"Twilio answered {status} to a read of the account's messages."


async def reach_smtp(settings: Settings) -> str:
    """Return what is wrong with the mail relay in one sentence, or nothing. Connects, secures, logs in and leaves."""
    context = ssl.create_default_context()
    if settings.smtp_ca_file:
        context.load_verify_locations(cafile=str(settings.smtp_ca_file))
    client = aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username or None,
        password=settings.smtp_password or None,
        use_tls=settings.smtp_tls == "implicit",
        start_tls=settings.smtp_tls == "starttls",
        tls_context=context,
        timeout=SECONDS,
    )
    try:
        async with client:
            await client.noop()
    except aiosmtplib.SMTPAuthenticationError:
        return "The mail relay refuses SMTP_USERNAME with SMTP_PASSWORD."
    except (aiosmtplib.SMTPException, ssl.SSLError, OSError, TimeoutError) as problem:
        return f"The mail relay cannot be used ({type(problem).__name__}); look at SMTP_HOST, SMTP_PORT and SMTP_TLS."
    return ""


async def reach_dkim(settings: Settings) -> str:
    """Return what is wrong with our own signatures in one sentence, or nothing. Asks the DNS for the public key."""
    if settings.dkim_private_key_file is None:
        return ""
    try:
        signer = open_signer(settings.dkim_selector, settings.dkim_domain, settings.dkim_private_key_file)
    except ConfigurationError as problem:
        return str(problem)
    if await asyncio.to_thread(signer.is_published):
        return ""
    name = f"{settings.dkim_selector}._domainkey.{settings.dkim_domain}"
    return f"The DNS holds no key at {name} that goes with DKIM_PRIVATE_KEY_FILE; emails would arrive as forged."
