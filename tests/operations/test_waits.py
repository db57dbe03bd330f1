"""Waits between parties, and circles of them, across processes."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.backends.base import SHARED, Busy, Grant
from django_redislock.operations.waits import Waits, waits_of
from tests.management.holds import add_alias, claim, without_redis
from tests.support.processes import wait_until

BOTH = pytest.mark.parametrize("using", ["default", "memory"])


class Scene:
    """Parties named by one letter, each a task of its own process."""

    def __init__(self, using: str) -> None:
        self.using = using

    def hold(self, party: str, name: str, limit: int = 1) -> None:
        assert isinstance(self._claim(party, name, limit, 0), Grant)

    def wait(self, party: str, name: str, limit: int = 1) -> None:
        assert isinstance(self._claim(party, name, limit, 60), Busy)

    def _claim(self, party: str, name: str, limit: int, stay: float) -> Any:
        who = {"host": f"host-{party}", "pid": ord(party), "owner": f"1-{party}"}
        token = secrets.token_hex(16)
        return claim(name, token, self.using, limit=limit, stay=stay, what=party, **who)

    @property
    def circles(self) -> list[list[tuple[str, str]]]:
        """The circles as parties and wanted names, each from its first party in the alphabet."""
        waits = waits_of([self.using])
        circles = []
        for circle in waits.circles:
            words = [(one.waiter.what, one.queue.name) for one in circle]
            first = words.index(min(words))
            circles.append(words[first:] + words[:first])
        return sorted(circles)

    @property
    def stuck(self) -> str:
        waits = waits_of([self.using])
        return "".join(sorted(chr(party.pid) for party in waits.stuck))


@pytest.fixture(params=["default", "memory"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def test_a_queue_alone_is_no_circle(scene: Scene) -> None:
    scene.hold("a", "x")
    scene.wait("b", "x")
    scene.wait("c", "x")
    assert (scene.circles, scene.stuck) == ([], "")
    waits = waits_of([scene.using])
    (queue,) = waits.roots
    assert (queue.name, waits.total) == ("x", 1)
    assert [one.holder.what for one in queue.waiting] == ["b", "c"]


def test_a_chain_is_no_circle(scene: Scene) -> None:
    for party, held, wanted in (("a", "x", ""), ("b", "y", "x"), ("c", "z", "y")):
        scene.hold(party, held)
        if wanted:
            scene.wait(party, wanted)
    scene.wait("d", "z")
    assert (scene.circles, scene.stuck) == ([], "")
    assert [queue.name for queue in waits_of([scene.using]).roots] == ["x"]


def test_two_parties_that_wait_for_each_other_are_a_circle(scene: Scene) -> None:
    scene.hold("a", "x")
    scene.hold("b", "y")
    scene.wait("a", "y")
    assert scene.circles == []
    scene.wait("b", "x")
    assert scene.circles == [[("a", "y"), ("b", "x")]]
    assert waits_of([scene.using]).roots == []


def test_circles_are_found_with_all_waiters_behind_them(scene: Scene) -> None:
    for party in "abc":
        scene.hold(party, f"of {party}")
    for party, wanted in ("ab", "bc", "ca"):
        scene.wait(party, f"of {wanted}")
    scene.hold("d", "of d")
    scene.wait("d", "of a")
    scene.wait("e", "of d")
    for party in "xy":
        scene.hold(party, f"of {party}")
    for party, other in ("xy", "yx"):
        scene.wait(party, f"of {other}")
    assert scene.circles == [
        [("a", "of b"), ("b", "of c"), ("c", "of a")],
        [("x", "of y"), ("y", "of x")],
    ]
    assert scene.stuck == "abcdexy"


def test_a_party_that_waits_for_its_own_hold_is_a_circle(scene: Scene) -> None:
    scene.hold("a", "x")
    scene.wait("a", "x")
    assert scene.circles == [[("a", "x")]]


def test_a_semaphore_is_stuck_when_all_its_holders_are(scene: Scene) -> None:
    scene.hold("a", "s", limit=2)
    scene.hold("b", "s", limit=2)
    scene.hold("c", "x")
    scene.wait("c", "s", limit=2)
    scene.wait("a", "x")
    assert (scene.circles, scene.stuck) == ([], ""), "b may still leave"
    scene.wait("b", "x")
    assert scene.stuck == "abc"
    assert len(scene.circles) == 1


def test_a_writer_is_stuck_when_one_reader_is(scene: Scene) -> None:
    scene.hold("a", "r", limit=SHARED)
    scene.hold("b", "r", limit=SHARED)
    scene.hold("w", "x")
    scene.wait("w", "r")
    scene.wait("a", "x")
    assert scene.circles == [[("a", "x"), ("w", "r")]]


def test_queues_are_in_order_so_a_circle_may_go_through_a_queue() -> None:
    # Redis would pass over these waiters, whose processes do not listen.
    scene = Scene("memory")
    scene.hold("a", "r", limit=SHARED)
    scene.hold("b", "x")
    scene.wait("w", "r")
    scene.wait("b", "r", limit=SHARED)
    assert scene.circles == []
    scene.wait("a", "x")
    # The writer waits for a, a waits for b, and b is behind the writer.
    assert scene.circles == [[("a", "x"), ("b", "r"), ("w", "r")]]


def test_threads_of_different_hosts_are_distinguished(scene: Scene) -> None:
    scene.hold("a", "x")
    scene.hold("b", "y")
    for name, host in (("x", "host-b"), ("y", "host-a")):
        who = {"host": host, "pid": 1, "owner": "1-z"}
        claim(name, secrets.token_hex(16), scene.using, stay=60, **who)
    assert scene.circles == []


@BOTH
def test_threads_of_a_process_are_distinguished(using: str) -> None:
    ready = threading.Barrier(2)

    def take(first: str, second: str) -> None:
        with lock(first, using=using):
            ready.wait(20)
            with lock(second, using=using, wait=30):
                pass

    with ThreadPoolExecutor(2) as threads:
        jobs = [threads.submit(take, *names) for names in ("xy", "yx")]
        wait_until(lambda: len(waits_of([using]).circles) == 1)
        (circle,) = waits_of([using]).circles
        assert sorted(link.queue.name for link in circle) == ["x", "y"]
        hold = circle[0].queue.holds[0]
        lock_backends[using].force_release(hold.name, hold.token)
        wait_until(lambda: all(job.done() for job in jobs))
        # The loss was reported to one thread, and the other got both names.
        assert sorted(type(job.exception()).__name__ for job in jobs) == ["LockLost", "NoneType"]


def test_no_more_names_are_examined_than_requested(scene: Scene) -> None:
    for number in range(5):
        scene.hold("a", f"n{number}")
        scene.wait("b", f"n{number}")
    waits = waits_of([scene.using], most=3)
    assert (len(waits.queues), waits.total) == (3, 5)


def test_a_silent_backend_is_reported(settings: Any) -> None:
    without_redis(settings, "default")
    waits = waits_of(["default", "memory"])
    assert [one.alias for one in waits.silent] == ["default"]
    assert waits.queues == []


def test_two_ways_to_the_same_locks_show_each_queue_once(settings: Any) -> None:
    add_alias(settings, "twin", CACHE="default")
    scene = Scene("default")
    scene.hold("a", "x")
    scene.wait("b", "x")
    waits = waits_of(["default", "twin"])
    assert ([queue.alias for queue in waits.queues], waits.total) == (["default"], 1)


def test_a_long_chain_is_examined_quickly() -> None:
    scene = Scene("memory")
    for number in range(300):
        scene.hold(chr(1000 + number), f"n{number}")
    for number in range(299):
        scene.wait(chr(1000 + number), f"n{number + 1}")
    waits: Waits = waits_of(["memory"])
    assert waits.stuck == frozenset()
    assert len(waits.roots) == 1


def test_a_long_queue_takes_no_time() -> None:
    scene = Scene("memory")
    scene.hold("a", "n")
    for number in range(2000):
        scene.wait(chr(1000 + number), "n")
    waits = waits_of(["memory"])
    assert (waits.stuck, waits.circles) == (frozenset(), [])
    # The holder waits for the last in its own queue, and all the others wait for the holder.
    scene.hold(chr(2999), "other")
    scene.wait("a", "other")
    assert len(waits_of(["memory"]).stuck) == 2001
