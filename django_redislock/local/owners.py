"""Threads and tasks as owners of what they hold."""

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

# Which lock: the place of its backend, and the name there.
LockId: TypeAlias = "tuple[Hashable, str]"

_numbers = itertools.count(1)

# An owner looks for what it may forget when it has taken twice as many locks, and some more.
FEW = 64


class Owner:
    """A thread or a task. Their own ids are reused after they end; an owner is not."""

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        # Shown with each hold and each wait, so that one can see who waits for whom.
        self.id = f"{'task' if task is not None else 'thread'}-{next(_numbers)}"
        self.thread = threading.current_thread()
        self.thread_name = self.thread.name
        # The event loop of a task, which may end before what it has acquired is used: the task that
        # wait_for() makes of an acquire, for one.
        self.loop = weakref.ref(task.get_loop()) if task is not None else None
        # The hold that it took last of each lock. Only the owner itself changes this dictionary;
        # what other threads have released is found out by looking at the hold.
        self.taken: dict[LockId, Any] = {}
        self.most_taken = FEW
        # Until its first hold.
        self.is_new = True

    def take(self, hold: Any) -> None:
        """Note that it took this hold last of its lock."""
        self.taken[hold.lock_id] = hold
        if len(self.taken) > self.most_taken:
            self.forget_released()

    def forget_released(self) -> None:
        """Forget what was released; the owner asks for that when there is much to forget."""
        for lock_id, hold in list(self.taken.items()):
            if hold.is_over:
                self.taken.pop(lock_id, None)
        self.most_taken = 2 * len(self.taken) + FEW

    def is_running(self) -> bool:
        """Whether code may still run that uses what it took, as far as that can be known."""
        if self.loop is None:
            return self.thread.is_alive()
        loop = self.loop()
        return loop is not None and loop.is_running()

    def __str__(self) -> str:
        return f"{self.id} ({self.thread.name})"


class _Owners:
    """The owners of this process; made on first use, since gevent replaces ``threading.local``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.made: dict[str, threading.local] = {}
        self.tasks: weakref.WeakKeyDictionary[asyncio.Task[object], Owner]
        self.tasks = weakref.WeakKeyDictionary()


_owners = _Owners()
process.in_child(_owners.reset)


def this_owner() -> Owner:
    """The task that is running, or else the thread.

    A task that another one started works beside it: it is an owner of its own, as a thread is.
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
