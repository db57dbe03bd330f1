"""Locks on a Cluster whose nodes speak TLS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from tests.support.fixtures import UsePlace
from tests.support.settled import settle
from tests.support.tls_cluster import TlsClusterSet
from tests.topologies.places import NAMES, backend, nodes, waiting

# The embedded server does not speak TLS.
REDIS_BINARY = "/usr/bin/redis-server"

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not os.access(REDIS_BINARY, os.X_OK), reason="there is no Redis here"),
]


@pytest.fixture(scope="module")
def encrypted(certificates: Any) -> Iterator[Any]:
    with TlsClusterSet(certificates, 2, binary=REDIS_BINARY) as servers:
        yield servers


@pytest.fixture
def servers(encrypted: Any, use: UsePlace, tls_options: Any) -> Iterator[Any]:
    use("", entry={"LOCATION": encrypted.location, "OPTIONS": {"ssl": True, **tls_options}})
    yield encrypted
    # The connections to the last servers of this kind end soon.
    settle()
    lock_backends["default"].close()


def test_every_bucket_has_a_lock_on_some_node(servers: Any) -> None:
    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(lock(name, wait=20))
        assert len(set(nodes().topology.owners)) == 2
        assert backend().list().total == len(NAMES)
        ports = {address.port for address in nodes().topology.nodes}
        assert ports == set(servers._ports.values())


def test_a_waiter_on_each_node_is_woken(servers: Any) -> None:
    for name in NAMES:
        held = lock(name)
        assert held.acquire()
        waiter, thread = waiting(name)
        held.release()
        thread.join(60)
        assert waiter.held
        waiter.release()


async def test_coroutines_find_every_bucket(servers: Any) -> None:
    for name in NAMES:
        async with lock(name, wait=20) as held:
            assert not await lock(name).aacquire(wait=0)
            await held.aextend(30)


def test_an_untrusted_certificate_is_refused(encrypted: Any, use: UsePlace) -> None:
    use("", entry={"LOCATION": encrypted.location, "OPTIONS": {"ssl": True}})
    with pytest.raises(LockUnavailable, match="(?i)certificate"):
        lock("a").acquire(wait=0)
    lock_backends["default"].close()
