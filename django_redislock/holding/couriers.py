"""A thread for each backend that carries out, in order, what need not be waited for.

One backend whose server hangs does not keep the holds of another from being renewed.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeAlias

__all__ = ["Couriers"]

logger = logging.getLogger("django_redislock")


Errand: TypeAlias = "Callable[[], object]"


class Couriers:
    """Threads that start with an errand and end with the last one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._errands: dict[Any, deque[Errand]] = {}

    def send(self, backend: Any, errand: Errand, *, urgent: bool = False) -> None:
        """Carry ``errand`` out soon, an urgent one before the others. Errors are logged."""
        with self._changed:
            errands = self._errands.get(backend)
            if errands is None:
                errands = deque()
                threading.Thread(
                    target=self._run,
                    args=(backend, errands),
                    name=f"django_redislock-{backend.alias}",
                    daemon=True,
                ).start()
                self._errands[backend] = errands
            if urgent:
                errands.appendleft(errand)
            else:
                errands.append(errand)

    def join(self, timeout: float) -> None:
        """Wait, for ``timeout`` seconds at the most, until all has been carried out."""
        deadline = monotonic() + timeout
        with self._changed:
            self._changed.wait_for(lambda: not self._errands, deadline - monotonic())

    def _run(self, backend: Any, errands: deque[Errand]) -> None:
        while True:
            with self._changed:
                if not errands:
                    del self._errands[backend]
                    self._changed.notify_all()
                    return
                errand = errands.popleft()
            try:
                errand()
            except Exception:
                logger.debug("An errand of the lock backend failed.", exc_info=True)
