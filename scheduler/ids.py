"""Identifiers made in the application, so that a row is known by name before it is written."""

import os
import threading
import time
from datetime import datetime
from uuid import UUID, uuid4

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562, method 3): 48 bits of Unix milliseconds, 12 of their fraction, 62 random bits.

    Ids sort by the moment they were made, and those of one process strictly so: messages to one address leave in
    the order of their ids. They exist before the transaction does, so a lost COMMIT acknowledgement can be looked
    up instead of guessed at.
    """
    global _last  # noqa: PLW0603 - the order within a process is the point
    with _lock:
        # The upper 60 bits count 1/4096 of a millisecond.
        _last = max(_last + 1, (time.time_ns() << 12) // 1_000_000)
        ticks = _last
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=(ticks >> 12 << 80) | (0x7 << 76) | ((ticks & 0xFFF) << 64) | (0b10 << 62) | random)


def new_id_without_time() -> UUID:
    """Return a UUIDv4, for rows whose ids strangers are told: nobody reads from it since when there is such a row."""
    return uuid4()


def first_id(moment: datetime) -> UUID:
    """Return what every id sorts after that is made from a moment on, to the millisecond."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
