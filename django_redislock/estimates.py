"""Estimates of how long a busy lock stays busy for an attempt, and when to try again.

They come from a copy of the figures in this process: nothing here asks the server that is busy.
"""

from __future__ import annotations

import math
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .backends.base import SHARED
from .local.background import background
from .process import NoThread

if TYPE_CHECKING:
    from .backends.base import BaseLockBackend, Busy
    from .exceptions import LockNotAcquired

__all__ = ["estimated_wait", "retry_after", "retry_in"]

# Refused clients are sent away for up to this share longer, so that they do not return together.
SPREAD = 0.2
# They are sent away for this long at the most (seconds), before that is added: where the wait is
# estimated; and where only the lease is known, which may be long while its holder is mostly done
# much sooner.
LONGEST_ESTIMATE = 3600.0
LONGEST_GUESS = 60.0


def estimated_wait(
    backend: BaseLockBackend, family: str, position: int, limit: int
) -> float | None:
    """Seconds until the turn of an attempt; None while nobody knows how long such locks are held.

    ``position``: its place in the queue, from 1 on. The copy of the figures is refreshed in the
    background when somebody asks. An answer comes from a copy of the last five minutes; the first
    one of a process, and the first one after a longer pause, is most likely None.
    """
    if backend.meter is None:
        return None
    if backend.medians.claim_refresh(family):
        # Where no thread can start, what is known already will do.
        with suppress(NoThread):
            background.later((backend, None), partial(_refresh, backend), 0.0, at_end=False)
    median = backend.medians.find(family)
    if median is None:
        return None
    # Readers do not wait for each other: all of them are let in by the end of one hold.
    return median if limit == SHARED else median * position / limit


def retry_in(busy: Busy, estimate: float | None) -> float:
    """Seconds after which another attempt is worth it, not the same for all that were refused.

    Without an estimate it is what is left of the lease in the way; or, where the hold has lasted
    longer than that already, as long again as it has lasted; but a minute at the most. An estimate
    counts up to an hour.
    """
    if estimate is None:
        return _spread(min(max(busy.retry_in, busy.held_for), LONGEST_GUESS))
    return _spread(min(estimate, LONGEST_ESTIMATE))


def retry_after(error: LockNotAcquired) -> int:
    """Its ``retry_after`` for those who count in whole seconds, such as HTTP; 1 at the least."""
    return max(math.ceil(error.retry_after or 0.0), 1)


def _spread(seconds: float) -> float:
    """The same length of time, or up to a fifth more."""
    return seconds * random.uniform(1, 1 + SPREAD)  # noqa: S311 - it protects nothing


# Below, in the thread of the background jobs.


def _refresh(backend: BaseLockBackend) -> None:
    backend.medians.put(backend.tallies(backend.medians.families))
