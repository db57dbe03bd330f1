"""Counts of what happens to a lock, for the figures of its backend.

This does not use the signals, because sending one costs several times as much as counting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from .backends.base import BaseLockBackend
from .exceptions import LockUnavailable
from .figures.meter import Batch
from .figures.tallies import Tally
from .local.background import background
from .process import NoThread

__all__ = ["count"]

Count: TypeAlias = "Callable[[Tally, float], None]"

logger = logging.getLogger("django_redislock")

# Counts are sent to the backend this long (seconds) after the first of them, or at shutdown.
SEND_EVERY = 10.0


def count(backend: BaseLockBackend, method: Count, name: str, seconds: float) -> None:
    """Count an event of the name by a method of ``Tally``; ``seconds``: the time it took."""
    meter = backend.meter
    if meter is not None:
        meter.note(method, name, seconds)
        if not meter.is_scheduled:
            # If no thread can be started, the figures wait for the next event.
            with suppress(NoThread):
                background.later((backend, None), partial(_send, backend), SEND_EVERY)
                meter.is_scheduled = True


# The functions below run in the thread of the background jobs.


def _send(backend: BaseLockBackend, refused: Batch | None = None) -> None:
    """Send what was counted, or ``refused`` once more, which the backend did not answer."""
    batch = refused or (backend.meter.take() if backend.meter is not None else None)
    if batch is None or not batch.tallies:
        return
    try:
        backend.add_tallies(batch)
    except LockUnavailable as error:
        if refused:
            logger.debug("Counts of %d families are dropped: %s", len(batch.tallies), error)
            return
        logger.debug("Counts will be sent later: %s", error)
        # Shutdown does not wait for a server that has just failed to answer.
        with suppress(NoThread):
            again = partial(_send, backend, batch)
            background.later((backend, None), again, SEND_EVERY, at_end=False)
