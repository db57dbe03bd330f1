"""Release of the holds of a process that exits, also on SIGTERM.

Nothing can be released after SIGKILL; then the leases run out.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import threading
from collections import defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ..backends.base import Extension
from ..clock import monotonic
from ..process import process
from .background import background
from .registry import end, registry
from .renewal import renewal

if TYPE_CHECKING:
    from ..backends.base import BaseLockBackend
    from .background import Server
    from .hold import LocalHold

__all__ = ["release_all", "release_at_end"]

logger = logging.getLogger("django_redislock")

# A process that is shutting down waits at most this long (seconds) for its server.
LONGEST_WAIT = 3.0
SLICES = 30
# The lease (seconds) that is left to a hold whose code still runs.
LAST_LEASE = 1.0

_watched_pid = 0
_registered_pid = process.pid


def release_at_end() -> None:
    """Prepare for the end of this process. Called with the first hold of each owner."""
    global _registered_pid, _watched_pid  # noqa: PLW0603 - they are facts about the process
    if _registered_pid != process.pid:
        # Since Python 3.13, children of multiprocessing clear the functions that their parent has
        # registered.
        _registered_pid = process.pid
        atexit.unregister(release_all)
        atexit.register(release_all)
    if _watched_pid == process.pid:
        return
    # Signal handlers can only be set in the main thread; a later hold there sets it.
    if threading.current_thread() is not threading.main_thread():
        return
    _watched_pid = process.pid
    # Servers that shut down on SIGTERM have a handler of their own: gunicorn and celery exit
    # normally, and for uvicorn there is asgi.py. Ours only replaces the default action, which would
    # end the process at once.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and not _is_caught_outside_python():
        signal.signal(signal.SIGTERM, _terminated)


def _is_caught_outside_python() -> bool:
    """Whether SIGTERM has a handler that ``getsignal`` does not know, such as gevent's or uWSGI's.

    Systems other than Linux do not show this.
    """
    with suppress(OSError):
        status = Path("/proc/self/status").read_bytes()
        caught = re.search(rb"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def release_all() -> None:
    """Give up what this process holds, except for a ``min_hold``, before the process ends.

    A hold whose thread or event loop has ended is handed over, and a wait there is given up. If
    code may still run under a hold, the hold is first marked as lost and its lease is then cut to a
    second, so that it ends after the process.
    """
    renewal.settle(LONGEST_WAIT)
    for attempt in list(registry.attempts):
        # Otherwise a lock handed over to such a wait would be nobody's until its grant lease ends.
        if not any(_still_runs(hold) for hold, _ in list(attempt.parts)):
            attempt.finish()
    ended: dict[Server, list[LocalHold]] = defaultdict(list)
    running: dict[Server, list[LocalHold]] = defaultdict(list)
    for hold in list(registry.holds):
        if hold.decide():
            (running if _still_runs(hold) else ended)[hold.server].append(hold)
            hold.lose("the process ends")
        registry.holds.pop(hold, None)
    # A server that does not answer is not tried again: the leases run out.
    for server, holds in ended.items():
        background.until_done(server, partial(_hand_over, holds), 0.0)
    for server, holds in running.items():
        background.until_done(server, partial(_cut_short, server[0], holds), 0.0)
    background.end(LONGEST_WAIT)


def _still_runs(hold: LocalHold) -> bool:
    owner = hold.owner
    # The main thread is running this code or waiting for it, and does not return to its own.
    if owner is None or (owner.loop is None and owner.thread is threading.main_thread()):
        return False
    return owner.is_running()


def _hand_over(holds: list[LocalHold]) -> None:
    for hold in holds:
        end(hold)


def _cut_short(backend: BaseLockBackend, holds: list[LocalHold]) -> None:
    now = monotonic()
    backend.extend_all(
        [Extension(hold.name, hold.token, max(LAST_LEASE, hold.keep_until - now)) for hold in holds]
    )


def _terminated(number: int, frame: FrameType | None) -> None:
    # The interrupted code is blocked until this returns, so another thread does the work.
    releasing = threading.Thread(target=release_all, daemon=True)
    with suppress(RuntimeError):  # if no thread can be started, the leases run out
        releasing.start()
        # In short slices, so a suspended machine does not use up the whole timeout.
        for _ in range(SLICES):
            releasing.join(LONGEST_WAIT / SLICES)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _reset_in_child() -> None:
    # A handler in Python runs only between two bytecodes, so a child that is just about to block
    # may not end: ``multiprocessing.Pool`` then waits for it for ever. A child with no locks of its
    # own has nothing to release.
    if signal.getsignal(signal.SIGTERM) is _terminated:
        with suppress(ValueError):  # handlers can only be set in the main thread
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


atexit.register(release_all)
process.in_child(_reset_in_child)
