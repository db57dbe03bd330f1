"""Wake-up connections to the nodes of a Cluster: one to each node on which this process waits.

A sharded message reaches only subscribers on the node that has the slot. So the channel of a
bucket moves when the bucket does, and the waiters in it then look again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import ClusterDownError, MovedError, RedisError

from ....clock import monotonic
from ....twins import Call, aperform, both, perform
from ...waiters import Turn, Waiters
from ..errors import ServerAway
from ..keys import bucket_of
from ..slots import SLOTS
from ..wakeups.connection import Wakeups
from ..wire.node import Node
from .nodes import Cluster
from .topology import Topology, undecided

__all__ = ["ClusterWakeups"]

# A channel that moves more often than this during one call is not followed any further.
MOST_MOVES = 5


class ClusterWakeups:
    """Used in place of ``Wakeups``. The threads of the nodes share their waiters."""

    def __init__(self, cluster: Cluster, waiters: Waiters, **settings: Any) -> None:
        self._cluster = cluster
        self._waiters = waiters
        self._make: Callable[..., _NodeWakeups] = partial(
            _NodeWakeups, topology=cluster.topology, waiters=waiters, **settings
        )
        cluster.topology.on_look_again = self.look_again
        cluster.topology.on_late = self._doubt
        self._nodes: dict[Node, _NodeWakeups] = {}
        self.forget()

    def forget(self) -> None:
        """Start as a new process without subscriptions: at first, and in a forked child."""
        for wakeups in self._all():
            wakeups.forget()
        self._nodes.clear()
        # The address under which scripts on any node reach this process.
        self._id = os.urandom(8).hex()
        self.process = _NodeWakeups.KIND + self._id

    def listening(self, name: str) -> bool:
        """Whether hand-overs of the name reach the process from the present node of its bucket."""
        # Checked first: most processes have no waiters at the moment.
        if not self._nodes:
            return False
        node = self._cluster.topology.owners[bucket_of(name)]
        wakeups = self._nodes.get(node) if node is not None else None
        return wakeups is not None and wakeups.listening(name)

    def listen(self, name: str, timeout: float) -> None:
        """Return when hand-overs of the name reach the process, or after a time-out.

        Raises ``RedisError``, ``OSError``, and ``NoThread`` if no thread can be started.
        """
        perform(self._listen, name, timeout)

    async def alisten(self, name: str, timeout: float) -> None:
        """The twin of ``listen``."""
        await aperform(self._listen, name, timeout)

    async def _listen(self, call: Call, name: str, timeout: float) -> None:
        deadline, bucket = monotonic() + timeout, bucket_of(name)
        asked = False
        for _ in range(MOST_MOVES):
            left = max(deadline - monotonic(), 0.001)
            if self._cluster.topology.is_doubtful(bucket) and not asked:
                asked = True
                await self._cluster.learn_topology(call, left)
            wakeups = self._of_bucket(bucket)
            try:
                await both(call, wakeups.listen, wakeups.alisten, name, left)
            except (RedisError, OSError) as error:
                failure = self._follow(bucket, wakeups.node, error, asked)
            else:
                return
        raise failure

    def watch(self, name: str, look_at: float, clock: float | None = None) -> None:
        """Ask one waiter of the name to look again at that time (monotonic)."""
        # If no node has the bucket any more, its waiters were asked to look when that was learned.
        with suppress(ClusterDownError):
            self._of_bucket(bucket_of(name)).watch(name, look_at, clock)

    def look_again(self, bucket: int) -> None:
        """Make the waiters in a bucket look again, and listen to the node that has it now."""
        for wakeups in self._all():
            wakeups.ring()
        self._waiters.nudge_all(lambda name: bucket_of(name) == bucket)

    def _doubt(self, node: Node) -> None:
        if (wakeups := self._nodes.get(node)) is not None:
            wakeups.doubt()

    def close(self) -> None:
        """End the threads and their connections."""
        for wakeups in self._all():
            wakeups.close()

    def _follow(self, bucket: int, node: Node, error: Exception, asked: bool) -> Exception:
        """Note a redirection or a failure. Raises the error if the others were asked before.

        Return the error to raise if there is no further attempt.
        """
        topology = self._cluster.topology
        if isinstance(error, MovedError):
            topology.moved(error, node)
            return undecided(error)
        if topology.owners[bucket] is not node:
            return error  # another node has got the bucket meanwhile
        if asked or isinstance(error, ServerAway):
            raise error
        topology.doubt(node, error)
        return error

    def _of_bucket(self, bucket: int) -> _NodeWakeups:
        node = self._cluster.topology.owner(bucket)
        wakeups = self._nodes.get(node)
        if wakeups is None:
            made = self._make(node, identity=self._id)
            wakeups = self._nodes.setdefault(node, made)
            self._forget_gone()
        return wakeups

    def _forget_gone(self) -> None:
        """Forget the nodes that have left the Cluster, when their threads have ended."""
        present = set(self._cluster.topology.nodes.values())
        for node, wakeups in self._nodes.copy().items():
            if node not in present and not wakeups.thread.is_running():
                self._nodes.pop(node, None)

    def _all(self) -> list[_NodeWakeups]:
        return list(self._nodes.values())


class _NodeWakeups(Wakeups):
    """The connection to one node, which is needed while the node has a bucket."""

    VERB, KIND = "SSUBSCRIBE", "s"

    def __init__(self, node: Node, *, topology: Topology, **settings: Any) -> None:
        self.node = node
        self._topology = topology
        super().__init__(node.source, **settings)

    def _is_needed(self) -> bool:
        return super()._is_needed() and self.node in self._topology.owners

    def _deliver(self, pushed: Any) -> None:
        if isinstance(pushed, MovedError):
            self._redirected(pushed)
        elif isinstance(pushed, list) and pushed[0] == b"sunsubscribe":
            self._unsubscribed(self._bucket(pushed[1]))
        else:
            super()._deliver(pushed)

    def _redirected(self, error: MovedError) -> None:
        bucket = SLOTS.index(error.slot_id)
        if bucket not in self._asked:
            # Redis 8 refuses to end a subscription in a slot that it no longer has. Reconnect: the
            # new connection will not have it.
            raise error
        self._asked.discard(bucket)
        self.listeners.answer(error, bucket)

    def _subscribe(self) -> None:
        self._send_away()
        for bucket in list(self.ready):
            if not self._has(bucket):
                # If the node is a replica now, it would deliver messages a second time.
                self._subscriber.send("SUNSUBSCRIBE", self._channel(bucket))
                self._drop(bucket)
        super()._subscribe()

    def _end(self) -> None:
        super()._end()
        self._send_away()

    def _send_away(self) -> None:
        """Answer the callers that wait for a bucket which another node has now.

        This node may never answer them, and its thread does not start again for them.
        """
        for bucket in self.listeners.wanted:
            if not self._has(bucket):
                moved = ClusterDownError("The slot has moved to another node.")
                self.listeners.answer(moved, bucket)

    def _unsubscribed(self, bucket: int) -> None:
        if bucket in self.ready:  # ended by the server, because it gives the bucket away
            self._drop(bucket)
            self._topology.on_look_again(bucket)

    def _drop(self, bucket: int) -> None:
        self._asked.discard(bucket)
        self.ready.pop(bucket, None)

    def _deliver_turn(self, name: str, token: str, turn: Turn) -> None:
        if self._has(bucket_of(name)):
            super()._deliver_turn(name, token, turn)
        else:
            # Turns must come from the connection to the owner. The waiter asks there.
            self._waiters.nudge_all(lambda waited: waited == name)

    def _has(self, bucket: int) -> bool:
        return self._topology.owners[bucket] is self.node
