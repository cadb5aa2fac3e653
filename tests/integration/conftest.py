"""The application in this process, on the sample clinic, over a real database."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import time_machine
from litestar import Litestar

from scheduler.app import create_app
from scheduler.channels.open import open_channels
from scheduler.channels.texts import load_texts
from scheduler.channels.webhooks import open_webhook_client
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic, Limits
from scheduler.domain.webhooks import Reach
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.services.delivery import Post
from scheduler.services.directory import Directory
from scheduler.services.webhook_delivery import Courier
from scheduler.settings import Settings, load_settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from scheduler.web.openapi import document_of
from tests.integration.documents import Document
from tests.integration.requests import NOW
from tests.integration.texting import Line, open_line
from tests.simulators.receiver import Receiver
from tests.simulators.smtp import SmtpSimulator
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, TwilioSimulator

ROOT = Path(__file__).parents[2]
BASE_URL = "http://clinic.test"


@pytest.fixture(scope="session")
def settings(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(
        {
            "DATABASE_URL": dsn,
            "DATABASE_ALLOW_UNSAFE": "true",
            "DATABASE_POOL_SIZE": "5",
            "SCHEDULER_DATA": str(tmp_path_factory.mktemp("data")),
            "SCHEDULER_CLINIC": str(ROOT / "config" / "clinic.toml"),
            "SECRET_KEY": "a secret that is long enough for tests",
            "PUBLIC_BASE_URL": "http://127.0.0.1:8000",
            # Nobody waits for the pace of texts but the tests of it.
            "MESSAGES_PER_SECOND": "100",
        }
    )


@pytest.fixture
def monday() -> Iterator[datetime]:
    """Let it be the Monday two weeks before the day for which most tests book."""
    with time_machine.travel(NOW, tick=True):
        yield NOW


@pytest.fixture
async def clinic(pool: Pool, settings: Settings) -> Clinic:
    """Return the sample clinic, freshly applied."""
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(settings.scheduler_clinic))
        return (await load_clinics(connection))[0]


@pytest.fixture(scope="session")
async def unbound_app(pool: Pool, settings: Settings) -> AsyncIterator[Litestar]:
    """Yield the running application; it needs a clinic to start, and gets the test's own from ``app``."""
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(settings.scheduler_clinic))
    async with running(create_app(settings, refresh=False)) as app:
        yield app


@pytest.fixture
def app(unbound_app: Litestar, clinic: Clinic) -> Litestar:
    unbound_app.state.directory.replace([clinic])
    return unbound_app


@pytest.fixture
async def public(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client without a key: a patient's browser or app."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def desk(app: Litestar, pool: Pool, clinic: Clinic) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with a key for everything: the front desk."""
    async with client_of(app, Authorization=f"Bearer {await make_key(pool, clinic, 'admin')}") as client:
        yield client


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioSimulator]:
    async with TwilioSimulator() as simulator:
        yield simulator


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpSimulator]:
    async with SmtpSimulator() as simulator:
        yield simulator


@pytest.fixture
def sending(settings: Settings, twilio: TwilioSimulator, smtp: SmtpSimulator) -> Settings:
    """Return settings with both channels open to the simulators, and short waits where a test would have to wait."""
    return msgspec.structs.replace(
        settings,
        sms_channel="twilio",
        twilio_account_sid=ACCOUNT_SID,
        twilio_auth_token=AUTH_TOKEN,
        twilio_from=OUR_NUMBER,
        twilio_api_base_url=twilio.url,
        email_channel="smtp",
        smtp_host="127.0.0.1",
        smtp_port=smtp.port,
        smtp_tls="none",
        message_reconcile_seconds=(1, 2),
    )


@pytest.fixture
async def post(sending: Settings, pool: Pool, clinic: Clinic) -> AsyncIterator[Post]:
    async with open_channels(sending) as channels:
        yield Post(
            pool=pool,
            directory=Directory([clinic]),
            channels=channels,
            texts=load_texts(sending.scheduler_clinic.parent / "messages"),
            settings=sending,
        )


def client_of(app: Litestar, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # pyright: ignore[reportArgumentType]
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


@pytest.fixture
async def line(app: Litestar, pool: Pool, clinic: Clinic) -> AsyncIterator[Line]:
    """Yield the line to Twilio of a process that is of this clinic."""
    async with open_line(app, pool, [clinic]) as line:
        yield line


async def make_key(pool: Pool, clinic: Clinic, *scopes: str) -> str:
    async with pool.acquire() as connection:
        _, key = await create_api_key(connection, clinic, "front desk", list(scopes), actor=SYSTEM)
    return key


@asynccontextmanager
async def running(app: Litestar) -> AsyncGenerator[Litestar]:
    """Run the application's lifespan in a task of its own, on the test's own loop."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    inbox.put_nowait({"type": "lifespan.startup"})
    task = asyncio.create_task(app({"type": "lifespan", "app": app, "asgi": {}}, inbox.get, outbox.put))  # pyright: ignore
    started = await outbox.get()
    assert started["type"] == "lifespan.startup.complete", started
    yield app
    inbox.put_nowait({"type": "lifespan.shutdown"})
    await task


@pytest.fixture
async def now(pool: Pool) -> datetime:
    """Return the moment by the database's clock, whatever the tests make of theirs."""
    return await pool.fetchval("select now()")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Yield a server on loopback that webhooks can be delivered to."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def courier(settings: Settings, pool: Pool) -> AsyncIterator[Courier]:
    async with open_webhook_client(Reach(loopback=True)) as client:
        yield Courier(pool=pool, client=client, settings=settings)


@pytest.fixture
async def limit(app: Litestar, pool: Pool, clinic: Clinic) -> Callable[..., Awaitable[Clinic]]:
    """Return what sets some of the clinic's limits, as applying its file would."""

    async def apply(**limits: int) -> Clinic:
        await pool.execute(
            "update clinics set settings = jsonb_set(settings, '{limits}', $2) where id = $1",
            clinic.id,
            Limits(**limits),
        )
        async with pool.acquire() as connection:
            app.state.directory.replace(await load_clinics(connection))
        return app.state.directory.clinics[0]

    return apply


@pytest.fixture
def document(app: Litestar) -> Document:
    """Return the OpenAPI document as a caller gets it."""
    return json.loads(json.dumps(document_of(app)))
