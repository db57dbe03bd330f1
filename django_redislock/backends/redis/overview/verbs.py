"""Overview of all the locks of a server, and the figures of the last hour."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from ....exceptions import LockUnavailable
from ....figures.meter import Batch
from ....figures.tallies import Minute, Slot
from ...base import BaseLockBackend, Entries, Entry, Hold, WaitedNames
from ..wire.replies import Exchanger
from . import hour, listing, lookups

__all__ = ["Overview"]

Some = TypeVar("Some", Entries, WaitedNames)


class Overview(BaseLockBackend):
    """The verbs of a Redis backend that concern all locks rather than a single name."""

    node: Exchanger
    _naming: Callable[[str], AbstractContextManager[None]]

    def entries(self, start: int = 0, stop: int = 100) -> Entries:
        return self._at_least_partly(listing.entries, start, stop)

    def walk(self) -> Iterator[Sequence[Entry]]:
        with self._naming(""):
            yield from listing.walk(self.node, self.config.key_prefix)

    def look_up(self, entries: Sequence[Entry]) -> Sequence[Hold]:
        with self._naming(""):
            return lookups.look_up(self.node, self.config.key_prefix, entries)

    def entries_of(self, names: Sequence[str]) -> Sequence[Entry]:
        with self._naming(""):
            return listing.entries_of(self.node, self.config.key_prefix, names)

    def waited_for(self, start: int = 0, stop: int = 100) -> WaitedNames:
        return self._at_least_partly(lookups.waited_for, start, stop)

    def _at_least_partly(self, read: Callable[..., Some], start: int, stop: int) -> Some:
        prefix = self.config.key_prefix
        try:
            with self._naming(""):
                return read(self.node, prefix, start, stop)
        except LockUnavailable as error:
            buckets = listing.readable_buckets(self.node, prefix)
            if not buckets:
                raise
            with self._naming(""):
                return read(self.node, prefix, start, stop, buckets)._replace(missing=error)

    def add_tallies(self, batch: Batch) -> None:
        with self._naming(""):
            hour.add(self.node, self.config.key_prefix, batch)

    def tallies(self, families: Collection[str] | None = None) -> Sequence[Slot]:
        with self._naming(""):
            return hour.slots(self.node, self.config.key_prefix, families)

    def minutes(self) -> Sequence[Minute]:
        with self._naming(""):
            return hour.minutes(self.node, self.config.key_prefix)
