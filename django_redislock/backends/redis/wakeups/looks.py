"""Times at which a waiter polls, since no message may report that a lease has expired."""

from __future__ import annotations

import math

from ...waiters import Waiters

__all__ = ["Looks"]

# A waiter that was asked to look again and has not done so may be frozen; then another is asked.
ASK_AGAIN = 0.5


class Looks(dict[str, float]):
    """The time (monotonic) of the next look at each name. One waiter per process looks for all.

    Any thread may set a time. Only the wake-up thread asks waiters to look.
    """

    def earliest(self) -> float:
        return min(list(self.values()), default=math.inf)

    def ask(self, waiters: Waiters, now: float) -> None:
        """Ask one waiter of each name that is due to look again."""
        due = [name for name, look_at in self.copy().items() if look_at <= now]
        if not due:
            return
        # Set the time first, since the waiter that is asked may set a better one at once.
        for name in due:
            self[name] = now + ASK_AGAIN
        waiters.nudge(*due)
        self._forget_the_rest(waiters, now)

    def _forget_the_rest(self, waiters: Waiters, now: float) -> None:
        """Forget the names without waiters, including names that are not due yet.

        Each granted attempt leaves a time behind. If these were forgotten one by one, the thread
        would wake up and go through all of them as often as this process acquires a lock.
        """
        waited_for = set(waiters.names)
        forgotten = [name for name in list(self) if name not in waited_for]
        for name in forgotten:
            self.pop(name, None)
        for name in set(waiters.names).intersection(forgotten):
            self[name] = now  # a waiter has just arrived
