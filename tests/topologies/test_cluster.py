"""Locks on a Cluster: all verbs, on all its nodes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from threading import get_ident
from typing import Any

import pytest

from django_redislock import LockLost, lock
from django_redislock.backends.base import Extension
from django_redislock.backends.redis.keys import BUCKETS
from tests.support.processes import wait_until
from tests.topologies.places import NAMES, backend, key_of, nodes, sure, waiting

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]


def test_every_bucket_has_a_lock_on_some_node(servers: Any) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(lock(name, wait=20)) for name in NAMES]
        for name, one in zip(NAMES, held, strict=True):
            assert not sure(lambda: lock(name).acquire(wait=0))  # noqa: B023 - called at once
            assert one.owned()
            one.extend(30)
        owners = {nodes().topology.owners[bucket] for bucket in range(BUCKETS)}
        # Other tests may have added primaries.
        assert len(owners) >= 3
        with servers.client(servers.owner(key_of(NAMES[0]))) as client:
            assert client.exists(key_of(NAMES[0]))
    assert backend().list().total == 0


async def test_coroutines_find_every_bucket(servers: Any) -> None:
    async def use_lock(name: str) -> int:
        async with lock(name, wait=10) as held:
            assert not await lock(name).aacquire(wait=0)
            await held.aextend(30)
            return held.fence

    assert all(await asyncio.gather(*(use_lock(name) for name in NAMES * 3)))
    assert await asyncio.to_thread(lambda: backend().list().total) == 0


def test_listing_walking_and_clearing_go_over_all_nodes(servers: Any) -> None:
    held = [lock(name, lease=100 + end, renew=False) for end, name in enumerate(NAMES)]
    for handle in held:
        assert handle.acquire()
    page = backend().list(0, 100)
    assert [hold.name for hold in page.holds] == NAMES, "soonest end first"
    assert page.total == len(NAMES)
    assert [hold.name for hold in backend().list(5, 8).holds] == NAMES[5:8]
    walked = [entry.name for some in backend().walk() for entry in some]
    assert sorted(walked) == sorted(NAMES)
    tokens = [(hold.name, hold.token) for hold in page.holds]
    assert list(backend().force_release_all(tokens)) == [True] * len(NAMES)
    assert backend().list().total == 0
    for handle in held:
        with pytest.raises(LockLost):
            handle.release()


def test_a_batch_for_several_nodes_is_sent_to_each_node_at_once(
    servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(lock(name, wait=20, renew=False))
        extensions = [Extension(one.name, one.token, 60) for one in backend().list().holds]
        sent = []
        owners = set(nodes().topology.owners)
        for node in owners:
            monkeypatch.setattr(node, "exchange", counting(node.exchange, sent))
        assert all(isinstance(end, float) for end in backend().extend_all(extensions))
        assert sent.count(get_ident()) == len(owners)


def counting(exchange: Any, sent: list[int]) -> Any:
    """Wrap it to note the calling threads, since another one sends figures."""

    def count(*arguments: Any, **options: Any) -> Any:
        sent.append(get_ident())
        return exchange(*arguments, **options)

    return count


def test_the_queue_is_handed_over_on_every_node(servers: Any) -> None:
    holders = {name: lock(name, lease=60) for name in NAMES[::5]}
    for name, holder in holders.items():
        assert holder.acquire()
        (first, one), (second, other) = waiting(name), waiting(name)
        holder.release()
        one.join(30)
        assert first.held
        assert not second.held
        first.release()
        other.join(30)
        assert second.fence > first.fence > holder.fence
        second.release()


def test_a_forced_release_is_reported_on_every_node(servers: Any) -> None:
    for name in NAMES[::5]:
        # Only a process that waits, or has waited, in the bucket gets the message.
        backend().listen(name, 30)
        held = lock(name, lease=60)
        assert held.acquire()
        assert backend().force_release(name, held.token)
        wait_until(lambda: not held.held)  # noqa: B023 - called at once


def test_buckets_without_a_known_owner_are_looked_up(servers: Any) -> None:
    with lock(NAMES[0], wait=20):
        pass
    topology = nodes().topology
    topology.owners[: BUCKETS // 2] = [None] * (BUCKETS // 2)
    for name in NAMES:
        with lock(name, wait=20):
            pass
    assert None not in topology.owners


def test_nodes_that_have_left_are_forgotten(servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_redislock.backends.redis.wakeups.connection.LINGER", 0.1)
    backend().listen(NAMES[0], 30)
    topology, wakeups = nodes().topology, backend().wakeups
    owner = topology.owner(0)
    wait_until(
        lambda: not wakeups._nodes[owner].thread.is_running(), what="the wake-up thread has ended"
    )
    # As the reply of a Cluster without it would do.
    address = next(address for address, node in topology.nodes.items() if node is owner)
    del topology.nodes[address]
    topology.owners[0] = None
    backend().listen(NAMES[0], 30)
    assert owner not in wakeups._nodes
    assert len(wakeups._nodes) == 1
