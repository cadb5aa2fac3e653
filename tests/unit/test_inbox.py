"""What is done first about each thing that waits for the desk."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from scheduler.domain.desk_tasks import TASK_KINDS
from scheduler.domain.inbox import Item, Person, Sent, VisitBeside, first_step, may_fix, may_resend
from scheduler.ids import new_id

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)

ASH = Person(id=new_id(), given_name="Ash", family_name="Sample", phone_ending="0142", language="en", texts=True)
VISIT = VisitBeside(
    id=new_id(), starts_at=NOW + timedelta(days=1), status="booked", visit_type="eval-run", therapist_id=new_id(),
    patient=ASH,
)  # fmt: skip
PAST = msgspec.structs.replace(VISIT, starts_at=NOW - timedelta(minutes=1))
TEXT = Sent(
    id=new_id(), channel="sms", kind="reminder", template="reminder_24h", language="en", state="undelivered",
    not_before=NOW, expires_at=NOW + timedelta(hours=12), finished_at=NOW, attempts=1, error_code="30007",
    reason="No.", handled_at=None, handled_by=None, phone_ending="0142", unreachable=False, mailed=None, again=None,
)  # fmt: skip


def failure(*, visits: tuple[VisitBeside, ...] = (VISIT,), patient: Person | None = ASH, **changes: Any) -> Item:
    message = msgspec.structs.replace(TEXT, **changes)
    return Item(
        sort="failure", id=message.id, at=NOW, kind=message.kind, reason="No.", patient=patient, visits=visits,
        message=message,
    )  # fmt: skip


def task(kind: str, *, visits: tuple[VisitBeside, ...] = (VISIT,), patient: Person | None = ASH) -> Item:
    return Item(sort="task", id=new_id(), at=NOW, kind=kind, reason="Why.", patient=patient, visits=visits)


@pytest.mark.parametrize(
    ("item", "step"),
    [
        (failure(), "call"),
        (failure(unreachable=True), "fix"),
        (failure(visits=(PAST,)), "done"),
        (failure(visits=(PAST,), unreachable=True), "done"),
        (failure(visits=(), patient=None), "done"),
        (task("wants-to-move"), "move"),
        (task("wants-to-move", visits=()), "call"),
        (task("may-want-to-cancel"), "call"),
        (task("which-visit", visits=(), patient=None), "done"),
        (task("channel-paused", visits=(), patient=None), "health"),
        (task("of-a-newer-release"), "done"),
    ],
)
def test_what_is_done_first(item: Item, step: str) -> None:
    assert first_step(item, NOW) == step


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_every_kind_of_task_says_what_to_do(kind: str) -> None:
    assert first_step(task(kind), NOW) != "done"


@pytest.mark.parametrize(
    ("item", "offered"),
    [
        (failure(), True),
        (failure(state="dead"), True),
        (failure(state="expired"), False),
        (failure(again="pending"), False),
        (failure(unreachable=True), False),
        (failure(expires_at=NOW), False),
        (failure(visits=()), False),
        # A text to somebody who has not agreed would not leave; an email asks for no agreement.
        (failure(patient=msgspec.structs.replace(ASH, texts=None)), False),
        (failure(patient=msgspec.structs.replace(ASH, texts=None), channel="email"), True),
        (task("wants-to-move"), False),
    ],
)
def test_sending_again_is_offered_where_it_can_help(item: Item, *, offered: bool) -> None:
    assert may_resend(item, NOW) is offered


def test_an_address_is_mended_only_for_a_patient() -> None:
    assert may_fix(failure())
    assert not may_fix(failure(patient=None))
    assert not may_fix(task("wants-to-move"))
