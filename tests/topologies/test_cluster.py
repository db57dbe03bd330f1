"""Locks on a Cluster: all verbs, on all its nodes, while slots move and primaries change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

import pytest
from redis.crc import key_slot

from django_redislock import LockLost, LockUnavailable, lock, lock_backends
from django_redislock.backends.base import Extension
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.cluster import Cluster
from django_redislock.backends.redis.keys import BUCKETS, bucket_of, name_keys
from tests.concurrency import jobs
from tests.support.cluster import ClusterSet
from tests.support.processes import wait_until

T = TypeVar("T")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterSet]:
    """Three primaries without replicas, none of which ends."""
    with ClusterSet() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def replicated() -> Iterator[ClusterSet]:
    """Three primaries and their replicas; which is which changes."""
    with ClusterSet(replicas=3) as cluster:
        yield cluster


@pytest.fixture
def servers(cluster: ClusterSet, use: Callable[..., Any]) -> Iterator[ClusterSet]:
    use("", entry=cluster.entry)
    yield cluster
    lock_backends["default"].close()


@pytest.fixture
def failing(replicated: ClusterSet, use: Callable[..., Any]) -> Iterator[ClusterSet]:
    use("", entry=replicated.entry)
    yield replicated
    lock_backends["default"].close()


# One for each bucket, and so some for each node.
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
    """The answer, once there is somebody to ask."""
    while True:
        with suppress(LockUnavailable):
            return question()


def waiting(name: str, **options: Any) -> tuple[Any, threading.Thread]:
    """A handle that queues in a thread, and is known to."""
    queue_length = jobs.queue_length(name)
    waiter = lock(name, wait=60, **options)
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length(name) > queue_length)
    return waiter, thread


def test_every_bucket_has_a_lock_on_some_node(servers):
    with ExitStack() as stack:
        held = [stack.enter_context(lock(name, wait=0)) for name in NAMES]
        for name, one in zip(NAMES, held, strict=True):
            assert not lock(name).acquire(wait=0)
            assert one.owned()
            one.extend(30)
        owners = {nodes().topology.owners[bucket] for bucket in range(BUCKETS)}
        assert len(owners) == 3
        with servers.client(servers.owner(key_of(NAMES[0]))) as client:
            assert client.exists(key_of(NAMES[0]))
    assert backend().list().total == 0


async def test_coroutines_find_each_bucket_too(servers):
    async def use_lock(name: str) -> int:
        async with lock(name, wait=10) as held:
            assert not await lock(name).aacquire(wait=0)
            await held.aextend(30)
            return held.fence

    assert all(await asyncio.gather(*(use_lock(name) for name in NAMES * 3)))
    assert await asyncio.to_thread(lambda: backend().list().total) == 0


def test_listing_walking_and_clearing_go_over_all_nodes(servers):
    held = [lock(name, lease=100 + end, renew=False) for end, name in enumerate(NAMES)]
    for handle in held:
        assert handle.acquire(wait=0)
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


def test_what_goes_to_several_nodes_travels_in_one_go_to_each(servers, monkeypatch):
    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(lock(name, wait=0))
        backend().list()
        sent = []
        for node in {owner for owner in nodes().topology.owners if owner}:
            exchange = node.exchange
            monkeypatch.setattr(
                node,
                "exchange",
                lambda commands, within=None, do=exchange: sent.append(do) or do(commands, within),
            )
        extensions = [Extension(one.name, one.token, 60) for one in backend().list().holds]
        sent.clear()
        assert None not in backend().extend(extensions)
        assert len(sent) == 3


def test_the_queue_is_handed_over_on_every_node(servers):
    holders = {name: lock(name, lease=60) for name in NAMES[::5]}
    for name, holder in holders.items():
        assert holder.acquire(wait=0)
        (first, one), (second, other) = waiting(name), waiting(name)
        holder.release()
        one.join(30)
        assert first.held
        assert not second.held
        first.release()
        other.join(30)
        assert second.fence > first.fence > holder.fence
        second.release()


def test_a_forced_release_is_told_on_every_node(servers):
    for name in NAMES[::5]:
        # Only a process that waits, or has waited, in the bucket hears of it.
        backend().listen(name, 30)
        held = lock(name, lease=60)
        assert held.acquire(wait=0)
        assert backend().force_release(name, held.token)
        wait_until(lambda: not held.held)  # noqa: B023 - called at once


def test_a_moved_slot_is_found_again(servers):
    name = NAMES[0]
    with lock(name, wait=0) as held:
        servers.move(slot_of(name), another(servers, name))
        held.extend(30)
        assert not lock(name).acquire(wait=0)
        fence = held.fence
    with lock(name, wait=0) as held:
        assert held.fence > fence


async def test_a_moved_slot_is_found_again_by_coroutines(servers):
    name = NAMES[1]
    async with lock(name, wait=0) as held:
        await asyncio.to_thread(lambda: servers.move(slot_of(name), another(servers, name)))
        await held.aextend(30)
        assert not await lock(name).aacquire(wait=0)


def test_who_waits_in_a_slot_that_moves_keeps_the_place_and_hears_of_the_turn(servers):
    name = NAMES[2]
    holder = lock(name, lease=60)
    assert holder.acquire(wait=0)
    (first, one), (second, other) = waiting(name), waiting(name)
    servers.move(slot_of(name), another(servers, name))
    wait_until(lambda: backend().listening(name), what="they listen on the other node")
    holder.release()
    one.join(30)
    assert first.held
    first.release()
    other.join(30)
    assert second.fence > first.fence > holder.fence
    second.release()


def test_what_is_asked_while_a_slot_moves_is_done_when_it_has(servers):
    """Its keys are then on two nodes, and no script may run on either."""
    name = NAMES[3]
    holder = lock(name, lease=60, renew=False)
    assert holder.acquire(wait=0)
    with servers.moving(slot_of(name), another(servers, name)):
        # Commands of one key find it wherever it is.
        assert [hold.name for hold in backend().list().holds] == [name]
        extending = threading.Thread(target=holder.extend, args=(50,))
        extending.start()
    extending.join(30)
    assert holder.remaining() > 40
    with servers.moving(slot_of(name), another(servers, name)) as owner:
        servers.move_keys(slot_of(name), owner, another(servers, name))
        assert [hold.name for hold in backend().list().holds] == [name]
    holder.release()


def test_a_slot_that_stays_between_two_nodes_is_an_outage_that_is_told(servers):
    name = NAMES[4]
    with lock(name, wait=0), servers.moving(slot_of(name), another(servers, name)):
        with pytest.raises(LockUnavailable, match="TRYAGAIN|being moved|Multiple keys"):
            lock(name).acquire(wait=0)


def test_a_new_node_learns_the_scripts(servers):
    name = NAMES[5]
    with lock(name, wait=0):
        pass
    new = servers.add_primary()
    servers.move(slot_of(name), new)
    with lock(name, wait=0):
        with servers.client(new) as client:
            assert client.exists(key_of(name))


async def test_a_new_node_learns_the_scripts_of_coroutines(servers):
    name = NAMES[6]
    async with lock(name, wait=0):
        pass
    new = await asyncio.to_thread(servers.add_primary)
    await asyncio.to_thread(servers.move, slot_of(name), new)
    async with lock(name, wait=0):
        pass


def test_a_hold_lives_through_the_loss_of_its_primary(failing):
    name = NAMES[7]
    with lock(name, lease=60) as held:
        failing.copied()
        lost = failing.owner(key_of(name))
        failing.lose(lost)
        left = held.remaining()
        wait_until(lambda: held.remaining() > left)
        assert sure(held.owned)
        assert not sure(lambda: lock(name).acquire(wait=0))
        lost.start()
        failing.wait_until_agreed()
    with lock(name, wait=10) as again:
        assert again.fence > held.fence


def test_who_waits_hears_of_its_turn_from_the_promoted_replica(failing):
    name = NAMES[8]
    holder = lock(name, lease=60)
    holder.acquire()
    waiter, thread = waiting(name)
    failing.copied()
    lost = failing.owner(key_of(name))
    failing.lose(lost)
    with suppress(LockUnavailable):  # then it is released as soon as it can be
        holder.release()
    thread.join(60)
    assert waiter.fence > holder.fence
    waiter.release()
    lost.start()
    failing.wait_until_agreed()


def test_nothing_is_lost_in_a_failover_by_hand(failing):
    name = NAMES[9]
    with lock(name, lease=60) as held:
        waiter, thread = waiting(name)
        failing.fail_over(failing.owner(key_of(name)))
        held.extend(60)
        wait_until(lambda: backend().listening(name), what="it listens on the other node")
    thread.join(60)
    assert waiter.fence > held.fence
    waiter.release()


async def test_coroutines_find_the_promoted_replica(failing):
    name = NAMES[10]
    async with lock(name, lease=60) as held:
        await asyncio.to_thread(failing.copied)
        lost = failing.owner(key_of(name))
        await asyncio.to_thread(failing.lose, lost)
        left = held.remaining()
        await asyncio.to_thread(wait_until, lambda: held.remaining() > left)
        async with lock(f"{name} other", wait=30) as other:
            assert other.fence
    await asyncio.to_thread(lost.start)
    await asyncio.to_thread(failing.wait_until_agreed)
