"""The server of the model: the scripts, each one step, over the names of one bucket."""

from __future__ import annotations

from ..explorer import Violation
from .records import LAST, TICK, Hold, Waiting, replaced, without
from .store import Store

__all__ = ["Server"]


class Server(Store):
    """The scripts, each one step."""

    # The scripts.

    def acquire(self, name: int, token: int, stay: int) -> tuple[Hold | None, int]:
        """The claim's hold, or how long a current one lasts."""
        terms, limit = self.terms, self.terms.limits[self.terms.client_of(token)]
        if any(token == one for one, _ in self.gone):
            return None, 0
        if terms.has("expired holds are dropped before a grant"):
            self._drop_expired(name)
        own = self.hold(name, token)
        if own is not None and terms.has("an own hold is found again"):
            return self._found_again(name, own), 0
        if stay:
            self._join(name, token, limit, stay)
        self.silent -= {self.process_of(token)}
        granted = self._hand_over(name, token, limit)
        may_be_next = not self.queues[name] or not terms.has("new claims queue behind waiters")
        if granted is None and not stay and may_be_next and self._room(name, limit):
            newcomer = Waiting(token, 0, limit, LAST)
            granted = self._grant(name, newcomer, terms.lease, answered=True, confirmed=True)
        self._check(name)
        first = min((hold.ends for hold in self.holds[name]), default=0)
        return granted, first

    def release(self, name: int, token: int, mark: int, process: int) -> bool:
        """Whether the hold was live. With ``mark``, a claim that comes later is refused.

        Waiters of the ``process`` that asks get their turns with the reply.
        """
        hold = self.hold(name, token)
        self.done |= {token}
        if not self.terms.has("release compares the token") and self.holds[name]:
            token = self.holds[name][0].token
        self._mark(token, mark)
        self._end(name, token)
        self.here = process
        self._pass_on(name, "release hands over")
        self.here = -1
        return hold is not None and hold.ends > 0

    def extend(self, name: int, token: int, lease: int, at_least: bool) -> int:
        """The end of the lease, or 0."""
        terms, hold = self.terms, self.hold(name, token)
        if hold is None and not terms.has("extend compares the token"):
            hold = next(iter(self.holds[name]), None)
        if hold is None or (hold.ends <= 0 and terms.has("extend refuses what has expired")):
            return 0
        if hold.ends <= 0:
            raise Violation("a hold that has expired comes back")
        if at_least and terms.has("renewal never shortens a lease"):
            lease = max(lease, hold.ends)
        self._put(name, hold._replace(ends=lease, confirmed=True))
        return lease

    def cancel(self, name: int, token: int, mark: int, unless_answered: bool) -> None:
        """Cancel a claim, whether it waits, holds or has not arrived yet."""
        terms, hold = self.terms, self.hold(name, token)
        spared = terms.has("giving a turn back spares an answered hold")
        if unless_answered and spared and hold is not None and hold.answered:
            return
        self._mark(token, mark)
        if terms.has("cancel leaves the queue"):
            self.queues = replaced(self.queues, name, without(self.queues[name], token))
        if terms.has("cancel ends the hold"):
            self._end(name, token)
        self._pass_on(name, "cancel hands over")
        if not unless_answered:
            self.done |= {token}
        self._check(name)

    def force_release(self, name: int, token: int) -> int | None:
        """End the hold that was seen; return the token of the one that ended."""
        hold = self.hold(name, token)
        if not self.terms.has("force-release compares the token"):
            hold = next(iter(self.holds[name]), None)
        if hold is None or hold.ends <= 0:
            return None
        self.exempt |= {token}
        self._end(name, hold.token)
        self._pass_on(name, "force-release hands over")
        return hold.token

    # Parts that the scripts share.

    def _found_again(self, name: int, own: Hold) -> Hold:
        ends = self.terms.lease
        if self.terms.has("an acquire never shortens the own hold"):
            ends = max(ends, own.ends)
        answered = own.answered or self.terms.has("an answer is noted in the record")
        again = own._replace(ends=ends, answered=answered, confirmed=True)
        self._put(name, again)
        return again

    def _join(self, name: int, token: int, limit: int, stay: int) -> None:
        if token in self.done:
            raise Violation("a claim that is over queues again")
        queue = self.queues[name]
        present = next((one for one in queue if one.token == token), None)
        last = max((one.arrival for one in queue), default=0)
        claim = Waiting(token, stay, limit, present.arrival if present else last + 1)
        if present is None:
            queue = (*queue, claim)
        elif self.terms.has("a claim that asks again keeps its position"):
            queue = tuple(claim if one is present else one for one in queue)
        else:
            queue = (*without(queue, token), claim)
        order = sorted(one.arrival for one in queue)
        queue = tuple(one._replace(arrival=order.index(one.arrival)) for one in queue)
        self.queues = replaced(self.queues, name, queue)

    def _hand_over(self, name: int, me: int = -1, my_limit: int = 0) -> Hold | None:
        """Hand the name over to waiters, in their order, as far as there is room."""
        terms, mine = self.terms, None
        if terms.has("waiters of a silent process queue behind others"):
            self._put_silent_behind(name)
        while self.queues[name]:
            first, *rest = self.queues[name]
            room = self._room(name, first.limit)
            waits = first.token == me or first.deadline > 0
            waits = waits or not terms.has("a claim whose wait is over is passed over")
            if waits and not room and my_limit > first.limit and self._room(name, my_limit):
                waits = self._listens(first.token)
            if waits and not room:
                break
            self.queues = replaced(self.queues, name, tuple(rest))
            if not waits:
                continue
            if first.token == me:
                answered = terms.has("an answer is noted in the record")
                mine = self._grant(name, first, terms.lease, answered=answered, confirmed=True)
            elif self._listens(first.token) or not terms.has("a silent waiter is passed over"):
                self._give_turn(name, first)
        return mine

    def _put_silent_behind(self, name: int) -> None:
        queue = self.queues[name]
        arrivals = [one.arrival for one in queue]
        moved = sorted(queue, key=lambda one: self.process_of(one.token) in self.silent)
        queue = tuple(
            one._replace(arrival=arrival) for one, arrival in zip(moved, arrivals, strict=True)
        )
        self.queues = replaced(self.queues, name, queue)

    def _give_turn(self, name: int, first: Waiting) -> None:
        others = [one for one in self.queues[name] if self.process_of(one.token) not in self.silent]
        if self.process_of(first.token) in self.silent and any(
            one.deadline > 0 and self._listens(one.token) for one in others
        ):
            raise Violation("a silent process gets the next turn, too")
        lease = self.terms.lease
        if self.terms.has("a hand-over holds for the grant lease only"):
            lease = min(lease, self.terms.grant_lease)
        if not self._listens(first.token):
            raise Violation("a turn is given to a process that does not listen")
        if first.deadline <= 0:
            raise Violation("a turn is given to a claim whose wait is over")
        hold = self._grant(name, first, lease, answered=False, confirmed=False)
        self.handed = (*self.handed, (hold.token, hold.ends))

    def _grant(
        self, name: int, claim: Waiting, lease: int, *, answered: bool, confirmed: bool
    ) -> Hold:
        token = claim.token
        if token in self.done:
            raise Violation("a claim that is over is granted")
        for other in self.queues[name]:
            if other.arrival < claim.arrival and other.deadline > 0 and self._listens(other.token):
                raise Violation("a claim is granted although another waits before it")
        fence = self._next_number()
        if fence <= self.last[name]:
            raise Violation("a fence does not rise")
        self.last = replaced(self.last, name, fence)
        hold = Hold(token, lease, fence, claim.limit, answered, confirmed)
        self.holds = replaced(self.holds, name, (*without(self.holds[name], token), hold))
        return hold

    def _room(self, name: int, limit: int) -> bool:
        terms, holds = self.terms, self.holds[name]
        if not terms.has("room is counted before a grant"):
            return True
        if terms.has("the lowest limit of all holders counts"):
            limit = min([limit, *(hold.limit for hold in holds)])
        return len(holds) < limit

    def _next_number(self) -> int:
        numbers = [0 if self.terms.has("fences exceed the clock") else -TICK]
        if self.counter is not None and self.terms.has("fences exceed the counter"):
            numbers.append(self.counter + 1)
        self.counter = max(numbers)
        return self.counter

    def _drop_expired(self, name: int) -> None:
        live = tuple(hold for hold in self.holds[name] if hold.ends > 0)
        self.silent = frozenset(
            self.process_of(hold.token)
            for hold in self.holds[name]
            if hold.ends <= 0 and not hold.confirmed
        )
        self.holds = replaced(self.holds, name, live)

    def _pass_on(self, name: int, guard: str) -> None:
        if self.queues[name] and self.terms.has(guard):
            if self.terms.has("expired holds are dropped before a grant"):
                self._drop_expired(name)
            self.silent -= {self.here}
            self._hand_over(name)
        self._check(name)

    def _end(self, name: int, token: int) -> None:
        self.holds = replaced(self.holds, name, without(self.holds[name], token))

    def _put(self, name: int, hold: Hold) -> None:
        holds = tuple(hold if one.token == hold.token else one for one in self.holds[name])
        self.holds = replaced(self.holds, name, holds)

    def _mark(self, token: int, ticks: int) -> None:
        if ticks and self.terms.has("cancel marks late claims"):
            self.gone = (*(one for one in self.gone if one[0] != token), (token, ticks))
