"""Whether a clinic's messages flow, for whoever looks at the page of health."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.inbox import Row
from scheduler.domain.ops import CheckName, Facts, Level, judge
from scheduler.services.planner import PLAN_SECONDS
from scheduler.services.readings import note_watching
from scheduler.store import ops as store
from scheduler.store.connections import Connection
from scheduler.store.ops import Listing

# A page shows so many rows; what is more is counted.
SHOWN = 100


class Ops(msgspec.Struct, frozen=True, kw_only=True):
    """How messages flow, what is wrong with that, and the rows behind one of the numbers."""

    facts: Facts
    levels: dict[CheckName, Level]
    rows: Sequence[Row]


async def read_ops(
    connection: Connection,
    clinic: Clinic,
    listing: Listing,
    *,
    since: datetime,
    previewed: Collection[Channel],
    actor: Actor,
    now: datetime,
) -> Ops:
    """Return how a clinic's messages flow, with the rows behind one number; note whose rows were seen."""
    facts = await store.fetch_facts(connection, clinic.id, now=now, since=since)
    rows = await store.list_rows(connection, clinic.id, listing, now=now, since=since, limit=SHOWN)
    people = (person.id for row in rows for person in row.people)
    await note_watching(connection, clinic, actor, "ops.listed", people, now=now, listing=listing)
    levels = judge(facts, now, plan_every=timedelta(seconds=PLAN_SECONDS), previewed=previewed)
    return Ops(facts=facts, levels=levels, rows=rows)
