"""Graph of the waits: the queues of all names, joined by who holds and who waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import starmap
from typing import NamedTuple

from ..backends.base import BaseLockBackend, Hold, Holder, Waiting
from .asking import Silent, ask_all

__all__ = ["MOST_NAMES", "Circle", "Link", "NameQueue", "Party", "Waits", "party_of", "waits_of"]

# How many of the names that are waited for are looked at, of each backend.
MOST_NAMES = 5000


class Party(NamedTuple):
    """A thread or task, wherever it runs."""

    host: str
    pid: int
    started: int
    owner: str


def party_of(one: Hold | Waiting) -> Party:
    holder = one.holder
    # A hold that does not say whose it is belongs to nobody else.
    return Party(holder.host, holder.pid, holder.started, holder.owner or one.token)


@dataclass(frozen=True, eq=False)
class NameQueue:
    """A name that is waited for: who holds it, and who waits, in their order."""

    alias: str
    name: str
    holds: Sequence[Hold]
    waiting: Sequence[Waiting]

    @cached_property
    def holders(self) -> list[Party]:
        return [party_of(hold) for hold in self.holds]

    @cached_property
    def waiters(self) -> list[Party]:
        return [party_of(waiting) for waiting in self.waiting]

    def blocked_by(self, place: int, stuck: Set[Party]) -> list[Party]:
        """Of those that are stuck, whom the waiter at this place waits for; none if it gets the
        lock without them.
        """
        holders = [party for party in self.holders if party in stuck]
        limit = min([self.waiting[place].limit, *(hold.limit for hold in self.holds)])
        must_leave = len(self.holds) + 1 - limit
        if len(self.holds) - len(holders) < must_leave:
            return holders
        # Nobody barges, so a waiter waits for those before it as well.
        return [party for party in self.waiters[:place] if party in stuck]


class Link(NamedTuple):
    """One step of a circle: this party waits for the name, which the next one holds."""

    party: Party
    queue: NameQueue


Circle = list[Link]


@dataclass
class Waits:
    """The queues of the names that were looked at: ``looked_at`` of ``total``."""

    queues: Sequence[NameQueue]
    looked_at: int = 0
    total: int = 0
    silent: Sequence[Silent] = field(default_factory=list)

    @cached_property
    def held_by(self) -> dict[Party, list[NameQueue]]:
        """The names that are waited for, by who holds them."""
        held: dict[Party, list[NameQueue]] = {}
        for queue in self.queues:
            for party in dict.fromkeys(queue.holders):
                held.setdefault(party, []).append(queue)
        return held

    @cached_property
    def waited_by(self) -> dict[Party, list[tuple[NameQueue, int]]]:
        """The queues in which a party stands, with its place."""
        waited: dict[Party, list[tuple[NameQueue, int]]] = {}
        for queue in self.queues:
            for place, party in enumerate(queue.waiters):
                waited.setdefault(party, []).append((queue, place))
        return waited

    @cached_property
    def holders(self) -> dict[Party, Holder]:
        """What each party says of itself."""
        holders: dict[Party, Holder] = {}
        for queue in self.queues:
            holders |= zip(queue.holders, (hold.holder for hold in queue.holds), strict=True)
            holders |= zip(queue.waiters, (one.holder for one in queue.waiting), strict=True)
        return holders

    @cached_property
    def stuck(self) -> frozenset[Party]:
        """Those that get nothing before another that is stuck gives up."""
        stuck = set(self.waited_by)
        while moving := {party for party in stuck if not self._blocked(party, stuck)}:
            stuck -= moving
        return frozenset(stuck)

    def _blocked(self, party: Party, stuck: Set[Party]) -> tuple[NameQueue, Party] | None:
        """The name for which a party is kept waiting, and by whom of those that are stuck."""
        for queue, place in self.waited_by[party]:
            if blockers := queue.blocked_by(place, stuck):
                return queue, blockers[0]
        return None

    @cached_property
    def circles(self) -> list[Circle]:
        """The deadlocks: each waits for the next, and the last one for the first."""
        seen: set[Party] = set()
        return [circle for party in sorted(self.stuck) if (circle := self._circle(party, seen))]

    def _circle(self, start: Party, seen: set[Party]) -> Circle:
        """The circle that the way from here ends in, unless it was ``seen`` before."""
        path: dict[Party, NameQueue] = {}
        party = start
        while party not in seen and (blocked := self._blocked(party, self.stuck)):
            seen.add(party)
            path[party], party = blocked
        links = list(starmap(Link, path.items()))
        return links[list(path).index(party) :] if party in path else []

    @cached_property
    def roots(self) -> list[NameQueue]:
        """The names that somebody holds who waits for nothing."""
        waiting = self.waited_by
        return [
            queue for queue in self.queues if not all(party in waiting for party in queue.holders)
        ]


def waits_of(aliases: Sequence[str], most: int = MOST_NAMES) -> Waits:
    """Read on demand, since it costs a look at each name that is waited for."""

    def ask(alias: str, backend: BaseLockBackend) -> tuple[list[NameQueue], int]:
        names, total = backend.waited_for(0, most)
        return list(_queues(alias, backend, [one.name for one in names])), total

    answers, silent = ask_all(aliases, ask)
    queues = [queue for found, _total in answers.values() for queue in found]
    totals = [total for _found, total in answers.values()]
    # More than there are queues: a name was looked at, too, whose waiters had ended.
    return Waits(queues, sum(min(most, total) for total in totals), sum(totals), silent)


def _queues(alias: str, backend: BaseLockBackend, names: Sequence[str]) -> Iterator[NameQueue]:
    for name, (holds, waiting) in zip(names, backend.inspect_all(names), strict=True):
        # It may have been handed over since the index was read.
        if waiting:
            yield NameQueue(alias, name, holds, waiting)
