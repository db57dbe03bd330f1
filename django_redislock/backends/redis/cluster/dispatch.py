"""One exchange with the nodes of a Cluster: which command goes where, and what came back."""

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
from ..errors import ServerAway, of_node
from ..scripts import with_text
from ..slots import buckets_of
from ..wire.node import Node
from ..wire.replies import Replies
from .topology import Topology

__all__ = ["Dispatch", "Part"]

ASKING = pack("ASKING")

# Nodes that redirect to each other agree soon; scripts of a slot that is being moved wait until it
# has. Pauses are in seconds.
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
    """It sends nothing: threads and coroutines drive it alike.

    While it ``is_pending``, they ask for the topology if it ``wants_topology``, send the
    ``parts()``, tell for each that it was ``answered`` or has ``failed``, and pause.
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
        # Renewals do not wait until a slot has moved: those of other slots may be behind them.
        self._awaits_moves = not urgent
        # The places of commands whose slots are being moved.
        self._moving: set[int] = set()
        self._deadline = deadline
        self._replies: list[Any] = [None] * len(commands)
        self._pending = list(range(len(commands)))
        # Where a node that is giving its slot away has sent a command.
        self._targets: dict[int, Node] = {}
        self._failures: dict[Node, RedisError] = {}
        # What there is to say when the time is over.
        self._failure: RedisError = RedisTimeoutError("The server did not answer in time.")
        self._asked_topology = False
        # Whether the commands may have been carried out before.
        self._again = again
        self._rounds = 0
        self.pause = 0.0

    @property
    def is_pending(self) -> bool:
        return bool(self._pending)

    @property
    def wants_topology(self) -> bool:
        """Whether other nodes are to be asked first who has the slots."""
        if self._asked_topology:
            return False
        owners = {self._topology.owners[self._buckets[place]] for place in self._pending}
        return any(node is None or self._topology.is_doubted(node) for node in owners)

    def left(self) -> float:
        """The seconds that are left. Raises what a node has failed with last, if none are."""
        left = self._deadline - monotonic()
        if left <= 0:
            raise self._failure
        return left

    def has_topology(self) -> None:
        """What is known of it now is fresh."""
        self._asked_topology = True

    def parts(self) -> list[Part]:
        """What to send next. Raises what a node has failed with that no other one replaces."""
        places: dict[tuple[Node, bool], list[int]] = defaultdict(list)
        for place in self._pending:
            target = self._targets.pop(place, None)
            node = target or self._topology.owner(self._buckets[place])
            if node in self._failures:
                raise of_node(self._failures[node], node.source.at)
            places[node, target is not None].append(place)
        self._pending, self._rounds, self.pause = [], self._rounds + 1, 0.0
        return [self._part(*key, of_node) for key, of_node in places.items()]

    def answered(self, part: Part, result: Replies) -> None:
        """Take over what a node has answered."""
        self._topology.doubted.pop(part.node, None)
        self._again |= result.again
        replies = result.replies[1::2] if part.asking else result.replies
        for place, reply in zip(part.places, replies, strict=True):
            self._note_move(place, reply)
            # That a slot is being moved says more than where to ask next.
            if not (isinstance(reply, AskError) and place in self._moving):
                self._replies[place] = reply
            if isinstance(reply, ClusterDownError):
                # Others may see more of the Cluster than this node.
                self.failed(part._replace(places=[place]), reply)
            elif isinstance(reply, (AskError, TryAgainError)) and self._goes_on(place):
                self._pending.append(place)
                if isinstance(reply, MovedError):
                    self._topology.moved(reply, part.node)
                elif isinstance(reply, AskError):
                    self._targets[place] = self._topology.target_of(reply, part.node)

    def _note_move(self, place: int, reply: Any) -> None:
        # Towards its end the old owner sends commands on to the new one, which may not yet run
        # them: ASK and TRYAGAIN take turns then.
        if isinstance(reply, TryAgainError):
            self._moving.add(place)
            self._failure = reply
            self._topology.moving[self._buckets[place]] = None
        elif not isinstance(reply, AskError) or isinstance(reply, MovedError):
            if place in self._moving:
                self._moving.discard(place)
                self._rounds = 0  # those that waited for the move were no redirections
            self._topology.moving.pop(self._buckets[place], None)

    def failed(self, part: Part, error: RedisError) -> None:
        """A node has not answered: another one may have its slots by now.

        Raises the error where others have been asked for that already.
        """
        self.doubt(part.node, error)
        if self._asked_topology:
            raise self._failure
        self._failures[part.node] = error
        self._pending += part.places

    def doubt(self, node: Node, error: RedisError) -> None:
        """Ask others first, for all callers, whether a node that has failed has its slots."""
        self._topology.doubted[node] = None
        # That nothing was sent is not said where something has been before, nor that there was no
        # time left for another answer.
        is_late = isinstance(self._failure, TryAgainError) and monotonic() >= self._deadline
        if not is_late and not (self._again and isinstance(error, ServerAway)):
            self._failure = of_node(error, node.source.at)
        # What was carried out before the answer was lost is carried out once more.
        self._again |= not isinstance(error, ServerAway)

    def result(self) -> Replies:
        return Replies(self._replies, self._again)

    def _part(self, node: Node, asking: bool, places: list[int]) -> Part:
        commands = [self._commands[place] for place in places]
        if asking:
            # A second attempt with the text of a script would have to ask again.
            commands = [part for one in commands for part in (ASKING, with_text(one))]
        return Part(node, places, commands, asking)

    def _goes_on(self, place: int) -> bool:
        """Whether there is time for another round, and reason to hope that it does better."""
        is_moving = place in self._moving
        if is_moving and not self._awaits_moves:
            return False
        self.pause = PAUSES[min(self._rounds, len(PAUSES) - 1)] or (0.005 if is_moving else 0.0)
        enough = self._rounds >= MOST_REDIRECTIONS and not is_moving
        return not enough and monotonic() + self.pause < self._deadline
