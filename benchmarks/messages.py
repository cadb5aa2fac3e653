"""Messages: how many a worker dispatches a second, how free it is meanwhile, and how it uses a slow provider."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec

from benchmarks.bookings import copied
from benchmarks.load import LoadFailed
from benchmarks.people import Runner, add_runners, runners
from benchmarks.samples import Pair, Samples, alternate
from benchmarks.stage import Site, Stage, Watched, clinic_of, connected, filling, provider, watched_worker
from benchmarks.workload import DURATION, VISIT_TYPE, therapist_code
from scheduler.channels.sms import CONNECTIONS
from scheduler.domain.messages import PlannedMessage
from scheduler.ids import new_id
from scheduler.services.delivery import BATCH
from scheduler.store.connections import Connection
from scheduler.store.messages import WAKE_UP
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER

_COMING_DUE = 20_000
_FOR_A_RATE = 5_000
_TO_A_PROVIDER = 2_000
_PROVIDER_SECONDS = 0.1

# From when messages are planned until they come due, of so many a second; a worker that was just started has settled
# down by then. A busy machine may need more time to write them.
_LEAST_AHEAD, _WRITTEN_A_SECOND = 3.0, 2_000
_MORE_TIME = (1, 4, 16)

# Nothing of this takes so long, unless something is wrong.
_GIVE_UP_SECONDS = 120.0

# A batch claimed and a batch closed, by the index that the dispatcher uses: what the queue alone allows.
_CLAIM = """update messages set state = 'sending', lease_token = gen_random_uuid(),
        lease_until = now() + interval '60 s'
    where (clinic_id, id) in (
        select clinic_id, id from messages where state = 'pending' and not_before <= now()
        order by not_before, id limit $1 for update skip locked)
    returning id"""
_CLOSE = """update messages set state = 'sent', lease_token = null, lease_until = null, sent_at = now(),
        finished_at = now()
    where clinic_id = $1 and id = any($2::uuid[])"""

_VISIT_COLUMNS = "clinic_id id status visit_type therapist_id patient_id starts_at ends_at created_by booked_at".split()
_MESSAGE_COLUMNS = """
    clinic_id id visit_id patient_id visit_version kind template channel lead_minutes language address variables
    dedupe_key not_before expires_at
""".split()


class Someone(msgspec.Struct, frozen=True):
    """A patient, and their visit of which they are to be reminded."""

    patient: Runner
    visit_id: UUID
    starts_at: datetime


async def measure_dispatch(stage: Stage, repeats: int) -> list[Pair]:
    """M1; and M3 and the memory of W1 of a worker for which all of them come due at once."""
    site, some = await with_visits(stage, _FOR_A_RATE)

    async def ours() -> float:
        return len(some) / (await dispatched(stage, site, some))[0]

    rates = await alternate(repeats, ours, partial(claimed, stage, site, some))
    _, (seen,) = await dispatched(stage, *await with_visits(stage, _COMING_DUE))
    return [rates, Pair(Samples([seen.longest_block_ms])), Pair(Samples([seen.memory_mb]))]


async def measure_two_workers(stage: Stage, repeats: int) -> list[Pair]:
    """The messages of W3."""
    site, people = await with_visits(stage, _FOR_A_RATE)

    async def rate(workers: int) -> float:
        seconds, _ = await dispatched(stage, site, people, workers=workers)
        return len(people) / seconds

    return [await alternate(repeats, partial(rate, 2), partial(rate, 1))]


async def measure_provider(stage: Stage, repeats: int) -> list[Pair]:
    """M2, all repeats at once: a worker that waits for its provider leaves the machine nearly free."""
    site, people = await with_visits(stage, _TO_A_PROVIDER)

    async def taken() -> float:
        async with provider(site, _PROVIDER_SECONDS) as twilio:
            environment = {
                "SMS_CHANNEL": "twilio", "TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                "TWILIO_FROM": OUR_NUMBER, "TWILIO_API_BASE_URL": twilio.url,
            }  # fmt: skip
            sending = msgspec.structs.replace(site, environment=site.environment | environment)
            return (await dispatched(stage, sending, people))[0]

    ideal = _TO_A_PROVIDER * _PROVIDER_SECONDS / CONNECTIONS
    return [Pair(Samples(await asyncio.gather(*(taken() for _ in range(repeats)))), Samples([ideal]))]


async def with_visits(stage: Stage, number: int) -> tuple[Site, list[Someone]]:
    """Return a site whose texts may leave at any hour and pace, and so many people who have a visit tomorrow."""
    site = await stage.site(20)
    site = msgspec.structs.replace(site, environment=site.environment | {"MESSAGES_PER_SECOND": "10000"})
    clinic = await clinic_of(site)
    starts_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=30)
    people = [Someone(patient, new_id(), starts_at) for patient in runners(number, family="Reminded")]
    therapist = clinic.therapists[therapist_code(0)].id
    async with filling(site) as connection:
        await connection.execute("update clinics set settings = jsonb_set(settings, '{text_window}', '[0, 1440]')")
        await add_runners(connection, clinic.id, [one.patient for one in people])
        await connection.copy_records_to_table(
            "visits",
            columns=_VISIT_COLUMNS,
            records=[
                (
                    clinic.id, one.visit_id, "booked", VISIT_TYPE, therapist, one.patient.id, starts_at,
                    starts_at + DURATION, "key:front desk", starts_at - timedelta(days=30),
                )
                for one in people
            ],
        )  # fmt: skip
        await connection.copy_records_to_table(
            "visit_links",
            columns=["clinic_id", "token_hash", "visit_id"],
            records=[(clinic.id, secrets.token_bytes(32), one.visit_id) for one in people],
        )
    return site, people


async def dispatched(
    stage: Stage, site: Site, people: Sequence[Someone], *, workers: int = 1
) -> tuple[float, list[Watched]]:
    """Return in how many seconds so many workers dispatch a text to each, and what was seen of the workers."""
    async with copied(stage, site) as copy, AsyncExitStack() as stack, connected(copy) as connection:
        seen = [await stack.enter_async_context(watched_worker(copy)) for _ in range(workers)]
        due = await come_due(copy, people)
        await connection.execute(f"notify {WAKE_UP}")
        await _until_all_left(connection)
        last = await connection.fetchval("select max(finished_at) from messages")
        sent = await connection.fetchval("select count(*) from messages where state = 'sent'")
        if sent != len(people):
            raise LoadFailed(f"{sent} of {len(people)} messages were sent")
    return (last - due).total_seconds(), [one.result() for one in seen]


async def claimed(stage: Stage, site: Site, people: Sequence[Someone]) -> float:
    """Return how many rows a second one connection can claim and close, in batches of the dispatcher's size."""
    async with copied(stage, site) as copy, connected(copy) as connection:
        await come_due(copy, people)
        clinic_id = await connection.fetchval("select id from clinics")
        began = time.perf_counter()
        closed = 0
        while rows := await connection.fetch(_CLAIM, BATCH):
            await connection.execute(_CLOSE, clinic_id, [row["id"] for row in rows])
            closed += len(rows)
        if closed != len(people):
            raise LoadFailed(f"{closed} of {len(people)} rows were claimed")
        return closed / (time.perf_counter() - began)


async def come_due(site: Site, people: Sequence[Someone]) -> datetime:
    """Plan a reminder to each, all of them for one moment, and return that moment once it has come."""
    clinic_id = (await clinic_of(site)).id
    ahead = timedelta(seconds=max(_LEAST_AHEAD, len(people) / _WRITTEN_A_SECOND))
    for more in _MORE_TIME:
        due = datetime.now(UTC) + more * ahead
        async with filling(site) as connection:
            await connection.execute("truncate messages cascade")
            await connection.copy_records_to_table(
                "messages",
                columns=_MESSAGE_COLUMNS,
                records=[(clinic_id, new_id(), *_planned(one, due)) for one in people],
            )
        wait = (due - datetime.now(UTC)).total_seconds()
        if wait > 0:
            await asyncio.sleep(wait)
            return due
    raise LoadFailed(f"planning so many messages took longer than {_MORE_TIME[-1] * ahead}")


def _planned(one: Someone, due: datetime) -> Iterator[object]:
    """Yield the reminder's columns from the third on."""
    planned = PlannedMessage(
        visit_id=one.visit_id, patient_id=one.patient.id, visit_version=1, kind="reminder", template="reminder_24h",
        channel="sms", lead_minutes=1440, language="en", address=one.patient.phone,
        variables={
            "starts_at": one.starts_at.isoformat(), "ends_at": (one.starts_at + DURATION).isoformat(),
            "visit_type": VISIT_TYPE,
        },
        not_before=due, expires_at=one.starts_at,
    )  # fmt: skip
    return (getattr(planned, name) for name in _MESSAGE_COLUMNS[2:])


async def _until_all_left(connection: Connection) -> None:
    give_up = time.monotonic() + _GIVE_UP_SECONDS
    while left := await connection.fetchval("select count(*) from messages where state in ('pending', 'sending')"):
        if time.monotonic() > give_up:
            raise LoadFailed(f"{left} messages had not left after {_GIVE_UP_SECONDS:.0f} seconds")
        await asyncio.sleep(0.1)
