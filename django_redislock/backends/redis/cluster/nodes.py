"""Connections to the nodes of a Cluster. Each command goes to the node that has its keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from os import getpid

from redis.exceptions import AskError, ClusterDownError, RedisError, TryAgainError

from ....clock import monotonic
from ....process import process
from ....twins import Call, aperform, both, perform
from ..breaker import PROBE_WITHIN
from ..errors import of_node
from ..slots import buckets_of
from ..sources.source import ClusterSource, Source
from ..wire.node import Node
from ..wire.replies import Replies
from .dispatch import Dispatch
from .topology import QUESTIONS, Topology

__all__ = ["Cluster"]

# Replies after which another node may carry out the command.
REDIRECTIONS = (AskError, ClusterDownError, TryAgainError)


class Cluster:
    """Used in place of a ``Node``. The commands for each node are sent in one go.

    The topology is not polled in the background. A caller that is redirected records that for all
    callers, and a caller that gets no answer asks the other nodes.
    """

    def __init__(self, source: ClusterSource, make: Callable[[Source], Node] = Node) -> None:
        self.source = source
        self._timeout = source.timeout
        self.topology = Topology(source, make)
        self.topology.on_absent = self._look_for_others

    def exchange(
        self,
        commands: Sequence[bytes],
        within: float | None = None,
        *,
        urgent: bool = False,
        claim: bool = False,
    ) -> Replies:
        """Send commands, those of each node in one go; return their replies.

        A ``claim`` grants a lock, and may have to be acknowledged by replicas of its node.

        Raises ``RedisError``; ``TimeoutError`` if the replies take longer than ``within`` seconds
        or a connection's time-out; ``ServerAway`` at once if a server is known to be away, unless
        the commands are ``urgent``.
        """
        if getpid() != process.pid:
            process.look()
        began, again, failure = monotonic(), False, None
        if (node := self._owner_of_one(commands)) is not None:
            try:
                replies = node.exchange(commands, within, urgent=urgent, claim=claim)
            except RedisError as error:
                failure = error
            else:
                if self._is_final(node, replies):
                    return replies
                again = replies.again or not isinstance(replies.replies[0], RedisError)
        dispatch = self._dispatch(commands, within, began, again=again, urgent=urgent)
        if node is not None and failure is not None:
            dispatch.doubt(node, failure)
        return perform(self._exchange_with_several, dispatch, claim)

    async def aexchange(
        self, commands: Sequence[bytes], within: float | None = None, *, claim: bool = False
    ) -> Replies:
        """The twin of ``exchange``."""
        # Repeated from above, since running one coroutine for both would slow down every command.
        process.look()
        began, again, failure = monotonic(), False, None
        if (node := self._owner_of_one(commands)) is not None:
            try:
                replies = await node.aexchange(commands, within, claim=claim)
            except RedisError as error:
                failure = error
            else:
                if self._is_final(node, replies):
                    return replies
                again = replies.again or not isinstance(replies.replies[0], RedisError)
        dispatch = self._dispatch(commands, within, began, again=again)
        if node is not None and failure is not None:
            dispatch.doubt(node, failure)
        return await aperform(self._exchange_with_several, dispatch, claim)

    def _is_final(self, node: Node, replies: Replies) -> bool:
        """Whether the reply to a single command counts, so that no other node has to be asked."""
        reply = replies.replies[0]
        if isinstance(reply, RedisError):
            of_node(reply, node.source.at)
            return not isinstance(reply, REDIRECTIONS)
        # Another node may have replaced it before it answered, and have other holds.
        return node in self.topology.owners

    async def _exchange_with_several(self, call: Call, dispatch: Dispatch, claim: bool) -> Replies:
        while dispatch.is_pending:
            if dispatch.wants_topology:
                left = dispatch.left()
                try:
                    await self.learn_topology(call, left)
                except RedisError as error:
                    raise dispatch.final(error) from error.__cause__
                dispatch.has_topology()
            for part in dispatch.parts():
                left, node = dispatch.left(), part.node
                exchange = partial(node.exchange, urgent=dispatch.urgent)
                try:
                    replies = await both(
                        call, exchange, node.aexchange, part.commands, left, claim=claim
                    )
                except RedisError as error:
                    dispatch.failed(part, error)
                else:
                    dispatch.answered(part, replies)
            if pause := dispatch.pause:
                await both(call, partial(time.sleep, pause), partial(asyncio.sleep, pause))
        return dispatch.result()

    def ask_topology(self, within: float) -> None:
        """Ask one node after another which node has which slots. Raises ``RedisError``."""
        perform(self.learn_topology, within)

    async def learn_topology(self, call: Call, within: float) -> None:
        """Like ``ask_topology``, for a thread or a task."""
        for node, left in self.topology.nodes_to_ask(within):
            try:
                replies, _ = await both(call, node.exchange, node.aexchange, QUESTIONS, left)
                self.topology.learn(replies, node)
            except RedisError as error:
                self.topology.doubt(node, error)
                failure = error
            else:
                return
        raise failure

    def _look_for_others(self, node: Node) -> None:
        """Ask other nodes about the buckets of a node that is away."""
        if node in self.topology.owners:
            with suppress(RedisError):
                self.ask_topology(PROBE_WITHIN)

    def node_of(self, bucket: int) -> Hashable:
        """Return the node known to have a bucket, or the bucket itself while it is being moved."""
        return bucket if bucket in self.topology.moving else self.topology.owners[bucket]

    def mend(self) -> None:
        for node in self._nodes():
            node.mend()

    def close(self) -> None:
        for node in self._nodes():
            node.close()

    def after_fork(self) -> None:
        for node in self._nodes():
            node.after_fork()
        self.topology.forget()

    def _nodes(self) -> list[Node]:
        return list(self.topology.nodes.values())

    def _owner_of_one(self, commands: Sequence[bytes]) -> Node | None:
        """The owner of the keys of a single command, unless it is in doubt: the common case."""
        if len(commands) != 1:
            return None
        topology = self.topology
        node = topology.owners[buckets_of(commands)[0]]
        return None if node in topology.doubted else node

    def _dispatch(
        self,
        commands: Sequence[bytes],
        within: float | None,
        began: float,
        *,
        again: bool,
        urgent: bool = False,
    ) -> Dispatch:
        limit = self._timeout if within is None or within > self._timeout else within
        return Dispatch(self.topology, commands, began + limit, again=again, urgent=urgent)
