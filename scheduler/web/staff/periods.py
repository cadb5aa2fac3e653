"""From when until when: two dates of a form, and the links that fill them in."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from scheduler.domain.clinics import Clinic
from scheduler.domain.times import day_end, day_start, instant_at

LONGEST_DAYS = 800


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Dates of the clinic, both included; ``typed`` is what stands in the fields, ``problems`` what is wrong there."""

    first: date
    last: date
    typed: dict[str, str]
    problems: dict[str, str]

    def query(self) -> str:
        """Return the part of an address that asks for this again."""
        return urlencode(self.typed)

    def starts(self, clinic: Clinic) -> datetime:
        return instant_at(day_start(self.first, clinic.zone), clinic.zone)

    def ends(self, clinic: Clinic) -> datetime:
        return instant_at(day_end(self.last, clinic.zone), clinic.zone)


def read_period(query: Mapping[str, str], *, today: date, days: int, longest: int = LONGEST_DAYS) -> Period:
    """Return the period that ``from`` and ``to`` say, or the last so many days, today included.

    Where they do not say one, the usual period is shown and the fields say what is wrong.
    """
    first, last = today - timedelta(days=days - 1), today
    typed = {"from": query.get("from") or first.isoformat(), "to": query.get("to") or last.isoformat()}
    problems: dict[str, str] = {}
    read = {name: _read(text) for name, text in typed.items()}
    for name, found in read.items():
        if found is None:
            problems[name] = "Enter a date like 2026-12-08."
    if read["from"] and read["to"]:
        if read["from"] > read["to"]:
            problems["to"] = "This date is before the first one."
        elif (read["to"] - read["from"]).days >= longest:
            problems["to"] = f"Ask for {longest} days at most."
        else:
            first, last = read["from"], read["to"]
    return Period(first=first, last=last, typed=typed, problems=problems)


def _read(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if text == found.isoformat() and 2000 <= found.year <= 2100 else None  # noqa: PLR2004 - any would do


def usual_periods(address: str, query: Mapping[str, str], *, today: date) -> list[tuple[str, str]]:
    """Return (label, address) of the periods that people ask for; whatever else is asked for stays."""
    others = {name: value for name, value in query.items() if name not in ("from", "to", "before") and value}
    month = today.replace(day=1)
    before = (month - timedelta(days=1)).replace(day=1)
    choices = [
        ("Today", today, today),
        ("7 days", today - timedelta(days=6), today),
        ("28 days", today - timedelta(days=27), today),
        ("This month", month, today),
        ("Last month", before, month - timedelta(days=1)),
    ]
    return [
        (label, f"{address}?{urlencode({**others, 'from': first.isoformat(), 'to': last.isoformat()})}")
        for label, first, last in choices
    ]
