"""Meter of one process and backend, between two times at which it tells the backend."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import RLock
from typing import NamedTuple

from .families import OTHER, family_of
from .tallies import MOST_FAMILIES, Tally

__all__ = ["Batch", "Meter"]

# How many events are counted at a time: one after the other while a lock is held costs three times
# as much as together.
BATCH = 64


class Batch(NamedTuple):
    """What is told at once. One that arrives again, by the same ``key``, is not counted again."""

    key: str
    tallies: Mapping[str, Tally]


class Meter:
    """Adds up what happens to locks, by the families of their names."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Count from zero: a forked child leaves to its parent what that has counted."""
        # Reentrant: a signal handler may use locks while its thread is in here.
        self._mutex = RLock()
        # Appending to it and taking from it are atomic.
        self._events: deque[tuple[Callable[[Tally, float], None], str, float]] = deque()
        self._tallies: dict[str, Tally] = {}
        self._is_to_send = False

    def note(self, count: Callable[[Tally, float], None], name: str, seconds: float) -> bool:
        """Let a method of ``Tally`` count this. Returns whether it is the first since ``take``."""
        self._events.append((count, name, seconds))
        if len(self._events) >= BATCH:
            self._count()
        if self._is_to_send:
            return False
        self._is_to_send = True
        return True

    def put_off(self) -> None:
        """Nobody is going to tell what was counted: the next ``note`` asks for that again."""
        self._is_to_send = False

    def take(self) -> Batch:
        """What was counted since this was last asked."""
        self._is_to_send = False
        with self._mutex:
            self._count()
            taken, self._tallies = self._tallies, {}
        return Batch(secrets.token_hex(8), taken)

    def _count(self) -> None:
        events = self._events
        # Most of a batch is about few names.
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
