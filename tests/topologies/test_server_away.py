"""Outages of one server among several."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from tests.support.cluster import ClusterSet
from tests.support.processes import frozen, wait_until
from tests.support.sentinel import SentinelSet
from tests.topologies.places import NAMES, backend, key_of, nodes

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def partial(use: Any) -> Iterator[ClusterSet]:
    """Primaries without replicas, which serve their slots even if another one is away."""
    with ClusterSet(args=("--cluster-require-full-coverage", "no")) as cluster:
        use("", entry=cluster.entry | {"PATIENCE": 25})
        yield cluster
        lock_backends["default"].close()


def refused(name: str) -> float:
    """Ask until requests are refused unsent; return how long (seconds) an attempt then takes."""
    while True:
        began = time.monotonic()
        with pytest.raises(LockUnavailable) as error:
            lock(name).acquire(wait=0)
        if not error.value.asked:
            return time.monotonic() - began


@pytest.mark.redis_server("7.0")
def test_a_hanging_node_does_not_affect_the_other_nodes(partial: ClusterSet) -> None:
    for name in NAMES:
        with lock(name, wait=20):
            pass
    name = NAMES[0]
    owner = partial.owner(key_of(name))
    away = nodes().topology.owners[0]
    others = [name for name in NAMES if nodes().topology.owners[NAMES.index(name)] is not away]
    waiter = lock(name, wait=60)
    thread = threading.Thread(target=waiter.acquire)
    with frozen(owner.pid):
        assert min(refused(name) for _ in range(5)) < 0.5
        for other in others:
            with lock(other, wait=0):
                pass

        async def in_tasks() -> None:
            for other in others:
                async with lock(other, wait=0):
                    pass
            with pytest.raises(LockUnavailable) as error:
                await lock(name).aacquire(wait=0)
            assert not error.value.asked

        asyncio.run(in_tasks())
        thread.start()
        wait_until(lambda: name in backend().waiters.names)
    began = time.monotonic()
    thread.join()
    # Sooner than the waiter would look by itself.
    assert time.monotonic() - began < 8
    assert waiter.held
    waiter.release()


@pytest.mark.redis_server("7.0")
def test_a_waiter_goes_on_when_a_replica_replaces_a_hanging_node(
    failing: ClusterSet, use: Any
) -> None:
    use("", entry=failing.entry | {"PATIENCE": 60})
    name = NAMES[3]
    with lock(name, wait=20):
        pass
    failing.copied()
    owner = failing.owner(key_of(name))
    replica = failing.replica_of(owner)
    waiter = lock(name, wait=60)
    thread = threading.Thread(target=waiter.acquire)
    with frozen(owner.pid):
        # It must not be promoted before the owner is known to be away.
        with frozen(replica.pid):
            refused(name)
            thread.start()
            wait_until(lambda: name in backend().waiters.names)
        failing.wait_for_promotion(replica)
        thread.join(60)
        assert waiter.held
        waiter.release()
    failing.wait_until_agreed()


def test_a_waiter_goes_on_when_a_primary_of_sentinels_is_back(use: Any) -> None:
    with SentinelSet() as servers:
        use("", cache=servers.cache, entry={"PATIENCE": 25})
        with lock("a"):
            pass
        waiter = lock("a", wait=60)
        thread = threading.Thread(target=waiter.acquire)
        with frozen(servers.primary.pid):
            assert min(refused("a") for _ in range(5)) < 0.5
            thread.start()
            wait_until(lambda: "a" in backend().waiters.names)
        began = time.monotonic()
        thread.join()
        assert time.monotonic() - began < 8
        waiter.release()
        lock_backends["default"].close()


def test_a_waiter_goes_on_after_a_failover_of_sentinels(use: Any) -> None:
    with SentinelSet() as servers:
        use("", cache=servers.cache, entry={"PATIENCE": 60})
        with lock("a"):
            pass
        servers.copied()
        waiter = lock("a", wait=60)
        thread = threading.Thread(target=waiter.acquire)
        with frozen(servers.primary.pid):
            refused("a")
            thread.start()
            servers.wait_for_promotion()
            thread.join(40)
            assert waiter.held
        waiter.release()
        lock_backends["default"].close()
