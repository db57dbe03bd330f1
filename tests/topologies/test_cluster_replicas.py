"""Grants of a Cluster that count only when a replica of the node has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from django_redislock import LockNotAcquired, LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.keys import bucket_of
from django_redislock.backends.redis.wire.node import Node
from django_redislock.checks import check_backends
from django_redislock.testing.servers import EmbeddedServer
from tests.support.cluster import ClusterSet
from tests.support.processes import frozen, wait_until
from tests.support.settled import settle
from tests.topologies.claims import attempt, is_held, kinds, taking
from tests.topologies.places import NAMES, key_of, nodes, slot_of, sure

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]

NONE_HAS = "0 of 1 replicas acknowledged it in time"


@pytest.fixture
def trio(replicated: ClusterSet, settings: Any) -> Iterator[ClusterSet]:
    """Three primaries and their replicas. Locks by the alias "plain" do not ask the replicas."""
    location = {"LOCATION": replicated.location, "PATIENCE": 60}
    options = {"replicas": 1, "metrics": False}
    settings.LOCKS = {"default": {**location, "OPTIONS": options}, "plain": location}
    for name in {replicated.owner(key_of(name)): name for name in NAMES}.values():
        grants("thread", name)
        # So that both aliases know the nodes before one of them is frozen.
        sure(partial(is_held, name))
    yield replicated
    for alias in ("default", "plain"):
        lock_backends[alias].close()
    replicated.restore()


def another_node(trio: ClusterSet, name: str) -> str:
    """A name whose lock is on another node."""
    owner = trio.owner(key_of(name))
    return next(one for one in NAMES if trio.owner(key_of(one)) is not owner)


def beside(name: str) -> list[str]:
    """Other names whose locks are on the same node, as this process knows it."""
    return [one for one in map(str, range(1000, 1600)) if node_of(one) is node_of(name)]


def replica_for(trio: ClusterSet, name: str) -> EmbeddedServer:
    """The replica of the node that has a name."""
    return trio.replica_of(trio.owner(key_of(name)))


def node_of(name: str) -> Node:
    """The node that has a name, as this process knows it."""
    node = nodes().topology.owners[bucket_of(name)]
    assert node is not None
    return node


def refusal(kind: str, name: str) -> str:
    """The error of an attempt; empty if it is granted."""
    try:
        attempt(kind, name)
    except (LockUnavailable, LockNotAcquired) as error:
        return str(error)
    return ""


def grants(kind: str, name: str) -> None:
    """Take a lock as soon as that is possible, and release it."""
    wait_until(lambda: not refusal(kind, name), within=60, what=f"{name} is granted")


def gives_back(kind: str, name: str) -> None:
    """Take a lock whose grant no replica acknowledges."""
    assert NONE_HAS in refusal(kind, name)
    settle()
    assert not sure(lambda: is_held(name)), "it was given back"


@kinds
def test_a_grant_waits_for_a_replica_of_its_node(trio: ClusterSet, kind: str) -> None:
    thread, taken = taking(kind, NAMES[0])
    with frozen(replica_for(trio, NAMES[0]).pid):
        thread.start()
        wait_until(lambda: is_held(NAMES[0]))
        assert taken == []
    thread.join()
    assert taken == [NAMES[0]]


@kinds
def test_without_its_replica_a_node_grants_nothing_but_the_others_do(
    trio: ClusterSet, kind: str
) -> None:
    name, elsewhere = NAMES[0], another_node(trio, NAMES[0])
    with frozen(replica_for(trio, name).pid):
        began = time.monotonic()
        gives_back(kind, name)
        assert time.monotonic() - began < 3
        grants(kind, elsewhere)
    assert not node_of(name).breaker.failures, "the node itself has answered"
    assert not nodes().topology.doubted
    grants(kind, name)


def test_a_hold_goes_on_without_the_replica(trio: ClusterSet) -> None:
    held = lock(NAMES[0], wait=20, lease=60)
    assert held.acquire()
    with frozen(replica_for(trio, NAMES[0]).pid):
        gives_back("thread", beside(NAMES[0])[0])
        held.extend(120)
        assert held.remaining() > 60
        held.release()
        assert not is_held(NAMES[0])


@kinds
def test_a_killed_replica_acknowledges_nothing_until_it_is_back(
    trio: ClusterSet, kind: str
) -> None:
    elsewhere, replica = another_node(trio, NAMES[0]), replica_for(trio, NAMES[0])
    replica.kill()
    gives_back(kind, NAMES[0])
    grants(kind, elsewhere)
    replica.restart()
    grants(kind, NAMES[0])


@kinds
def test_a_promoted_replica_grants_nothing_without_a_replica_of_its_own(
    trio: ClusterSet, kind: str
) -> None:
    name, elsewhere = NAMES[2], another_node(trio, NAMES[2])
    lost = trio.owner(key_of(name))
    trio.lose(lost)
    wait_until(lambda: NONE_HAS in refusal(kind, name), what="it is known to be the primary")
    settle()
    gives_back(kind, name)
    grants(kind, elsewhere)
    lost.restart()
    grants(kind, name)


@kinds
def test_a_demoted_node_redirects_claims(trio: ClusterSet, kind: str) -> None:
    """It refuses the WAIT that is sent along."""
    name = NAMES[4]
    grants(kind, name)
    new = trio.fail_over(trio.owner(key_of(name)))
    with trio.client(new) as client:
        wait_until(lambda: client.wait(1, 100) == 1, what="the old one is in step")
    assert not refusal(kind, name)
    with frozen(replica_for(trio, name).pid):
        gives_back(kind, name)


@kinds
def test_a_redirected_claim_is_acknowledged_by_the_replica_of_its_new_node(
    trio: ClusterSet, kind: str
) -> None:
    name = NAMES[5]
    to = trio.owner(key_of(another_node(trio, name)))
    trio.move(slot_of(name), to)
    with frozen(trio.replica_of(to).pid):
        gives_back(kind, name)
    grants(kind, name)


@kinds
def test_a_claim_in_a_moving_slot_is_granted_after_the_move(trio: ClusterSet, kind: str) -> None:
    name = NAMES[9]
    to = trio.owner(key_of(another_node(trio, name)))
    thread, taken = taking(kind, name, wait=20)
    with trio.moving(slot_of(name), to):
        thread.start()
    thread.join()
    assert taken == [name]


@kinds
def test_a_turn_counts_only_after_its_acknowledgement(trio: ClusterSet, kind: str) -> None:
    name = NAMES[6]
    holder = lock(name, using="plain", lease=60)
    assert holder.acquire()
    thread, taken = taking(kind, name, wait=60)
    thread.start()
    wait_until(lambda: lock_backends["plain"].inspect(name)[1])
    with frozen(replica_for(trio, name).pid):
        holder.release()
        wait_until(lambda: not lock_backends["plain"].inspect(name)[1], what="it has its turn")
        time.sleep(1.5)  # longer than a request for the acknowledgement may take
        assert taken == []
    thread.join()
    assert taken == [name]


async def test_unacknowledged_claims_do_not_hold_up_other_tasks(trio: ClusterSet) -> None:
    name = NAMES[7]
    elsewhere = await asyncio.to_thread(another_node, trio, name)
    replica = await asyncio.to_thread(replica_for, trio, name)
    async with lock(name, wait=20) as held, lock(elsewhere, wait=20) as other:
        with frozen(replica.pid):
            # Far more than there are connections.
            claims = [asyncio.create_task(arefusal(one)) for one in beside(name)]
            await asyncio.to_thread(wait_until, lambda: is_held(beside(name)[0]))
            began = time.monotonic()
            await asyncio.gather(held.aextend(), other.aextend())
            # One after the other, the claims would take half a second each.
            assert time.monotonic() - began < 5
            refusals = await asyncio.gather(*claims)
    assert any(NONE_HAS in one for one in refusals)


async def arefusal(name: str) -> str:
    with pytest.raises(LockUnavailable) as raised:
        await lock(name).aacquire(wait=0)
    return str(raised.value)


def test_the_check_names_a_node_with_too_few_replicas(trio: ClusterSet) -> None:
    def warned() -> list[str]:
        return [one.msg for one in check_backends(deploy=True) if one.id == "locks.W008"]

    assert warned() == []
    owner = trio.owner(key_of(NAMES[0]))
    replica = trio.replica_of(owner)
    replica.kill()
    wait_until(warned)
    assert warned() == [
        f"LOCKS['default']['OPTIONS']['replicas'] is 1, but the node 127.0.0.1:{owner.port} has 0 "
        "replicas: it grants no lock."
    ]
