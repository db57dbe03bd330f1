"""A node whose grants count only once enough replicas have acknowledged them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..commands import pack
from ..errors import NotAcknowledged
from ..sources.source import Source
from .node import Node
from .replies import Replies

__all__ = ["ReplicatedNode"]

# The replicas have at most this long (seconds), or about half of a shorter time limit. The other
# half is for a server that did not know the script: the claim is sent again, and the first WAIT was
# in vain, but may have used all its time, since it also waits for the writes of other clients.
WITHIN = 1.0
# A server checks ten times a second which WAITs are over: its answer may come this late (seconds).
LATE_BY = 0.12


class _ClaimNode(Node):
    """Connections for claims only, each of which is followed by a ``WAIT``."""

    def __init__(self, source: Source, replicas: int) -> None:
        super().__init__(source)
        self.replicas = replicas

    def with_wait(self, commands: Sequence[bytes], within: float) -> Sequence[bytes]:
        limit = min(within, self._timeout)
        timeout = min(WITHIN, max(limit / 2 - LATE_BY, limit / 4), limit - LATE_BY)
        # 0 would mean no time limit.
        return *commands, pack("WAIT", self.replicas, max(1, round(1000 * timeout)))

    def _in_less_time(self, commands: Sequence[bytes], limit: float) -> Sequence[bytes]:
        return self.with_wait(commands[:-1], limit)


class ReplicatedNode(Node):
    """Sends a ``WAIT`` after each claim.

    On the same connection, the server runs nothing after a ``WAIT`` until the ``WAIT`` is answered.
    So claims have connections of their own, and other commands need not wait for absent replicas.
    """

    def __init__(self, source: Source, replicas: int) -> None:
        super().__init__(source)
        self._apart = _ClaimNode(source, replicas)
        self.aexchange = self._aexchange

    def exchange(
        self,
        commands: Sequence[bytes],
        within: float | None = None,
        *,
        urgent: bool = False,
        claim: bool = False,
    ) -> Replies:
        """As in ``Node``, with ``NotAcknowledged`` in place of a grant that may get lost."""
        if not claim:
            return super().exchange(commands, within, urgent=urgent)
        sent = self._apart.with_wait(commands, self._timeout if within is None else within)
        return self._checked(self._apart.exchange(sent, within, urgent=urgent))

    async def _aexchange(
        self, commands: Sequence[bytes], within: float | None = None, *, claim: bool = False
    ) -> Replies:
        if not claim:
            return await self.async_wire.aexchange(commands, within)
        prepare = partial(self._apart.with_wait, commands)
        return self._checked(await self._apart.async_wire.aexchange_alone(prepare, within))

    def _checked(self, answered: Replies) -> Replies:
        # In a Cluster, an ASKING may precede the claim.
        (*replies, number), again = answered
        # An error of the claim says more than one of the WAIT: a node that has become a replica
        # redirects the claim and refuses the WAIT.
        if not isinstance(replies[-1], Exception):
            if isinstance(number, Exception):
                replies[-1] = number
            elif number < self._apart.replicas and replies[-1].isdigit():  # the fence of a grant
                replies[-1] = NotAcknowledged(number, self._apart.replicas)
        return Replies(replies, again)

    def mend(self) -> None:
        super().mend()
        self._apart.mend()

    def close(self) -> None:
        super().close()
        self._apart.close()

    def after_fork(self) -> None:
        super().after_fork()
        self._apart.after_fork()
