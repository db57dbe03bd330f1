"""Faults of the processes that use locks: they end, freeze, fork, or do not get to run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from tests.faults.causes.fault import Fault

if TYPE_CHECKING:
    from tests.faults.scene import Scene


class Kill(Fault):
    """Workers are killed and replaced."""

    name = "kill"
    first_answer = 0.3  # a new process begins with connections of its own
    overtakings = 3

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.2, 1.0))
        scene.kill_worker()
        scene.start_worker()
        scene.wait_until_ready()


class Terminate(Kill):
    """Workers are asked to end by SIGTERM, as in every deployment, and replaced."""

    name = "terminate"

    def once(self, scene: Scene) -> None:
        time.sleep(scene.random.uniform(0.2, 1.0))
        scene.start_worker()
        scene.wait_until_ready()
        scene.terminate_worker()


class Freeze(Fault):
    """Workers are frozen, for longer or shorter than their leases, and then go on."""

    name = "freeze"
    overtakings = 3

    def once(self, scene: Scene) -> None:
        with scene.frozen_worker():
            time.sleep(scene.random.choice((0.05, 0.4, 1.2)))
        time.sleep(scene.random.uniform(0.05, 0.5))


class Starve(Fault):
    """A C function blocks all other threads of the interpreter, including those that renew."""

    name = "gil"
    injection = "starvation"
    overtakings = 3


class Fork(Fault):
    """Workers fork in the middle of their work."""

    name = "fork"
    operation = "fork"
    first_answer = 0.3  # a child begins with connections of its own
    threads, tasks = 3, 2


class ForkStorm(Fork):
    """Workers fork several children at once, all of which use locks."""

    name = "fork-storm"
    operation = "fork_storm"
    processes = 2


class UsedUpPool(Fault):
    """The cache's users take all connections of the pool, again and again."""

    name = "pool"
    injection = "pool"
    pool: ClassVar[dict[str, Any]] = {"max_connections": 10}


class ReleaseElsewhere(Fault):
    """Nothing fails: holds are released elsewhere while their owner asks for the name again."""

    name = "release-elsewhere"
    operation = "release_elsewhere"
