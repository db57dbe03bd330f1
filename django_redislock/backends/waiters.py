"""Waiters: the attempts of this process that queue, and the news of their turns."""

from __future__ import annotations

import asyncio
import math
import queue
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ..clock import monotonic
from ..queues import take_within

__all__ = ["TaskWaiter", "ThreadWaiter", "Turn", "Waiter", "Waiters"]

# An event loop is asked for a sign of life when a turn has not been taken this long (seconds), and
# stands still when there was none for STILL_AFTER more.
ASK_AFTER = 0.1
STILL_AFTER = 0.4
# How many turns are known again when they come a second time.
MOST_SEEN = 100
# How often the wake-up thread looks whether another thread has told a coroutine something.
CHECK_EVERY = 0.25


class Turn(NamedTuple):
    """The attempt holds the lock now. ``expires`` is in seconds on the backend's own clock."""

    fence: int
    expires: float


class Waiter:  # no ABC: each turn asks of which class it is, which an ABC answers in Python
    """Told its ``Turn``, or None when it should look again, from any thread."""

    # The event loop that it needs, if any.
    loop: asyncio.AbstractEventLoop | None = None
    # When it was told something (monotonic).
    notified_at = 0.0

    def notify(self, turn: Turn | None) -> bool:
        """Return False if it has gone."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """An attempt of a thread."""

    def __init__(self) -> None:
        self._notified: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()

    def notify(self, turn: Turn | None) -> bool:
        self._notified.put(turn)
        return True

    def wait_for_turn(self, timeout: float) -> Turn | None:
        """Block for ``timeout`` seconds at the most; None means: look again."""
        try:
            return take_within(self._notified, timeout)
        except queue.Empty:
            return None


class TaskWaiter(Waiter):
    """An attempt of a coroutine."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._notified = asyncio.Event()
        # Whoever takes the turn out decides: the waiter has it, or it is given to another.
        self._turns: deque[Turn] = deque()
        # Whether it was told something since it heard anything.
        self._has_news = False

    def notify(self, turn: Turn | None) -> bool:
        self._has_news = True
        if turn is not None:
            self._turns.append(turn)
        try:
            self.loop.call_soon_threadsafe(self._notified.set)
        except RuntimeError:
            return False  # the loop was closed, and its coroutines with it
        return True

    def has_seen_all(self) -> bool:
        return not self._has_news

    def take_back(self) -> bool:
        """Take back a turn that it has not taken yet. Return whether there was one."""
        return _take(self._turns) is not None

    async def await_turn(self, timeout: float) -> Turn | None:
        """Wait for ``timeout`` seconds at the most; None means: look again."""
        # Not wait_for(): up to Python 3.11 it may swallow a cancellation that comes with the turn.
        ending = self.loop.call_later(timeout, self._notified.set)
        try:
            await self._notified.wait()
        finally:
            ending.cancel()
        self._has_news = False
        self._notified.clear()
        return _take(self._turns)


class _Pulse:
    """Whether an event loop still runs what it is asked to run."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked_at: float | None = None

    def ask(self, now: float) -> None:
        if self._asked_at is None:
            self._asked_at = now
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:
                self._asked_at = now - STILL_AFTER  # it was closed

    def _answer(self) -> None:
        self._asked_at = None

    @property
    def has_answered(self) -> bool:
        return self._asked_at is None

    def is_late(self, now: float) -> bool:
        asked_at = self._asked_at
        return asked_at is not None and now - asked_at >= STILL_AFTER


class Waiters:
    """The waiters of one backend in this process, by name and token.

    Each step is one operation that cannot be torn: an exception may come between any two of them,
    and garbage may be collected anywhere, by which held locks are handed over.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Leave all who wait to the parent after a fork."""
        self._waiting: dict[tuple[str, str], Waiter] = {}
        # The coroutines that were told something and may not have heard it.
        self._notified: dict[tuple[str, str], TaskWaiter] = {}
        self._tasks: dict[tuple[str, str], None] = {}
        # Of the event loops that were asked for a sign of life and have given none yet.
        self._pulses: dict[asyncio.AbstractEventLoop, _Pulse] = {}
        # The turns that were told last, tokens and fences; and in what order.
        self._seen: dict[tuple[str, int], object] = {}
        self._order: deque[tuple[str, int]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __contains__(self, name: str) -> bool:
        return any(waited == name for waited, _ in list(self._waiting))

    @property
    def names(self) -> list[str]:
        """The name of each attempt that waits, once for each."""
        return [name for name, _ in list(self._waiting)]

    def enter(self, name: str, token: str, waiter: Waiter) -> None:
        if waiter.loop is not None:
            self._tasks[name, token] = None
        self._waiting[name, token] = waiter

    def leave(self, name: str, token: str) -> None:
        self._waiting.pop((name, token), None)
        self._notified.pop((name, token), None)
        self._tasks.pop((name, token), None)

    def notify(self, name: str, token: str, turn: Turn) -> bool:
        """Give a waiter its turn. False if it has gone, or its event loop stands still."""
        waiter = self._waiting.get((name, token))
        if waiter is None:
            # What came before, and was taken, is not given back when it comes again.
            return (token, turn.fence) in self._seen
        if self._stands_still(waiter, monotonic()):
            self._notify((name, token), waiter, None)  # when it goes on it has to queue anew
            return False
        # Two connections may bring the same turn, in a Cluster where a replica passes it on.
        return not self._is_news(token, turn) or self._notify((name, token), waiter, turn)

    def _is_news(self, token: str, turn: Turn) -> bool:
        seen, mark = (token, turn.fence), object()
        if self._seen.setdefault(seen, mark) is not mark:
            return False
        self._order.append(seen)
        if len(self._order) > MOST_SEEN:
            self._seen.pop(self._order.popleft(), None)
        return True

    def nudge(self, *names: str) -> None:
        """Ask one waiter of each name to look again, if somebody waits for it.

        It is the one that was told something longest ago. Those whose event loops stand still come
        last.
        """
        now = monotonic()
        wanted = frozenset(names)
        best: dict[str, tuple[tuple[bool, float], str, Waiter]] = {}
        for (name, token), waiter in list(self._waiting.items()):
            if name in wanted:
                rank = self._stands_still(waiter, now), waiter.notified_at
                if name not in best or rank < best[name][0]:
                    best[name] = rank, token, waiter
        for name, (_, token, waiter) in best.items():
            self._notify((name, token), waiter, None)

    def _notify(self, key: tuple[str, str], waiter: Waiter, turn: Turn | None) -> bool:
        waiter.notified_at = monotonic()
        if isinstance(waiter, TaskWaiter):
            self._notified[key] = waiter
        return waiter.notify(turn)

    def nudge_all(self, concerns: Callable[[str], bool] | None = None) -> None:
        """Ask every waiter to look again, or each whose name that ``concerns``."""
        for key, waiter in list(self._waiting.items()):
            if concerns is None or concerns(key[0]):
                self._notify(key, waiter, None)

    # For the wake-up thread alone.

    def check_in(self) -> float:
        """In how many seconds ``take_back`` has something to do, at the earliest."""
        return ASK_AFTER if self._notified else CHECK_EVERY if self._tasks else math.inf

    def take_back(self, now: float) -> list[tuple[str, str]]:
        """Take the turns back that stay with event loops which stand still.

        Returns their names and tokens; they have to be given up.
        """
        taken = []
        for key, waiter in list(self._notified.items()):
            if self._waiting.get(key) is not waiter:
                self._notified.pop(key, None)  # it left while it was told
            elif waiter.has_seen_all():
                self._notified.pop(key, None)
                if not waiter.has_seen_all():  # it was told something just now
                    self._notified[key] = waiter
            elif self._stands_still(waiter, now):
                if waiter.take_back():
                    taken.append(key)
            elif now - waiter.notified_at >= ASK_AFTER:
                self._pulses.setdefault(waiter.loop, _Pulse(waiter.loop)).ask(now)
        for loop, pulse in list(self._pulses.items()):
            if pulse.has_answered or loop.is_closed():
                self._pulses.pop(loop, None)
        return taken

    def _stands_still(self, waiter: Waiter, now: float) -> bool:
        pulse = self._pulses.get(waiter.loop) if waiter.loop is not None else None
        return pulse is not None and pulse.is_late(now)


def _take(turns: deque[Turn]) -> Turn | None:
    try:
        return turns.popleft()
    except IndexError:
        return None
