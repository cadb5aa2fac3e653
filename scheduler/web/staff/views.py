"""Which board is shown and what is open beside it. The address says all of it, so Back works, and no script is needed.

    /staff/day/2026-12-08                    everybody's day
    /staff/week/rivera/2026-12-08            one therapist's week
    ?sel=ID  ?sel=ID&do=cancel               a visit, and a form about it
    ?move=ID                                 a visit on the move; it stays so from day to day
    ?new=1&who=rivera&at=...&patient=ID      a visit that is to be booked
    ?find=1&kind=...&after=16:00             open times that fit a wish
    ?block=rivera&at=...&until=...           time off that is to be noted
    ?away=ID                                 time off, and whom it affects
    &did=arrive                              what was done just now
    &did=called&undo=failure/ID              what was done about a message, and may be taken back

No name and no phone is ever part of it.
"""

import re
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import msgspec

from scheduler.errors import NotFound

_ADDRESS = re.compile(r"/staff/(?:day|week/(?P<therapist>[a-z0-9-]{1,60}))/(?P<day>\d{4}-\d{2}-\d{2})(?:/.*)?")

# Everything that an address may say; each is short, and none is about a person but by an id.
_NAMES = frozenset(
    """sel do move new who at kind patient found find from after before block until away did undo""".split()
)
_LONGEST = 60

# Calendars end somewhere, and slips of the keyboard lie beyond.
_YEARS = range(2000, 2200)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A board: the day, or the week of a therapist (their code) around it, and what its address asks for besides."""

    day: date
    therapist: str = ""
    asked: dict[str, str] = {}

    @property
    def path(self) -> str:
        return self._path(self.day)

    @property
    def here(self) -> str:
        """The address of just this."""
        return _with(self.path, self.asked)

    def get(self, name: str) -> str:
        return self.asked.get(name, "")

    def id(self, name: str) -> UUID | None:
        """Return an id that the address gives, or None where it gives none."""
        try:
            return UUID(self.get(name))
        except ValueError:
            return None

    def to(self, **asked: Any) -> str:
        """Return the address of the same board with only this beside it."""
        return _with(self.path, asked)

    def but(self, **asked: Any) -> str:
        """Return the address of the same board and panel, with these changed, or left out where they are None."""
        return _with(self.path, {**self.asked, "did": None, "undo": None, **asked})

    def on(self, day: date) -> str:
        """Return the address of another day. A visit that is selected stays there; one on the move comes along."""
        kept = {name: value for name, value in self.asked.items() if name in ("move", "find", "kind", "who", "after",
                                                                              "before", "from")}  # fmt: skip
        return _with(self._path(day), kept if "move" in kept or "find" in kept else {})

    def _path(self, day: date) -> str:
        return f"/staff/week/{self.therapist}/{day}" if self.therapist else f"/staff/day/{day}"


def read_view(address: str) -> View:
    """Return the view that an address shows. Raises NotFound."""
    parts = urlsplit(address)
    found = _ADDRESS.fullmatch(parts.path)
    if found is None:
        raise NotFound
    asked = {name: value[:_LONGEST] for name, value in parse_qsl(parts.query) if name in _NAMES and value}
    return View(day=read_day_of(found["day"]), therapist=found["therapist"] or "", asked=asked)


def read_day_of(text: str) -> date:
    """Return the date that an address names. Raises NotFound."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise NotFound from None
    if day.year not in _YEARS:
        raise NotFound
    return day


def day_view(day: date, **asked: Any) -> View:
    return View(day=day, asked={name: str(value) for name, value in asked.items() if value not in (None, "")})


def _with(path: str, asked: dict[str, Any]) -> str:
    query = urlencode({name: value for name, value in asked.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path
