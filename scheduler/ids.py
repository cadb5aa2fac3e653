"""Identifiers made in the application, so that a row is known by name before it is written."""

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits.

    Ids sort by the moment they were made, which keeps index inserts at the right edge, and they exist
    before the transaction does, so a lost COMMIT acknowledgement can be looked up instead of guessed at.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high_random = (random >> 62) & 0xFFF
    low_random = random & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (high_random << 64) | (0b10 << 62) | low_random)
