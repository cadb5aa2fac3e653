"""What this process tells a Prometheus: how long it took to answer, and how the outbox stands.

No label holds an address, an id or a name of a person: operations and states are few and known.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterator
from time import perf_counter
from typing import Any, cast

from litestar.types import Message, Scope
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from scheduler.store.connections import Pool
from scheduler.store.metrics import Gauges
from scheduler.web.application import BEGAN

# Upper bounds in seconds. A booking takes a few hundredths; a request is given up after ten seconds or so.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Requests for which there is no route.
UNMATCHED = "none"


class Latencies:
    """How long answers took, by operation and class of status. One process, one thread: plain numbers will do."""

    def __init__(self) -> None:
        # The counts by bound, those beyond the last, and then the sum of all seconds.
        self._series: dict[tuple[str, int], list[float]] = {}

    async def observe(self, message: Message, scope: Scope) -> None:
        """Count an answer that is about to start: the time to its first byte."""
        if message["type"] != "http.response.start":
            return
        seconds = perf_counter() - scope["state"][BEGAN]
        key = (_operation(scope), message["status"] // 100)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = [0.0] * (len(BOUNDS) + 2)
        series[bisect_left(BOUNDS, seconds)] += 1
        series[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "scheduler_request_duration_seconds",
            "Time to the first byte of an answer, by operation and class of status.",
            labels=("operation", "status"),
        )
        for (operation, status), series in sorted(self._series.items()):
            total = 0.0
            buckets: list[tuple[str, float]] = []
            for bound, number in zip((*map(str, BOUNDS), "+Inf"), series, strict=False):
                total += number
                buckets.append((bound, total))
            family.add_metric((operation, f"{status}xx"), buckets, sum_value=series[-1])
        yield family


def _operation(scope: Scope) -> str:
    handler = cast("dict[str, Any]", scope).get("route_handler")
    return getattr(handler, "operation_id", None) or getattr(handler, "handler_name", UNMATCHED)


def expose(latencies: Latencies, pool: Pool, gauges: Gauges | None) -> bytes:
    """Return all metrics in Prometheus' text format; without gauges where the database does not answer."""
    return generate_latest(_Metrics(latencies, pool, gauges))  # pyright: ignore[reportArgumentType] - collects as one


class _Metrics:
    """All metrics of one scrape, as ``generate_latest`` wants a registry to be."""

    def __init__(self, latencies: Latencies, pool: Pool, gauges: Gauges | None) -> None:
        self._latencies = latencies
        self._pool = pool
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        yield from self._latencies.collect()
        yield from _PROCESS.collect()
        in_use = self._pool.get_size() - self._pool.get_idle_size()
        yield GaugeMetricFamily("scheduler_pool_connections_in_use", "Connections to the database at work.", in_use)
        yield GaugeMetricFamily(
            "scheduler_pool_connections_max", "Connections to the database at most.", self._pool.get_max_size()
        )
        tasks = float(len(asyncio.all_tasks()))
        yield GaugeMetricFamily(
            "scheduler_event_loop_tasks", "What this process has under way; it must not grow.", tasks
        )
        up = float(self._gauges is not None)
        yield GaugeMetricFamily("scheduler_database_up", "1 where the database answered this scrape.", up)
        if self._gauges is not None:
            yield from _of_database(self._gauges)


_PROCESS = ProcessCollector(registry=None)


def _of_database(gauges: Gauges) -> Iterator[Metric]:
    outbox = GaugeMetricFamily(
        "scheduler_outbox_messages",
        "Messages that are not done with: under way, in doubt, or failed and seen to by nobody.",
        labels=("state",),
    )
    for state, number in gauges.outbox.items():
        outbox.add_metric((state,), number)
    yield outbox
    yield GaugeMetricFamily(
        "scheduler_webhook_deliveries_pending", "Events that a subscriber has not been told yet.", gauges.webhooks
    )
    yield GaugeMetricFamily(
        "scheduler_visits_without_reminder",
        "Visits 24 to 48 hours ahead of which the ladder promises to remind, and of which nobody will.",
        gauges.forgotten,
    )
    yield GaugeMetricFamily(
        "scheduler_messages_doubled",
        "Messages that the provider has twice, and that nobody has seen to.",
        gauges.doubled,
    )
    yield GaugeMetricFamily("scheduler_desk_tasks_open", "What people at the desks should see to.", gauges.tasks)
    resting = GaugeMetricFamily(
        "scheduler_channels_resting",
        "Clinics for which nothing leaves by a channel for now, because the provider takes nothing or is not heard of.",
        labels=("channel",),
    )
    for channel, number in gauges.resting.items():
        resting.add_metric((channel,), number)
    yield resting
    yield GaugeMetricFamily(
        "scheduler_outbox_oldest_overdue_seconds",
        "For how long the oldest message that should have left has been due; 0 where none is.",
        gauges.oldest_overdue_age or 0.0,
    )
    if gauges.heartbeat_age is not None:
        yield GaugeMetricFamily(
            "scheduler_worker_heartbeat_age_seconds",
            "Since when nothing has been heard of any worker; absent where there is none.",
            gauges.heartbeat_age,
        )
