"""Locks on a Cluster while slots move from node to node."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_redislock import LockLost, LockUnavailable, lock
from django_redislock.backends.redis.keys import bucket_of
from tests.support.fixtures import UsePlace
from tests.support.processes import wait_until
from tests.topologies.places import NAMES, another, backend, key_of, nodes, slot_of, sure, waiting

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]


def test_a_moved_slot_is_found_again(servers: Any) -> None:
    name = NAMES[0]
    with lock(name, wait=20) as held:
        to = another(servers, name)
        servers.move(slot_of(name), to)
        held.extend(30)
        owner = nodes().topology.owners[bucket_of(name)]
        assert owner is not None
        assert owner.source.at == f"127.0.0.1:{to.port}", "it is asked at once from now on"
        assert not sure(lambda: lock(name).acquire(wait=0))
        fence = held.fence
    with lock(name, wait=20) as held:
        assert held.fence > fence


def test_a_slot_that_moves_in_one_step_is_found_again(servers: Any) -> None:
    name = NAMES[11]
    holder = lock(name, lease=60)
    assert holder.acquire()
    waiter, thread = waiting(name)
    servers.move_whole(slot_of(name), another(servers, name))
    holder.extend(30)
    wait_until(lambda: backend().listening(name), what="it listens on the other node")
    holder.release()
    thread.join(30)
    assert waiter.fence > holder.fence
    waiter.release()


def test_a_redirected_release_still_reports_the_loss(servers: Any) -> None:
    """A repeated release would count as successful, but a redirected one is no repetition."""
    name = NAMES[12]
    held = lock(name, lease=60, renew=False)
    assert held.acquire()
    assert backend().force_release(name, held.token)
    servers.move(slot_of(name), another(servers, name))
    assert not backend().release(name, held.token)
    with pytest.raises(LockLost):
        held.release()


async def test_a_moved_slot_is_found_again_by_coroutines(servers: Any) -> None:
    name = NAMES[1]
    async with lock(name, wait=20) as held:
        await asyncio.to_thread(lambda: servers.move(slot_of(name), another(servers, name)))
        await held.aextend(30)
        assert not await lock(name).aacquire(wait=0)


def test_a_waiter_in_a_moving_slot_keeps_its_position_and_gets_its_turn(
    servers: Any, use: UsePlace
) -> None:
    # No waiter looks again by the clock.
    use("", entry=servers.entry | {"OPTIONS": {"grant_lease": 500, "metrics": False}})
    name = NAMES[2]
    holder = lock(name, lease=600)
    assert holder.acquire()
    (first, one), (second, other) = waiting(name), waiting(name)
    servers.move(slot_of(name), another(servers, name))
    # Sooner than other requests of this process for the name would show it.
    wait_until(lambda: backend().listening(name), within=6, what="they listen on the other node")
    holder.release()
    one.join(30)
    assert first.held
    first.release()
    other.join(30)
    assert second.fence > first.fence > holder.fence
    second.release()


def test_requests_during_a_move_of_a_slot_are_carried_out_afterwards(servers: Any) -> None:
    """During a move the keys are on two nodes, and no script may run on either."""
    name = NAMES[3]
    holder = lock(name, lease=60, renew=False)
    assert holder.acquire()
    with servers.moving(slot_of(name), another(servers, name)):
        # Commands with one key find it on either node.
        assert [hold.name for hold in backend().list().holds] == [name]
        extending = threading.Thread(target=holder.extend, args=(50,))
        extending.start()
    extending.join(30)
    assert holder.remaining() > 40
    with servers.moving(slot_of(name), another(servers, name)) as owner:
        servers.move_keys(slot_of(name), owner, another(servers, name))
        assert [hold.name for hold in backend().list().holds] == [name]
    holder.release()


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_requests_after_the_move_of_all_keys_wait_for_the_end_of_the_move(
    servers: Any, kind: str
) -> None:
    """The old owner redirects them to the new one, which may not run scripts yet."""
    name = NAMES[3]
    with lock(name, wait=20):
        pass

    async def take() -> bool:
        async with lock(name, wait=20):
            return True

    def taken() -> bool:
        if kind == "task":
            return asyncio.run(take())
        with lock(name, wait=20):
            return True

    to = another(servers, name)
    with ThreadPoolExecutor() as pool, servers.moving(slot_of(name), to) as owner:
        servers.move_keys(slot_of(name), owner, to)
        taking = pool.submit(taken)
        with pytest.raises(LockUnavailable, match="is moving these locks from one node to another"):
            lock(name).acquire(wait=0)
        assert not taking.done()
    assert taking.result(30)


def test_a_slot_that_stays_between_two_nodes_is_reported_as_an_outage(servers: Any) -> None:
    name = NAMES[4]
    with lock(name, wait=20), servers.moving(slot_of(name), another(servers, name)):
        with pytest.raises(LockUnavailable, match="is moving these locks from one node to another"):
            lock(name).acquire(wait=0)


def test_holds_in_other_slots_of_the_node_are_renewed_during_a_move(servers: Any) -> None:
    node_of, name = backend().node_of, NAMES[4]
    with lock(name, wait=20):  # so that its node is known
        beside = next(one for one in NAMES if one != name and node_of(one) is node_of(name))
    stuck, held = lock(name, wait=20, lease=6), lock(beside, wait=20, lease=6)
    stuck.acquire()
    with held, servers.moving(slot_of(name), another(servers, name)):
        assert stuck.lost.wait(20)
        assert not held.lost.wait(6), held.lost.reason


def test_a_new_node_gets_the_scripts(servers: Any) -> None:
    name = NAMES[5]
    with lock(name, wait=20):
        pass
    new = servers.add_primary()
    servers.move(slot_of(name), new)
    with lock(name, wait=20):
        with servers.client(new) as client:
            assert client.exists(key_of(name))


async def test_a_new_node_gets_the_scripts_from_coroutines(servers: Any) -> None:
    name = NAMES[6]
    async with lock(name, wait=20):
        pass
    new = await asyncio.to_thread(servers.add_primary)
    await asyncio.to_thread(servers.move, slot_of(name), new)
    async with lock(name, wait=20):
        pass
