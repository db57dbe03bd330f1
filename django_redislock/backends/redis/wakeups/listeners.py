"""Callers that wait until this process is subscribed to a channel."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from ....queues import take_within
from ..errors import copy_of

__all__ = ["Listeners"]

# Called with None, or with the error that makes it impossible to listen now.
Listener: TypeAlias = "Callable[[Exception | None], object]"


class Listeners:
    """Callers in any thread and any event loop. The wake-up thread answers them.

    Each step is one atomic operation, so that an interrupted caller leaves nothing half done.
    """

    def __init__(self) -> None:
        self._listeners: dict[tuple[int, Listener], None] = {}

    @property
    def wanted(self) -> list[int]:
        """The buckets whose channels a caller waits for."""
        return [bucket for bucket, _ in list(self._listeners)]

    def answer(self, error: Exception | None, bucket: int | None = None) -> None:
        """Report the outcome to all callers that wait for a bucket, or for any bucket."""
        for listener in list(self._listeners):
            if bucket in (None, listener[0]):
                self._listeners.pop(listener, None)
                with suppress(RuntimeError):  # its event loop was closed
                    listener[1](error and copy_of(error))

    def wait(self, bucket: int, timeout: float, start: Callable[[], object]) -> None:
        """Call ``start()``, and return when the bucket is answered, or after a time-out.

        Raises the error that is reported.
        """
        answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        listener = bucket, answers.put
        try:
            self._listeners[listener] = None
            start()
            error = take_within(answers, timeout)
        except queue.Empty:
            return
        finally:
            self._listeners.pop(listener, None)
        if error is not None:
            raise error

    async def await_(self, bucket: int, timeout: float, start: Callable[[], object]) -> None:
        """The twin of ``wait``."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Exception | None] = loop.create_future()
        listener = bucket, partial(_settle, loop, answer)
        try:
            self._listeners[listener] = None
            start()
            await asyncio.wait([answer], timeout=timeout)
        finally:
            self._listeners.pop(listener, None)
        if answer.done() and (error := answer.result()) is not None:
            raise error


def _settle(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Exception | None],
    error: Exception | None,
) -> None:
    """Answer from another thread. Raises ``RuntimeError`` if the loop was closed."""

    def settle() -> None:
        if not future.done():
            future.set_result(error)

    loop.call_soon_threadsafe(settle)
