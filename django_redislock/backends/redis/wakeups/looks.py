"""Times at which a waiter looks for itself, since nothing may tell it that a lease is over."""

from __future__ import annotations

import math

from ...waiters import Waiters

__all__ = ["Looks"]

# A waiter that was asked to look again and has not done so may stand still; then another is asked.
ASK_AGAIN = 0.5


class Looks:
    """The time (monotonic) of the next look at each name. One waiter of the process looks for all.

    Any thread may set a time; the wake-up thread alone asks.
    """

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def set(self, name: str, look_at: float) -> None:
        self._at[name] = look_at

    def clear(self) -> None:
        self._at.clear()

    def earliest(self) -> float:
        return min(list(self._at.values()), default=math.inf)

    def ask(self, waiters: Waiters, now: float) -> None:
        """Ask one waiter of each name that is due."""
        due = [name for name, look_at in list(self._at.items()) if look_at <= now]
        if not due:
            return
        # First the time, since whoever is asked may set a better one at once.
        for name in due:
            self._at[name] = now + ASK_AGAIN
        waited_for = waiters.nudge(*due)
        for name in due:
            if name not in waited_for:
                self._at.pop(name, None)
                if name in waiters:  # somebody has come just now
                    self._at[name] = now
