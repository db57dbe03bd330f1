"""Median holds of the last hour by family: a copy in this process, refreshed as needed."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from ..clock import monotonic
from .tallies import MOST_FAMILIES, Slot, Tally

__all__ = ["Medians"]

# A copy is used for this long (seconds) before it is read again.
REFRESH_EVERY = 30.0
# An older copy (seconds) is not used: it was not needed for a while, or the server was unreachable.
OLDEST = 300.0


class Medians:
    """The copy of one backend. It reads nothing itself: callers use ``claim_refresh``."""

    def __init__(self) -> None:
        self._medians: dict[str, float] = {}
        # The families that were asked for, and when each was last (monotonic).
        self._families: dict[str, float] = {}
        self._claimed_at = -math.inf
        self._put_at = -math.inf

    @property
    def families(self) -> Collection[str]:
        """The families in the copy."""
        return list(self._families)

    def find(self, family: str) -> float | None:
        """The median hold (seconds); None if there was no release, or the copy is too old."""
        return self._medians.get(family) if monotonic() - self._put_at <= OLDEST else None

    def claim_refresh(self, family: str) -> bool:
        """Whether the caller should refresh the copy. True for one caller each time it is due."""
        now, is_new = monotonic(), family not in self._families
        if is_new and len(self._families) >= MOST_FAMILIES:
            self._forget(now - OLDEST)
            if len(self._families) >= MOST_FAMILIES:
                return False
        self._families[family] = now
        if not is_new and now - self._claimed_at < REFRESH_EVERY:
            return False
        self._claimed_at = now
        return True

    def _forget(self, before: float) -> None:
        """Make room: forget the families that nobody has asked for since."""
        for family, asked_at in self._families.copy().items():
            if asked_at < before:
                self._families.pop(family, None)

    def put(self, slots: Sequence[Slot]) -> None:
        """Replace the copy with what was read."""
        whole: dict[str, Tally] = {}
        for slot in slots:
            for family, tally in slot.tallies.items():
                whole.setdefault(family, Tally()).add(tally)
        self._medians = {
            family: tally.hold(0.5) for family, tally in whole.items() if any(tally.holds)
        }
        self._put_at = monotonic()
