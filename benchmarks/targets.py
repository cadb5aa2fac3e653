"""What is to be reached, as a table. Each row is measured in the run that judges it, both sides of it."""

from typing import Literal

import msgspec


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what is measured, beside what, in which unit, and how their ratio is to be.

    Rows of one ``group`` are measured together. Where nothing stands ``beside``, the bound is in the unit itself.
    """

    group: str
    name: str
    ours: str
    beside: str = ""
    unit: str
    bound: float
    better: Literal["at least", "at most"]

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.bound if self.better == "at least" else ratio <= self.bound


TARGETS = (
    Target(
        group="S1", name="S1", unit="requests/s", better="at least", bound=0.70,
        ours="GET /slots of one therapist for 14 days, 16 connections",
        beside="a bare Litestar handler: one trivial query, the same bytes",
    ),
    Target(
        group="S2", name="S2", unit="ms", better="at most", bound=1.8,
        ours="GET /slots of 20 therapists for 7 days, one connection",
        beside="its query and the pure function alone",
    ),
    Target(
        group="S3", name="S3 all", unit="ms", better="at most", bound=10.5,
        ours="GET /slots of all 200 therapists for 7 days",
        beside="the same of 20",
    ),
    Target(
        group="S3", name="S3 one", unit="ms", better="at most", bound=1.3,
        ours="GET /slots of one therapist among 200 for 14 days",
        beside="the same among 5",
    ),
    Target(
        group="B1", name="B1", unit="bookings/s", better="at least", bound=0.45,
        ours="POST /visits by key, 16 connections",
        beside="pgbench of the same statements, 16 clients",
    ),
    Target(
        group="B2", name="B2 equal", unit="ms", better="at most", bound=5.0,
        ours="p99 of 100 clients who want one slot at once",
        beside="p99 of 100 inserts with ON CONFLICT DO NOTHING",
    ),
    Target(
        group="B2", name="B2 overlap", unit="ms", better="at most", bound=5.0,
        ours="p99 of 100 clients whose slots only overlap",
        beside="p99 of 100 inserts that only overlap",
    ),
    Target(
        group="B3", name="B3", unit="ms", better="at most", bound=1.15,
        ours="POST /visits where 1,000,000 visits are past",
        beside="the same where 1,000 are",
    ),
    Target(
        group="M1", name="M1", unit="messages/s", better="at least", bound=0.5,
        ours="a worker dispatches 5,000 texts over a channel that does nothing",
        beside="claiming and closing such rows in batches of the same size",
    ),
    Target(
        group="M2", name="M2", unit="s", better="at most", bound=1.3,
        ours="2,000 due texts to a provider that takes 100 ms",
        beside="2,000 times 100 ms, by as many at once",
    ),
    Target(
        group="M1", name="M3", unit="ms", better="at most", bound=50.0,
        ours="longest block of the worker's loop while 20,000 come due",
    ),
    Target(
        group="W1", name="W1 web", unit="MB", better="at most", bound=120.0,
        ours="memory of web over 100,000 requests, at most",
    ),
    Target(
        group="W1", name="W1 flat", unit="MB", better="at most", bound=1.05,
        ours="memory of web after 100,000 requests",
        beside="after the first 20,000",
    ),
    Target(
        group="M1", name="W1 worker", unit="MB", better="at most", bound=120.0,
        ours="memory of worker over 20,000 messages, at most",
    ),
    Target(
        group="W2", name="W2", unit="s", better="at most", bound=3.0,
        ours="make run, a second time, to the first answer",
    ),
    Target(
        group="W3", name="W3 slots", unit="requests/s", better="at least", bound=1.0,
        ours="GET /slots of one therapist, two web processes",
        beside="one web process",
    ),
    Target(
        group="W3", name="W3 bookings", unit="bookings/s", better="at least", bound=1.0,
        ours="POST /visits, two web processes",
        beside="one web process",
    ),
    Target(
        group="W4", name="W3 messages", unit="messages/s", better="at least", bound=1.0,
        ours="two workers dispatch texts over a channel that does nothing",
        beside="one worker",
    ),
)  # fmt: skip
