"""State of the whole model: the server, its clients, their messages, and the invariants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..explorer import Violation
from .server import Server
from .terms import Terms

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["REQUESTS", "UP", "Client", "Message", "World"]

UP, PAUSED, DEAD = "up", "paused", "dead"

REQUESTS = {"acquire", "renew", "extend", "release", "cancel", "give_back"}


class Message(NamedTuple):
    """A request, a reply, or a message on the wake-up connection of a process.

    ``value`` is a length of time: the requested one, or in a reply or a turn the time until the
    lease ends. ``age``: how long a request was under way. ``slow``: how long the message may still
    take; others arrive before time passes. ``mute``: the reply is not read. ``whole``: the value
    before time passed. ``stale``: the holder has extended its lease since.
    """

    kind: str
    token: int
    name: int
    value: int = 0
    age: int = 0
    slow: int = 0
    mute: bool = False
    whole: int = 0
    stale: bool = False


class Client(NamedTuple):
    """One attempt after another. ``phase``: idle, asking, queued, holding, releasing."""

    phase: str = "idle"
    attempt: int = -1
    token: int = -1
    name: int = 0
    waits: bool = False  # its turn would reach it
    left: int = 0  # of the wait
    look: int = 0  # until it asks again by itself
    lag: int | None = None  # how far its idea of the server's clock is behind
    turn: int | None = None  # a turn that came while it was asking
    ends: int = 0  # of the lease, by its own clock
    unanswered: bool = False  # an acquire may still be under way
    asked: int = 0  # the lease that it has asked for, beside renewals
    extended: bool = False
    doubtful: bool = False  # a shorter lease may take effect late, so it is not renewed


class World:
    """A state. Steps copy it; everything in it is immutable but its own attributes."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.server = Server(terms)
        self.clients = (Client(),) * terms.clients
        self.processes = (UP,) * (max(terms.processes[: terms.clients]) + 1)
        self.net: tuple[Message, ...] = ()
        self.faults = terms.faults
        self.seen: tuple[int, int] | None = None  # what an operator has seen: name, token
        # For the checks: how long a live waiter has not been served, and whether a message was
        # lost or came late, so that a turn may have been missed.
        self.stuck = (0,) * terms.names
        self.unlucky = False

    def copy(self) -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__ = self.__dict__.copy()
        copy.server = self.server.copy()
        return copy

    def key(self) -> tuple[object, ...]:
        return (
            self.server.key(), self.clients, self.processes, self.net, self.faults, self.seen,
            self.stuck, self.unlucky,
        )  # fmt: skip

    def put(self, number: int, **changes: Any) -> None:
        """Change a client."""
        client = self.clients[number]._replace(**changes)
        self.clients = (*self.clients[:number], client, *self.clients[number + 1 :])

    def send(self, kind: str, token: int, name: int, value: int = 0, **more: Any) -> None:
        """Send a message, unless it is for a process that has ended."""
        if kind in REQUESTS or self.state_of(self.terms.client_of(token)) != DEAD:
            self.net = (*self.net, Message(kind, token, name, value, **more))

    def take(self, message: Message, *instead: Message) -> None:
        """Remove a message that has arrived, or replace it by others."""
        place = self.net.index(message)
        self.net = (*self.net[:place], *self.net[place + 1 :], *instead)

    def state_of(self, number: int) -> str:
        return self.processes[self.terms.processes[number]]

    def is_linked(self, number: int) -> bool:
        return self.terms.processes[number] in self.server.links

    # Invariants.

    def settle(self) -> None:
        """Check the state after a step, and bring it into its normal form."""
        for number, client in enumerate(self.clients):
            if client.phase == "holding" and client.ends > 0:
                self._check_belief(number, client)
        self.net = tuple(sorted(self.net))
        self.server.compress()

    def _check_belief(self, number: int, client: Client) -> None:
        if client.token in self.server.exempt or self.state_of(number) == DEAD:
            return
        hold = self.server.hold(client.name, client.token)
        if hold is None or hold.ends < client.ends:
            raise Violation(f"client {number} believes that it holds longer than it does")
        for other, one in enumerate(self.clients):
            also = other != number and one.phase == "holding" and one.ends > 0
            excused = one.token in self.server.exempt or self.state_of(other) == DEAD
            if also and not excused and one.name == client.name and self.terms.limits[other] == 1:
                raise Violation(f"clients {number} and {other} both believe that they hold")

    def check_progress(self) -> None:
        """Before time passes: every live waiter is served within the grant lease."""
        stuck = list(self.stuck)
        for name in range(self.terms.names):
            holds = [hold for hold in self.server.holds[name] if hold.ends > 0]
            confirmed = any(hold.confirmed for hold in holds)
            live = any(
                self.state_of(number) == UP
                and self.is_linked(number)
                and client.phase == "queued"
                and client.name == name
                for number, client in enumerate(self.clients)
            )
            stuck[name] = stuck[name] + 1 if live and not confirmed else 0
            if stuck[name] > self.terms.grant_lease:
                raise Violation(f"name {name} is not given to a live waiter in time")
            for hold in holds:
                self._check_taken(hold.token, hold.confirmed)
        self.stuck = tuple(stuck)

    def _check_taken(self, token: int, confirmed: bool) -> None:
        number = self.terms.client_of(token)
        client = self.clients[number]
        excused = confirmed or self.unlucky or self.state_of(number) != UP
        if excused or not self.is_linked(number) or token in self.server.exempt:
            return
        if client.token != token or client.phase == "idle":
            raise Violation(f"no client takes the turn of token {token}")
