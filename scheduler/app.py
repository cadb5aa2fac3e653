"""The web process, wired together in one place."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import cast

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.datastructures import CacheControlHeader, State
from litestar.di import NamedDependency, Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router  # pyright: ignore[reportUnknownVariableType]

from scheduler.channels.texts import Texts, load_texts
from scheduler.services.directory import keep_fresh, open_directory
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool, open_pool
from scheduler.store.units import reading, unit_of_work
from scheduler.web.api.holds import HoldController
from scheduler.web.api.inbound import InboundController
from scheduler.web.api.messages import MessageController
from scheduler.web.api.operations import HealthController
from scheduler.web.api.patients import PatientController
from scheduler.web.api.schedule import ScheduleController
from scheduler.web.api.slots import OfferController
from scheduler.web.api.visits import VisitController
from scheduler.web.api.webhooks import WebhookController
from scheduler.web.callers import Caller, provide_caller, provide_now
from scheduler.web.headers import stamp
from scheduler.web.idempotency import provide_posting
from scheduler.web.pages.routes import page_handlers
from scheduler.web.problems import on_error
from scheduler.web.requests import BODY_LIMIT, StrictRequest

_HERE = Path(__file__).parent


def create_app(settings: Settings, *, texts_directory: Path | None = None) -> Litestar:
    """Return the web application; its pool opens when it starts and closes when it stops."""
    texts = load_texts(texts_directory or settings.scheduler_clinic.parent / "messages")
    return Litestar(
        route_handlers=[
            OfferController,
            HoldController,
            VisitController,
            PatientController,
            ScheduleController,
            MessageController,
            InboundController,
            WebhookController,
            HealthController,
            *page_handlers(settings),
            # Pages name static files with a hash of their content, so a browser may keep them for good.
            create_static_files_router(
                path="/static",
                directories=[_HERE / "static"],
                include_in_schema=False,
                cache_control=CacheControlHeader(public=True, max_age=31_536_000, immutable=True),
            ),
        ],
        lifespan=[_open],
        state=State({"settings": settings, "texts": texts, "keys_noted": {}}),
        dependencies={
            "connection": Provide(provide_connection),
            "reader": Provide(provide_reader),
            "texts": Provide(provide_texts, sync_to_thread=False),
            "caller": Provide(provide_caller),
            "now": Provide(provide_now, sync_to_thread=False),
            "posting": Provide(provide_posting, sync_to_thread=False),
        },
        exception_handlers={Exception: on_error},
        before_send=[stamp],
        request_class=StrictRequest,
        request_max_body_size=BODY_LIMIT,
        openapi_config=OpenAPIConfig(
            title="Scheduler",
            version="1",
            summary="Availability, visits and messages of a physical therapy clinic",
            path="/schema",
            render_plugins=[],
            components=Components(
                security_schemes={
                    "key": SecurityScheme(type="http", scheme="bearer", description="An API key of the clinic")
                }
            ),
            security=[{}, {"key": []}],
            use_handler_docstrings=True,
        ),
        on_app_init=[_plain],
    )


def _plain(config: AppConfig) -> AppConfig:
    # Litestar's own logging of requests would put bodies, headers and addresses into the log.
    config.logging_config = None
    return config


@contextlib.asynccontextmanager
async def _open(app: Litestar) -> AsyncGenerator[None]:
    async with open_pool(app.state.settings) as pool:
        app.state.pool = pool
        app.state.directory = await open_directory(pool)
        refresher = asyncio.create_task(keep_fresh(app.state.directory, pool))
        try:
            yield
        finally:
            refresher.cancel()


async def provide_connection(
    state: State,
    caller: NamedDependency[Caller],  # noqa: ARG001 - see below
) -> AsyncIterator[Connection]:
    """Yield a transaction that commits before the answer starts, and rolls back on any error.

    It asks for the caller, so that nobody who is turned away has a transaction begun for them.
    """
    async with unit_of_work(cast("Pool", state.pool)) as connection:
        yield connection


async def provide_reader(state: State) -> AsyncIterator[Connection]:
    """Yield a connection for reads that stand alone, which need no transaction."""
    async with reading(cast("Pool", state.pool)) as connection:
        yield connection


def provide_texts(state: State) -> Texts:
    """Return the words of the messages."""
    return state.texts
