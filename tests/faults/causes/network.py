"""Faults of the network: a proxy in front of the server cuts, loses, splits or delays traffic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.causes.fault import ServerFault
from tests.faults.sites import BehindProxy

if TYPE_CHECKING:
    from random import Random

    from tests.faults.scene import Scene
    from tests.support.proxy import Proxy


class _ProxyFault(ServerFault):
    """A proxy fails for a moment."""

    site = BehindProxy

    def once(self, scene: Scene) -> None:
        proxy = scene.site.proxy
        self.begin(proxy, scene.random)
        time.sleep(scene.random.uniform(0, 0.2))
        self.end(proxy, scene.random)
        proxy.forget()

    def begin(self, proxy: Proxy, random: Random) -> None:
        """Make the proxy fail from now on, or once."""

    def end(self, proxy: Proxy, random: Random) -> None:
        """End a failure that does not end by itself."""


class LoseRequests(_ProxyFault):
    """Connections are closed before the server sees a request."""

    name = "lose-requests"

    def begin(self, proxy: Proxy, random: Random) -> None:
        proxy.drop_next_request(b"EVALSHA")


class LoseReplies(_ProxyFault):
    """Connections are closed after the server has carried out a request, before its reply."""

    name = "lose-replies"

    def begin(self, proxy: Proxy, random: Random) -> None:
        proxy.drop_next_reply(b"EVALSHA")


class Delay(_ProxyFault):
    """Replies come late."""

    name = "delay"

    def begin(self, proxy: Proxy, random: Random) -> None:
        proxy.delay(random.choice((0.01, 0.05, 0.2)))

    def end(self, proxy: Proxy, random: Random) -> None:
        if random.random() < 0.5:
            proxy.pass_through()


class Split(_ProxyFault):
    """Replies come in pieces of a few bytes."""

    name = "split"

    def begin(self, proxy: Proxy, random: Random) -> None:
        proxy.split(random.choice((1, 2, 7, 50)))

    def end(self, proxy: Proxy, random: Random) -> None:
        if random.random() < 0.5:
            proxy.pass_through()


class _Silence(_ProxyFault):
    """Messages vanish while all connections stay open; later the connections are closed."""

    def once(self, scene: Scene) -> None:
        super().once(scene)
        time.sleep(scene.random.uniform(0.2, 1.0))

    def end(self, proxy: Proxy, random: Random) -> None:
        proxy.pass_through()
        proxy.cut()


class Swallow(_Silence):
    """Replies vanish."""

    name = "swallow"

    def begin(self, proxy: Proxy, random: Random) -> None:
        proxy.black_hole()


class BlackHole(_Silence):
    """Requests vanish before the server sees them, so none is answered."""

    name = "black-hole"

    def begin(self, proxy: Proxy, random: Random) -> None:
        proxy.swallow_requests()
