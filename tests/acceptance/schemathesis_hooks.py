"""What schemathesis cannot draw from a schema: codes of the clinic, times that are open, people with real numbers.

It loads this file by itself, in a process of its own. Only requests that are meant to be sound are touched, and only
in what they say, so that they reach visits, patients and messages instead of a list of refusals.
"""

import itertools
import json
import os
from typing import Any, cast

import schemathesis

WORLD: dict[str, list[str]] = json.loads(os.environ["SCHEMATHESIS_WORLD"])

# Every name has its values one after the other, in the same order in every run.
_NEXT = {name: itertools.cycle(values) for name, values in WORLD.items()}

_ASH = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142", "email": "ash@example.com"}
_SHORTEST_TOKEN = 30


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Put real values in the place of made-up ones, in a request that is to be accepted."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    _make_real(case.query)
    _make_real(case.body)
    if case.meta.phase.name.value != "stateful":
        # There the steps before have said which visit it is and which version of it they saw.
        _make_real(case.path_parameters)
        if case.headers and "If-Match" in case.headers:
            case.headers["If-Match"] = '"1"'
    if case.operation.definition.raw.get("operationId") == "bookVisit" and isinstance(case.body, dict):
        _book_something(cast("dict[str, Any]", case.body))


def _make_real(part: Any) -> None:
    if isinstance(part, list):
        for inner in cast("list[Any]", part):
            _make_real(inner)
    elif isinstance(part, dict):
        members = cast("dict[str, Any]", part)
        for name, value in members.items():
            if name in _NEXT and isinstance(value, str):
                members[name] = next(_NEXT[name])
            else:
                _make_real(value)


def _book_something(body: dict[str, Any]) -> None:
    """Let a booking be one from the hold that the step before made, or a direct one."""
    if len(str(body.get("hold_token", ""))) < _SHORTEST_TOKEN:
        body.clear()
        body.update(visit_type="eval-run", starts_at=next(_NEXT["starts_at"]), patient=_ASH)
