"""Topology of a Cluster: which node has which bucket, as far as this process knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import shuffle
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError

from ....clock import monotonic
from ..breaker import ignore
from ..commands import pack
from ..errors import NotAsked
from ..keys import BUCKETS
from ..slots import SLOTS, Address, owners
from ..sources.source import ClusterSource, Source
from ..wire.node import Node

__all__ = ["QUESTIONS", "Topology", "undecided"]

# The commands that ask a node for the whole topology.
QUESTIONS = (pack("CLUSTER", "SLOTS"), pack("COMMAND", "INFO", "SPUBLISH"))


class Topology:
    """The nodes by address, and the owner of each bucket.

    Each step is one atomic operation, so any thread may take it, and be interrupted.
    ``on_look_again`` is called with a bucket when its waiters should look again, since another node
    has it or its node is back. ``on_absent`` is called repeatedly with a node while it is away, and
    ``on_late`` when an answer of it has not come in time. Set these before the first request.
    """

    def __init__(self, source: ClusterSource, make: Callable[[Source], Node] = Node) -> None:
        self.source = source
        self._make = make
        self.on_look_again: Callable[[int], object] = ignore
        self.on_absent: Callable[[Node], object] = ignore
        self.on_late: Callable[[Node], object] = ignore
        self.forget()

    def forget(self) -> None:
        """Start without any knowledge: at first, and in a forked child."""
        self.nodes: dict[Address, Node] = {}
        self.owners: list[Node | None] = [None] * BUCKETS
        # Nodes that did not answer. Other nodes are asked first whether these still have slots.
        self.doubted: dict[Node, None] = {}
        # Buckets for which no node runs scripts now, since their keys are spread over two nodes.
        self.moving: dict[int, None] = {}

    def owner(self, bucket: int) -> Node:
        """Return the node that has a bucket. Raises ``ClusterDownError`` if none is known."""
        node = self.owners[bucket]
        if node is None:
            raise ClusterDownError(f"No node of the Cluster has the slot {SLOTS[bucket]}.")
        return node

    def node_at(self, address: Address) -> Node:
        """Return the node at an address. A new node is not connected yet."""
        node = self.nodes.get(address)
        if node is None:
            made = self._make(self.source.node_at(*address))
            made.on_back = self._is_back
            made.on_absent, made.on_late = self.on_absent, self.on_late
            node = self.nodes.setdefault(address, made)
        return node

    def is_doubtful(self, bucket: int) -> bool:
        """Whether to ask which node has a bucket. If one is away, its probe asks the others."""
        node = self.owners[bucket]
        return node is None or (node in self.doubted and not node.breaker.is_open())

    def doubt(self, node: Node, error: Exception) -> None:
        """Note that a node has failed, unless that was only because of this process."""
        if not isinstance(error, NotAsked):
            self.doubted[node] = None

    def nodes_to_ask(self, within: float) -> Iterator[tuple[Node, float]]:
        """Yield all nodes that may know the topology, nodes in doubt last, each with its time.

        A node may take half of the seconds that are left, and the last one all of them.
        """
        deadline = monotonic() + within
        known = [node for node in dict.fromkeys(self.owners) if node is not None]
        start = [self.node_at(address) for address in self.source.start]
        shuffle(known)
        *others, last = sorted(dict.fromkeys([*known, *start]), key=self.doubted.__contains__)
        for node in others:
            yield node, max(deadline - monotonic(), 0.001) / 2
        yield last, max(deadline - monotonic(), 0.001)

    def learn(self, replies: list[Any], asked: Node) -> None:
        """Take over a node's replies to ``QUESTIONS``. Raises ``RedisError``."""
        slots, sharded = replies
        if isinstance(slots, ResponseError):
            if "cluster support disabled" in str(slots):
                raise ResponseError("It is not a Cluster. Write redis:// in LOCATION")
            raise slots
        if isinstance(sharded, list) and sharded in ([], [None], [[]]):
            raise ResponseError(
                "It is a Cluster of servers older than Redis 7.0, where a release cannot reach "
                "waiters on other nodes. Locks on a Cluster need Redis 7.0 or newer, or Valkey"
            )
        found = owners(slots, self._address_of(asked))
        for bucket, address in enumerate(found):
            self._give(bucket, None if address is None else self.node_at(address))
        for address, node in self.nodes.copy().items():
            if node not in self.owners and address not in self.source.start:
                self.nodes.pop(address, None)
                self.doubted.pop(node, None)
                node.close()

    def moved(self, error: MovedError, asked: Node) -> None:
        """Take over a node's redirection for one slot."""
        if error.slot_id in SLOTS:
            self._give(SLOTS.index(error.slot_id), self.target_of(error, asked))

    def target_of(self, error: AskError, asked: Node) -> Node:
        """The node to which a node redirects."""
        host = error.host if error.host not in {"", "?"} else self._address_of(asked).host
        return self.node_at(Address(host, int(error.port)))

    def _give(self, bucket: int, node: Node | None) -> None:
        before, self.owners[bucket] = self.owners[bucket], node
        if before is not node and before is not None:
            self.on_look_again(bucket)

    def _is_back(self, node: Node) -> None:
        for bucket, owner in enumerate(self.owners):
            if owner is node:
                self.on_look_again(bucket)

    def _address_of(self, node: Node) -> Address:
        kwargs = node.source.pool.connection_kwargs
        return Address(str(kwargs["host"]), int(kwargs["port"]))


def undecided(error: AskError) -> ClusterDownError:
    """Return the error for a redirection, of several in a row, that is not followed."""
    return ClusterDownError(f"The nodes redirect the slot {error.slot_id} to each other.")
