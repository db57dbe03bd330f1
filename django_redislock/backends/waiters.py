"""Waiters: the queued attempts of this process, and the delivery of their turns."""

from __future__ import annotations

import asyncio
import math
import queue
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ..clock import monotonic
from ..queues import take_within

__all__ = ["TaskWaiter", "ThreadWaiter", "Turn", "Waiter", "Waiters"]

# An event loop is probed when a turn has not been taken for ASK_AFTER seconds, and counts as
# blocked when it has not answered for STILL_AFTER more.
ASK_AFTER = 0.1
STILL_AFTER = 0.4
# How often (seconds) the wake-up thread checks whether another thread has notified a coroutine.
CHECK_EVERY = 0.25


class Turn(NamedTuple):
    """The attempt holds the lock now. ``expires`` is in seconds on the backend's own clock."""

    fence: int
    expires: float


class Waiter:  # no ABC: isinstance() runs for each turn, and is slow with an ABC
    """Notified, from any thread, of its ``Turn``, or with None when it should look again."""

    # The event loop of the attempt, if any.
    loop: asyncio.AbstractEventLoop | None = None
    # When it was last notified (monotonic).
    notified_at = 0.0

    def notify(self, turn: Turn | None) -> bool:
        """Return False if the waiter has gone."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """An attempt of a thread."""

    def __init__(self) -> None:
        self._notified: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()

    def notify(self, turn: Turn | None) -> bool:
        self._notified.put(turn)
        return True

    def wait_for_turn(self, timeout: float) -> Turn | None:
        """Block for at most ``timeout`` seconds. None means: look again."""
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
        # Whichever side pops a turn owns it: the waiter, or the thread that gives it to another.
        self._turns: deque[Turn] = deque()
        # Whether it was notified since it last woke up.
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
        """Take back a turn that the coroutine has not taken. Return whether there was one."""
        return _take(self._turns) is not None

    async def await_turn(self, timeout: float) -> Turn | None:
        """Wait for at most ``timeout`` seconds. None means: look again."""
        # Not wait_for(): up to Python 3.11 it may swallow a cancellation that comes with the turn.
        ending = self.loop.call_later(timeout, self._notified.set)
        try:
            await self._notified.wait()
        finally:
            ending.cancel()
        self._has_news = False
        self._notified.clear()
        return _take(self._turns)


class Waiters:
    """The waiters of one backend in this process, by name and token.

    Each step is one atomic operation: an exception may be raised between any two steps, and the
    garbage collector may run anywhere, which can hand over held locks. So items are read from a
    ``copy()``, which is one step; ``list(items())`` is not.
    """

    def __init__(self, grant_lease: float) -> None:
        # An unconfirmed turn ends after this time (seconds).
        self._grant_lease = grant_lease
        self.forget()

    def forget(self) -> None:
        """Leave all waiters to the parent after a fork."""
        self._waiting: dict[tuple[str, str], Waiter] = {}
        # Coroutines that were notified and may not have woken up yet.
        self._notified: dict[tuple[str, str], TaskWaiter] = {}
        self._tasks: dict[tuple[str, str], None] = {}
        # When the event loops were probed that have not answered yet (monotonic).
        self._probed: dict[asyncio.AbstractEventLoop, float] = {}
        # The tokens and fences of recent turns, with the times when they came, and when those that
        # are over are forgotten (monotonic).
        self._seen: dict[tuple[str, int], float] = {}
        self._forget_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def names(self) -> list[str]:
        """The name of each waiting attempt. A name appears once for each of its attempts."""
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
        """Give a waiter its turn. False if it has gone, or its event loop is blocked."""
        waiter = self._waiting.get((name, token))
        if waiter is None:
            # A turn that was delivered before is not given back when a duplicate arrives.
            return (token, turn.fence) in self._seen
        if self._probed and self._is_frozen(waiter, monotonic()):
            self._notify((name, token), waiter, None)  # if it resumes, it must queue again
            return False
        # In a Cluster, a replica may pass a turn on, so two connections may deliver the same one.
        return not self._is_news(token, turn) or self._notify((name, token), waiter, turn)

    def _is_news(self, token: str, turn: Turn) -> bool:
        now = monotonic()
        if now >= self._forget_at:
            self.forget_turns(now)
        return self._seen.setdefault((token, turn.fence), now) is now

    def forget_turns(self, now: float) -> None:
        """Forget the turns that are over or confirmed: giving these back would change nothing."""
        self._forget_at = now + self._grant_lease
        for seen, came_at in self._seen.copy().items():
            if came_at + self._grant_lease <= now:
                self._seen.pop(seen, None)

    def nudge(self, *names: str) -> None:
        """Ask one waiter of each name to look again, if the name has a waiter.

        The waiter that was notified longest ago is asked. Waiters with a blocked event loop come
        last.
        """
        now = monotonic()
        wanted = frozenset(names)
        best: dict[str, tuple[tuple[bool, float], str, Waiter]] = {}
        for (name, token), waiter in self._waiting.copy().items():
            if name in wanted:
                rank = self._is_frozen(waiter, now), waiter.notified_at
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
        """Ask every waiter to look again, or only those whose name ``concerns`` accepts."""
        for key, waiter in self._waiting.copy().items():
            if concerns is None or concerns(key[0]):
                self._notify(key, waiter, None)

    # Only for the wake-up thread.

    def check_in(self) -> float:
        """Seconds until ``reclaim_turns`` may have something to do."""
        return ASK_AFTER if self._notified else CHECK_EVERY if self._tasks else math.inf

    def reclaim_turns(self, now: float) -> list[tuple[str, str]]:
        """Take back turns that are stuck in blocked event loops.

        Return their names and tokens. The caller must give these turns up.
        """
        taken = []
        for key, waiter in self._notified.copy().items():
            if self._waiting.get(key) is not waiter:
                self._notified.pop(key, None)  # it left while being notified
            elif waiter.has_seen_all():
                self._notified.pop(key, None)
                if not waiter.has_seen_all():  # it was notified just now
                    self._notified[key] = waiter
            elif self._is_frozen(waiter, now):
                if waiter.take_back():
                    taken.append(key)
            elif now - waiter.notified_at >= ASK_AFTER:
                self._probe(waiter.loop, now)
        for loop in self._probed.copy():
            if loop.is_closed():
                self._probed.pop(loop, None)
        return taken

    def _probe(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Find out whether an event loop still runs its callbacks."""
        if loop not in self._probed:
            self._probed[loop] = now
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(self._probed.pop, loop, None)

    def _is_frozen(self, waiter: Waiter, now: float) -> bool:
        if waiter.loop is None:
            return False
        return now - self._probed.get(waiter.loop, math.inf) >= STILL_AFTER


def _take(turns: deque[Turn]) -> Turn | None:
    try:
        return turns.popleft()
    except IndexError:
        return None
