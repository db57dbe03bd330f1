"""Clean ends: what the process holds is released when it exits, and when it is asked to by SIGTERM.

After a kill -9 nobody can release anything; then the leases end.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from contextlib import suppress
from types import FrameType

from ..backends.base import BaseLockBackend
from ..exceptions import LockError
from ..process import process
from .renewal import renewer

__all__ = ["release_all", "release_at_end"]

logger = logging.getLogger("django_redislock")

# A process that is being ended does not wait longer than this (seconds) for its server.
PATIENCE = 3.0
PATIENCE_BITS = 30

_watched_pid = 0


def release_at_end() -> None:
    """Be there when this process ends. Called with every hold; the first one counts."""
    global _watched_pid  # noqa: PLW0603 - it is a fact about the process
    if _watched_pid == process.pid:
        return
    # A signal can be asked for in the main thread only; a later hold there gets its turn.
    if threading.current_thread() is not threading.main_thread():
        return
    _watched_pid = process.pid
    # Servers that end by themselves on SIGTERM have a handler of their own: gunicorn and celery
    # come to a normal exit, and for uvicorn there is asgi.py. Where the signal would end the
    # process at once, it is ours.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def release_all() -> None:
    """Release what this process holds, whoever needs it: it is about to end."""
    away: set[BaseLockBackend] = set()
    for lock in renewer.holds():
        renewer.discard(lock)
        if lock.backend in away:
            continue
        try:
            lock.backend.release(lock.name, lock.token)
        except LockError as error:
            # It is not waited for again: the leases end.
            away.add(lock.backend)
            logger.debug("At the end of the process: %s", error)
    renewer.end()
    renewer.flush(PATIENCE)


def _terminated(number: int, frame: FrameType | None) -> None:
    # The thread that the signal interrupted may hold any mutex, so another one does the work.
    releasing = threading.Thread(target=release_all, daemon=True)
    with suppress(RuntimeError):  # where no thread can be started, the leases end
        releasing.start()
        # Bit by bit, so that while a whole machine stands still only one bit of it passes.
        for _ in range(PATIENCE_BITS):
            releasing.join(PATIENCE / PATIENCE_BITS)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


atexit.register(release_all)
