"""Messages: what was planned, what went out, and why something did not."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.datastructures import State as AppState
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from scheduler.channels.segments import count
from scheduler.channels.texts import Texts
from scheduler.domain.clinics import Channel, Clinic, Language
from scheduler.domain.messages import Message, State
from scheduler.errors import MessageOutdated, MessageWrongState
from scheduler.services import messages as services
from scheduler.store.connections import Connection
from scheduler.store.messages import Attempt
from scheduler.web.callers import FromCaller, FromNow
from scheduler.web.idempotency import FromPosting, answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import Problems, read_bounds, read_uuid


class MessageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A message. ``text`` is what left the building, or what would leave now for one that is still planned."""

    id: UUID
    visit_id: UUID | None
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
    handled_at: datetime | None
    handled_by: str | None
    resend_of: UUID | None


class AttemptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One try at sending a message, and what the provider said."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    http_status: int | None
    error_code: str | None
    detail: str | None


class MessageWithAttempts(msgspec.Struct, frozen=True, kw_only=True):
    """A message and every try at sending it, in order."""

    message: MessageAnswer
    attempts: list[AttemptAnswer]


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of messages; ``next_cursor`` leads to the next one, null on the last."""

    items: list[MessageAnswer]
    next_cursor: str | None


class MessagePreview(msgspec.Struct, frozen=True, kw_only=True):
    """A text with a sample visit filled in, and what it costs by SMS; an email has no encoding and no segments."""

    kind: str
    channel: Channel
    language: Language
    subject: str
    text: str
    encoding: Literal["GSM-7", "UCS-2"] | None
    units: int | None
    segments: int | None


FromConnection = NamedDependency[Connection]
FromTexts = NamedDependency[Texts]


class MessageController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/messages"
    tags = ["Messages"]  # noqa: RUF012 - Litestar reads it from the class

    @get(operation_id="listMessages", summary="Messages, newest first", responses=PROBLEMS(403, 422))
    async def index(
        self,
        connection: FromConnection,
        caller: FromCaller,
        texts: FromTexts,
        visit_id: FromQuery[UUID | None] = None,
        status: FromQuery[State | None] = None,
        channel: FromQuery[Channel | None] = None,
        needs_attention: FromQuery[bool | None] = None,
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> MessagePage:
        """List what is planned, what went out and what failed; `from` and `to` bound the moment it is due.

        Those that need attention failed for good (`failed`, `dead`, `undelivered`) and nobody has seen to them yet.
        """
        caller.require("messages:read")
        clinic, problems = caller.clinic, Problems()
        due_from, due_before = read_bounds(from_, to, problems, clinic)
        after = read_uuid(cursor, "?cursor", problems) if cursor is not None else None
        problems.settle()
        found, more = await services.list_messages(
            connection, clinic, visit_id=visit_id, channel=channel, state=status, due_from=due_from,
            due_before=due_before, needs_attention=needs_attention, after=after, limit=limit, actor=caller.actor,
        )  # fmt: skip
        return MessagePage(
            items=[message_answer(texts, clinic, message) for message in found],
            next_cursor=str(found[-1].id) if more else None,
        )

    @get("/preview", operation_id="previewMessage", summary="Any text with sample data", responses=PROBLEMS(403, 422))
    async def preview(
        self,
        caller: FromCaller,
        texts: FromTexts,
        state: AppState,
        now: FromNow,
        kind: FromQuery[str],
        language: FromQuery[Language | None] = None,
        channel: FromQuery[Channel] = "sms",
    ) -> MessagePreview:
        """Fill a text of the clinic with a sample visit, and count the segments that it costs by SMS.

        An unknown kind is refused with the names of those that there are.
        """
        caller.require("messages:read")
        language, problems = language or caller.clinic.settings.languages[0], Problems()
        known = texts.languages[language][channel]
        if kind not in known:
            problems.add("?kind", "kind-unknown", f"There is no such text; choose from {', '.join(known)}")
        problems.settle()
        rendered = services.sample(
            texts, caller.clinic, kind, channel, language, base_url=state.settings.public_base_url, now=now
        )
        cost = count(rendered.text) if channel == "sms" else None
        return MessagePreview(
            kind=kind,
            channel=channel,
            language=language,
            subject=rendered.subject,
            text=rendered.text,
            encoding=cost.encoding if cost else None,
            units=cost.units if cost else None,
            segments=cost.segments if cost else None,
        )

    @get("/{message_id:uuid}", operation_id="getMessage", summary="A message and its attempts",
         responses=PROBLEMS(403, 404))  # fmt: skip
    async def show(
        self, connection: FromConnection, caller: FromCaller, texts: FromTexts, message_id: FromPath[UUID]
    ) -> MessageWithAttempts:
        """Read one message with every attempt at sending it, and what the provider said, in plain words."""
        caller.require("messages:read")
        message, attempts = await services.find_message(connection, caller.clinic, message_id, actor=caller.actor)
        return MessageWithAttempts(
            message=message_answer(texts, caller.clinic, message),
            attempts=[_attempt_answer(caller.clinic, attempt) for attempt in attempts],
        )

    @post("/{message_id:uuid}/resend", operation_id="resendMessage", summary="Send a message that failed once more",
          responses=PROBLEMS(403, 404, MessageWrongState, MessageOutdated))  # fmt: skip
    async def resend(
        self, posting: FromPosting, texts: FromTexts, message_id: FromPath[UUID]
    ) -> Response[MessageAnswer]:
        """Plan a new message with the same facts, to where the patient is reached today; the old one is crossed off.

        Only for one that did not arrive (`failed`, `dead`, `undelivered`, `suppressed`), once, and while the visit is
        still as it says. Consent and the hours for texts are judged when it leaves, as for every message.
        """
        caller = posting.caller
        caller.require("messages:write")

        async def produce() -> Response[MessageAnswer]:
            message = await services.resend(
                posting.connection, caller.clinic, message_id, actor=caller.actor, now=posting.now
            )
            location = f"/api/v1/messages/{message.id}"
            answer = message_answer(texts, caller.clinic, message)
            return Response(answer, status_code=201, headers={"Location": location})

        return await answer_once(posting, produce)

    @post("/{message_id:uuid}/handled", operation_id="handleMessage", summary="Cross off a message that failed",
          status_code=200, responses=PROBLEMS(403, 404, MessageWrongState))  # fmt: skip
    async def handled(
        self, posting: FromPosting, texts: FromTexts, message_id: FromPath[UUID]
    ) -> Response[MessageAnswer]:
        """Note that a person has seen to a message that did not arrive; again changes nothing.

        One that is still under way cannot be crossed off: if it failed later, nobody would hear of it.
        """
        caller = posting.caller
        caller.require("messages:write")

        async def produce() -> Response[MessageAnswer]:
            message = await services.handle(posting.connection, caller.clinic, message_id, actor=caller.actor)
            return Response(message_answer(texts, caller.clinic, message), status_code=200)

        return await answer_once(posting, produce)


def message_answer(texts: Texts, clinic: Clinic, message: Message) -> MessageAnswer:
    """Return a message as the API tells it, without the address it goes to."""
    subject, text = services.text_of(texts, clinic, message)
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
        handled_at=clinic.local(message.handled_at) if message.handled_at else None,
        handled_by=message.handled_by,
        resend_of=message.resend_of,
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
