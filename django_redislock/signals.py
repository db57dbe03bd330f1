"""Signals of what happens to locks. Each is sent by the class ``Lock``.

Receivers get ``lock`` (the handle), and by signal:

``lock_acquired``: ``waited`` (seconds). ``lock_released``: ``held`` (how many seconds the name is
held in all, which with ``min_hold`` goes on; or None for the hold of another handle, by its token).
``lock_contended``: ``holder`` (who held it when the attempt began to queue or gave up), ``waited``
(seconds) and ``acquired`` (False when the attempt gave up).
``lock_lost``: ``reason`` (text). It is sent by the renewal thread or by whoever noticed first.

A receiver that raises is logged by Django and never disturbs the lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from django.dispatch import Signal

__all__ = [
    "Listener",
    "LockSignal",
    "lock_acquired",
    "lock_contended",
    "lock_lost",
    "lock_released",
]


class LockSignal(Signal):
    """A signal that coroutines can send without leaving the event loop for a thread."""

    def tell(self, sender: type, **named: Any) -> None:
        """Send it. A receiver that raises is logged."""
        self.send_robust(sender, **named)

    async def atell(self, sender: type, **named: Any) -> None:
        """The twin of ``tell``."""
        # Django's asend moves synchronous receivers to a thread, where they may queue behind a
        # slow view while the lock is held. Ours are called in place, as a sync sender calls them.
        if any(receiver[-1] for receiver in self.receivers):
            await self.asend_robust(sender, **named)
        else:
            self.send_robust(sender, **named)


lock_acquired = LockSignal(use_caching=True)
lock_released = LockSignal(use_caching=True)
lock_contended = LockSignal(use_caching=True)
lock_lost = LockSignal(use_caching=True)


class Listener(ABC):
    """Hears all that happens to the locks of this process."""

    def connect(self) -> None:
        """Listen from now on."""
        lock_acquired.connect(self._acquired, weak=False)
        lock_contended.connect(self._contended, weak=False)
        lock_released.connect(self._released, weak=False)
        lock_lost.connect(self._lost, weak=False)

    def disconnect(self) -> None:
        """Listen no more."""
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
