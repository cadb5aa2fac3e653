"""A worker as most are written: silence is failure, and what failed is tried again. It sends some messages twice.

The control of ``test_storms``: it differs from ``scheduler worker`` in the two decisions that the protocol is about.
"""

import os
from datetime import datetime

from scheduler.channels.base import Outcome
from scheduler.commands.serve import run_worker
from scheduler.domain.messages import State
from scheduler.domain.sending import retry_delay
from scheduler.services import delivery
from scheduler.services.delivery import Post
from scheduler.settings import Settings, load_settings
from scheduler.store.dispatch import ClaimedMessage
from scheduler.telemetry import configure_logging
from scheduler.worker import main as worker

_sensible_verdict = delivery.verdict


def verdict(settings: Settings, message: ClaimedMessage, outcome: Outcome) -> tuple[State, float | None, float | None]:
    """Try again, a while later, whatever brought no answer."""
    if outcome.result == "unknown":
        return "pending", retry_delay(message.retries, 0.5).total_seconds(), None
    return _sensible_verdict(settings, message, outcome)


async def return_lost_leases(post: Post, *, now: datetime | None = None) -> int:  # noqa: ARG001 - as settle_doubts
    """Let what a dead worker was sending be sent by another."""
    returned = await post.pool.execute(
        "update messages set state = 'pending', lease_token = null, lease_until = null "
        "where state = 'sending' and lease_until < now()"
    )
    return int(returned.split()[-1])


def main() -> None:
    delivery.verdict = verdict
    worker.settle_doubts = return_lost_leases
    settings = load_settings(os.environ)
    configure_logging(settings)
    run_worker(settings)


if __name__ == "__main__":
    main()
