"""Estimates of how long an attempt has to wait for a busy lock, and when to try again.

They come from a copy of the figures in this process, so an attempt never waits for them.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING

from .backends.base import SHARED
from .local.background import background

if TYPE_CHECKING:
    from .backends.base import BaseLockBackend, Busy
    from .exceptions import LockNotAcquired

__all__ = ["estimated_wait", "retry_after", "retry_in"]

# The time until refused clients should return is raised by up to this share, so that they do not
# return together.
SPREAD = 0.2
# Before that, it is at most this long (seconds): with an estimate of the wait, and if it comes from
# the lease, which may be long although its holder is usually done much sooner, or from the hold.
LONGEST_ESTIMATE = 3600.0
LONGEST_GUESS = 60.0


def estimated_wait(
    backend: BaseLockBackend, family: str, position: int, limit: int
) -> float | None:
    """Seconds until the turn of an attempt; None if it is unknown how long such locks are held.

    ``position``: its place in the queue, from 1 on. Each call may refresh the copy of the figures
    in the background. An answer comes from a copy of the last five minutes; the first call of a
    process, and the first one after a longer pause, most likely returns None.
    """
    if backend.meter is None:
        return None
    if backend.medians.claim_refresh(family):
        # If no thread can be started, the present copy has to do.
        background.later((backend, None), partial(_refresh, backend), 0.0)
    median = backend.medians.find(family)
    if median is None:
        return None
    # Readers do not wait for each other: the end of one hold lets all of them in.
    return median if limit == SHARED else median * position / limit


def retry_in(busy: Busy, estimate: float | None) -> float:
    """Seconds after which to try again, with a random part so that attempts do not coincide.

    Without an estimate it is the rest of the lease in the way, but at most a minute. An estimate
    counts up to an hour. If the hold has already lasted longer than that, it is as long again as it
    has lasted, but at most a minute.
    """
    if estimate is None:
        seconds = min(busy.retry_in, LONGEST_GUESS)
    else:
        seconds = min(estimate, LONGEST_ESTIMATE)
    return _spread(max(seconds, min(busy.held_for, LONGEST_GUESS)))


def retry_after(error: LockNotAcquired) -> int:
    """Return the error's ``retry_after`` in whole seconds, at least 1, for HTTP and Celery."""
    return max(math.ceil(error.retry_after), 1)


def _spread(seconds: float) -> float:
    """Return the same length of time, or up to a fifth more."""
    return seconds * random.uniform(1, 1 + SPREAD)  # noqa: S311 - it protects nothing


# Below is what runs in the thread of the background jobs.


def _refresh(backend: BaseLockBackend) -> None:
    backend.medians.put(backend.tallies(backend.medians.families))
