"""Median holds of the last hour by family: a copy in this process, refreshed now and then."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from ..clock import monotonic
from .tallies import MOST_FAMILIES, Slot, Tally

__all__ = ["Medians"]

# A copy is used for this long (seconds) before it is read anew.
REFRESH_EVERY = 30.0
# What is older (seconds) says nothing: nobody asked for a while, or the server was away.
OLDEST = 300.0


class Medians:
    """The copy of one backend. It reads nothing itself: whoever uses it calls ``claim_refresh``."""

    def __init__(self) -> None:
        self._medians: dict[str, float] = {}
        # Every family that was asked for; a dictionary, since it keeps its order.
        self._families: dict[str, None] = {}
        self._claimed_at = -math.inf
        self._put_at = -math.inf

    @property
    def families(self) -> Collection[str]:
        """The families that the copy is for."""
        return list(self._families)

    def find(self, family: str) -> float | None:
        """The median hold (seconds); None where nobody released one, or the copy is too old."""
        return self._medians.get(family) if monotonic() - self._put_at <= OLDEST else None

    def claim_refresh(self, family: str) -> bool:
        """Whether the caller should read the copy anew. True for one caller each time it is due."""
        is_new = family not in self._families
        if is_new and len(self._families) >= MOST_FAMILIES:
            return False
        now = monotonic()
        if not is_new and now - self._claimed_at < REFRESH_EVERY:
            return False
        self._families[family] = None
        self._claimed_at = now
        return True

    def put(self, slots: Sequence[Slot]) -> None:
        """Take over what was read."""
        whole: dict[str, Tally] = {}
        for slot in slots:
            for family, tally in slot.tallies.items():
                whole.setdefault(family, Tally()).add(tally)
        self._medians = {
            family: tally.hold(0.5) for family, tally in whole.items() if any(tally.holds)
        }
        self._put_at = monotonic()
