"""Queues between threads, waited for with a time limit that is kept."""

from __future__ import annotations

import queue
import threading
from typing import TypeVar

__all__ = ["take_within"]

T = TypeVar("T")


def take_within(source: queue.SimpleQueue[T], timeout: float) -> T:
    """Return the next item, for the only thread that takes any.

    Raises ``queue.Empty`` after ``timeout`` seconds.
    """
    try:
        # Up to Python 3.12, get(timeout=...) forgets its timeout and waits for ever if the thread
        # stands still for that long at a certain step, which a very short timeout makes likely.
        # That step is not taken right after an attempt that found nothing.
        return source.get_nowait()
    except queue.Empty:
        if timeout <= 0:
            raise
    return source.get(timeout=min(timeout, threading.TIMEOUT_MAX))
