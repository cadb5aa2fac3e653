"""`scheduler web` or `scheduler worker` with one thing made wrong: python -m chaos.saboteur WRONG web|worker."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from scheduler import app, telemetry
from scheduler.commands import serve
from scheduler.domain.messages import PlannedMessage
from scheduler.ids import new_id
from scheduler.services import bookings, delivery, placement, visits
from scheduler.settings import load_settings
from scheduler.store import connections, units
from scheduler.store import messages as outbox
from scheduler.store.connections import Connection
from scheduler.web import application
from scheduler.worker import main as worker
from tests.acceptance import naive_worker

# Long enough for a kill to come in between.
LATER_SECONDS = 0.7


def no_locks() -> None:
    """Let bookings of one day go on side by side, each on the calendar that it saw."""

    async def at_once(connection: Connection, clinic_id: UUID, days: Iterable[date]) -> bool:
        del clinic_id, days
        await connection.execute("savepoint placement")
        return True

    placement.try_lock_days = at_once


def outbox_outside() -> None:
    """Plan the messages of a booking once it is committed, which is nearly always soon enough."""
    plan, under_way = outbox.add_messages, set[asyncio.Task[None]]()

    async def plan_later(connection: Connection, clinic_id: UUID, planned: Sequence[PlannedMessage]) -> list[UUID]:
        del connection

        async def later() -> None:
            await asyncio.sleep(LATER_SECONDS)
            own = await connections.connect(load_settings(os.environ))
            await plan(own, clinic_id, planned)
            await own.close()

        task = asyncio.create_task(later())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return [new_id() for _ in planned]

    bookings.add_messages = visits.add_messages = plan_later


def retry() -> None:
    """Take silence for failure, and try again."""
    delivery.verdict = naive_worker.verdict
    worker.settle_doubts = naive_worker.return_lost_leases


def log_unscrubbed() -> None:
    """Log who books, past the redaction."""
    announce = bookings._announce_booking  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    async def tell_the_log(*arguments: Any) -> Any:
        logging.getLogger("chaos").warning("booked for %s", arguments[3].family_name)
        return await announce(*arguments)

    bookings._announce_booking = tell_the_log  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    telemetry.redact = lambda _logger, _method, event: event


def no_time_limits() -> None:
    """Wait for the database for as long as it takes."""
    connections.SERVER_LIMITS.clear()
    application.ANSWER_SECONDS = units.ACQUIRE_SECONDS = 3600.0
    app.WEB = connections.Patience("1h", 3600.0)


WRONGS: dict[str, Callable[[], None]] = {
    "no-locks": no_locks,
    "outbox-outside": outbox_outside,
    "retry": retry,
    "log-unscrubbed": log_unscrubbed,
    "no-time-limits": no_time_limits,
}


def main() -> None:
    _, wrong, role = sys.argv
    WRONGS[wrong]()
    settings = load_settings(os.environ)
    telemetry.configure_logging(settings)
    {"web": serve.run_web, "worker": serve.run_worker}[role](settings)


if __name__ == "__main__":
    main()
