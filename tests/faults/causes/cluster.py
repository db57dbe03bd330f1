"""Faults of a Cluster: its slots move, and its primaries end or are replaced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django_redislock.backends.redis.slots import SLOTS
from tests.faults.causes.fault import ServerFault
from tests.faults.sites import InCluster

if TYPE_CHECKING:
    from tests.faults.scene import Scene
    from tests.support.cluster import ClusterSet


class ClusterFault(ServerFault):
    """Base of the Cluster's faults, without a fault. Each process works on three primaries."""

    name = "cluster"
    site = InCluster

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.1, 0.5))
        self.change(scene, scene.site.cluster)

    def change(self, scene: Scene, cluster: ClusterSet) -> None:
        """Cause the fault once in the Cluster, and repair it."""


class MoveSlots(ClusterFault):
    """Slots move with their keys, key by key or in one step."""

    name = "cluster-slots"

    def change(self, scene: Scene, cluster: ClusterSet) -> None:
        slot = scene.random.choice(SLOTS)
        owner = cluster.owner_of(slot)
        to = scene.random.choice([one for one in cluster.owners() if one is not owner])
        scene.random.choice([cluster.move, cluster.move_whole])(slot, to)


class FailOver(ClusterFault):
    """A replica is promoted manually, which loses no data."""

    name = "cluster-failover"

    def change(self, scene: Scene, cluster: ClusterSet) -> None:
        cluster.fail_over(scene.random.choice(cluster.owners()))


class LosePrimary(ClusterFault):
    """A primary is killed, its replica takes its place, and it comes back as the replica."""

    name = "cluster-kill"
    # Writes that the replica had not copied yet are lost.
    keeps_data = False

    def change(self, scene: Scene, cluster: ClusterSet) -> None:
        primary = scene.random.choice(cluster.owners())
        cluster.lose(primary)
        primary.restart()
        cluster.wait_until_agreed()
