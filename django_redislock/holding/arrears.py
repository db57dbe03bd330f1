"""What a backend could not be told while it was not to be had: releases, and claims taken back.

It is told in the background, in order. While the backend stays away, one is tried for all, since an
outage must not be answered with a storm; and what would end by itself meanwhile is left to that.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TypeAlias

from ..backends.base import BaseLockBackend
from ..exceptions import LockUnavailable
from ..process import process
from .renewal import RETRY_EVERY, renewer

__all__ = ["Arrears", "arrears"]

logger = logging.getLogger("django_redislock")

# Until when it is worth telling (monotonic), and how.
Debt: TypeAlias = "tuple[float, Callable[[], object]]"


class Arrears:
    """Debts by backend. A backend with any has an errand with the renewer's couriers."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Leave them to the parent, in a forked child."""
        self._lock = threading.RLock()
        self._owed: dict[BaseLockBackend, deque[Debt]] = {}

    def owe(self, backend: BaseLockBackend, tell: Callable[[], object], until: float) -> None:
        """Call ``tell`` soon, and again while it raises ``LockUnavailable``, till ``until``."""
        with self._lock:
            if backend in self._owed:
                self._owed[backend].append((until, tell))
                return
            self._owed[backend] = deque([(until, tell)])
        with self._dropping(backend):
            renewer.run_soon(backend, partial(self._pay, backend))

    def _pay(self, backend: BaseLockBackend) -> None:
        while (debt := self._first(backend)) is not None:
            until, tell = debt
            try:
                if monotonic() < until:
                    tell()
            except LockUnavailable:
                # A process that ends does not wait for a server that has just not answered.
                again = partial(self._pay, backend)
                with self._dropping(backend):
                    renewer.run_later(backend, again, RETRY_EVERY, at_end=False)
                return
            except Exception:
                logger.debug("A lock backend could not be told something.", exc_info=True)
            with self._lock:
                self._owed[backend].popleft()

    @contextmanager
    def _dropping(self, backend: BaseLockBackend) -> Iterator[None]:
        """Owe nothing where no thread can be started any more to pay it: the leases end."""
        try:
            yield
        except RuntimeError:
            with self._lock:
                self._owed.pop(backend, None)

    def _first(self, backend: BaseLockBackend) -> Debt | None:
        with self._lock:
            owed = self._owed.get(backend)
            if not owed:
                self._owed.pop(backend, None)
                return None
            return owed[0]


arrears = Arrears()

process.in_child(arrears.forget)
