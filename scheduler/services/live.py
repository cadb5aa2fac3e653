"""Open boards hear of changes: the database tells a process, and the process everybody who watches.

What travels is which clinic and which date, nothing of a patient: whoever hears it reads the board again, and is
shown what they may see.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date
from typing import Literal
from uuid import UUID

from scheduler.store.listening import MISSED

# The channel of NOTIFY, as the triggers of migration 0014 have it.
BOARDS = "boards"

# What changes in bursts, as when a file is applied, is told once in so many seconds; the first change at once.
PAUSE_SECONDS = 0.25

# A watcher hears something at least so often: then it knows that it hears, and no proxy thinks it idle.
BEAT_SECONDS = 15.0

Heard = Literal["changed", "beat"]


class _Watch:
    """One open board: of which clinic, from which date to which, and whether it has something to hear."""

    def __init__(self, clinic_id: UUID, first: date, last: date) -> None:
        self.clinic_id = str(clinic_id)
        self.first, self.last = first.isoformat(), last.isoformat()
        self.woken = asyncio.Event()


class LiveBoards:
    """Everybody who watches a board in this process."""

    def __init__(self) -> None:
        self._watches: set[_Watch] = set()
        self._listening = False
        self._closed = False

    @property
    def watchers(self) -> int:
        return len(self._watches)

    def hear(self, told: str) -> None:
        """Pass on what a trigger said: a clinic's id, and one of its dates or none for all of them.

        ``MISSED`` is heard once the database can be heard again: what happened before is not known, so everybody
        looks again.
        """
        if told == MISSED:
            self._listening = True
            self._wake()
            return
        clinic_id, _, day = told.partition(" ")
        for watch in self._watches:
            if watch.clinic_id == clinic_id and (not day or watch.first <= day <= watch.last):
                watch.woken.set()

    def lost(self) -> None:
        """The database is not heard any more; whoever watches will miss the beat."""
        self._listening = False

    def close(self) -> None:
        """End every watch, because the process is about to."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        for watch in self._watches:
            watch.woken.set()

    async def watch(self, clinic_id: UUID, first: date, last: date) -> AsyncGenerator[Heard]:
        """Yield at once, then whenever one of these dates has changed, and a beat now and then while all is well."""
        watch = _Watch(clinic_id, first, last)
        self._watches.add(watch)
        try:
            if self._listening:
                yield "beat"
            while not self._closed:
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        await watch.woken.wait()
                except TimeoutError:
                    if self._listening:
                        yield "beat"
                    continue
                watch.woken.clear()
                if not self._closed:
                    yield "changed"
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._watches.discard(watch)
