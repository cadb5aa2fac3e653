"""Every list, walked page by page, tells what one big page would tell, whatever is written meanwhile.

A row that nobody moves is told once and in its place, also where others are added, changed or moved between two pages.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
import time_machine
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from scheduler.domain.patients import name_key
from scheduler.ids import new_id
from scheduler.store.connections import Pool
from tests.integration.listings import LISTS, STARTS, Listing
from tests.integration.requests import act, book

NAMES = ("Ash", "Jo", "Kim", "Ártem", "Zoë")

Row = dict[str, Any]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is written after a page, to the row of a number, or to a copy of it that is older or newer than all."""

    page: int
    what: str
    row: int
    key: Any
    old: bool


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A list to walk, and what is written meanwhile."""

    of: str
    filters: dict[str, str]
    limit: int
    changes: list[Change]


class Seeded:
    """What there is to list, which is put back for every example, and the ids that paths and filters need."""

    def __init__(
        self, connection: "asyncpg.Connection[asyncpg.Record]", rows: dict[str, list[Row]], names: dict[str, str]
    ) -> None:
        self.connection, self.rows, self.names = connection, rows, names

    async def put_back(self, table: str) -> None:
        await self.connection.execute(f"delete from {table}")
        await self.connection.execute(
            f"insert into {table} select * from jsonb_populate_recordset(null::{table}, $1)",
            msgspec.json.encode(self.rows[table]).decode(),
        )

    async def write(self, listing: Listing, row: Row) -> None:
        """Write a row, over the one that has its identity."""
        await self.connection.execute(
            f"delete from {listing.table} where {listing.identity}::text = $1", row[listing.identity]
        )
        await self.connection.execute(
            f"insert into {listing.table} select * from jsonb_populate_record(null::{listing.table}, $1)",
            msgspec.json.encode(row).decode(),
        )


@pytest.fixture(autouse=True)
def december() -> Iterator[None]:
    """Let it be some weeks before everything here."""
    with time_machine.travel(datetime.fromisoformat("2026-12-08T10:00:00-05:00"), tick=True):
        yield


@pytest.fixture
async def seeded(desk: httpx.AsyncClient, pool: Pool, dsn: str) -> AsyncIterator[Seeded]:
    """Yield visits of several patients, many at the same time, with their messages, and texts that came in."""
    # Not in the order in which they start, so that no list is in order by accident. Five patients, one after another.
    visits = [
        await booked(desk, number, STARTS[number * 2 % 3], ("rivera", "okafor")[number // 3 % 2])
        for number in range(12)
    ]
    for visit in visits[::3]:
        await act(desk, visit, "confirm")
    await act(desk, visits[1], "cancel", reason="Sample")
    webhook = await add_more(pool)
    # Nothing looks at what is put back and taken away: no trigger, no foreign key.
    connection = await asyncpg.connect(dsn, server_settings={"session_replication_role": "replica"})
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode, format="text"
    )
    rows = {
        listing.table: [row[0] for row in await connection.fetch(f"select to_jsonb(t) from {listing.table} as t")]
        for listing in LISTS.values()
    }
    names = {"patient": visits[0]["patient"]["id"], "visit": visits[0]["id"], "webhook": webhook}
    yield Seeded(connection, rows, names)
    await connection.close()


async def add_more(pool: Pool) -> str:
    """Write rows of every other list, many with the same key; return the webhook that has deliveries."""
    clinic_id = await pool.fetchval("select id from clinics")
    webhook = new_id()
    for number in range(9):
        row = clinic_id, new_id()
        await pool.execute(
            """insert into inbound_messages
                (clinic_id, id, provider_id, sender, recipient, body, received_at, needs_attention)
            values ($1, $2, $3, '+12015550142', '+12015550100', 'Sample', '2027-01-01'::timestamptz + $4, $5)""",
            *row, f"SM{number}", timedelta(minutes=number // 3), number % 2 == 0,
        )  # fmt: skip
        await pool.execute(
            """insert into time_off (clinic_id, id, therapist_id, during)
            select $1, $2, id, tstzrange('2027-01-11 12:00Z'::timestamptz + $3, '2027-01-14 12:00Z')
            from therapists where code = 'rivera'""",
            *row, timedelta(days=number * 2 % 3),
        )  # fmt: skip
        await pool.execute(
            """insert into overrides (clinic_id, therapist_id, date, windows, set_by)
            select $1, id, '2027-01-11'::date + $2::int, '{}', 'desk' from therapists where code = 'lind'""",
            clinic_id, number,
        )  # fmt: skip
        await pool.execute(
            """insert into webhooks (clinic_id, id, url, events, created_by)
            values ($1, $2, 'https://hooks.example/', '{visit.booked}', 'test')""",
            *(row if number else (clinic_id, webhook)),
        )
        await pool.execute(
            """insert into webhook_deliveries (clinic_id, id, webhook_id, type, data, state)
            values ($1, $2, $3, 'webhook.test', '{}', $4)""",
            *row, webhook, ("pending", "delivered", "dead")[number % 3],
        )  # fmt: skip
    return str(webhook)


async def booked(desk: httpx.AsyncClient, number: int, starts_at: str, therapist: str) -> Row:
    patient = {
        "given_name": NAMES[number % len(NAMES)], "family_name": "Sample" if number % 2 else "Samson",
        "phone": f"201 555 01{number % len(NAMES):02}", "email": "sample@example.com",
        "sms_consent": {"granted": True, "wording_version": "2026-11"},
    }  # fmt: skip
    answer = await book(
        desk, "follow-up", starts_at, therapist=therapist, overbook={"reason": "Sample"}, patient=patient
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def walks() -> st.SearchStrategy[Walk]:
    return st.sampled_from(list(LISTS)).flatmap(
        lambda name: st.builds(
            Walk,
            of=st.just(name),
            filters=filters_of(LISTS[name]),
            limit=st.integers(1, 7),
            changes=st.just([]) | st.lists(changes_of(LISTS[name]), min_size=1, max_size=5),
        )
    )


def filters_of(listing: Listing) -> st.SearchStrategy[dict[str, str]]:
    values = {key: st.sampled_from(values) for key, values in listing.filters.items()}
    needed = {key: values.pop(key) for key in listing.needed}
    chosen = st.fixed_dictionaries(needed, optional=values)
    # A stretch that ends before it begins is refused.
    return chosen.filter(lambda filters: filters.get("from", "") < filters.get("to", "9999"))


def changes_of(listing: Listing) -> st.SearchStrategy[Change]:
    return st.builds(
        Change,
        page=st.integers(1, 4),
        what=st.sampled_from(["note", "add", "move"] if listing.moves else ["note", "add"]),
        row=st.integers(0, 100),
        key=st.sampled_from(listing.keys),
        old=st.booleans(),
    )


# All is drawn before the first request: hypothesis ends an example with an exception that no loop may carry.
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(chosen=walks())
async def test_the_pages_of_a_list_are_the_list(chosen: Walk, desk: httpx.AsyncClient, seeded: Seeded) -> None:
    note(str(chosen))
    listing = LISTS[chosen.of]
    await seeded.put_back(listing.table)
    path = listing.path.format(**seeded.names)
    filters = {key: value.format(**seeded.names) for key, value in chosen.filters.items()}
    whole = await page_of(desk, path, filters, limit=200)
    assert whole["next_cursor"] is None
    elsewhere: set[str] = set()

    async def meanwhile(page: int) -> None:
        for number, change in enumerate(chosen.changes):
            if change.page == page:
                elsewhere.update(await make(change, number, seeded, listing))

    told = [one[listing.identity] for one in await walk(desk, path, filters, chosen.limit, meanwhile)]
    if not chosen.changes:
        assert told == [one[listing.identity] for one in whole["items"]]
    assert [one for one in told if one not in elsewhere] == [
        one[listing.identity] for one in whole["items"] if one[listing.identity] not in elsewhere
    ]


async def walk(
    desk: httpx.AsyncClient,
    path: str,
    filters: dict[str, str],
    limit: int,
    meanwhile: Callable[[int], Awaitable[None]],
) -> list[Row]:
    """Return everything that the pages of a list tell, going on by each one's cursor."""
    told: list[Row] = []
    params = filters
    for number in range(1, 100):
        page = await page_of(desk, path, params, limit=limit)
        told += page["items"]
        if page["next_cursor"] is None:
            assert len(page["items"]) <= limit
            return told
        assert len(page["items"]) == limit
        params = {**filters, "cursor": page["next_cursor"]}
        await meanwhile(number)
    raise AssertionError("the list has no end")


async def page_of(desk: httpx.AsyncClient, path: str, params: dict[str, str], *, limit: int) -> Row:
    answer = await desk.get(path, params={**params, "limit": limit})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def make(change: Change, number: int, seeded: Seeded, listing: Listing) -> list[str]:
    """Make a change; return the id of a row that is new or elsewhere now, for which nothing is promised."""
    rows = seeded.rows[listing.table]
    row = dict(rows[change.row % len(rows)])
    if change.what == "note":
        await seeded.connection.execute(
            f"update {listing.table} set {listing.note} = 'Sample' where {listing.identity}::text = $1",
            row[listing.identity],
        )
        return []
    row[listing.key] = change.key
    if listing.table == "visits":
        row["ends_at"] = (datetime.fromisoformat(row["starts_at"]) + timedelta(minutes=45)).isoformat()
    if listing.table == "patients":
        row["name_key"] = name_key(row["family_name"], row["given_name"])
    if change.what == "add" and listing.identity == "id":
        # Older than any other row or newer.
        row["id"] = str(UUID(int=number if change.old else (0xFF << 120) + number))
        row |= dict.fromkeys(listing.once, f"+120155599{number:02}")
    await seeded.write(listing, row)
    return [row[listing.identity]]
