"""What clients asked for, how often they had to, and what they were told: the first of the four records.

Each asks in their own words (a marker that is nobody's name), under a key, and again until they are told, or give up.
What nobody told them is unknown: it may have happened.
"""

import itertools
import json
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

Outcome = Literal["told", "refused", "unknown"]


class Try(msgspec.Struct, kw_only=True):
    """One request. ``began`` and ``ended`` are seconds of the monotonic clock; ``status`` is None without an answer."""

    web: str
    began: float
    ended: float
    status: int | None = None
    error: str = ""


class Ask(msgspec.Struct, kw_only=True):
    """One thing that a client wants, and all its tries.

    ``what`` is the action; ``visit`` and ``version`` are what it is about and as it was last seen; ``wants`` is what
    was sent. ``ids`` are all the ids that were told under its key. ``gave_up`` is whether nobody told the client in the
    end, so that the outcome is what the database says (``doubts``).
    """

    number: int
    client: str
    what: str
    marker: str = ""
    key: str = ""
    visit: str = ""
    version: int = 0
    wants: dict[str, Any] = {}
    at: float = 0.0
    tries: list[Try] = []
    outcome: Outcome = "unknown"
    told: dict[str, Any] = {}
    ids: list[str] = []
    gave_up: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether it was ever in doubt: some try had no answer that decides."""
        return any(one.status is None or one.status >= 500 for one in self.tries)


class Known(msgspec.Struct, kw_only=True):
    """A visit as the clients last heard of it."""

    id: str
    version: int
    starts_at: str
    visit_type: str
    therapist: str
    phone: str
    texts: bool
    live: bool = True
    taken: bool = False


class Journal:
    """All that was asked, and what about it was wrong at once: an answer that breaks a promise by itself."""

    def __init__(self, path: Path) -> None:
        self.asks: list[Ask] = []
        self.visits: dict[str, Known] = {}
        self.complaints: list[str] = []
        self.markers: list[str] = []
        # Whether it is too late to ask once more: all had time for it since the last fault.
        self.closed = False
        self._path = path
        self._numbers = itertools.count(1)

    def ask(self, client: str, what: str, **more: Any) -> Ask:
        ask = Ask(number=next(self._numbers), client=client, what=what, at=time.time(), tries=[], ids=[], **more)
        self.asks.append(ask)
        return ask

    def complain(self, words: str) -> None:
        self.complaints.append(words)

    def write(self) -> None:
        """Put the whole journal into its file, one line each."""
        with self._path.open("w", encoding="utf-8") as file:
            for ask in self.asks:
                file.write(json.dumps(msgspec.to_builtins(ask)) + "\n")

    @property
    def tries(self) -> list[Try]:
        return [one for ask in self.asks for one in ask.tries]
