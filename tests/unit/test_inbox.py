"""What is done first about each thing that waits for the desk."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from scheduler.domain.desk_tasks import TASK_KINDS, TaskKind
from scheduler.domain.inbox import Item, Person, Sent, Step, VisitBeside, first_step, may_fix, may_resend
from scheduler.domain.messages import State
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


# What the desk does first about each kind of task, where somebody can be called and a visit is to come.
FIRST: dict[TaskKind, Step] = {
    "undeliverable": "call",
    "not-reminded": "call",
    "wants-to-move": "move",
    "may-want-to-cancel": "call",
    "which-visit": "call",
    "channel-paused": "health",
    "sent-twice": "health",
    "same-day-twice": "call",
    "call-back": "call",
}


@pytest.mark.parametrize("kind", get_args(TaskKind))
def test_every_kind_of_task_says_what_to_do(kind: TaskKind) -> None:
    assert TASK_KINDS[kind]
    assert first_step(task(kind), NOW) == FIRST[kind]


def test_no_other_kind_of_task_is_ever_opened() -> None:
    assert set(TASK_KINDS) == set(get_args(TaskKind))


def test_a_text_of_a_patient_is_read_and_crossed_off() -> None:
    reply = Item(
        sort="reply", id=new_id(), at=NOW, kind="wants-to-move", reason="", patient=ASH, visits=(VISIT,), text="Hm"
    )
    assert first_step(reply, NOW) == "done"


def test_somebody_can_be_called_by_their_number_a_visit_or_the_number_they_wrote_from() -> None:
    nobody = task("call-back", visits=(), patient=None)
    assert not nobody.can_be_called
    assert task("call-back", visits=()).can_be_called
    assert task("call-back", patient=None).can_be_called
    assert msgspec.structs.replace(nobody, sender_ending="0142").can_be_called
    assert first_step(msgspec.structs.replace(nobody, sender_ending="0142"), NOW) == "call"


def test_one_visit_that_is_still_to_come_is_enough_and_one_that_begins_now_is_not() -> None:
    assert first_step(failure(visits=(PAST, VISIT)), NOW) == "call"
    now = msgspec.structs.replace(VISIT, starts_at=NOW)
    assert first_step(failure(visits=(now,)), NOW) == "done"


def test_whoever_it_may_be_about_is_named_once() -> None:
    bo = msgspec.structs.replace(ASH, id=new_id(), given_name="Bo")
    of_bo = msgspec.structs.replace(VISIT, patient=bo)
    assert task("which-visit", visits=(VISIT, of_bo, PAST), patient=None).people == [ASH, bo]
    assert task("which-visit", visits=(of_bo,)).people == [ASH]
    assert task("which-visit", visits=(), patient=None).people == []


@pytest.mark.parametrize("state", get_args(State))
def test_only_what_did_not_arrive_is_offered_again(state: State) -> None:
    assert may_resend(failure(state=state), NOW) is (state in ("undelivered", "failed", "suppressed", "dead"))


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
        (failure(patient=msgspec.structs.replace(ASH, texts=False)), False),
        (failure(patient=None), True),
        (failure(expires_at=NOW + timedelta(seconds=1)), True),
        (task("wants-to-move"), False),
    ],
)
def test_sending_again_is_offered_where_it_can_help(item: Item, *, offered: bool) -> None:
    assert may_resend(item, NOW) is offered


def test_an_address_is_mended_only_for_a_patient() -> None:
    assert may_fix(failure())
    assert not may_fix(failure(patient=None))
    assert not may_fix(task("wants-to-move"))
