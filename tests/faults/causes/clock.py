"""Faults of a server's clock: it jumps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.causes.fault import ServerFault
from tests.faults.sites import WithClock
from tests.support import server_clock

if TYPE_CHECKING:
    from tests.faults.scene import Scene

JUMP = 2.0  # seconds


class JumpingClock(ServerFault):
    """The server's clock jumps forward and back, by more than a lease."""

    name = "clock"
    site = WithClock
    keeps_data = False
    settles = 2 * JUMP

    @classmethod
    def missing(cls) -> str:
        return server_clock.missing()

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.2, 1.0))
        scene.site.clock.shift(scene.random.choice((-JUMP, 0, JUMP)))


class ForgetfulClock(JumpingClock):
    """The server loses its data, and its clock is behind when it comes back."""

    name = "clock-and-data"
    keeps_fences = False

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.5, 1.5))
        scene.site.server.kill()
        scene.site.clock.shift(-scene.random.uniform(0, JUMP))
        scene.site.server.restart()
