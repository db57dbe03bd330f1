"""Which live locks are meant, over all backends: for the admin page and the commands."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from ..backends.base import BaseLockBackend, Hold
from ..exceptions import InvalidLockBackend, LockUnavailable
from ..handler import lock_backends
from .criteria import Criteria

__all__ = ["Found", "Search", "Selection", "Silent", "distinct", "ranks"]

# How many holds are asked for at a time where all are wanted: the server reads as many index
# entries for it in one go, and is kept from others for a millisecond.
CHUNK = 1000

# A listing of several chunks is no snapshot: a renewal moves a hold to the end, and those behind it
# forward, past the place that is asked for next. Another pass finds what was overlooked.
PASSES = 3


@dataclass(frozen=True)
class Found:
    """A live hold, and the alias of the backend that keeps it."""

    alias: str
    hold: Hold


@dataclass(frozen=True)
class Silent:
    """A backend whose locks cannot be listed."""

    alias: str
    error: LockUnavailable | InvalidLockBackend


@dataclass
class Selection:
    """What was found, how much there is in all, and which backends could not say."""

    found: list[Found] = field(default_factory=list)
    total: int = 0
    silent: list[Silent] = field(default_factory=list)


def distinct(aliases: Iterable[str]) -> list[str]:
    """The aliases without those that lead to the same locks as one before them."""
    first: dict[Hashable, str] = {}
    for alias in aliases:
        try:
            first.setdefault(lock_backends[alias].place, alias)
        except InvalidLockBackend:
            # Whoever lists it says what is wrong with it.
            first[object()] = alias
    return list(first.values())


def ranks(aliases: Iterable[str], start: int, stop: int, *, backwards: bool = False) -> Selection:
    """The holds of ranks ``start`` to ``stop``: alias after alias, in each the soonest end first.

    ``backwards`` counts from the other end. Costs a page of each alias. A backend that does not
    answer is ``silent`` and counts for nothing.
    """
    selection = Selection()
    aliases = distinct(aliases)
    for alias in reversed(aliases) if backwards else aliases:
        before = selection.total
        first, last = max(start - before, 0), max(stop - before, 0)
        try:
            if backwards:
                total = lock_backends[alias].list(0, 0).total
                first, last = max(total - last, 0), max(total - first, 0)
            page = lock_backends[alias].list(first, last)
        except (LockUnavailable, InvalidLockBackend) as error:
            selection.silent.append(Silent(alias, error))
        else:
            holds = page.holds[::-1] if backwards else page.holds
            selection.found += [Found(alias, hold) for hold in holds]
            selection.total += page.total
    return selection


class Search:
    """Goes through all holds once and yields those that match; two ways to one hold count once.

    ``silent`` are the backends that could not say, ``seen`` and ``total`` how far it has come. Both
    are complete when it is over.
    """

    def __init__(self, aliases: Iterable[str], criteria: Criteria | None = None) -> None:
        self.aliases = distinct(aliases)
        self.criteria = criteria or Criteria()
        self.silent: list[Silent] = []
        self.seen = self.total = 0

    def __iter__(self) -> Iterator[Found]:
        for alias in self.aliases:
            try:
                for hold in self._holds(lock_backends[alias]):
                    self.seen += 1
                    if self.criteria.match(hold):
                        yield Found(alias, hold)
            except (LockUnavailable, InvalidLockBackend) as error:
                self.silent.append(Silent(alias, error))

    def _holds(self, backend: BaseLockBackend) -> Iterator[Hold]:
        if self.criteria.names:
            for name in dict.fromkeys(self.criteria.names):
                yield from backend.inspect(name)[0]
        else:
            yield from self._every(backend)

    def _every(self, backend: BaseLockBackend) -> Iterator[Hold]:
        seen: set[tuple[str, str]] = set()
        before = self.total
        for _ in range(PASSES):
            known = len(seen)
            start, total = 0, 1
            while start < total:
                page = backend.list(start, start + CHUNK)
                for hold in page.holds:
                    if (hold.name, hold.token) not in seen:
                        seen.add((hold.name, hold.token))
                        yield hold
                start, total = start + CHUNK, page.total
                self.total = before + max(total, len(seen))
            if total <= CHUNK or len(seen) == known:
                break
