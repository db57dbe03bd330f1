"""One exchange with the nodes of a Cluster: where each command goes, and its reply."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisError,
    TimeoutError as RedisTimeoutError,
    TryAgainError,
)

from ....clock import monotonic
from ..commands import pack
from ..errors import NotAsked, marked, of_node, was_sent
from ..scripts import with_text
from ..slots import buckets_of
from ..wire.node import Node
from ..wire.replies import Replies
from .topology import Topology, undecided

__all__ = ["Dispatch", "Part"]

ASKING = pack("ASKING")

# Nodes that redirect to each other agree soon. Scripts whose slot is being moved wait until the
# move is complete. Pauses are in seconds.
MOST_REDIRECTIONS = 8
PAUSES = (0.0, 0.0, 0.005, 0.01, 0.02, 0.05, 0.1)


class Part(NamedTuple):
    """The commands of one node, and the places of their replies among all."""

    node: Node
    places: list[int]
    commands: list[bytes]
    # Whether each is preceded by ASKING, for a node that is getting its slot.
    asking: bool


class Dispatch:
    """State of an exchange, which does no I/O.

    While it ``is_pending``, its ``Cluster`` asks for the topology if it ``wants_topology``, sends
    the ``parts()``, calls ``answered`` or ``failed`` for each of these, and pauses.
    """

    def __init__(
        self,
        topology: Topology,
        commands: Sequence[bytes],
        deadline: float,
        *,
        again: bool = False,
        urgent: bool = False,
    ) -> None:
        self._topology = topology
        self._commands = commands
        self._buckets = buckets_of(commands)
        self.urgent = urgent
        # The places of commands whose slots are being moved.
        self._moving: set[int] = set()
        self._deadline = deadline
        self._replies: list[Any] = [None] * len(commands)
        self._pending = list(range(len(commands)))
        # The nodes to which commands were redirected by a node that is giving their slot away.
        self._targets: dict[int, Node] = {}
        self._failures: dict[Node, RedisError] = {}
        # The error to raise when the time is over.
        self._failure: RedisError = RedisTimeoutError("The server did not answer in time.")
        self._asked_topology = False
        # Whether the commands may already have been carried out.
        self._again = again
        self._rounds = 0
        self.pause = 0.0

    @property
    def is_pending(self) -> bool:
        return bool(self._pending)

    @property
    def wants_topology(self) -> bool:
        """Whether to ask other nodes first which node has the slots."""
        buckets = {self._buckets[place] for place in self._pending}
        return not self._asked_topology and any(map(self._topology.is_doubtful, buckets))

    def left(self) -> float:
        """Return the seconds that are left. If there are none, raise the last error of a node."""
        left = self._deadline - monotonic()
        if left <= 0:
            raise self.final(self._failure)
        return left

    def has_topology(self) -> None:
        """Note that the topology has just been asked for."""
        self._asked_topology = True

    def parts(self) -> list[Part]:
        """Return what to send next. Raises the error of a failed node that still has its slots."""
        places: dict[tuple[Node, bool], list[int]] = defaultdict(list)
        for place in self._pending:
            target = self._targets.pop(place, None)
            node = target or self._topology.owner(self._buckets[place])
            if node in self._failures:
                raise self.final(of_node(self._failures[node], node.source.at))
            places[node, target is not None].append(place)
        self._pending, self._rounds, self.pause = [], self._rounds + 1, 0.0
        return [self._part(*key, some) for key, some in places.items()]

    def answered(self, part: Part, result: Replies) -> None:
        """Take over the replies of a node."""
        self._topology.doubted.pop(part.node, None)
        if part.node not in self._topology.owners and not part.asking:
            # Another node replaced it before it answered, and may have other holds.
            self._again = True
            self._pending += part.places
            return
        self._again |= result.again
        replies = result.replies[1::2] if part.asking else result.replies
        for place, reply in zip(part.places, replies, strict=True):
            if isinstance(reply, RedisError):
                of_node(reply, part.node.source.at)
            self._note_move(place, reply)
            # TRYAGAIN, which says that the slot is being moved, says more than a later ASK.
            if not (isinstance(reply, AskError) and place in self._moving):
                self._replies[place] = reply
            if isinstance(reply, ClusterDownError):
                # Other nodes may see more of the Cluster than this one.
                self.failed(part._replace(places=[place]), reply)
            elif isinstance(reply, (AskError, TryAgainError)):
                if self._goes_on(place):
                    self._follow(place, reply, part.node)
                elif isinstance(reply, AskError) and place not in self._moving:
                    self._replies[place] = self._lost(reply)

    def _follow(self, place: int, reply: AskError | TryAgainError, node: Node) -> None:
        self._pending.append(place)
        if isinstance(reply, MovedError):
            self._topology.moved(reply, node)
        elif isinstance(reply, AskError):
            self._targets[place] = self._topology.target_of(reply, node)

    def _lost(self, reply: AskError) -> ClusterDownError:
        """Return the error for a redirection that is not followed any further."""
        if self._rounds < MOST_REDIRECTIONS:
            return ClusterDownError(f"No time was left to follow the slot {reply.slot_id}.")
        return undecided(reply)

    def _note_move(self, place: int, reply: Any) -> None:
        # Towards the end of a move, the old owner redirects commands to the new one, which may not
        # yet run them. ASK and TRYAGAIN then alternate.
        if isinstance(reply, TryAgainError):
            self._moving.add(place)
            self._failure = reply
            self._topology.moving[self._buckets[place]] = None
        elif not isinstance(reply, AskError) or isinstance(reply, MovedError):
            if place in self._moving:
                self._moving.discard(place)
                self._rounds = 0  # rounds of waiting for the move are not redirections
            self._topology.moving.pop(self._buckets[place], None)

    def failed(self, part: Part, error: RedisError) -> None:
        """Note that a node has not answered. Another node may have its slots by now.

        Raises the error if other nodes have been asked about that already.
        """
        self.doubt(part.node, error)
        if self._asked_topology:
            raise self.final(self._failure)
        self._failures[part.node] = error
        self._pending += part.places

    def doubt(self, node: Node, error: RedisError) -> None:
        """Make all callers ask other nodes first whether a failed node still has its slots.

        Raises the error if it says nothing about the node.
        """
        if isinstance(error, NotAsked):
            raise self.final(of_node(error, node.source.at))
        self._topology.doubt(node, error)
        # Do not report that nothing was sent if commands were sent before. And keep TRYAGAIN if
        # the node failed only because no time was left.
        is_late = isinstance(self._failure, TryAgainError) and monotonic() >= self._deadline
        if not is_late and not (self._again and not was_sent(error)):
            self._failure = of_node(error, node.source.at)
        # Commands that were carried out before the reply was lost will be carried out again.
        self._again |= was_sent(error)

    def final(self, error: RedisError) -> RedisError:
        """Return an error, marked if the commands were sent before and may have taken effect."""
        return marked(error, sent=True) if self._again else error

    def result(self) -> Replies:
        return Replies(self._replies, self._again)

    def _part(self, node: Node, asking: bool, places: list[int]) -> Part:
        commands = [self._commands[place] for place in places]
        if asking:
            # Send the text at once: resending a script would need another ASKING.
            commands = [part for one in commands for part in (ASKING, with_text(one))]
        return Part(node, places, commands, asking)

    def _goes_on(self, place: int) -> bool:
        """Whether there is time for another round, and a chance that it succeeds."""
        is_moving = place in self._moving
        # Renewals do not wait for the move of a slot: renewals of other slots may be behind them.
        if is_moving and self.urgent:
            return False
        self.pause = PAUSES[min(self._rounds, len(PAUSES) - 1)] or (0.005 if is_moving else 0.0)
        enough = self._rounds >= MOST_REDIRECTIONS and not is_moving
        return not enough and monotonic() + self.pause < self._deadline
