"""Nodes of a Cluster, and names on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis.crc import key_slot

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.cluster.nodes import Cluster
from django_redislock.backends.redis.keys import BUCKETS, bucket_of, name_keys
from tests.concurrency import jobs
from tests.support.cluster import ClusterSet
from tests.support.processes import wait_until

__all__ = ["NAMES", "another", "backend", "key_of", "nodes", "slot_of", "sure", "waiting"]

T = TypeVar("T")

# One name for each bucket, and so several for each node.
NAMES = [
    next(name for name in map(str, range(1000)) if bucket_of(name) == bucket)
    for bucket in range(BUCKETS)
]


def backend() -> RedisLockBackend:
    found = lock_backends["default"]
    assert isinstance(found, RedisLockBackend)
    return found


def nodes() -> Cluster:
    node = backend().node
    assert isinstance(node, Cluster)
    return node


def key_of(name: str) -> str:
    return name_keys(backend().config.key_prefix, name).hold


def slot_of(name: str) -> int:
    slot: int = key_slot(key_of(name).encode())
    return slot


def another(servers: ClusterSet, name: str) -> Any:
    """A primary that does not have the slot of a name."""
    owner = servers.owner(key_of(name))
    return next(one for one in servers.primaries if one is not owner)


def sure(question: Callable[[], T]) -> T:
    """Repeat the question until the server is available; return the answer."""
    while True:
        with suppress(LockUnavailable):
            return question()


def waiting(name: str, **options: Any) -> tuple[Any, threading.Thread]:
    """A handle that is in the queue, and the thread in which it waits."""
    queue_length = jobs.queue_length(name)
    waiter = lock(name, wait=60, **options)
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length(name) > queue_length)
    return waiter, thread
