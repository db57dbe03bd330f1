"""Where the attempts of this process that queue hear of their turn."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import NamedTuple, Protocol

__all__ = ["TaskWaiter", "ThreadWaiter", "Turn", "Waiter", "Waiters"]


class Turn(NamedTuple):
    """The attempt holds the lock now. ``expires`` is in seconds on the backend's own clock."""

    fence: int
    expires: float


class Waiter(Protocol):
    """Told its ``Turn``, or None when it should look again, from any thread.

    It answers False if it has gone.
    """

    def tell(self, turn: Turn | None) -> bool: ...


class ThreadWaiter:
    """An attempt of a thread."""

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()

    def tell(self, turn: Turn | None) -> bool:
        self._told.put(turn)
        return True

    def hear(self, timeout: float) -> Turn | None:
        """Block for ``timeout`` seconds at the most; None means: look again."""
        try:
            return self._told.get(timeout=min(timeout, threading.TIMEOUT_MAX))
        except queue.Empty:
            return None


class TaskWaiter:
    """An attempt of a coroutine."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Turn | None] = asyncio.Queue()

    def tell(self, turn: Turn | None) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._told.put_nowait, turn)
        except RuntimeError:
            return False  # the loop was closed, and its coroutines with it
        return True

    async def ahear(self, timeout: float) -> Turn | None:
        """Wait for ``timeout`` seconds at the most; None means: look again."""
        # Not wait_for(): up to Python 3.11 it may swallow a cancellation that comes with the turn.
        ending = self._loop.call_later(timeout, self._told.put_nowait, None)
        try:
            return await self._told.get()
        finally:
            ending.cancel()


class Waiters:
    """The waiters of one backend in this process, by name; who was told nothing comes first."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Leave all who wait to the parent after a fork."""
        # Garbage may be collected anywhere, and what it held is handed over: reentrant.
        self._lock = threading.RLock()
        self._names: dict[str, dict[str, Waiter]] = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def enter(self, name: str, token: str, waiter: Waiter) -> None:
        with self._lock:
            self._names.setdefault(name, {})[token] = waiter

    def leave(self, name: str, token: str) -> None:
        with self._lock:
            waiting = self._names.get(name, {})
            waiting.pop(token, None)
            if not waiting:
                self._names.pop(name, None)

    def tell(self, name: str, token: str, turn: Turn) -> bool:
        """Give a waiter its turn. False if it has gone."""
        with self._lock:
            waiting = self._names.get(name, {})
            return token in waiting and self._tell(waiting, token, turn)

    def nudge(self, name: str) -> bool:
        """Ask one waiter of a name to look again. False if nobody waits for it."""
        with self._lock:
            waiting = self._names.get(name, {})
            for token in waiting:
                self._tell(waiting, token, None)
                return True
        return False

    def _tell(self, waiting: dict[str, Waiter], token: str, turn: Turn | None) -> bool:
        # Who has been told something and stays may stand still: others are asked before it.
        waiter = waiting[token] = waiting.pop(token)
        return waiter.tell(turn)

    def nudge_all(self) -> None:
        """Ask every waiter to look again."""
        with self._lock:
            waiters = [waiter for waiting in self._names.values() for waiter in waiting.values()]
        for waiter in waiters:
            waiter.tell(None)
