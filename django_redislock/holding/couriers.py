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


# What is to be done; it returns after how many seconds it is to be tried again, if at all.
Errand: TypeAlias = "Callable[[], float | None]"


class _Errands:
    """What one courier has to do at once, and what it is to try again, with the time for it."""

    def __init__(self) -> None:
        self.now: deque[Errand] = deque()
        self.later: deque[tuple[float, Errand]] = deque()


class Couriers:
    """Threads that start with an errand and end with the last one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._errands: dict[Any, _Errands] = {}

    def send(self, backend: Any, errand: Errand, *, urgent: bool = False) -> None:
        """Carry ``errand`` out soon, an urgent one before the others. Errors are logged."""
        with self._changed:
            errands = self._errands.get(backend)
            if errands is None:
                errands = _Errands()
                threading.Thread(
                    target=self._run,
                    args=(backend, errands),
                    name=f"django_redislock-{backend.alias}",
                    daemon=True,
                ).start()
                self._errands[backend] = errands
            if urgent:
                errands.now.appendleft(errand)
            else:
                errands.now.append(errand)
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait, for ``timeout`` seconds at the most, until all has been carried out."""
        deadline = monotonic() + timeout
        with self._changed:
            self._changed.wait_for(lambda: not self._errands, deadline - monotonic())

    def _run(self, backend: Any, errands: _Errands) -> None:
        while True:
            with self._changed:
                while errands.later and (errands.later[0][0] <= monotonic()):
                    errands.now.append(errands.later.popleft()[1])
                if not errands.now:
                    if errands.later:
                        self._changed.wait(max(0.0, errands.later[0][0] - monotonic()))
                        continue
                    del self._errands[backend]
                    self._changed.notify_all()
                    return
                errand = errands.now.popleft()
            try:
                again_after = errand()
            except Exception:
                logger.debug("An errand of the lock backend failed.", exc_info=True)
            else:
                if again_after is not None:
                    with self._changed:
                        errands.later.append((monotonic() + again_after, errand))
