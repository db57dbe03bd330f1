"""Which live locks are meant, over all backends: for the admin page and the commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, TypeVar

from ..backends.base import BaseLockBackend, Entry
from ..exceptions import InvalidLockBackend, LockUnavailable
from ..handler import lock_backends
from .asking import Silent, ask_all
from .filters import Criteria
from .states import Found

__all__ = [
    "Listed",
    "Listing",
    "Search",
    "Selection",
    "distinct",
    "listing",
    "look_up",
    "ranks",
]

T = TypeVar("T")


class Listed(NamedTuple):
    """What an index says of a live hold, and the alias of its backend."""

    alias: str
    entry: Entry

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells this hold from all others: a token may hold several names."""
        return self.alias, self.entry.name, self.entry.token


@dataclass
class Listing:
    """Some lines of the indexes, how much there is in all, and which backends could not say."""

    listed: list[Listed] = field(default_factory=list)
    total: int = 0
    silent: list[Silent] = field(default_factory=list)


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


def listing(aliases: Iterable[str], start: int, stop: int, *, backwards: bool = False) -> Listing:
    """The entries of ranks ``start`` to ``stop``: alias after alias, in each the soonest end first.

    ``backwards`` counts from the other end. A backend that does not answer is ``silent`` and counts
    for nothing.
    """
    aliases = distinct(aliases)
    # A backend that stands alone says with its entries how many there are.
    totals, silent = (
        ask_all(aliases, lambda _, backend: backend.entries(0, 0).total)
        if len(aliases) > 1 or backwards
        else (dict.fromkeys(aliases, sys.maxsize), [])
    )
    result = Listing(silent=silent)
    for alias in reversed(totals) if backwards else totals:
        total = totals[alias]
        first, last = max(start - result.total, 0), max(stop - result.total, 0)
        if backwards:
            first, last = max(total - last, 0), max(total - first, 0)
        if first < min(last, total) or total == sys.maxsize:
            try:
                entries, total = lock_backends[alias].entries(first, last)
            except (LockUnavailable, InvalidLockBackend) as error:
                result.silent.append(Silent(alias, error))
                continue
            entries = entries[::-1] if backwards else entries
            result.listed += [Listed(alias, entry) for entry in entries]
        result.total += total
    return result


def look_up(listed: Iterable[Listed], silent: list[Silent]) -> list[Found]:
    """The holds of these lines, in their order; backends that could not say join ``silent``."""
    found: list[Found] = []
    for alias, lines in groupby(listed, key=lambda one: one.alias):
        try:
            holds = lock_backends[alias].look_up([line.entry for line in lines])
        except LockUnavailable as error:
            silent.append(Silent(alias, error))
        else:
            found += [Found(alias, hold) for hold in holds]
    return found


def ranks(aliases: Iterable[str], start: int, stop: int, *, backwards: bool = False) -> Selection:
    """The holds of ``listing``; costs a page of each alias."""
    lines = listing(aliases, start, stop, backwards=backwards)
    return Selection(look_up(lines.listed, lines.silent), lines.total, lines.silent)


class Search:
    """Goes through all holds once and yields those that match; two ways to one hold count once.

    It keeps none of them in mind. ``silent`` are the backends that could not say, ``seen`` of
    ``total`` how far it has come, ``matched`` how many it has yielded.
    """

    def __init__(self, aliases: Iterable[str], criteria: Criteria | None = None) -> None:
        self.aliases = distinct(aliases)
        self.criteria = criteria or Criteria()
        self.silent: list[Silent] = []
        self.seen = self.total = self.matched = 0

    def __iter__(self) -> Iterator[Found]:
        return self._each(self._holds)

    def listed(self) -> Iterator[Listed]:
        """The same as lines of the indexes; nothing more is read where the names alone tell."""
        return self._each(self._lines)

    def _each(self, read: Callable[[str, Sequence[Entry]], Iterable[T]]) -> Iterator[T]:
        for alias in self.aliases:
            try:
                for entries in self._entries(lock_backends[alias]):
                    self.seen += len(entries)
                    named = [one for one in entries if self.criteria.match_name(one.name)]
                    for one in read(alias, named):
                        self.matched += 1
                        yield one
            except (LockUnavailable, InvalidLockBackend) as error:
                self.silent.append(Silent(alias, error))

    def _holds(self, alias: str, entries: Sequence[Entry]) -> Iterator[Found]:
        found = (Found(alias, hold) for hold in lock_backends[alias].look_up(entries))
        return (one for one in found if self.criteria.match(one))

    def _lines(self, alias: str, entries: Sequence[Entry]) -> Iterator[Listed]:
        if self.criteria.by_name_alone:
            return (Listed(alias, entry) for entry in entries)
        return (Listed(alias, one.hold.entry) for one in self._holds(alias, entries))

    def _entries(self, backend: BaseLockBackend) -> Iterator[Sequence[Entry]]:
        if self.criteria.names:
            for name in dict.fromkeys(self.criteria.names):
                yield [hold.entry for hold in backend.inspect(name)[0]]
        else:
            self.total += backend.entries(0, 0).total
            yield from backend.walk()
