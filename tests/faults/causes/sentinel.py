"""Faults of servers that Sentinel watches."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tests.faults.causes.fault import ServerFault
from tests.faults.sites import WithSentinel

if TYPE_CHECKING:
    from tests.faults.scene import Scene


class FailOver(ServerFault):
    """The link to the replica is cut, then the primary ends or freezes, and is replaced."""

    name = "sentinel"
    site = WithSentinel
    # Grants made after the link was cut are lost.
    keeps_data = False

    def once(self, scene: Scene) -> None:
        servers = scene.site.servers
        time.sleep(scene.random.uniform(0.2, 1.0))
        servers.cut_replication()
        time.sleep(scene.random.uniform(0.05, 0.5))
        servers.primary.kill(scene.random.choice((signal.SIGKILL, signal.SIGSTOP)))
        servers.wait_for_promotion()
        servers.take_back()
