"""Signals of what happens to locks. The sender is the class ``Lock``.

Receivers get ``lock`` (the handle) and, depending on the signal:

``lock_acquired``: ``waited`` (seconds). ``lock_released``: ``held`` (how many seconds the name is
held in all, including the rest of a ``min_hold``; None for another handle's hold by its token).
``lock_contended``: ``holder`` (the holder when the attempt began to queue or gave up), ``waited``
(seconds) and ``acquired`` (False when the attempt gave up).
``lock_lost``: ``reason`` (text). It is sent by a thread of ours or by the release that noticed it.

Django logs a receiver that raises; this never disturbs the lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from django.dispatch import Signal

__all__ = [
    "Listener",
    "lock_acquired",
    "lock_contended",
    "lock_lost",
    "lock_released",
]


lock_acquired = Signal(use_caching=True)
lock_released = Signal(use_caching=True)
lock_contended = Signal(use_caching=True)
lock_lost = Signal(use_caching=True)


class Listener(ABC):
    """Base of the classes that receive all signals of the locks of this process."""

    def connect(self) -> None:
        """Connect to all signals."""
        lock_acquired.connect(self._acquired, weak=False)
        lock_contended.connect(self._contended, weak=False)
        lock_released.connect(self._released, weak=False)
        lock_lost.connect(self._lost, weak=False)

    def disconnect(self) -> None:
        """Disconnect from all signals."""
        lock_acquired.disconnect(self._acquired)
        lock_contended.disconnect(self._contended)
        lock_released.disconnect(self._released)
        lock_lost.disconnect(self._lost)

    @abstractmethod
    def _acquired(self, *, lock: Any, waited: float, **kwargs: Any) -> None: ...

    @abstractmethod
    def _contended(self, *, lock: Any, waited: float, acquired: bool, **kwargs: Any) -> None: ...

    @abstractmethod
    def _released(self, *, lock: Any, held: float | None, **kwargs: Any) -> None: ...

    @abstractmethod
    def _lost(self, *, lock: Any, **kwargs: Any) -> None: ...
