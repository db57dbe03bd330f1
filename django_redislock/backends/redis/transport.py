"""Connection to the servers of a source: a single node or the nodes of a Cluster."""

from __future__ import annotations

from functools import partial
from typing import Any

from redis.exceptions import RedisError

from ...conf import LockConfig
from ..base import Within
from ..waiters import Waiters
from .cluster.nodes import Cluster
from .cluster.wakeups import ClusterWakeups
from .error_texts import unavailable
from .overview.verbs import Overview
from .sources.source import ClusterSource, Source
from .wakeups.connection import Wakeups
from .wire.node import Node
from .wire.replicated import ReplicatedNode

__all__ = ["TransportBackend", "make_transport"]


def make_transport(
    source: Source, waiters: Waiters, config: LockConfig, replicas: int, **settings: Any
) -> tuple[Node | Cluster, Wakeups | ClusterWakeups]:
    """Return what sends commands to a source, and what wakes waiters; neither is connected yet.

    ``settings`` are those of ``Wakeups``. Raises ``ValueError`` for an invalid ``replicas``.
    """
    what = f"LOCKS[{config.alias!r}]['OPTIONS']['replicas']"
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise ValueError(f"{what} must be a whole number of 0 or more, not {replicas!r}.")
    settings["prefix"] = config.key_prefix
    make = partial(ReplicatedNode, replicas=replicas) if replicas else Node
    if isinstance(source, ClusterSource):
        cluster = Cluster(source, make)
        return cluster, ClusterWakeups(cluster, waiters, **settings)
    node = make(source)
    wakeups = Wakeups(source, waiters, **settings)

    def is_back(_: object) -> None:
        # It may be another server behind the same address, while the old one hangs on.
        wakeups.reopen()
        waiters.nudge_all()

    node.on_back = is_back
    node.on_late = lambda _: wakeups.doubt()
    source.on_demoted = lambda _: wakeups.reopen()
    return node, wakeups


class TransportBackend(Overview):
    """The part of a Redis backend that deals with its servers, not with locks."""

    source: Source
    node: Node | Cluster
    wakeups: Wakeups | ClusterWakeups

    def mend(self) -> None:
        self.node.mend()

    def close(self) -> None:
        super().close()
        self.wakeups.close()
        self.node.close()

    def after_fork(self) -> None:
        super().after_fork()
        self.node.after_fork()
        self.wakeups.forget()

    # Sending a command and reading its reply.

    def _run(
        self, name: str, command: bytes, within: Within = None, *, claim: bool = False
    ) -> tuple[Any, bool]:
        """Send a command about a name. Return its reply, and whether it was sent again.

        ``claim``: it grants a lock, which replicas may have to acknowledge. Raises
        ``LockUnavailable``.
        """
        try:
            (reply,), again = self.node.exchange((command,), within, claim=claim)
            if isinstance(reply, Exception):
                raise reply
        except (RedisError, OSError) as error:
            raise unavailable(self.source.where, self.source.at, name, error) from error
        return reply, again

    async def _arun(
        self, name: str, command: bytes, within: Within = None, *, claim: bool = False
    ) -> tuple[Any, bool]:
        """The twin of ``_run``."""
        # Repeated from above: a context manager would take as long as the whole body.
        try:
            (reply,), again = await self.node.aexchange((command,), within, claim=claim)
            if isinstance(reply, Exception):
                raise reply
        except (RedisError, OSError) as error:
            raise unavailable(self.source.where, self.source.at, name, error) from error
        return reply, again
