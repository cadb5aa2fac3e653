"""The days of a simulated year as the real planner and dispatcher see them, with the moment as an argument.

Bookings plan nothing here but their notices, so every reminder that leaves is the planner's own work.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

import msgspec

from scheduler.channels.base import Envelope, Outcome
from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.domain.links import link_hash
from scheduler.domain.messages import Notice, PlannedMessage, plan_notice
from scheduler.domain.patients import name_key
from scheduler.domain.visits import Visit
from scheduler.services.delivery import Post, send_due
from scheduler.services.patients import Agreement, find_patient, record_consent
from scheduler.services.planner import plan_ahead
from scheduler.services.unsubscribes import turn_reminders
from scheduler.store import visits as store
from scheduler.store.connections import Connection
from scheduler.store.messages import add_messages, void_messages
from scheduler.store.patients import fetch_patients
from scheduler.store.planner import count_forgotten
from tests.integration.year.promises import Sent
from tests.integration.year.world import Event, Person, Year

_DURATION = timedelta(minutes=45)


class Recorder:
    """The outside world, which takes everything: what left, when, and to which address."""

    can_be_asked = False

    def __init__(self) -> None:
        self.now = datetime.min.replace(tzinfo=UTC)
        self.sent: list[tuple[UUID, str, datetime]] = []

    async def send(self, envelope: Envelope) -> Outcome:
        self.sent.append((envelope.message_id, envelope.address, self.now))
        return Outcome(result="accepted", provider_id=f"{envelope.message_id}.{len(self.sent)}")

    async def find(self, envelope: Envelope, since: datetime) -> tuple[str, ...] | None:  # noqa: ARG002
        return None

    async def close(self) -> None: ...


class Days:
    """One clinic, its outbox and its outside world while time passes."""

    def __init__(self, post: Post, clinic: Clinic, year: Year, outside: Recorder) -> None:
        self.post, self.clinic, self.year, self.outside = post, clinic, year, outside
        self.visits: dict[UUID, Visit] = {}
        self.forgotten: dict[datetime, int] = {}

    async def live(self) -> None:
        """Let the year pass: the desk's work, the planner after it, and whatever falls due between."""
        async with self.post.pool.acquire() as connection:
            await self._admit(connection)
            happening = {at: list(events) for at, events in groupby(self.year.events, key=lambda event: event.at)}
            off, on = self.year.without_planner
            times = sorted({*self.year.desk_times, *happening})
            mornings = set(self.year.desk_times[::2])
            for at in times:
                await self._send_until(connection, at)
                async with connection.transaction():
                    await self._happen(connection, at, happening.get(at, ()))
                    if not off <= at < on:
                        await plan_ahead(connection, self.clinic, now=at)
                self.forgotten[at] = await count_forgotten(connection, at)
                if at.day == 1 and at in mornings:
                    # What the database does by itself in a month that takes longer.
                    await connection.execute(
                        "vacuum analyze messages, message_attempts, provider_messages, visits, visit_links, patients"
                    )
            await self._send_until(connection, times[-1] + timedelta(days=40))

    async def sent(self) -> Counter[Sent]:
        """Return how often each message left, and when."""
        rows = await self.post.pool.fetch("select id, visit_id, kind, template, channel from messages")
        known = {row["id"]: (row["visit_id"], row["kind"], row["template"], row["channel"]) for row in rows}
        return Counter((*known[message_id], at) for message_id, _, at in self.outside.sent)

    async def _send_until(self, connection: Connection, until: datetime) -> None:
        """Go from one moment at which something is due to the next, and send what is."""
        off, on = self.year.without_worker
        while True:
            due_at = await connection.fetchval("select min(not_before) from messages where state = 'pending'")
            if due_at is None or due_at >= until:
                return
            now = max(due_at, self.outside.now)
            if off <= now < on:
                if on >= until:
                    return
                now = on
            self.outside.now = now
            if await send_due(self.post, now=now) == 0:
                raise AssertionError(f"something due at {due_at} does not leave at {now}")

    async def _happen(self, connection: Connection, at: datetime, events: Iterable[Event]) -> None:
        planned: list[PlannedMessage] = []
        for what, alike in groupby(events, key=lambda event: event.what):
            if what == "book":
                planned += await self._book(connection, list(alike))
                continue
            for event in alike:
                planned += await self._change(connection, event)
        # What the desk does takes no time here, so that it leaves when it was done.
        self.outside.now = at
        await add_messages(connection, self.clinic.id, planned)

    async def _book(self, connection: Connection, events: list[Event]) -> list[PlannedMessage]:
        made = [self._draft(event) for event in events]
        secret_key = self.post.settings.secret_key
        await connection.executemany(
            """with booked as (
                insert into visits (clinic_id, id, status, visit_type, therapist_id, patient_id, starts_at, ends_at,
                    created_by, created_at, booked_at, status_changed_at)
                values ($1, $2, 'booked', $3, $4, $5, $6, $7, 'desk', $8, $8, $8)
            )
            insert into visit_links (clinic_id, token_hash, visit_id) values ($1, $9, $2)""",
            [
                (
                    self.clinic.id, one.id, one.visit_type, one.therapist_id, one.patient_id, one.starts_at,
                    one.ends_at, one.booked_at, link_hash(secret_key, self.clinic.id, one.id),
                )
                for one in made
            ],
        )  # fmt: skip
        self.visits |= {one.id: one for one in made}
        first = [one for one in made if one.visit_type == "eval-run"]
        patients = await fetch_patients(connection, self.clinic.id, [one.patient_id for one in first if one.patient_id])
        return [
            message
            for one in first
            if one.patient_id and one.booked_at
            for message in plan_notice(self.clinic, one, patients[one.patient_id], "booked", one.booked_at)
        ]

    async def _change(self, connection: Connection, event: Event) -> list[PlannedMessage]:
        person, at, clinic = event.person, event.at, self.clinic
        if event.what == "unsubscribe":
            await turn_reminders(connection, clinic, person.id, wanted=False, actor=SYSTEM)
            return []
        if event.what == "text_consent":
            agreement = Agreement(channel="sms", granted=event.granted, wording_version="2026-11", method="phone")
            await record_consent(connection, clinic, person.id, agreement, actor=SYSTEM, now=at)
            return []
        assert event.visit is not None
        visit = self.visits[event.visit]
        if visit.status == "cancelled":
            return []
        if event.what == "confirm":
            await self._set(connection, visit, "confirmed", at)
            return []
        await void_messages(connection, clinic.id, visit.id, "The visit was changed.")
        patient = await find_patient(connection, clinic, person.id)
        if event.what != "move":
            notice: Notice = "closure" if event.what == "close" else "cancelled_by_patient"
            return plan_notice(clinic, await self._set(connection, visit, "cancelled", at), patient, notice, at)
        assert event.starts_at is not None
        moved = msgspec.structs.replace(visit, starts_at=event.starts_at, ends_at=event.starts_at + _DURATION)
        moved = await store.move(connection, clinic.id, moved, status="booked", now=at)
        self.visits[visit.id] = moved
        return plan_notice(clinic, moved, patient, "rescheduled", at, was=visit.starts_at)

    async def _set(self, connection: Connection, visit: Visit, status: store.Status, at: datetime) -> Visit:
        changed = await store.set_status(connection, self.clinic.id, visit, status, now=at, undo_to=visit.status)
        self.visits[visit.id] = changed
        return changed

    def _draft(self, event: Event) -> Visit:
        assert event.visit is not None
        assert event.starts_at is not None
        therapists = list(self.clinic.therapists.values())
        return Visit(
            id=event.visit, status="booked", version=1, visit_type=event.visit_type,
            therapist_id=therapists[event.visit.int % len(therapists)].id, room_id=None, equipment_ids=(),
            patient_id=event.person.id, starts_at=event.starts_at, ends_at=event.starts_at + _DURATION,
            created_by="desk", created_at=event.at, booked_at=event.at, cancel_reason=None, overbook_reason=None,
            previous_status=None, status_changed_at=event.at,
        )  # fmt: skip

    async def _admit(self, connection: Connection) -> None:
        """Put every patient on file, with what they agreed to when they first called."""
        clinic_id = self.clinic.id
        await connection.executemany(
            """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, email, language)
            values ($1, $2, 'Ash', 'Sample', $3, $4, $5, $6)""",
            [
                (clinic_id, person.id, name_key("Sample", "Ash"), person.phone, person.email, person.language)
                for person in self.year.people
            ],
        )
        await connection.executemany(
            """insert into consents (clinic_id, id, patient_id, channel, scope, granted, address, language,
                wording_version, method, actor)
            values ($1, gen_random_uuid(), $2, 'sms', $3, true, $4, $5, '2026-11', 'phone', 'desk')""",
            [
                (clinic_id, person.id, scope, person.phone, person.language)
                for person in self.year.people
                for scope in _agreed(person)
            ],
        )


def _agreed(person: Person) -> Iterator[str]:
    if person.texts:
        yield "visits"
    if person.frequent:
        yield "frequent"
