"""The web process, wired together in one place."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from scheduler.channels.texts import Texts, load_texts
from scheduler.services.directory import keep_fresh, open_directory
from scheduler.services.limits import Leases
from scheduler.services.live import BOARDS, LiveBoards
from scheduler.settings import Settings
from scheduler.store.clinics import APPLIED
from scheduler.store.connections import WEB, Connection, Pool, open_pool
from scheduler.store.listening import listen
from scheduler.store.units import reading, unit_of_work
from scheduler.web.api.closures import ClosureController
from scheduler.web.api.holds import HoldController
from scheduler.web.api.inbound import InboundController
from scheduler.web.api.messages import MessageController
from scheduler.web.api.operations import HealthController, show_metrics
from scheduler.web.api.overrides import OverrideController
from scheduler.web.api.patients import PatientController
from scheduler.web.api.schedule import ScheduleController
from scheduler.web.api.slots import OfferController
from scheduler.web.api.tasks import TaskController
from scheduler.web.api.time_off import TimeOffController
from scheduler.web.api.visits import VisitController
from scheduler.web.api.webhooks import WebhookController
from scheduler.web.application import Application
from scheduler.web.callers import Caller, provide_caller, provide_now
from scheduler.web.headers import stamp
from scheduler.web.hooks import HOOKS
from scheduler.web.idempotency import provide_posting
from scheduler.web.metrics import Latencies
from scheduler.web.openapi import openapi_config
from scheduler.web.pages.routes import page_handlers
from scheduler.web.problems import on_error
from scheduler.web.requests import BODY_LIMIT, StrictRequest, check_request
from scheduler.web.staff.routes import STAFF_PAGES
from scheduler.web.static import static_files

# Each statement there is one short write, so two connections carry hundreds a second.
LIMITS_POOL_SIZE = 2


def create_app(settings: Settings, *, texts_directory: Path | None = None, refresh: bool = True) -> Litestar:
    """Return the web application; its pool opens when it starts and closes when it stops.

    Without ``refresh`` the clinics stay as they are, whatever is applied, until whoever made it replaces them.
    """
    texts = load_texts(texts_directory or settings.scheduler_clinic.parent / "messages")
    latencies = Latencies()
    return Application(
        route_handlers=[
            OfferController,
            HoldController,
            VisitController,
            PatientController,
            ScheduleController,
            OverrideController,
            TimeOffController,
            ClosureController,
            MessageController,
            InboundController,
            TaskController,
            WebhookController,
            HealthController,
            show_metrics,
            *HOOKS,
            *page_handlers(settings),
            *STAFF_PAGES,
            static_files(),
        ],
        lifespan=[partial(_open, refresh=refresh)],
        state=State(
            {
                "settings": settings,
                "texts": texts,
                "keys_noted": {},
                "leases": Leases(),
                "latencies": latencies,
                "boards": LiveBoards(),
            }
        ),
        dependencies={
            "connection": Provide(provide_connection),
            "reader": Provide(provide_reader),
            "texts": Provide(provide_texts, sync_to_thread=False),
            "caller": Provide(provide_caller),
            "now": Provide(provide_now, sync_to_thread=False),
            "posting": Provide(provide_posting),
        },
        exception_handlers={Exception: on_error},
        before_request=check_request,
        before_send=[stamp, latencies.observe],
        request_class=StrictRequest,
        request_max_body_size=BODY_LIMIT,
        openapi_config=openapi_config(settings),
        on_app_init=[_plain],
    )


def _plain(config: AppConfig) -> AppConfig:
    # Litestar's own logging of requests would put bodies, headers and addresses into the log.
    config.logging_config = None
    return config


@contextlib.asynccontextmanager
async def _open(app: Litestar, *, refresh: bool) -> AsyncGenerator[None]:
    settings: Settings = app.state.settings
    # What is counted is counted on connections of its own: a booking under way has one already, and must not wait for
    # another that a booking like it has.
    few = msgspec.structs.replace(settings, database_pool_size=LIMITS_POOL_SIZE)
    async with open_pool(settings, WEB) as pool, open_pool(few, WEB) as limits_pool:
        app.state.pool, app.state.limits_pool = pool, limits_pool
        app.state.directory = await open_directory(pool)
        beside = _heed_changes(app, settings, pool) if refresh else []
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


def _heed_changes(app: Litestar, settings: Settings, pool: Pool) -> list[asyncio.Task[None]]:
    applied, boards = asyncio.Event(), cast("LiveBoards", app.state.boards)
    return [
        asyncio.create_task(
            listen(settings, {APPLIED: lambda _: applied.set(), BOARDS: boards.hear}, on_lose=boards.lost)
        ),
        asyncio.create_task(keep_fresh(app.state.directory, pool, applied)),
    ]


async def provide_connection(
    state: State,
    caller: NamedDependency[Caller],  # noqa: ARG001 - see below
) -> AsyncIterator[Connection]:
    """Yield a transaction that commits before the answer starts, and rolls back on any error.

    It asks for the caller, so that nobody who is turned away has a transaction begun for them.
    """
    async with unit_of_work(cast("Pool", state.pool)) as connection:
        yield connection


async def provide_reader(
    state: State,
    caller: NamedDependency[Caller],  # noqa: ARG001 - see below
) -> AsyncIterator[Connection]:
    """Yield a connection for reads that stand alone, which need no transaction.

    It comes after the caller: the framework forgets what it has opened when another dependency refuses the request,
    and a few wrong keys would keep every connection.
    """
    async with reading(cast("Pool", state.pool)) as connection:
        yield connection


def provide_texts(state: State) -> Texts:
    """Return the words of the messages."""
    return state.texts
