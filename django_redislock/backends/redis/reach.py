"""The way to the servers of a source: to one node, or to those of a Cluster."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..waiters import Waiters
from .cluster.nodes import Cluster
from .cluster.wakeups import ClusterWakeups
from .sources.source import ClusterSource, Source
from .wakeups.connection import Wakeups
from .wire.node import Node

__all__ = ["Sender", "Waker", "reach"]

# What sends commands, and what wakes the waiters.
Sender: TypeAlias = Node | Cluster
Waker: TypeAlias = Wakeups | ClusterWakeups


def reach(source: Source, waiters: Waiters, **settings: Any) -> tuple[Sender, Waker]:
    """Neither connects before it is used. ``settings`` are those of ``Wakeups``."""
    if isinstance(source, ClusterSource):
        cluster = Cluster(source)
        return cluster, ClusterWakeups(cluster, waiters, **settings)
    node = Node(source)
    node.on_back = lambda _: waiters.nudge_all()
    return node, Wakeups(source, waiters, **settings)
