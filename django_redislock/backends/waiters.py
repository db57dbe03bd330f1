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
MOST_HEARD = 100
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
    told_at = 0.0

    def tell(self, turn: Turn | None) -> bool:
        """Return False if it has gone."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """An attempt of a thread."""

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()

    def tell(self, turn: Turn | None) -> bool:
        self._told.put(turn)
        return True

    def hear(self, timeout: float) -> Turn | None:
        """Block for ``timeout`` seconds at the most; None means: look again."""
        try:
            return take_within(self._told, timeout)
        except queue.Empty:
            return None


class TaskWaiter(Waiter):
    """An attempt of a coroutine."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        # Whoever takes the turn out decides: the waiter has it, or it is given to another.
        self._turns: deque[Turn] = deque()
        # Whether it was told something since it heard anything.
        self._unheard = False

    def tell(self, turn: Turn | None) -> bool:
        self._unheard = True
        if turn is not None:
            self._turns.append(turn)
        try:
            self.loop.call_soon_threadsafe(self._told.set)
        except RuntimeError:
            return False  # the loop was closed, and its coroutines with it
        return True

    def heard_all(self) -> bool:
        return not self._unheard

    def take_back(self) -> bool:
        """Take back a turn that it has not taken yet. Return whether there was one."""
        return _take(self._turns) is not None

    async def ahear(self, timeout: float) -> Turn | None:
        """Wait for ``timeout`` seconds at the most; None means: look again."""
        # Not wait_for(): up to Python 3.11 it may swallow a cancellation that comes with the turn.
        ending = self.loop.call_later(timeout, self._told.set)
        try:
            await self._told.wait()
        finally:
            ending.cancel()
        self._unheard = False
        self._told.clear()
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
        self._told: dict[tuple[str, str], TaskWaiter] = {}
        self._tasks: dict[tuple[str, str], None] = {}
        # Of the event loops that were asked for a sign of life and have given none yet.
        self._pulses: dict[asyncio.AbstractEventLoop, _Pulse] = {}
        # The turns that were told last, tokens and fences; and in what order.
        self._heard: dict[tuple[str, int], object] = {}
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
        self._told.pop((name, token), None)
        self._tasks.pop((name, token), None)

    def tell(self, name: str, token: str, turn: Turn) -> bool:
        """Give a waiter its turn. False if it has gone, or its event loop stands still."""
        waiter = self._waiting.get((name, token))
        if waiter is None:
            # What came before, and was taken, is not given back when it comes again.
            return (token, turn.fence) in self._heard
        if self._stands_still(waiter, monotonic()):
            self._tell((name, token), waiter, None)  # when it goes on it has to queue anew
            return False
        # Two connections may bring the same turn, in a Cluster where a replica passes it on.
        return not self._is_news(token, turn) or self._tell((name, token), waiter, turn)

    def _is_news(self, token: str, turn: Turn) -> bool:
        told, mark = (token, turn.fence), object()
        if self._heard.setdefault(told, mark) is not mark:
            return False
        self._order.append(told)
        if len(self._order) > MOST_HEARD:
            self._heard.pop(self._order.popleft(), None)
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
                rank = self._stands_still(waiter, now), waiter.told_at
                if name not in best or rank < best[name][0]:
                    best[name] = rank, token, waiter
        for name, (_, token, waiter) in best.items():
            self._tell((name, token), waiter, None)

    def _tell(self, key: tuple[str, str], waiter: Waiter, turn: Turn | None) -> bool:
        waiter.told_at = monotonic()
        if isinstance(waiter, TaskWaiter):
            self._told[key] = waiter
        return waiter.tell(turn)

    def nudge_all(self, concerns: Callable[[str], bool] | None = None) -> None:
        """Ask every waiter to look again, or each whose name that ``concerns``."""
        for key, waiter in list(self._waiting.items()):
            if concerns is None or concerns(key[0]):
                self._tell(key, waiter, None)

    # For the wake-up thread alone.

    def check_in(self) -> float:
        """In how many seconds ``take_back`` has something to do, at the earliest."""
        return ASK_AFTER if self._told else CHECK_EVERY if self._tasks else math.inf

    def take_back(self, now: float) -> list[tuple[str, str]]:
        """Take the turns back that stay with event loops which stand still.

        Returns their names and tokens; they have to be given up.
        """
        taken = []
        for key, waiter in list(self._told.items()):
            if self._waiting.get(key) is not waiter:
                self._told.pop(key, None)  # it left while it was told
            elif waiter.heard_all():
                self._told.pop(key, None)
                if not waiter.heard_all():  # it was told something just now
                    self._told[key] = waiter
            elif self._stands_still(waiter, now):
                if waiter.take_back():
                    taken.append(key)
            elif now - waiter.told_at >= ASK_AFTER:
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
