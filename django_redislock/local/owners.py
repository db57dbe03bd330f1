"""Threads and tasks as owners of their holds."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias

from ..process import process

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["LockId", "Owner", "this_owner"]

# Identifies a lock: the place of its backend, and the name there.
LockId: TypeAlias = "tuple[Hashable, str]"

_numbers = itertools.count(1)

# An owner drops ended holds when it has twice as many as after the last time, plus this many.
SLACK = 64


class Owner:
    """A thread or a task. Their own ids are reused after they end; an owner is not."""

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        # Shown with each hold and each wait, so that chains of waiters and holders are visible.
        self.id = f"{'task' if task is not None else 'thread'}-{next(_numbers)}"
        self.thread = threading.current_thread()
        self.thread_name = self.thread.name
        # The event loop instead of the task, which may end while its holds are in use: wait_for(),
        # for example, makes a task of an acquire.
        self.loop = weakref.ref(task.get_loop()) if task is not None else None
        # The latest hold of each lock. Only the owner itself changes this dictionary, so a hold in
        # it may have been released by another thread.
        self.taken: dict[LockId, Any] = {}
        self.most_taken = SLACK
        # A forked child does not run it.
        self.pid = process.pid
        # True until its first hold.
        self.is_new = True

    def take(self, hold: Any) -> None:
        """Record this hold as the latest one of its lock."""
        self.taken[hold.lock_id] = hold
        if len(self.taken) > self.most_taken:
            self.forget_released()

    def forget_released(self) -> None:
        """Drop the holds that are over. The owner calls this when it has taken many."""
        for lock_id, hold in self.taken.copy().items():
            if hold.is_over:
                self.taken.pop(lock_id, None)
        self.most_taken = 2 * len(self.taken) + SLACK

    def is_running(self) -> bool:
        """Whether code that uses its holds may still be running."""
        if self.loop is None:
            try:
                return self.thread.is_alive()
            except (AssertionError, RuntimeError):
                # The answer of an ended greenlet, and of an ended thread that Python did not start.
                return False
        loop = self.loop()
        return loop is not None and loop.is_running()

    def __str__(self) -> str:
        return f"{self.id} ({self.thread.name})"


class _Owners:
    """Owners of this process. Created on first use, since gevent replaces ``threading.local``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.made: dict[str, threading.local] = {}
        self.tasks: weakref.WeakKeyDictionary[asyncio.Task[object], Owner]
        self.tasks = weakref.WeakKeyDictionary()


_owners = _Owners()
process.in_child(_owners.reset)


def this_owner() -> Owner:
    """Return the running task as an owner, or else the thread.

    A task that another task started runs beside it, so it is an owner of its own, as a thread is.
    """
    loop = asyncio._get_running_loop()
    task = asyncio.current_task(loop) if loop is not None else None
    if task is not None:
        return _owners.tasks.get(task) or _owners.tasks.setdefault(task, Owner(task))
    try:
        return _owners.made["threads"].owner  # type: ignore[no-any-return]
    except (AttributeError, KeyError):
        threads = _owners.made.setdefault("threads", threading.local())
        threads.owner = Owner(None)
        return threads.owner  # type: ignore[no-any-return]
