"""How what was written to a patient looks beside their visit."""

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

import pytest

from scheduler.domain.messages import State
from scheduler.domain.trails import Entry

# In the words of the card: what the desk can rely on is "sent", what may still go "planned".
LOOKS = {
    "sent": {"sending", "sent", "delivered"},
    "planned": {"pending", "unknown"},
    "failed": {"undelivered", "failed", "dead"},
    "off": {"suppressed", "expired", "cancelled"},
}


def entry(state: State | None) -> Entry:
    at = datetime(2026, 11, 23, 15, tzinfo=UTC)
    return Entry(id=UUID(int=1), at=at, channel="sms", kind="reminder", state=state, reason=None, open=False)


@pytest.mark.parametrize("state", get_args(State))
def test_every_state_of_a_message_has_one_look(state: State) -> None:
    assert [look for look, states in LOOKS.items() if state in states] == [entry(state).look]


def test_what_a_patient_wrote_came_in() -> None:
    assert entry(None).look == "in"
