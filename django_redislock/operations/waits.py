"""Wait-for graph: the queues of all names, linked by the parties that hold and wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, starmap
from typing import NamedTuple

from ..backends.base import SHARED, BaseLockBackend, Hold, Holder, WaitedNames, Waiting
from .asking import Silent, ask_all
from .selection import distinct

__all__ = ["MOST_NAMES", "Circle", "Link", "NameQueue", "Party", "Waits", "party_of", "waits_of"]

# How many names that have waiters are examined per backend.
MOST_NAMES = 5000


class Party(NamedTuple):
    """A thread or task, wherever it runs."""

    host: str
    pid: int
    started: int
    owner: str


def party_of(one: Hold | Waiting) -> Party:
    holder = one.holder
    # A hold without an owner is a party of its own.
    return Party(holder.host, holder.pid, holder.started, holder.owner or one.token)


@dataclass(frozen=True, eq=False)
class NameQueue:
    """A name that has waiters, with its holds, and its waiters in queue order."""

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

    @cached_property
    def lowest_limit(self) -> int:
        return min((hold.limit for hold in self.holds), default=SHARED)

    def waits_for_holders(self, place: int, stuck: Set[Party]) -> bool:
        """Whether the waiter at this place gets no lock until a ``stuck`` holder leaves."""
        must_leave = len(self.holds) + 1 - min(self.waiting[place].limit, self.lowest_limit)
        return sum(party not in stuck for party in self.holders) < must_leave

    def blocker(self, place: int, stuck: Set[Party]) -> Party | None:
        """Return a ``stuck`` party that the waiter at this place waits for; None if it can get the
        lock without any.
        """
        # The queue is first in, first out, so a waiter also waits for those ahead of it.
        others = (
            self.holders if self.waits_for_holders(place, stuck) else islice(self.waiters, place)
        )
        return next((party for party in others if party in stuck), None)


class Link(NamedTuple):
    """One step of a circle: this party waits for the name, which the next party holds."""

    party: Party
    queue: NameQueue

    @property
    def waiter(self) -> Holder:
        return self.queue.waiting[self.queue.waiters.index(self.party)].holder


Circle = list[Link]


@dataclass
class Waits:
    """The queues of the names that were examined: ``looked_at`` of ``total``."""

    queues: Sequence[NameQueue]
    looked_at: int = 0
    total: int = 0
    silent: Sequence[Silent] = field(default_factory=list)

    @cached_property
    def held_by(self) -> dict[Party, list[NameQueue]]:
        """The queues of the names that each party holds."""
        held: dict[Party, list[NameQueue]] = {}
        for queue in self.queues:
            for party in dict.fromkeys(queue.holders):
                held.setdefault(party, []).append(queue)
        return held

    @cached_property
    def waited_by(self) -> dict[Party, list[tuple[NameQueue, int]]]:
        """The queues that each party waits in, with its place in them."""
        waited: dict[Party, list[tuple[NameQueue, int]]] = {}
        for queue in self.queues:
            for place, party in enumerate(queue.waiters):
                waited.setdefault(party, []).append((queue, place))
        return waited

    @cached_property
    def stuck(self) -> frozenset[Party]:
        """The parties that get no lock until another stuck party gives up."""
        stuck = set(self.waited_by)
        # In how many queues each party is still blocked, and how many of each queue are not.
        blocked = {party: len(places) for party, places in self.waited_by.items()}
        served = dict.fromkeys(self.queues, 0)
        changed = list(self.queues)
        while changed:
            queue = changed.pop()
            place = served[queue]
            # Only the first that is blocked may have become free: the others wait for it, too.
            if (
                place == len(queue.waiters)
                or (place and queue.waiters[place - 1] in stuck)
                or queue.waits_for_holders(place, stuck)
            ):
                continue
            served[queue] += 1
            changed.append(queue)
            party = queue.waiters[place]
            blocked[party] -= 1
            if not blocked[party]:
                stuck.remove(party)
                changed += self.held_by.get(party, ())
                changed += (waited for waited, _ in self.waited_by[party])
        return frozenset(stuck)

    def _blocked(self, party: Party) -> tuple[NameQueue, Party] | None:
        """Return a queue in which the party is blocked, and the stuck party that blocks it."""
        for queue, place in self.waited_by[party]:
            if blocker := queue.blocker(place, self.stuck):
                return queue, blocker
        return None

    @cached_property
    def circles(self) -> list[Circle]:
        """The deadlocks: each party waits for the next one, and the last for the first."""
        seen: set[Party] = set()
        return [circle for party in sorted(self.stuck) if (circle := self._circle(party, seen))]

    def _circle(self, start: Party, seen: set[Party]) -> Circle:
        """Return the circle that the path from ``start`` ends in, unless it was ``seen`` before."""
        path: dict[Party, NameQueue] = {}
        party = start
        while party not in seen and (blocked := self._blocked(party)):
            seen.add(party)
            path[party], party = blocked
        links = list(starmap(Link, path.items()))
        return links[list(path).index(party) :] if party in path else []

    @cached_property
    def roots(self) -> list[NameQueue]:
        """The queues of names with at least one holder that is not waiting itself."""
        waiting = self.waited_by
        return [
            queue for queue in self.queues if not all(party in waiting for party in queue.holders)
        ]


def waits_of(aliases: Iterable[str], most: int = MOST_NAMES) -> Waits:
    """Read the queues, on demand only: this inspects every name that has waiters."""

    def ask(alias: str, backend: BaseLockBackend) -> tuple[list[NameQueue], WaitedNames]:
        waited = backend.waited_for(0, most)
        return list(_queues(alias, backend, [one.name for one in waited.names])), waited

    answers, silent = ask_all(distinct(aliases), ask)
    queues = [queue for found, _ in answers.values() for queue in found]
    totals = [waited.total for _, waited in answers.values()]
    silent += [
        Silent(alias, waited.missing, partly=True)
        for alias, (_, waited) in answers.items()
        if waited.missing is not None
    ]
    # Not len(queues): a name whose waiters have left was examined too.
    return Waits(queues, sum(min(most, total) for total in totals), sum(totals), silent)


def _queues(alias: str, backend: BaseLockBackend, names: Sequence[str]) -> Iterator[NameQueue]:
    for name, (holds, waiting) in zip(names, backend.inspect_all(names), strict=True):
        # The queue may have emptied since the index was read.
        if waiting:
            yield NameQueue(alias, name, holds, waiting)
