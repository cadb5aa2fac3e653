"""Reading the outbox: for the front desk, and for the preview page."""

from datetime import datetime
from uuid import UUID

from scheduler.channels.texts import Texts, render
from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.messages import Message, State
from scheduler.errors import NotFound
from scheduler.store import messages as store
from scheduler.store.connections import Connection
from scheduler.store.messages import Attempt


async def list_messages(
    connection: Connection,
    clinic: Clinic,
    *,
    visit_id: UUID | None = None,
    channel: Channel | None = None,
    state: State | None = None,
    due_from: datetime | None = None,
    due_before: datetime | None = None,
    after: UUID | None = None,
    limit: int,
) -> tuple[list[Message], bool]:
    """Return at most ``limit`` messages, newest first, and whether more follow."""
    found = await store.list_messages(
        connection,
        clinic.id,
        visit_id=visit_id,
        channel=channel,
        state=state,
        due_from=due_from,
        due_before=due_before,
        after=after,
        limit=limit + 1,
    )
    return found[:limit], len(found) > limit


async def find_message(connection: Connection, clinic: Clinic, message_id: UUID) -> tuple[Message, list[Attempt]]:
    """Return a message and its attempts in order. Raises NotFound."""
    message = await store.fetch_message(connection, clinic.id, message_id)
    if message is None:
        raise NotFound("There is no such message.")
    return message, await store.fetch_attempts(connection, clinic.id, message_id)


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
    )
    return rendered.subject, rendered.text
