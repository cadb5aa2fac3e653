"""What a person at the desk should see to, listed and seen to: failures, texts from patients, and tasks."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.inbox import How, Item, Person, Sort
from scheduler.domain.patients import Patient
from scheduler.domain.resending import CLOSED, check_state
from scheduler.domain.visits import UNDO_FOR
from scheduler.errors import FieldError, InvalidRequest, MessageOutdated, MessageWrongState, NotFound
from scheduler.services.desk_tasks import handle_task
from scheduler.services.inbound import handle_inbound
from scheduler.services.messages import find_message, handle, resend
from scheduler.services.patients import Agreement, PatientChange, change_patient, find_patient, record_consent
from scheduler.services.readings import note_reading, note_watching
from scheduler.store import inbox as store
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.inbox import Phone
from scheduler.store.unreachable import is_unreachable

# What each sort is called in the audit.
_NOUNS: dict[Sort, str] = {"failure": "message", "reply": "inbound", "task": "task"}

# Nobody works through more than this in one go; the rest moves up.
SHOWN = 100


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """What is open, whoever has a visit soonest first, at most ``SHOWN`` of it; and how much there is of each sort."""

    items: Sequence[Item]
    counts: dict[Sort, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class SeenTo(msgspec.Struct, frozen=True, kw_only=True):
    """Who saw to something (the name of an actor), and when: whoever was first."""

    by: str
    at: datetime


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a new address: whether the message goes there, and in a sentence why not where it does not."""

    sent: bool
    reason: str = ""


async def read_inbox(connection: Connection, clinic: Clinic, *, actor: Actor, now: datetime) -> Inbox:
    """Return what is open, and note who read it."""
    items = await store.list_items(connection, clinic.id, now=now, limit=SHOWN)
    await note_watching(connection, clinic, actor, "inbox.listed", (person.id for person in _people(items)), now=now)
    return Inbox(items=items, counts=await store.count_items(connection, clinic.id))


async def count_new(connection: Connection, clinic: Clinic, since: datetime) -> int:
    """Return how much has come to be open since a moment."""
    return sum((await store.count_items(connection, clinic.id, since=since)).values())


async def find_item(connection: Connection, clinic: Clinic, item_id: UUID, *, now: datetime) -> Item:
    """Return what is open under an id. Raises NotFound, also for what somebody has seen to."""
    items = await store.list_items(connection, clinic.id, now=now, limit=1, only=item_id)
    if not items:
        raise NotFound("Somebody has seen to it already.")
    return items[0]


async def read_phones(connection: Connection, clinic: Clinic, item: Item, *, actor: Actor) -> list[Phone]:
    """Return the numbers to call about an item, and note that they were read."""
    people = [person.id for person in item.people]
    about = people[0] if len(people) == 1 else people
    await note_reading(connection, clinic, actor, "patient.phone_read", about, item=item.id)
    return await store.fetch_phones(connection, clinic.id, patient_ids=people, inbound_id=item.inbound_id)


async def cross_off(
    connection: Connection, clinic: Clinic, sort: Sort, item_id: UUID, how: How, *, actor: Actor
) -> SeenTo:
    """Cross off an item and return who did, which is somebody else where they were faster.

    Raises NotFound, or MessageWrongState for a message that arrived after all.
    """
    found: Any = await _HANDLERS[sort](connection, clinic, item_id, actor=actor, how=how)
    return SeenTo(by=found.handled_by, at=found.handled_at)


async def put_back(
    connection: Connection, clinic: Clinic, sort: Sort, item_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Put what the actor has just crossed off back on the list. Raises NotFound where it is too late for that."""
    since = now - UNDO_FOR
    if not await store.put_back(connection, clinic.id, sort, item_id, by=actor.name, since=since):
        raise NotFound("It cannot be put back any more.")
    item = await find_item(connection, clinic, item_id, now=now)
    await add_audit_event(
        connection, clinic.id, actor=actor.name, action=f"{_NOUNS[sort]}.put_back", request_id=actor.request_id,
        patient_id=item.patient.id if item.patient else None, details={_NOUNS[sort]: item_id},
    )  # fmt: skip


async def fix(
    connection: Connection,
    clinic: Clinic,
    message_id: UUID,
    address: str,
    *,
    agreed: bool,
    actor: Actor,
    now: datetime,
) -> Fixed:
    """Give the patient of a message that failed another phone or email, and send it there.

    ``agreed`` is whether they said at the desk that they want texts at that number; without that none may go. What is
    not sent stays open. Raises NotFound, MessageWrongState, InvalidRequest for the address that did not work, and
    PatientExists.
    """
    message, _ = await find_message(connection, clinic, message_id, actor=actor)
    check_state(message, CLOSED)
    if message.patient_id is None:
        raise NotFound("It was to nobody on file.")
    if await is_unreachable(connection, clinic.id, message.channel, address):
        raise InvalidRequest(FieldError("/address", "address-unreachable", "This is the address that did not work"))
    change = PatientChange(phone=address) if message.channel == "sms" else PatientChange(email=address)
    patient = await change_patient(connection, clinic, message.patient_id, change, actor=actor, now=now)
    if message.channel == "sms" and not patient.sms_consent:
        if not agreed:
            return Fixed(sent=False, reason="They have not agreed to texts at this number.")
        agreement = Agreement(
            channel="sms", granted=True, wording_version=clinic.settings.consent_wording_version, method="phone"
        )
        await record_consent(connection, clinic, patient.id, agreement, actor=actor, now=now)
    try:
        await resend(connection, clinic, message_id, actor=actor, now=now)
    except (MessageOutdated, MessageWrongState) as problem:
        return Fixed(sent=False, reason=problem.detail)
    return Fixed(sent=True)


async def find_addressee(connection: Connection, clinic: Clinic, item: Item, *, actor: Actor) -> Patient:
    """Return the patient whose address is to be mended, and note that it was read. Raises NotFound."""
    if item.message is None or item.patient is None:
        raise NotFound("It was to nobody on file.")
    await note_reading(connection, clinic, actor, "patient.read", item.patient.id, item=item.id)
    return await find_patient(connection, clinic, item.patient.id)


async def _task(connection: Connection, clinic: Clinic, task_id: UUID, *, actor: Actor, how: How) -> Any:
    return (await handle_task(connection, clinic, task_id, actor=actor, how=how)).task


async def _text(connection: Connection, clinic: Clinic, inbound_id: UUID, *, actor: Actor, how: How) -> Any:
    return (await handle_inbound(connection, clinic, inbound_id, actor=actor, how=how)).message


_HANDLERS: dict[Sort, Callable[..., Awaitable[Any]]] = {"failure": handle, "reply": _text, "task": _task}


def _people(items: Sequence[Item]) -> list[Person]:
    return [person for item in items for person in item.people]
