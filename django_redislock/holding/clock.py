"""What a handle knows of its lease by its own, monotonic clock; it asks nobody."""

from __future__ import annotations

import math
from time import monotonic

__all__ = ["LeaseClock"]

# A lease is renewed when a third of it has passed, so that two renewals may fail.
RENEW_AT = 1 / 3
# A hold with a long lease is looked after often enough (seconds) to hear of a release by force.
LONGEST_PAUSE = 10.0


class LeaseClock:
    """When a lease ends, and when it is due to be renewed. All times are in seconds.

    It is set to times from before a request left, so that it never ends later than the backend's.
    """

    __slots__ = ("_confirmed", "_since", "due", "ends", "length", "max_hold", "renew")

    def __init__(self, length: float, *, renew: bool, max_hold: float | None) -> None:
        self.length = length
        self.renew = renew
        self.max_hold = math.inf if max_hold is None else max_hold
        self.ends = self.due = self._since = -math.inf
        self._confirmed = True

    def begin(self, ends: float, *, confirmed: bool) -> None:
        """A hold was granted; for less than the whole lease until it is confirmed."""
        self._since = monotonic()
        self._confirmed = confirmed
        self.set_end(ends)

    def set_end(self, ends: float) -> None:
        """The lease ends at another time from now on."""
        now = monotonic()
        self.ends = ends
        if self.next_length(now) is None:
            self.due = ends
        else:
            span = min(self.length, ends - now)
            self.due = ends - span + min(span * RENEW_AT, LONGEST_PAUSE)

    def renewed(self, ends: float) -> None:
        """The backend granted what ``next_length`` asked for."""
        self._confirmed = True
        self.set_end(ends)

    def postpone(self, delay: float) -> None:
        """A renewal failed: it is due again after ``delay``, or when the lease is over."""
        self.due = min(monotonic() + delay, self.ends)

    def remaining(self) -> float:
        return max(0.0, self.ends - monotonic())

    def held_for(self) -> float:
        return monotonic() - self._since

    def next_length(self, now: float) -> float | None:
        """To how many seconds from ``now`` the lease should be extended; None: let it run out."""
        if self.renew and now - self._since < self.max_hold:
            return self.length
        if not self._confirmed:
            return max(0.0, self._since + self.length - now)
        return None
