"""Shutdown: what happens to the holds of a process that exits, or is asked to by SIGTERM.

After a kill -9 nobody can release anything; then the leases end.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from collections import defaultdict
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from ..backends.base import Extension
from ..clock import monotonic
from ..process import NoThread, process
from .background import background
from .registry import end_of, registry
from .renewal import renewal

if TYPE_CHECKING:
    from ..backends.base import BaseLockBackend
    from .background import Server
    from .hold import LocalHold

__all__ = ["release_all", "release_at_end"]

logger = logging.getLogger("django_redislock")

# A process that is being ended does not wait longer than this (seconds) for its server.
PATIENCE = 3.0
PATIENCE_SLICES = 30
# What code that still runs believes to hold ends this long (seconds) after it was told otherwise.
LAST_LEASE = 1.0

_watched_pid = 0
_registered_pid = process.pid


def release_at_end() -> None:
    """Be there when this process ends. Called with every hold; the first one counts."""
    global _registered_pid, _watched_pid  # noqa: PLW0603 - they are facts about the process
    if _registered_pid != process.pid:
        # From Python 3.13 on a child of multiprocessing forgets what its parent has registered.
        _registered_pid = process.pid
        atexit.unregister(release_all)
        atexit.register(release_all)
    if _watched_pid == process.pid:
        return
    # A signal can be asked for in the main thread only; a later hold there does so.
    if threading.current_thread() is not threading.main_thread():
        return
    _watched_pid = process.pid
    # Servers that end by themselves on SIGTERM have a handler of their own: gunicorn and celery
    # come to a normal exit, and for uvicorn there is asgi.py. Where the signal would end the
    # process at once, it is ours.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def release_all() -> None:
    """Give up what this process holds, but for a ``min_hold``: it is about to end.

    A hold whose thread or event loop has come to its end is handed over. Where code may still run
    that believes in its hold, the hold is marked as lost first, and its lease is cut to a second,
    which ends when the process has ended.
    """
    renewal.settle(PATIENCE)
    ended: dict[Server, list[LocalHold]] = defaultdict(list)
    running: dict[Server, list[LocalHold]] = defaultdict(list)
    for hold in list(registry.holds):
        if hold.decide():
            (running if _still_runs(hold) else ended)[hold.server].append(hold)
            hold.lose("the process ends")
        registry.holds.pop(hold, None)
    for server, holds in ended.items():
        _in_background(server, partial(_hand_over, holds))
    for server, holds in running.items():
        _in_background(server, partial(_cut_short, server[0], holds))
    background.end(PATIENCE)


def _still_runs(hold: LocalHold) -> bool:
    owner = hold.owner
    # The main thread runs this very code, or is stopped for it: it does not come back.
    if owner is None or (owner.loop is None and owner.thread is threading.main_thread()):
        return False
    return owner.is_running()


def _in_background(server: Server, run: partial[None]) -> None:
    try:
        background.now(server, run)
    except NoThread:
        run()


def _hand_over(holds: list[LocalHold]) -> None:
    for hold in holds:
        # A server that does not answer is not asked again: the leases end.
        end_of(hold)()


def _cut_short(backend: BaseLockBackend, holds: list[LocalHold]) -> None:
    now = monotonic()
    backend.extend(
        [Extension(hold.name, hold.token, max(LAST_LEASE, hold.keep_until - now)) for hold in holds]
    )


def _terminated(number: int, frame: FrameType | None) -> None:
    # Whatever the signal interrupted stands still meanwhile, so another thread does the work.
    releasing = threading.Thread(target=release_all, daemon=True)
    with suppress(RuntimeError):  # where no thread can be started, the leases end
        releasing.start()
        # In short slices, so a suspended machine does not use up the whole timeout.
        for _ in range(PATIENCE_SLICES):
            releasing.join(PATIENCE / PATIENCE_SLICES)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


atexit.register(release_all)
