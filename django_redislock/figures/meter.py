"""Meter that counts what happens in this process, until the counts are sent to the backend."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import RLock
from typing import NamedTuple

from .families import OTHER, family_of
from .tallies import MOST_FAMILIES, Tally

__all__ = ["BATCH", "Batch", "Meter"]

# How many events are counted at a time. Counting them one by one while a lock is held costs three
# times as much.
BATCH = 64


class Batch(NamedTuple):
    """Counts that are sent together. A batch that arrives twice, by its ``key``, counts once."""

    key: str
    tallies: Mapping[str, Tally]


class Meter:
    """Adds up what happens to locks, by the families of their names."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Count from zero. A forked child leaves the counts of its parent to the parent."""
        # Reentrant: a signal handler may use locks while its thread is in here.
        self._mutex = RLock()
        # The events that are not counted yet: the ``Tally`` method that counts one, the name of
        # the lock, and seconds. A deque, whose appends and pops are atomic.
        self.events: deque[tuple[Callable[[Tally, float], None], str, float]] = deque()
        self._tallies: dict[str, Tally] = {}
        # Whether a job will send the counts. Set when there is one: an interrupted caller has none.
        self.is_scheduled = False

    def take(self) -> Batch:
        """Return the counts since the last call."""
        self.is_scheduled = False
        with self._mutex:
            self.count()
            taken, self._tallies = self._tallies, {}
        return Batch(secrets.token_hex(8), taken)

    def count(self) -> None:
        """Count the events. Callers do so when there are ``BATCH`` of them."""
        events = self.events
        # Most batches are about few names.
        known: dict[str, Tally] = {}
        with self._mutex, suppress(IndexError):
            while True:  # until there are no more
                count, name, seconds = events.popleft()
                tally = known.get(name)
                if tally is None:
                    tally = known[name] = self._tally(family_of(name))
                count(tally, seconds)

    def _tally(self, family: str) -> Tally:
        tallies = self._tallies
        tally = tallies.get(family)
        if tally is None:
            if len(tallies) >= MOST_FAMILIES:
                family = OTHER
            tally = tallies.setdefault(family, Tally())
        return tally
