"""From what happens to a lock to the figures of its backend.

Not by a receiver of the signals: to send one costs several times as much as to count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from .backends.base import BaseLockBackend
from .exceptions import LockUnavailable
from .figures.meter import Batch
from .figures.tallies import Tally
from .local.background import background

__all__ = ["attempted", "lost", "released"]

logger = logging.getLogger("django_redislock")

# What was counted is told after so many seconds, or when the process has held nothing for a while.
TELL_EVERY = 10.0


def attempted(lock: Any, waited: float, *, acquired: bool) -> None:
    """An attempt was granted or gave up after ``waited`` seconds."""
    _note(lock, Tally.was_acquired if acquired else Tally.was_busy, waited)


def released(lock: Any, held: float | None) -> None:
    """It was released after ``held`` seconds; None if that is not known."""
    if held is not None:
        _note(lock, Tally.was_released, held)


def lost(lock: Any) -> None:
    """It ended while its handle believed that it held."""
    _note(lock, Tally.was_lost, 0.0)


def _note(lock: Any, count: Callable[[Tally, float], None], seconds: float) -> None:
    meter = lock.backend.meter
    if meter is not None and meter.note(count, lock.name, seconds):
        _run_later(lock.backend, partial(_tell, lock.backend))


def _run_later(backend: BaseLockBackend, job: Callable[[], None], *, at_end: bool = True) -> None:
    # Where no thread can be started any more, figures are what can be spared.
    with suppress(RuntimeError):
        background.later(backend, job, TELL_EVERY, at_end=at_end)


# Below, in the thread of the background jobs.


def _tell(backend: BaseLockBackend) -> None:
    batch = backend.meter.take() if backend.meter is not None else None
    if batch is None or not batch.tallies:
        return
    try:
        backend.add_tallies(batch)
    except LockUnavailable as error:
        logger.debug("What was counted is told later: %s", error)
        # A process that ends does not wait for a server that has just not answered.
        _run_later(backend, partial(_tell_again, backend, batch), at_end=False)


def _tell_again(backend: BaseLockBackend, batch: Batch) -> None:
    try:
        backend.add_tallies(batch)
    except LockUnavailable as error:
        logger.debug("What was counted of %d families is dropped: %s", len(batch.tallies), error)
