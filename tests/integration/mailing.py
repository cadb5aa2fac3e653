"""The dispatcher with a mail server on loopback; texts are previewed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from msgspec.structs import replace

from scheduler.channels.open import open_channels
from scheduler.channels.texts import load_texts
from scheduler.domain.clinics import Clinic
from scheduler.services.delivery import Post, send_due
from scheduler.services.directory import Directory
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.simulators.smtp import SmtpSimulator


@asynccontextmanager
async def mailing(
    settings: Settings, pool: Pool, clinic: Clinic, server: SmtpSimulator, **changes: Any
) -> AsyncGenerator[Post]:
    """Yield what sends email to the server."""
    chosen = replace(
        settings, email_channel="smtp", smtp_host=server.host, smtp_port=server.port, smtp_tls="none", **changes
    )
    async with open_channels(chosen) as channels:
        yield Post(
            pool=pool,
            directory=Directory([clinic]),
            channels=channels,
            texts=load_texts(chosen.scheduler_clinic.parent / "messages"),
            settings=chosen,
        )


async def send_all(post: Post, now: datetime) -> None:
    while await send_due(post, now=now.astimezone(UTC)):
        pass


def plain_text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")
