"""Detection of forks, and service threads. A forked child inherits none of its parent's holds.

Some servers (uWSGI by default) fork without Python noticing it, so the process id is checked before
each exchange with a lock server.
"""

from __future__ import annotations

import _thread
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import ClassVar

from .clock import monotonic
from .queues import take_within

__all__ = ["NoThread", "Process", "ServiceThread", "process"]

logger = logging.getLogger("django_redislock")

# After an unexpected error a service thread pauses this long (seconds) before it goes on.
PAUSE_AFTER_ERROR = 0.5


class Process:
    """The running process, and what has to be reset in its forked children."""

    def __init__(self) -> None:
        self._forgetting: list[Callable[[], object]] = []
        # By process id, since a mutex of the parent may be locked in its child for ever.
        self._mutexes: dict[int, threading.RLock] = {}
        self.pid = os.getpid()

    def in_child(self, forget: Callable[[], object]) -> None:
        """Call ``forget`` in a forked child, before it does anything with locks."""
        self._forgetting.append(forget)

    def look(self) -> int:
        """Return the id of this process. A fork that Python did not notice is handled first."""
        pid = os.getpid()
        if pid != self.pid:
            # One thread at a time: the second must not forget what the first has begun by then.
            # Reentrant for signal handlers.
            with self._mutexes.setdefault(pid, threading.RLock()):
                if pid != self.pid:
                    for forget in self._forgetting:
                        forget()
                    self.pid = pid  # at last: if the child is interrupted, it has to start again
        return pid


class NoThread(RuntimeError):
    """No thread can be started: the interpreter is exiting, or a limit is reached."""


class ServiceThread:
    """A thread of our own that runs while there is work for it. There is never a second one.

    ``serve()`` works until nothing is left to do, and may ``sleep()`` in between. ``has_work()``
    returns whether work was added after ``serve()`` looked for the last time.
    """

    # All such threads by id. They get no asynchronous exceptions, and no caller waits in them.
    own: ClassVar[dict[int, ServiceThread]] = {}

    def __init__(
        self, name: str, serve: Callable[[], object], has_work: Callable[[], bool]
    ) -> None:
        self.name = name
        self._serve = serve
        self._has_work = has_work
        self.reset()

    def reset(self) -> None:
        """Start without a thread, also in a forked child, where the parent's threads do not run."""
        # The thread that holds this lock is the service thread. Nothing ever waits for the lock.
        self._role = threading.Lock()
        self.is_running = self._role.locked
        self._made: dict[str, queue.SimpleQueue[None]] = {}

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in this thread."""
        return self.own.get(_thread.get_ident()) is self

    def ensure(self) -> None:
        """Start the thread unless it is running. Callers must add their work first.

        Raises ``NoThread`` if no thread can be started.
        """
        if not self._role.locked():
            try:
                # Unlike Thread.start(), this does not wait, so no exception can interrupt it.
                _thread.start_new_thread(self._take_role, (self._role,))
            except RuntimeError as error:
                raise NoThread(str(error)) from error

    def wake(self) -> None:
        """End the thread's ``sleep()``, or its next one if it is not sleeping now."""
        self._wakes.put(None)

    def sleep(self, timeout: float) -> bool:
        """Sleep in the thread, at most ``timeout`` seconds. Return whether it was woken."""
        try:
            take_within(self._wakes, timeout)
        except queue.Empty:
            return False
        # One wake-up answers all requests so far.
        while not self._wakes.empty():
            self._wakes.get()
        return True

    def wait(self, timeout: float, enough: Callable[[], bool] = lambda: False) -> bool:
        """Wait until the thread has ended or ``enough()`` is true. Return whether it has ended."""
        deadline = monotonic() + timeout
        while self._role.locked() and not enough() and monotonic() < deadline:
            time.sleep(0.002)
        return not self._role.locked()

    @property
    def _wakes(self) -> queue.SimpleQueue[None]:
        # Created on first use: gevent may replace the class after this module was imported.
        return self._made.get("wakes") or self._made.setdefault("wakes", queue.SimpleQueue())

    def _take_role(self, role: threading.Lock) -> None:
        if not role.acquire(False):
            return
        thread = threading.Thread(target=self._run, args=(role,), name=self.name, daemon=True)
        try:
            # Debuggers and logs only show the names of threading.Thread objects.
            thread.start()
        except RuntimeError:
            self._run(role)

    def _run(self, role: threading.Lock) -> None:
        self.own[_thread.get_ident()] = self
        try:
            self._serve_until_done(role)
        finally:
            self.own.pop(_thread.get_ident(), None)

    def _serve_until_done(self, role: threading.Lock) -> None:
        while True:
            try:
                self._serve()
            except Exception:
                logger.exception("The thread %s failed, and goes on.", self.name)
                time.sleep(PAUSE_AFTER_ERROR)
            finally:
                role.release()
            # Work that was added while the role was still taken has started no thread.
            if not self._has_work() or not role.acquire(False):
                return


process = Process()
# Thread ids are used again, so threads of a child may have those of its parent's service threads.
process.in_child(ServiceThread.own.clear)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process.look)
