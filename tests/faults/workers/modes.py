"""Modes: the two ways to use a handle. Workloads are written once, as `async def`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from asgiref.sync import sync_to_async

from django_redislock import Lock, MultiLock

T = TypeVar("T")
Handle = Lock | MultiLock
Work = Coroutine[Any, Any, object]


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

    async def elsewhere(self, work: Work) -> None:
        """Start work in another thread or task."""

    async def detach(self, handle: Lock, lease: float) -> str:
        """Leave the hold to whoever gets its token."""

    async def apart(self, work: Work) -> None:
        """Do work in a thread or task of its own, which ends with it."""

    async def call(self, function: Callable[[], None]) -> None:
        """Call a function that blocks."""

    async def sleep(self, seconds: float) -> None:
        """Let others run."""


class Blocking:
    """For threads."""

    def __init__(self) -> None:
        self._to_do: SimpleQueue[Work] = SimpleQueue()
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

    async def elsewhere(self, work: Work) -> None:
        if self._helper is None:
            self._helper = threading.Thread(target=self._help, daemon=True, name="helper")
            self._helper.start()
        self._to_do.put(work)

    async def detach(self, handle: Lock, lease: float) -> str:
        return handle.detach(lease)

    async def apart(self, work: Work) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(drive, work).result()

    async def call(self, function: Callable[[], None]) -> None:
        function()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 (this is the blocking way)

    def _help(self) -> None:
        while True:
            drive(self._to_do.get())


class Awaiting:
    """For tasks."""

    def __init__(self) -> None:
        self._helpers: set[asyncio.Task[None]] = set()

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

    async def elsewhere(self, work: Work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        await asyncio.sleep(0)  # lets the other task begin

    async def detach(self, handle: Lock, lease: float) -> str:
        return await handle.adetach(lease)

    async def apart(self, work: Work) -> None:
        await asyncio.get_running_loop().create_task(work)

    async def call(self, function: Callable[[], None]) -> None:
        await sync_to_async(function)()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, as with `Blocking`."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError(f"{work} has suspended.")
