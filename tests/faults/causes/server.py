"""Faults of a single server: it freezes, ends, loses data, or runs out of memory."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from redis.exceptions import ResponseError

from tests.faults.causes.fault import Fault, ServerFault
from tests.faults.sites import Persistent

if TYPE_CHECKING:
    from redis import Redis

    from tests.faults.scene import Scene


class FreezeServer(ServerFault):
    """The server freezes, and goes on."""

    name = "freeze-server"

    def once(self, scene: Scene) -> None:
        scene.site.server.kill(signal.SIGSTOP)
        try:
            time.sleep(scene.random.choice((0.05, 0.4, 1.5)))
        finally:
            scene.site.server.kill(signal.SIGCONT)
        time.sleep(scene.random.uniform(0.2, 1.0))


class RestartKept(ServerFault):
    """The server is killed and restarted with its data, which it persists at once."""

    name = "restart"
    site = Persistent

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.2, 1.0))
        scene.site.server.kill()
        time.sleep(scene.random.choice((0.0, 0.1, 0.6)))
        scene.site.server.restart()


class RestartEmpty(RestartKept):
    """The server is killed and restarted without its data."""

    name = "restart-empty"
    site = ServerFault.site
    keeps_data = False


class FlushAll(Fault):
    """The server forgets everything, and goes on."""

    name = "flushall"
    keeps_data = False
    overtakings = 20  # the queues are gone as well

    def once(self, scene: Scene) -> None:
        with scene.client() as client:
            client.flushall()
        time.sleep(scene.random.uniform(0, 0.5))


class FlushScripts(Fault):
    """The server forgets all scripts."""

    name = "script-flush"

    def once(self, scene: Scene) -> None:
        with scene.client() as client:
            client.script_flush()
        time.sleep(scene.random.uniform(0, 0.02))


class KillConnections(ServerFault):
    """The server closes all connections."""

    name = "client-kill"

    def once(self, scene: Scene) -> None:
        with scene.client() as client:
            for kind in ("normal", "pubsub"):
                client.client_kill_filter(_type=kind, skipme=True)
        time.sleep(scene.random.uniform(0, 0.5))


class OutOfMemory(ServerFault):
    """The server is out of memory, and refuses commands that need some."""

    name = "oom-noeviction"
    policy: ClassVar[str] = "noeviction"

    room, piece, pieces = 2_000_000, 10_000, 50  # bytes, bytes, at once

    def once(self, scene: Scene) -> None:
        with scene.client() as client:
            client.config_set("maxmemory-policy", self.policy)
            client.config_set("maxmemory", client.info("memory")["used_memory"] + self.room)
            written = self._fill(client)
            time.sleep(scene.random.uniform(0.05, 0.5))
            client.config_set("maxmemory", 0)
            for number in range(written):
                client.unlink(f"others:{number}")
        time.sleep(scene.random.uniform(0.2, 0.5))

    def _fill(self, client: Redis) -> int:
        """Write data of other users, three times as much as there is room for."""
        written = 0
        with suppress(ResponseError):
            while written * self.piece < 3 * self.room:
                with client.pipeline(transaction=False) as pipeline:
                    for number in range(written, written + self.pieces):
                        pipeline.set(f"others:{number}", b"x" * self.piece)
                    written += self.pieces
                    pipeline.execute()
        return written


class EvictAny(OutOfMemory):
    """The server evicts any keys, including those of locks."""

    name = "oom-allkeys-lru"
    policy = "allkeys-lru"
    keeps_data = False


class EvictVolatile(EvictAny):
    """The server evicts keys with an expiry, as all holds have."""

    name = "oom-volatile-lru"
    policy = "volatile-lru"
