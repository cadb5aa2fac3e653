"""Messages: what was planned, what went out, and why something did not."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from scheduler.channels.texts import Texts
from scheduler.domain.clinics import Channel, Clinic
from scheduler.domain.messages import Message, State
from scheduler.domain.times import instant_at
from scheduler.services.messages import find_message, list_messages, text_of
from scheduler.store.connections import Connection
from scheduler.store.messages import Attempt
from scheduler.web.callers import FromCaller
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import FROM, TO, Problems, read_bound, read_uuid


class MessageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A message. ``text`` is what left the building, or what would leave now for one that is still planned."""

    id: UUID
    visit_id: UUID
    kind: str
    template: str
    channel: Channel
    language: str
    state: State
    due_at: datetime
    attempts: int
    error_code: str | None
    reason: str | None
    provider_id: str | None
    subject: str
    text: str


class AttemptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    http_status: int | None
    error_code: str | None
    detail: str | None


class MessageWithAttempts(msgspec.Struct, frozen=True, kw_only=True):
    message: MessageAnswer
    attempts: list[AttemptAnswer]


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[MessageAnswer]
    next_cursor: str | None


class MessageController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/messages"
    tags = ["Messages"]  # noqa: RUF012 - Litestar reads it from the class

    @get(operation_id="listMessages", summary="Messages, newest first", responses=PROBLEMS(403, 422))
    async def index(
        self,
        connection: NamedDependency[Connection],
        caller: FromCaller,
        texts: NamedDependency[Texts],
        visit_id: FromQuery[UUID | None] = None,
        status: FromQuery[State | None] = None,
        channel: FromQuery[Channel | None] = None,
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> MessagePage:
        caller.require("messages:read")
        clinic, problems = caller.clinic, Problems()
        bounds = [
            instant_at(read_bound(value, pointer, problems, clinic), clinic.zone).astimezone(UTC) if value else None
            for value, pointer in ((from_, FROM), (to, TO))
        ]
        after = read_uuid(cursor, "?cursor", problems) if cursor else None
        problems.settle()
        found, more = await list_messages(
            connection, clinic, visit_id=visit_id, channel=channel, state=status, due_from=bounds[0],
            due_before=bounds[1], after=after, limit=limit,
        )  # fmt: skip
        return MessagePage(
            items=[message_answer(texts, clinic, message) for message in found],
            next_cursor=str(found[-1].id) if more else None,
        )

    @get("/{message_id:uuid}", operation_id="getMessage", summary="A message and its attempts",
         responses=PROBLEMS(403, 404))  # fmt: skip
    async def show(
        self,
        connection: NamedDependency[Connection],
        caller: FromCaller,
        texts: NamedDependency[Texts],
        message_id: FromPath[UUID],
    ) -> MessageWithAttempts:
        caller.require("messages:read")
        message, attempts = await find_message(connection, caller.clinic, message_id)
        return MessageWithAttempts(
            message=message_answer(texts, caller.clinic, message),
            attempts=[_attempt_answer(caller.clinic, attempt) for attempt in attempts],
        )


def message_answer(texts: Texts, clinic: Clinic, message: Message) -> MessageAnswer:
    """Return a message as the API tells it, without the address it goes to."""
    subject, text = text_of(texts, clinic, message)
    return MessageAnswer(
        id=message.id,
        visit_id=message.visit_id,
        kind=message.kind,
        template=message.template,
        channel=message.channel,
        language=message.language,
        state=message.state,
        due_at=clinic.local(message.not_before),
        attempts=message.attempts,
        error_code=message.error_code,
        reason=message.reason,
        provider_id=message.provider_id,
        subject=subject,
        text=text,
    )


def _attempt_answer(clinic: Clinic, attempt: Attempt) -> AttemptAnswer:
    return AttemptAnswer(
        number=attempt.number,
        started_at=clinic.local(attempt.started_at),
        finished_at=clinic.local(attempt.finished_at) if attempt.finished_at else None,
        outcome=attempt.outcome,
        http_status=attempt.http_status,
        error_code=attempt.error_code,
        detail=attempt.detail,
    )
