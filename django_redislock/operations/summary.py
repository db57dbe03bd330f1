"""Summary of all locks: how many are held, how many have waiters, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..backends.base import BaseLockBackend, Entries
from ..exceptions import LockUnavailable
from ..figures.tallies import Minute
from .asking import ask_all
from .selection import distinct
from .states import state_of

__all__ = ["Summary", "counts_of", "summary_of"]

# How many holds of a backend are examined, the soonest end first, and how many of its names that
# have waiters.
LOOK_AT = 2000


@dataclass(frozen=True)
class Summary:
    """``held`` and ``waited`` are exact counts from the indexes, and ``has_all`` says whether all
    servers of all backends have answered. Fields that were not requested are None.

    ``overdue`` and ``silent`` count only among the ``looked_at`` holds, and ``longest_wait``
    (seconds) covers only ``waits_looked_at`` names. ``rate`` is the number of acquisitions per
    second in the last minute or two.
    """

    held: int = 0
    waited: int = 0
    rate: float | None = None
    looked_at: int = 0
    waits_looked_at: int = 0
    overdue: int | None = None
    silent: int | None = None
    longest_wait: float | None = None
    has_all: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether all holds were examined."""
        return self.has_all and self.looked_at >= self.held

    @property
    def has_all_waits(self) -> bool:
        return self.has_all and self.waits_looked_at >= self.waited


def summary_of(aliases: Iterable[str]) -> Summary | None:
    """Return the sum over these backends; None if none of them answers."""
    answers, silent = ask_all(distinct(aliases), _summary)
    return _sum(list(answers.values()), has_all=not silent) if answers else None


def counts_of(
    aliases: Iterable[str], held: int | None = None, *, without: Sequence[str] = ()
) -> Summary | None:
    """Return only the exact counts, which cost next to nothing.

    ``held``: the number of holds, if it is known already. ``without``: backends that are known not
    to answer, and are not asked again.
    """

    def ask(_alias: str, backend: BaseLockBackend) -> Summary:
        own = backend.entries(0, 0) if held is None else Entries([], 0)
        waited = backend.waited_for(0, 0)
        return Summary(own.total, waited.total, has_all=not (own.missing or waited.missing))

    answers, silent = ask_all([alias for alias in distinct(aliases) if alias not in without], ask)
    if not answers:
        return None
    whole = _sum(list(answers.values()), has_all=not silent and not without)
    return whole if held is None else replace(whole, held=held)


def _summary(alias: str, backend: BaseLockBackend) -> Summary:
    entries, held, missing = backend.entries(0, LOOK_AT)
    names, waited, also_missing = backend.waited_for(0, LOOK_AT)
    try:
        rate = _rate(backend.minutes())
    except LockUnavailable:
        # A single server of a Cluster has these figures.
        rate = None
    states = [state_of(hold) for hold in backend.look_up(entries)]
    return Summary(
        held,
        waited,
        rate,
        looked_at=len(entries),
        waits_looked_at=len(names),
        overdue=states.count("overdue"),
        silent=states.count("silent"),
        longest_wait=max((one.longest_wait for one in names), default=0.0),
        has_all=not (missing or also_missing),
    )


def _rate(minutes: Sequence[Minute]) -> float | None:
    """Return the acquisitions per second in the current minute and the one before it."""
    latest = minutes[-2:]
    if not latest:
        return None
    acquired = sum(minute.tally.acquired for minute in latest)
    return acquired / max(sum(minute.seconds for minute in latest), 1)


def _sum(parts: Sequence[Summary], *, has_all: bool) -> Summary:
    def total(field: str) -> int:
        return sum(getattr(one, field) or 0 for one in parts)

    rates = [one.rate for one in parts if one.rate is not None]
    waits = [one.longest_wait for one in parts if one.longest_wait is not None]
    return Summary(
        total("held"),
        total("waited"),
        sum(rates) if rates else None,
        looked_at=total("looked_at"),
        waits_looked_at=total("waits_looked_at"),
        overdue=total("overdue") if waits else None,
        silent=total("silent") if waits else None,
        longest_wait=max(waits) if waits else None,
        has_all=has_all and all(one.has_all for one in parts),
    )
