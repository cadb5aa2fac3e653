"""What the clinic of the model is: its file as a person reads it, and what follows from that alone."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CLINIC_FILE = Path(__file__).with_name("clinic.toml")

DAY = 24 * 60
GRID = 15
UNDO_MINUTES = 10
GRACE_MINUTES = 10
CHECK_IN_MINUTES = 60
EXTENSIONS = 10
ALTERNATIVES = 5

# What each action makes of each status, as the API contract has it.
STEPS = {
    ("confirm", "booked"): "confirmed",
    ("confirm", "confirmed"): "confirmed",
    ("reschedule", "booked"): "booked",
    ("reschedule", "confirmed"): "booked",
    ("cancel", "booked"): "cancelled",
    ("cancel", "confirmed"): "cancelled",
    ("arrive", "booked"): "arrived",
    ("arrive", "confirmed"): "arrived",
    ("complete", "arrived"): "completed",
    ("no_show", "booked"): "no_show",
    ("no_show", "confirmed"): "no_show",
}
LIVE = ("held", "booked", "confirmed", "arrived")

FACTS = tomllib.loads(CLINIC_FILE.read_text(encoding="utf-8"))
KIND_FACTS: dict[str, dict[str, Any]] = FACTS["visit_types"]
THERAPIST_FACTS: dict[str, dict[str, Any]] = FACTS["therapists"]

KINDS = list(KIND_FACTS)
THERAPISTS = list(THERAPIST_FACTS)
ROOMS = list(FACTS["rooms"])


def may_perform(therapist: str, kind: str) -> bool:
    needed, held = KIND_FACTS[kind].get("credential"), THERAPIST_FACTS[therapist]["credential"]
    return kind in THERAPIST_FACTS[therapist]["performs"] and (needed != "PT" or held == "PT")


def duration(kind: str) -> int:
    return KIND_FACTS[kind]["duration_minutes"]


def with_buffers(kind: str, starts: int) -> tuple[int, int]:
    before, after = KIND_FACTS[kind].get("buffer_before_minutes", 0), KIND_FACTS[kind].get("buffer_after_minutes", 0)
    return starts - before, starts + duration(kind) + after


def is_online(kind: str) -> bool:
    return KIND_FACTS[kind]["online"]


def needs_room(kind: str) -> bool:
    return "room_kind" in KIND_FACTS[kind]


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def works(therapist: str, first: int, last: int) -> bool:
    """Whether one window has it all. The windows are those of every day, and none runs past midnight."""
    return any(
        _clock(window["from"]) <= first % DAY and first % DAY + last - first <= _clock(window["to"])
        for window in THERAPIST_FACTS[therapist]["hours"]
    )


def _clock(text: str) -> int:
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)


def of_kind(what: str, kind: str) -> Iterable[str]:
    return (code for code, entry in FACTS[what].items() if entry["kind"] == kind)
