"""Selection of live locks across all backends, for the admin pages and the commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeVar

from ..backends.base import BaseLockBackend, Entry, Hold
from ..exceptions import InvalidLockBackend, LockUnavailable
from ..handler import lock_backends
from .asking import Silent, ask_all
from .filters import Criteria

__all__ = [
    "Found",
    "Listed",
    "Search",
    "Selection",
    "distinct",
    "listing",
    "look_up",
    "ranks",
]

T = TypeVar("T")


class Found(NamedTuple):
    """A live hold, and the alias of its backend."""

    alias: str
    hold: Hold


class Listed(NamedTuple):
    """A live hold as its index entry describes it, and the alias of its backend."""

    alias: str
    entry: Entry

    @property
    def identity(self) -> tuple[str, str, str]:
        """A key that is unique to this hold; the token alone may hold several names."""
        return self.alias, self.entry.name, self.entry.token


@dataclass
class Selection:
    """The holds that were found, the total number, and the backends that did not answer."""

    found: list[Found]
    total: int
    silent: list[Silent]


def distinct(aliases: Iterable[str]) -> list[str]:
    """Return the aliases without those that lead to the same locks as an earlier one."""
    first: dict[Hashable, str] = {}
    for alias in aliases:
        try:
            first.setdefault(lock_backends[alias].place, alias)
        except InvalidLockBackend:
            # Kept: the caller that lists its locks reports the error.
            first[object()] = alias
    return list(first.values())


def listing(
    aliases: Iterable[str], start: int, stop: int, *, backwards: bool = False
) -> tuple[list[Listed], int, list[Silent]]:
    """Return the entries of ranks ``start`` to ``stop``, alias by alias, the soonest end first;
    the total number; and the backends that did not answer.

    ``backwards`` counts from the other end. A server that does not answer contributes nothing to
    the ranks or the total.
    """
    aliases = distinct(aliases)
    # A single backend needs no count beforehand: it returns the total along with its entries.
    totals, silent = (
        ask_all(aliases, lambda _, backend: backend.entries(0, 0).total)
        if len(aliases) > 1 or backwards
        else (dict.fromkeys(aliases, sys.maxsize), [])
    )
    listed: list[Listed] = []
    count = 0
    for alias in reversed(totals) if backwards else totals:
        total = totals[alias]
        first, last = max(start - count, 0), max(stop - count, 0)
        if backwards:
            first, last = max(total - last, 0), max(total - first, 0)
        if first < min(last, total) or total == sys.maxsize:
            try:
                entries, total, missing = lock_backends[alias].entries(first, last)
            except (LockUnavailable, InvalidLockBackend) as error:
                silent.append(Silent(alias, error))
                continue
            if missing is not None:
                silent.append(Silent(alias, missing, partly=True))
            entries = entries[::-1] if backwards else entries
            listed += [Listed(alias, entry) for entry in entries]
        count += total
    return listed, count, silent


def look_up(listed: Iterable[Listed], silent: list[Silent]) -> list[Found]:
    """Return the holds of these entries, in order. Add backends that fail to ``silent``."""
    found: list[Found] = []
    for alias, lines in groupby(listed, key=lambda one: one.alias):
        try:
            holds = lock_backends[alias].look_up([line.entry for line in lines])
        except (LockUnavailable, InvalidLockBackend) as error:
            silent.append(Silent(alias, error))
        else:
            found += [Found(alias, hold) for hold in holds]
    return found


def ranks(aliases: Iterable[str], start: int, stop: int, *, backwards: bool = False) -> Selection:
    """Return the holds of ``listing``. Reads at most one page from each alias."""
    listed, total, silent = listing(aliases, start, stop, backwards=backwards)
    return Selection(look_up(listed, silent), total, silent)


class Search:
    """A pass over all holds that yields the matching ones. Aliases of the same locks count once.

    It keeps no holds in memory. ``silent`` lists the backends that did not answer, ``seen`` of
    ``total`` is its progress, and ``matched`` is how many holds it has yielded.
    """

    def __init__(self, aliases: Iterable[str], criteria: Criteria) -> None:
        self.aliases = distinct(aliases)
        self.criteria = criteria
        self.silent: list[Silent] = []
        self.seen = self.total = self.matched = 0

    def __iter__(self) -> Iterator[Found]:
        return self._each(self._holds)

    def listed(self) -> Iterator[Listed]:
        """Yield the index entries of the matches. Reads no full holds if names alone decide."""
        return self._each(self._lines)

    def _each(self, read: Callable[[str, Sequence[Entry]], Iterable[T]]) -> Iterator[T]:
        for alias in self.aliases:
            try:
                for entries in self._entries(alias, lock_backends[alias]):
                    self.seen += len(entries)
                    named = [one for one in entries if self.criteria.match_name(one.name)]
                    for one in read(alias, named):
                        self.matched += 1
                        yield one
            except (LockUnavailable, InvalidLockBackend) as error:
                self.silent.append(Silent(alias, error))

    def _holds(self, alias: str, entries: Sequence[Entry]) -> Iterator[Found]:
        holds = lock_backends[alias].look_up(entries)
        return (Found(alias, hold) for hold in holds if self.criteria.match(hold))

    def _lines(self, alias: str, entries: Sequence[Entry]) -> Iterator[Listed]:
        if self.criteria.by_name_alone:
            return (Listed(alias, entry) for entry in entries)
        return (Listed(alias, one.hold.entry) for one in self._holds(alias, entries))

    def _entries(self, alias: str, backend: BaseLockBackend) -> Iterator[Sequence[Entry]]:
        if self.criteria.names:
            yield from self._named(alias, backend)
            return
        _, total, missing = backend.entries(0, 0)
        self.total += total
        if missing is None:
            yield from backend.walk()
        else:
            self.silent.append(Silent(alias, missing, partly=True))
            with suppress(LockUnavailable):
                yield from backend.walk()

    def _named(self, alias: str, backend: BaseLockBackend) -> Iterator[Sequence[Entry]]:
        failure, answered = None, False
        for name in dict.fromkeys(self.criteria.names):
            try:
                holds, _ = backend.inspect(name)
            except LockUnavailable as error:
                failure = error
            else:
                answered = True
                yield [hold.entry for hold in holds]
        if failure is not None:
            self.silent.append(Silent(alias, failure, partly=answered))
