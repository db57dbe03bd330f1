"""The way to the servers of a source: to one node, or to those of a Cluster."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..waiters import Waiters
from .cluster import Cluster
from .cluster_wakeups import ClusterWakeups
from .node import Node
from .sources import ClusterSource, Source
from .wakeups import Wakeups

__all__ = ["Sender", "Waker", "reach"]

# What sends commands, and what wakes the waiters.
Sender: TypeAlias = Node | Cluster
Waker: TypeAlias = Wakeups | ClusterWakeups


def reach(source: Source, waiters: Waiters, **settings: Any) -> tuple[Sender, Waker]:
    """Neither connects before it is used. ``settings`` are those of ``Wakeups``."""
    if isinstance(source, ClusterSource):
        cluster = Cluster(source)
        return cluster, ClusterWakeups(cluster, waiters, **settings)
    return Node(source), Wakeups(source, waiters, **settings)
