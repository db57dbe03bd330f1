"""An event that threads wait on and coroutines await: the hold was lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import Any

__all__ = ["Lost"]


class Lost:
    """Set when the hold was lost, with the reason. The handle's next hold has one of its own."""

    __slots__ = ("_event", "_futures", "_lock", "reason")

    def __init__(self) -> None:
        self.reason = ""
        self._event: threading.Event | None = None
        self._futures: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._lock = threading.RLock()

    def is_set(self) -> bool:
        return bool(self.reason)

    def __bool__(self) -> bool:
        return self.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the hold is lost, or ``timeout`` seconds; return whether it is."""
        with self._lock:
            if self.reason:
                return True
            # Most handles are never waited on, and an event costs more than the rest of a handle.
            if self._event is None:
                self._event = threading.Event()
            event = self._event
        return event.wait(timeout)

    def __await__(self) -> Generator[Any, None, None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self.reason:
                return
            self._futures.append((loop, future))
        yield from future

    def set(self, reason: str) -> bool:
        """Return False if it was set before."""
        with self._lock:
            if self.reason:
                return False
            self.reason = reason
            event, self._event = self._event, None
            futures, self._futures = self._futures, []
        if event is not None:
            event.set()
        for loop, future in futures:
            with suppress(RuntimeError):  # the loop was closed, and its coroutines with it
                loop.call_soon_threadsafe(_resolve, future)
        return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
