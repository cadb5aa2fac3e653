"""What a person at the desk should see to."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from scheduler.domain.clinics import Clinic
from scheduler.domain.desk_tasks import TASK_KINDS, TaskKind
from scheduler.services.desk_tasks import ToDo, handle_task, list_tasks
from scheduler.store.connections import Connection
from scheduler.web.api.visit_bodies import PatientAnswer
from scheduler.web.callers import FromCaller
from scheduler.web.idempotency import FromPosting, answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import Problems, read_uuid

_KINDS = "; ".join(f"`{kind}`: {words}" for kind, words in TASK_KINDS.items())


class TaskAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Something to see to. ``reason`` says why; the ids and the patient are of what it is about, where known."""

    id: UUID
    kind: str
    reason: str
    created_at: datetime
    visit_id: UUID | None
    patient: PatientAnswer | None
    message_id: UUID | None
    inbound_id: UUID | None
    open: bool
    handled_at: datetime | None
    handled_by: str | None


class TaskPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of tasks; ``next_cursor`` leads to the next one, null on the last."""

    items: list[TaskAnswer]
    next_cursor: str | None


class TaskController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/tasks"
    tags = ["Messages"]  # noqa: RUF012 - Litestar reads it from the class

    @get(operation_id="listTasks", summary="What a person should see to, newest first", responses=PROBLEMS(403, 422),
         description=f"List what cannot be settled without a person. The kinds are {_KINDS}.")  # fmt: skip
    async def index(
        self,
        connection: NamedDependency[Connection],
        caller: FromCaller,
        open_: Annotated[bool | None, QueryParameter(name="open")] = None,
        kind: Annotated[TaskKind | None, QueryParameter(description="Only tasks of this kind")] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> TaskPage:
        """List what cannot be settled without a person."""
        caller.require("messages:read")
        problems = Problems()
        after = read_uuid(cursor, "?cursor", problems) if cursor is not None else None
        problems.settle()
        found, more = await list_tasks(
            connection, caller.clinic, is_open=open_, kind=kind, after=after, limit=limit, actor=caller.actor
        )
        return TaskPage(
            items=[task_answer(caller.clinic, todo) for todo in found],
            next_cursor=str(found[-1].task.id) if more else None,
        )

    @post("/{task_id:uuid}/handled", operation_id="handleTask", summary="Cross off a task",
          status_code=200, responses=PROBLEMS(403, 404))  # fmt: skip
    async def handled(self, posting: FromPosting, task_id: FromPath[UUID]) -> Response[TaskAnswer]:
        """Note that a person has seen to a task; again changes nothing."""
        caller = posting.caller
        caller.require("messages:write")

        async def produce() -> Response[TaskAnswer]:
            todo = await handle_task(posting.connection, caller.clinic, task_id, actor=caller.actor)
            return Response(task_answer(caller.clinic, todo), status_code=200)

        return await answer_once(posting, produce)


def task_answer(clinic: Clinic, todo: ToDo) -> TaskAnswer:
    """Return a task as the API tells it, in clinic time."""
    task, patient = todo.task, todo.patient
    return TaskAnswer(
        id=task.id,
        kind=task.kind,
        reason=task.reason,
        created_at=clinic.local(task.created_at),
        visit_id=task.visit_id,
        patient=PatientAnswer(id=patient.id, display_name=patient.display_name) if patient else None,
        message_id=task.message_id,
        inbound_id=task.inbound_id,
        open=task.open,
        handled_at=clinic.local(task.handled_at) if task.handled_at else None,
        handled_by=task.handled_by,
    )
