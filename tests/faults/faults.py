"""Faults, one class each: what happens while the workers work, and what may come of it."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from random import Random

    from tests.faults.scene import Scene
    from tests.support.proxy import Proxy


class Fault:
    """Nothing happens. The base of all faults; `once` is called again and again.

    What the judge is told: `keeps_data`: two holders are never allowed. `server_answers`: every
    wait is exact by itself, and nothing is ever unavailable. `first_answer`: how long (seconds) the
    first question of an attempt may take whatever its wait is. `overtakings`: how many later
    attempts an attempt may let pass.
    """

    name: ClassVar[str] = "none"
    keeps_data = True
    server_answers = True
    first_answer = 0.0
    overtakings = 0

    processes, threads, tasks = 3, 3, 4
    injection = ""
    operation = ""
    uses_proxy = persists = greenlets = uses_cluster = False
    pool: ClassVar[dict[str, Any]] = {}

    def once(self, scene: Scene) -> None:
        """Let it happen once, and put it right again."""
        time.sleep(0.05)


class ServerFault(Fault):
    """Something between the workers and their server fails."""

    server_answers = False
    first_answer = 1.0
    overtakings = 20


class Kill(Fault):
    """Workers are killed, and others take their places."""

    name = "kill"
    first_answer = 0.3  # a new process begins with connections of its own
    overtakings = 3

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.2, 1.0))
        scene.kill_worker()
        scene.start_worker()
        time.sleep(0.5)


class Freeze(Fault):
    """Workers stand still for longer than their leases, or shorter, and go on."""

    name = "freeze"
    overtakings = 3

    def once(self, scene: Scene) -> None:
        with scene.frozen_worker():
            time.sleep(scene.random.choice((0.05, 0.4, 1.2)))
        time.sleep(scene.random.uniform(0.05, 0.5))


class FreezeServer(ServerFault):
    """The server stands still, and goes on."""

    name = "freeze-server"

    def once(self, scene: Scene) -> None:
        scene.server.kill(signal.SIGSTOP)
        try:
            time.sleep(scene.random.choice((0.05, 0.4, 1.5)))
        finally:
            scene.server.kill(signal.SIGCONT)
        time.sleep(scene.random.uniform(0.2, 1.0))


class RestartKept(ServerFault):
    """The server is killed and started again with its data, which it writes at once."""

    name = "restart"
    persists = True

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.2, 1.0))
        scene.server.kill()
        time.sleep(scene.random.choice((0.0, 0.1, 0.6)))
        scene.server.restart()


class RestartEmpty(RestartKept):
    """The server is killed and started again without its data."""

    name = "restart-empty"
    persists = keeps_data = False


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


class _ProxyFault(ServerFault):
    """A proxy fails for a moment."""

    uses_proxy = True

    def once(self, scene: Scene) -> None:
        assert scene.proxy is not None
        self.begin(scene.proxy, scene.random)
        time.sleep(scene.random.uniform(0, 0.2))
        self.end(scene.proxy, scene.random)
        scene.proxy.forget()

    def begin(self, proxy: Proxy, random: Random) -> None:
        """Let it fail from now on, or once."""

    def end(self, proxy: Proxy, random: Random) -> None:
        """End what does not end by itself."""


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


class Swallow(_ProxyFault):
    """Replies vanish, with all connections left open; later those are closed."""

    name = "swallow"

    def once(self, scene: Scene) -> None:
        super().once(scene)
        time.sleep(scene.random.uniform(0.2, 1.0))

    def begin(self, proxy: Proxy, random: Random) -> None:
        proxy.black_hole()

    def end(self, proxy: Proxy, random: Random) -> None:
        proxy.pass_through()
        proxy.cut()


class Cancel(Fault):
    """Tasks are cancelled at any moment."""

    name = "cancel"
    injection = "cancellations"
    threads, tasks = 1, 8


class Fork(Fault):
    """Workers fork in the middle of their work."""

    name = "fork"
    operation = "fork"
    first_answer = 0.3  # a child begins with connections of its own
    threads, tasks = 3, 2


class Alarm(Fault):
    """A signal handler raises in the main thread at any moment."""

    name = "alarm"
    injection = "alarms"
    processes, threads, tasks = 4, 2, 1


class AsynchronousExceptions(Fault):
    """Exceptions are set in threads from outside at any moment."""

    name = "async-exceptions"
    injection = "asynchronous"
    threads, tasks = 5, 1


class GeventTimeouts(Fault):
    """`gevent.Timeout` ends operations of greenlets, over a pool with fewer connections."""

    name = "gevent-timeout"
    injection = "gevent"
    greenlets = True
    processes, threads, tasks = 2, 20, 0
    pool: ClassVar[dict[str, Any]] = {"max_connections": 10}


class ReleaseElsewhere(Fault):
    """Nothing fails: others release holds while their owner asks for the same name again."""

    name = "release-elsewhere"
    operation = "release_elsewhere"


ALONE: list[type[Fault]] = [
    Fault, Kill, Freeze, FreezeServer, RestartKept, RestartEmpty, FlushScripts, KillConnections,
    LoseRequests, LoseReplies, Delay, Swallow, Cancel, Fork, Alarm, AsynchronousExceptions,
    GeventTimeouts, ReleaseElsewhere,
]  # fmt: skip
