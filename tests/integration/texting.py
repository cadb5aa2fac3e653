"""A line to Twilio: the outbox and the application of this process, and the simulator that both talk with."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Litestar

from scheduler.channels.open import open_channels
from scheduler.channels.texts import load_texts
from scheduler.domain.clinics import Clinic
from scheduler.services.delivery import Post, send_due
from scheduler.services.directory import Directory
from scheduler.store.connections import Pool
from tests.integration.serving import served
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, TwilioSimulator


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What tests of texts in both directions need. ``url`` is where the application answers."""

    app: Litestar
    pool: Pool
    twilio: TwilioSimulator
    post: Post
    url: str

    async def send(self, now: datetime | None = None) -> None:
        """Send what is due at a moment, the present one unless it is given, and let Twilio call back."""
        while await send_due(self.post, now=(now or datetime.now(UTC)).astimezone(UTC)):
            pass
        await self.twilio.quiet()

    async def text(self, sender: str, body: str, **more: str) -> None:
        """Write to the clinic, and let it answer."""
        answer = await self.twilio.text_us(self.url, sender, body, **more)
        assert answer.status == 200
        assert answer.content_type == "text/xml"
        await self.send()

    def heard(self, phone: str) -> list[str]:
        """Return what a phone was sent, first to last."""
        return [message.body for message in self.twilio.accepted if message.to == phone]

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row.items()) for row in await self.pool.fetch(query, *values)]


@asynccontextmanager
async def open_line(
    app: Litestar, pool: Pool, clinics: Sequence[Clinic], *, callbacks: Sequence[str] = (), **changes: Any
) -> AsyncGenerator[Line]:
    """Yield a line; for as long, the application knows Twilio's token and answers on a port of its own."""
    before = app.state.settings
    async with TwilioSimulator(callbacks=callbacks) as twilio, served(app) as url:
        settings = msgspec.structs.replace(
            before, sms_channel="twilio", twilio_account_sid=ACCOUNT_SID, twilio_auth_token=AUTH_TOKEN,
            twilio_from=OUR_NUMBER, twilio_api_base_url=twilio.url, public_base_url=url, **changes,
        )  # fmt: skip
        app.state.settings = settings
        try:
            async with open_channels(settings) as channels:
                post = Post(
                    pool=pool, directory=Directory(list(clinics)), channels=channels, settings=settings,
                    texts=load_texts(settings.scheduler_clinic.parent / "messages"),
                )  # fmt: skip
                yield Line(app=app, pool=pool, twilio=twilio, post=post, url=url)
        finally:
            app.state.settings = before
