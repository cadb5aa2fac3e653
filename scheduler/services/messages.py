"""The outbox as the front desk sees it: what was planned, what went out, what failed and who saw to it."""

from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from scheduler.channels.base import NO_LINK
from scheduler.channels.staff_words import STAFF, sample_words
from scheduler.channels.texts import Rendered, Texts, render, sample_link
from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Channel, Clinic, Language
from scheduler.domain.inbox import How
from scheduler.domain.messages import Message, State
from scheduler.domain.resending import CLOSED, REPEATABLE, check_state, plan_again
from scheduler.errors import MessageOutdated, MessageWrongState, NotFound
from scheduler.services.readings import note_reading
from scheduler.store import messages as store
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.desk_tasks import close_undeliverable
from scheduler.store.messages import Attempt
from scheduler.store.patients import fetch_patient
from scheduler.store.visits import fetch_visit


async def list_messages(
    connection: Connection,
    clinic: Clinic,
    *,
    visit_id: UUID | None = None,
    channel: Channel | None = None,
    state: State | None = None,
    due_from: datetime | None = None,
    due_before: datetime | None = None,
    needs_attention: bool | None = None,
    after: UUID | None = None,
    limit: int,
    actor: Actor | None = None,
) -> tuple[list[Message], bool]:
    """Return at most ``limit`` messages, newest first, and whether more follow; note that the actor read them."""
    found = await store.list_messages(
        connection,
        clinic.id,
        visit_id=visit_id,
        channel=channel,
        state=state,
        due_from=due_from,
        due_before=due_before,
        needs_attention=needs_attention,
        after=after,
        limit=limit + 1,
    )
    if actor is not None:
        patients = (message.patient_id for message in found[:limit] if message.patient_id)
        await note_reading(connection, clinic, actor, "messages.listed", patients, visit_id=visit_id)
    return found[:limit], len(found) > limit


async def find_message(
    connection: Connection, clinic: Clinic, message_id: UUID, *, actor: Actor
) -> tuple[Message, list[Attempt]]:
    """Return a message and its attempts in order, and note that the actor read it. Raises NotFound."""
    message = await _message(connection, clinic, message_id)
    if message.patient_id is not None:
        await note_reading(
            connection, clinic, actor, "message.read", message.patient_id, visit_id=message.visit_id, message=message_id
        )
    return message, await store.fetch_attempts(connection, clinic.id, message_id)


async def resend(connection: Connection, clinic: Clinic, message_id: UUID, *, actor: Actor, now: datetime) -> Message:
    """Send the facts of a message that failed once more, as a new message, and cross off the old one.

    Consent and the hours for texts are judged when it leaves, as for any other. Raises NotFound, MessageWrongState
    (also where it was sent again before) or MessageOutdated.
    """
    message = await _message(connection, clinic, message_id)
    visit = message.visit_id and await fetch_visit(connection, clinic.id, message.visit_id)
    patient = message.patient_id and await fetch_patient(connection, clinic.id, message.patient_id)
    if not visit or not patient:
        raise MessageOutdated("It was about no visit: an answer to a text is of use once.")
    planned = plan_again(clinic, message, visit, patient, now)
    new_id = await store.add_resent(connection, clinic.id, planned, message.id)
    if new_id is None:
        raise MessageWrongState("It was sent again already.", state=message.state, allowed=sorted(REPEATABLE))
    await store.mark_handled(connection, clinic.id, message.id, actor.name)
    await close_undeliverable(connection, clinic.id, message.id, actor.name)
    await _audit(connection, clinic, actor, "message.resent", message, **{"as": new_id})
    return await _message(connection, clinic, new_id)


async def handle(
    connection: Connection, clinic: Clinic, message_id: UUID, *, actor: Actor, how: How | None = None
) -> Message:
    """Cross off a message that failed, once a person has seen to it. Raises NotFound or MessageWrongState.

    The task about it is closed with it. One that was crossed off before stays as it is, with the name of whoever was
    first. ``how`` it was seen to is kept in the trace.
    """
    message = await _message(connection, clinic, message_id)
    check_state(message, CLOSED)
    if await store.mark_handled(connection, clinic.id, message_id, actor.name):
        await _audit(connection, clinic, actor, "message.handled", message, **({"how": how} if how else {}))
    await close_undeliverable(connection, clinic.id, message_id, actor.name)
    return await _message(connection, clinic, message_id)


def text_of(texts: Texts, clinic: Clinic, message: Message) -> tuple[str, str]:
    """Return subject and text: as they left, or as they will when they are due."""
    if message.rendered is not None:
        return message.rendered["subject"], message.rendered["text"]
    if message.template not in texts.languages[message.language][message.channel]:
        return "", f"(The text {message.template} is no longer in config/messages.)"
    rendered = render(
        texts,
        clinic,
        template=message.template,
        channel=message.channel,
        language=message.language,
        variables=message.variables,
        now=message.not_before,
        link=NO_LINK,
    )
    return rendered.subject, rendered.text


def sample(
    texts: Texts,
    clinic: Clinic,
    template: str,
    channel: Channel,
    language: Language,
    *,
    base_url: str,
    now: datetime,
) -> Rendered:
    """Return a message in the words it would have for a visit at ten in a week, moved there from an hour earlier.

    Its links begin as all do, with PUBLIC_BASE_URL, and lead nowhere.
    """
    day = clinic.local(now).date() + timedelta(days=7)
    starts_at = datetime.combine(day, time(10), clinic.zone)
    variables = {
        "starts_at": starts_at.isoformat(),
        "was_starts_at": (starts_at - timedelta(hours=1)).isoformat(),
        "visit_type": next(iter(clinic.visit_types)),
    }
    if template in STAFF:
        variables |= sample_words(template, language, base_url, starts_at)
    return render(
        texts, clinic, template=template, channel=channel, language=language, variables=variables, now=now,
        link=sample_link(base_url),
    )  # fmt: skip


async def _message(connection: Connection, clinic: Clinic, message_id: UUID) -> Message:
    message = await store.fetch_message(connection, clinic.id, message_id)
    if message is None:
        raise NotFound("There is no such message.")
    return message


async def _audit(
    connection: Connection, clinic: Clinic, actor: Actor, action: str, message: Message, **details: Any
) -> None:
    await add_audit_event(
        connection,
        clinic.id,
        actor=actor.name,
        action=action,
        visit_id=message.visit_id,
        patient_id=message.patient_id,
        request_id=actor.request_id,
        details={"message": message.id, "template": message.template, "channel": message.channel, **details},
    )
