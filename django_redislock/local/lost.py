"""Event of a lost hold: threads wait for it, coroutines await it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any

from ..queues import take_within

__all__ = ["Lost"]


class Lost:
    """Set with the reason when the hold is lost. The handle's next hold has an event of its own.

    A waiter first adds its waker and then checks the reason; ``set`` does it the other way round.
    So no waiter is missed, although there is no mutex.
    """

    __slots__ = ("_wakers", "reason")

    def __init__(self) -> None:
        self.reason = ""
        self._wakers: deque[Callable[[], object]] = deque()

    def is_set(self) -> bool:
        return bool(self.reason)

    def __bool__(self) -> bool:
        return bool(self.reason)

    def __repr__(self) -> str:
        return f"<Lost: {self.reason or 'not lost'}>"

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the hold is lost, at most ``timeout`` seconds; return whether it is."""
        # Not a threading.Event: its mutex may be in the hand of a thread that a signal handler has
        # interrupted, while the handler or another thread wants to set it.
        news: queue.SimpleQueue[None] = queue.SimpleQueue()
        waker = partial(news.put, None)
        self._wakers.append(waker)
        try:
            if not self.is_set():
                take_within(news, threading.TIMEOUT_MAX if timeout is None else timeout)
        except queue.Empty:
            pass
        finally:
            self._forget(waker)
        return self.is_set()

    def __await__(self) -> Generator[Any, None, None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        waker = partial(_wake, loop, future)
        self._wakers.append(waker)
        try:
            if not self.is_set():
                yield from future
        finally:
            self._forget(waker)

    def set(self, reason: str) -> None:
        """Set the reason unless there is one, and wake the waiters."""
        self.reason = self.reason or reason
        # Each waiter removes its own waker: an interrupted caller loses none of them.
        for waker in list(self._wakers):
            waker()

    def _forget(self, waker: Callable[[], object]) -> None:
        with suppress(ValueError):
            self._wakers.remove(waker)


def _wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    with suppress(RuntimeError):  # the loop was closed, and its coroutines with it
        loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
