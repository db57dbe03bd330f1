"""Queues between threads, with a timeout that is reliable."""

from __future__ import annotations

import queue
import threading
from typing import TypeVar

__all__ = ["take_within"]

T = TypeVar("T")


def take_within(source: queue.SimpleQueue[T], timeout: float) -> T:
    """Return the next item. Only one thread may take items from the queue.

    Raises ``queue.Empty`` after ``timeout`` seconds.
    """
    try:
        # Up to Python 3.12, get(timeout=...) forgets its timeout and waits for ever if the thread
        # is suspended for that long at a certain step, which is likely with a very short timeout.
        # Right after an attempt that found nothing, get() does not take that step.
        return source.get_nowait()
    except queue.Empty:
        if timeout <= 0:
            raise
    return source.get(timeout=min(timeout, threading.TIMEOUT_MAX))
