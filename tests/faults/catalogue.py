"""Catalogue of all faults by name, and what puts right what they leave behind."""

from __future__ import annotations

import time

from redis.exceptions import RedisError

from tests.faults import cluster_faults, faults
from tests.faults.faults import Fault
from tests.faults.scene import Scene

ALL: list[type[Fault]] = [*faults.ALONE, *cluster_faults.ALL]
FAULTS = {fault.name: fault for fault in ALL}


def heal(scene: Scene) -> None:
    """End what a fault may have left behind."""
    if scene.proxy is not None:
        scene.proxy.pass_through()
    for client in scene.clients():
        for _ in range(100):
            try:
                client.ping()
            except RedisError:
                time.sleep(0.05)
            else:
                break
        client.close()
