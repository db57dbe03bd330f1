"""The way to the nodes of a Cluster: each command goes to the one that has its keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from os import getpid

from redis.exceptions import AskError, ClusterDownError, RedisError, TryAgainError

from ....clock import monotonic
from ....process import process
from ..slots import buckets_of
from ..sources.source import ClusterSource
from ..wire.node import Node
from ..wire.replies import Replies
from .dispatch import Dispatch, Part
from .topology import QUESTIONS, Topology

__all__ = ["Cluster"]

# What a node says that another one may do.
REDIRECTIONS = (AskError, ClusterDownError, TryAgainError)


class Cluster:
    """Stands in the place of a ``Node``. What goes to several nodes travels in one go to each.

    Nobody asks for the topology in the background: whoever is redirected notes it for all, and
    whoever gets no answer asks the other nodes.
    """

    def __init__(self, source: ClusterSource) -> None:
        self.source = source
        self._timeout = source.timeout
        self.topology = Topology(source)

    def exchange(self, commands: Sequence[bytes], within: float | None = None) -> Replies:
        """Send commands, those of each node in one go; return their replies.

        Raises ``RedisError``, and ``TimeoutError`` when they are not there ``within`` seconds, or
        within the time-out of a connection where that is shorter.
        """
        if getpid() != process.pid:
            process.look()
        began, again = monotonic(), False
        if (node := self._owner_of_one(commands)) is not None:
            try:
                replies = node.exchange(commands, within)
            except RedisError:
                self.topology.doubted[node] = None
                again = True
            else:
                if not isinstance(replies.replies[0], REDIRECTIONS):
                    return replies
                again = replies.again
        return self._exchange_with_several(self._dispatch(commands, within, began, again=again))

    def _exchange_with_several(self, dispatch: Dispatch) -> Replies:
        while dispatch.is_pending:
            if dispatch.wants_topology:
                self.ask_topology(dispatch.left())
                dispatch.has_topology()
            for part in dispatch.parts():
                try:
                    replies = part.node.exchange(part.commands, dispatch.left())
                except RedisError as error:
                    dispatch.failed(part, error)
                else:
                    dispatch.answered(part, replies)
            if dispatch.pause:
                time.sleep(dispatch.pause)
        return dispatch.result()

    async def aexchange(self, commands: Sequence[bytes], within: float | None = None) -> Replies:
        """The twin of ``exchange``."""
        process.look()
        began, again = monotonic(), False
        if (node := self._owner_of_one(commands)) is not None:
            try:
                replies = await node.aexchange(commands, within)
            except RedisError:
                self.topology.doubted[node] = None
                again = True
            else:
                if not isinstance(replies.replies[0], REDIRECTIONS):
                    return replies
                again = replies.again
        dispatch = self._dispatch(commands, within, began, again=again)
        return await self._aexchange_with_several(dispatch)

    async def _aexchange_with_several(self, dispatch: Dispatch) -> Replies:
        while dispatch.is_pending:
            if dispatch.wants_topology:
                await self.aask_topology(dispatch.left())
                dispatch.has_topology()
            parts, left = dispatch.parts(), dispatch.left()
            if len(parts) == 1:
                answers = [await _answer(parts[0], left)]
            else:
                answers = await asyncio.gather(*(_answer(part, left) for part in parts))
            for part, answer in zip(parts, answers, strict=True):
                if isinstance(answer, RedisError):
                    dispatch.failed(part, answer)
                else:
                    dispatch.answered(part, answer)
            if dispatch.pause:
                await asyncio.sleep(dispatch.pause)
        return dispatch.result()

    def ask_topology(self, within: float) -> None:
        """Ask the nodes who has which slot, until one answers. Raises ``RedisError``."""
        deadline = monotonic() + within
        *nodes, last = self.topology.nodes_to_ask()
        failure: RedisError = ClusterDownError("No node of the Cluster was asked in time.")
        for node in (*nodes, last):
            left = max(deadline - monotonic(), 0.001)
            try:
                replies, _ = node.exchange(QUESTIONS, left if node is last else left / 2)
                self.topology.learn(replies, node)
            except RedisError as error:
                self.topology.doubted[node] = None
                failure = error
            else:
                return
        raise failure

    async def aask_topology(self, within: float) -> None:
        """The twin of ``ask_topology``."""
        deadline = monotonic() + within
        *nodes, last = self.topology.nodes_to_ask()
        failure: RedisError = ClusterDownError("No node of the Cluster was asked in time.")
        for node in (*nodes, last):
            left = max(deadline - monotonic(), 0.001)
            try:
                replies, _ = await node.aexchange(QUESTIONS, left if node is last else left / 2)
                self.topology.learn(replies, node)
            except RedisError as error:
                self.topology.doubted[node] = None
                failure = error
            else:
                return
        raise failure

    def node_of(self, bucket: int) -> Hashable:
        """The node that has a bucket, as far as is known."""
        return self.topology.owners[bucket]

    def mend(self) -> None:
        """Replace the connections that interrupted callers have lost."""
        for node in self._nodes():
            node.mend()

    def close(self) -> None:
        """Close the connections that are not in use."""
        for node in self._nodes():
            node.close()

    def after_fork(self) -> None:
        """Leave all connections to the parent, and close what was inherited of them."""
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
        self, commands: Sequence[bytes], within: float | None, began: float, *, again: bool
    ) -> Dispatch:
        limit = self._timeout if within is None or within > self._timeout else within
        return Dispatch(self.topology, commands, began + limit, again=again)


async def _answer(part: Part, within: float) -> Replies | RedisError:
    try:
        return await part.node.aexchange(part.commands, within)
    except RedisError as error:
        return error
