"""Tallies of one family in one slot of time, and statistics from them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

__all__ = [
    "BOUNDS",
    "MINUTE",
    "MINUTES",
    "MOST_FAMILIES",
    "SLOT",
    "SLOTS",
    "Minute",
    "Slot",
    "Tally",
    "last_hour",
    "last_minutes",
    "percentile",
]

# The upper bounds (seconds) of the buckets for durations: 1 ms, doubled until it is above an hour.
# One more bucket counts longer durations.
BOUNDS = tuple(0.001 * 2**power for power in range(23))

# The figures of the last hour are in this many slots of this many seconds, of which the last one is
# still running.
SLOT = 300
SLOTS = 13

# For the last two slots there are also figures by the minute, of all families together.
MINUTE = 60
MINUTES = 2 * SLOT // MINUTE

# This many families have figures of their own; those of all others are merged.
MOST_FAMILIES = 200

MICROSECONDS = 1_000_000


def _no_buckets() -> list[int]:
    return [0] * (len(BOUNDS) + 1)


@dataclass
class Tally:
    """How often a family was acquired, busy and lost, and how long it was waited for and held.

    ``waits`` counts acquisitions and ``holds`` counts releases, by buckets of their duration.
    """

    longest_wait: float = 0.0
    longest_hold: float = 0.0
    acquired: int = 0
    busy: int = 0
    lost: int = 0
    waits: list[int] = field(default_factory=_no_buckets)
    holds: list[int] = field(default_factory=_no_buckets)

    def was_acquired(self, waited: float) -> None:
        self.acquired += 1
        self.waits[bisect_left(BOUNDS, waited)] += 1
        self.longest_wait = max(self.longest_wait, waited)

    def was_released(self, held: float) -> None:
        self.holds[bisect_left(BOUNDS, held)] += 1
        self.longest_hold = max(self.longest_hold, held)

    def was_busy(self, waited: float) -> None:
        self.busy += 1

    def was_lost(self, held: float) -> None:
        self.lost += 1

    def add(self, other: Tally) -> None:
        self.longest_wait = max(self.longest_wait, other.longest_wait)
        self.longest_hold = max(self.longest_hold, other.longest_hold)
        self.acquired += other.acquired
        self.busy += other.busy
        self.lost += other.lost
        self.waits = list(map(add, self.waits, other.waits))
        self.holds = list(map(add, self.holds, other.holds))

    def wait(self, share: float) -> float:
        """Return the wait (seconds) that this share of the acquisitions did not exceed."""
        return percentile(self.waits, share, self.longest_wait)

    def hold(self, share: float) -> float:
        """Return the time (seconds) that this share of the holds did not exceed."""
        return percentile(self.holds, share, self.longest_hold)

    def figures(self) -> list[int]:
        """Return whole numbers. The first two are maxima, in microseconds; all others are sums."""
        longest = (self.longest_wait, self.longest_hold)
        rounded = [round(seconds * MICROSECONDS) for seconds in longest]
        return [*rounded, self.acquired, self.busy, self.lost, *self.waits, *self.holds]

    @classmethod
    def sum_of(cls, tallies: Iterable[Tally]) -> Tally:
        whole = cls()
        for tally in tallies:
            whole.add(tally)
        return whole

    @classmethod
    def of(cls, figures: Sequence[int]) -> Tally:
        longest_wait, longest_hold, acquired, busy, lost, *buckets = figures
        half = len(buckets) // 2
        return cls(
            longest_wait / MICROSECONDS, longest_hold / MICROSECONDS, acquired, busy, lost,
            buckets[:half], buckets[half:],
        )  # fmt: skip


class Slot(NamedTuple):
    """The counts of one slot by family, from ``start`` (seconds since 1970) on."""

    start: int
    tallies: Mapping[str, Tally]


class Minute(NamedTuple):
    """The counts of all families, from ``start`` (seconds since 1970) on, for ``seconds``."""

    start: int
    seconds: int
    tally: Tally


def last_hour(present: int, tallies: Mapping[int, Mapping[str, Tally]]) -> list[Slot]:
    """Return the last hour's slots. Their numbers are seconds since 1970, divided by ``SLOT``."""
    numbers = range(present - SLOTS + 1, present + 1)
    return [Slot(number * SLOT, tallies.get(number, {})) for number in numbers]


def last_minutes(now: int, tallies: Mapping[int, Tally]) -> list[Minute]:
    """Return the last minutes. Their numbers are seconds since 1970, divided by ``MINUTE``."""
    present = now // MINUTE
    return [
        Minute(start, min(now - start, MINUTE), tallies.get(start // MINUTE) or Tally())
        for start in range((present - MINUTES + 1) * MINUTE, present * MINUTE + 1, MINUTE)
    ]


def percentile(buckets: Sequence[int], share: float, longest: float) -> float:
    """Return the duration (seconds) below which this share lies, estimated within its bucket."""
    rank = share * sum(buckets)
    for count, lower, upper in zip(buckets, (0.0, *BOUNDS), (*BOUNDS, longest), strict=True):
        if count and rank <= count:
            # Within a bucket, durations are spread logarithmically; only the first begins at zero.
            within = rank / count
            guess: float = lower * (upper / lower) ** within if lower else upper * within
            return min(guess, longest)
        rank -= count
    return longest if any(buckets) else 0.0
