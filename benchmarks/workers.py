"""Worker processes that each measure one lock, and the processor cores they run on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from .contestants import set_up

__all__ = ["Worker", "cores", "pin", "workers"]

T = TypeVar("T")

REPLY_WITHIN = 120.0  # seconds
# Imported once, by the process from which the others are forked, so that they start quickly.
PRELOADED = [
    "django_redis.cache",
    "django.db.backends.sqlite3.base",
    "django_redislock.backends.redis",
    "django_redislock.views.decorator",
    "redis.asyncio",
    "redis_lock",
    "pottery",
]


class Worker:
    """A separate process that runs the functions sent to it, one after the other.

    It keeps its connections and warm caches between two functions. ``hiredis``: whether redis-py
    may use that parser if it is installed.
    """

    def __init__(self, url: str, *, hiredis: bool = True) -> None:
        # Without hiredis, nothing may be imported beforehand: redis-py looks for it only once.
        context: Any = multiprocessing.get_context("forkserver" if hiredis else "spawn")
        if hiredis:
            context.set_forkserver_preload([name for name in PRELOADED if _exists(name)])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(url, hiredis, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process at once, even if its threads are still waiting."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def ask(self, function: Callable[..., T], *args: object) -> T:
        """Run the function there and return its result. Raises RuntimeError if it fails."""
        self.begin(function, *args)
        result: T = self.result()
        return result

    def begin(self, function: Callable[..., object], *args: object) -> None:
        try:
            self._pipe.send((function, args))
        except OSError as error:
            raise RuntimeError("the process has ended") from error

    def result(self) -> Any:
        if not self._pipe.poll(REPLY_WITHIN):
            self._process.kill()  # a late reply would be mistaken for the next one
            raise RuntimeError(f"no reply within {REPLY_WITHIN:.0f} seconds")
        try:
            failed, result = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError("the process has ended") from error
        if failed:
            raise RuntimeError(result)
        return result


@contextlib.contextmanager
def workers(url: str, count: int) -> Iterator[list[Worker]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Worker(url)) for _ in range(count)]


def cores() -> set[int]:
    """Return the cores that this process may use; none if processes cannot be pinned to cores."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()


def pin(pid: int, allowed: set[int]) -> None:
    """Restrict all threads of a process, including future ones, to these cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir() if allowed else ():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), allowed)


def _exists(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None


def _serve(url: str, hiredis: bool, pipe: Connection) -> None:
    """Serve as a worker until the process that started it closes the pipe or ends."""
    if not hiredis:
        sys.modules["hiredis"] = None  # type: ignore[assignment]  # importing it now fails
    set_up(url)
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = (False, function(*args))
        except Exception as error:  # noqa: BLE001 (whatever another project's lock may raise)
            answer = (True, repr(error))
        pipe.send(answer)
