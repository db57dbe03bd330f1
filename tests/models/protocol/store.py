"""Store of the model's server, with the passing of time and its invariants.

Times are in ticks from now, so that states which differ only in the date are one. Numbers count
from the server's clock: those above 0 were given since the clock last moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..explorer import Violation
from .records import TICK, Hold, Waiting
from .terms import Terms

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Store"]


class Store:
    """The stored data, and records for the checks."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.holds: tuple[tuple[Hold, ...], ...] = ((),) * terms.names
        self.queues: tuple[tuple[Waiting, ...], ...] = ((),) * terms.names
        self.gone: tuple[tuple[int, int], ...] = ()  # token, ticks left
        self.counter: int | None = None
        # Which processes listen for their turns.
        self.links: frozenset[int] = frozenset(terms.processes[: terms.clients])
        # The turns given by the current script: token, end of the lease.
        self.handed: tuple[tuple[int, int], ...] = ()
        self.here = -1  # the process that gets them with the reply
        # The silent processes: this script finds that they let a hand-over end unconfirmed.
        self.silent: frozenset[int] = frozenset()
        # For the checks alone: the last fence of each name, claims that were taken back or
        # released, and claims to which the server need not keep its word any more.
        self.last = (-TICK,) * terms.names
        self.done: frozenset[int] = frozenset()
        self.exempt: frozenset[int] = frozenset()

    def copy(self) -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__ = self.__dict__.copy()
        return copy

    def hold(self, name: int, token: int) -> Hold | None:
        return next((hold for hold in self.holds[name] if hold.token == token), None)

    def tick(self) -> None:
        """Let time pass."""
        self.holds = tuple(
            tuple(hold._replace(ends=max(hold.ends - 1, 0)) for hold in holds)
            for holds in self.holds
        )
        self.queues = tuple(
            tuple(one._replace(deadline=max(one.deadline - 1, 0)) for one in queue)
            for queue in self.queues
        )
        self.gone = tuple((token, left - 1) for token, left in self.gone if left > 1)
        self._move_clock()

    def _move_clock(self) -> None:
        self.counter = None if self.counter is None else self.counter - TICK
        self.last = tuple(fence - TICK for fence in self.last)
        self.holds = tuple(
            tuple(hold._replace(fence=hold.fence - TICK) for hold in holds) for holds in self.holds
        )

    def jump(self, ticks: int) -> None:
        """The clock is set forward. That leases end early is no fault of the protocol."""
        self._excuse_all()
        for _ in range(ticks):
            self.tick()

    def flush(self) -> None:
        """All data is lost, which is no fault of the protocol."""
        self._excuse_all()
        names = self.terms.names
        self.holds, self.queues, self.gone, self.counter = ((),) * names, ((),) * names, (), None
        self._move_clock()

    def _excuse_all(self) -> None:
        self.exempt |= {hold.token for holds in self.holds for hold in holds}
        self.done = frozenset()

    def process_of(self, token: int) -> int:
        return self.terms.processes[self.terms.client_of(token)]

    def _listens(self, token: int) -> bool:
        process = self.process_of(token)
        return process in self.links or process == self.here

    def _check(self, name: int) -> None:
        live = [hold for hold in self.holds[name] if hold.ends > 0]
        if live and len(live) > min(hold.limit for hold in live):
            raise Violation("more hold the name than its limit")
        if {hold.token for hold in live} & {one.token for one in self.queues[name]}:
            raise Violation("a claim waits for what it holds")
        for waiting in self.queues[name]:
            if not live and waiting.deadline > 0 and self._listens(waiting.token):
                raise Violation("a script leaves a name free although a live claim waits for it")

    def compress(self) -> None:
        """Renumber: only the order of numbers matters, and which of them the clock has passed."""
        fences = {hold.fence for holds in self.holds for hold in holds}
        known = sorted({0, *self.last, *fences, *([] if self.counter is None else [self.counter])})
        zero = known.index(0)
        if known[0] == -zero and known[-1] == len(known) - zero - 1:
            return  # no number is left out
        rank = {number: place - zero for place, number in enumerate(known)}
        self.counter = None if self.counter is None else rank[self.counter]
        self.last = tuple(rank[fence] for fence in self.last)
        self.holds = tuple(
            tuple(hold._replace(fence=rank[hold.fence]) for hold in holds) for holds in self.holds
        )

    def key(self) -> tuple[object, ...]:
        return (
            self.holds, self.queues, self.gone, self.counter, self.links, self.last, self.done,
            self.exempt,
        )  # fmt: skip
