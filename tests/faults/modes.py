"""The two ways to use a handle. What a workload does is written once, as an `async def`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from django_redislock import Lock, MultiLock

T = TypeVar("T")
Handle = Lock | MultiLock


class Mode(Protocol):
    """The verbs of a handle and a pause, for threads or for tasks."""

    async def acquire(self, handle: Handle) -> bool:
        """Acquire it with the handle's own wait."""

    async def enter(self, handle: Handle) -> None:
        """Begin a `with` block."""

    async def extend(self, handle: Handle, lease: float) -> None:
        """Extend its lease."""

    async def release(self, handle: Handle) -> None:
        """Release it."""

    async def leave(self, handle: Handle) -> None:
        """End a `with` block."""

    async def release_elsewhere(self, handle: Handle) -> None:
        """Begin to release it in another thread or task."""

    async def sleep(self, seconds: float) -> None:
        """Let others run."""


class Blocking:
    """For threads."""

    def __init__(self) -> None:
        self._to_release: SimpleQueue[Handle] = SimpleQueue()
        self._helper: threading.Thread | None = None

    async def acquire(self, handle: Handle) -> bool:
        return handle.acquire()

    async def enter(self, handle: Handle) -> None:
        handle.__enter__()

    async def extend(self, handle: Handle, lease: float) -> None:
        handle.extend(lease)

    async def release(self, handle: Handle) -> None:
        handle.release()

    async def leave(self, handle: Handle) -> None:
        handle.__exit__(None, None, None)

    async def release_elsewhere(self, handle: Handle) -> None:
        if self._helper is None:
            self._helper = threading.Thread(target=self._release_all, daemon=True)
            self._helper.start()
        self._to_release.put(handle)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 (this is the blocking way)

    def _release_all(self) -> None:
        while True:
            self._to_release.get().release()


class Awaiting:
    """For tasks."""

    def __init__(self) -> None:
        self._releases: set[asyncio.Task[None]] = set()

    async def acquire(self, handle: Handle) -> bool:
        return await handle.aacquire()

    async def enter(self, handle: Handle) -> None:
        await handle.__aenter__()

    async def extend(self, handle: Handle, lease: float) -> None:
        await handle.aextend(lease)

    async def release(self, handle: Handle) -> None:
        await handle.arelease()

    async def leave(self, handle: Handle) -> None:
        await handle.__aexit__(None, None, None)

    async def release_elsewhere(self, handle: Handle) -> None:
        task = asyncio.ensure_future(handle.arelease())
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)
        await asyncio.sleep(0)  # the other task begins

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run what never suspends, as it is with `Blocking`."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError(f"{work} has suspended.")
