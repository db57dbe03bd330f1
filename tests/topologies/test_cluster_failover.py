"""Locks on a Cluster whose primaries end and are replaced."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock
from django_redislock.backends.base import Claim
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.holder import Holder
from tests.support.fixtures import UsePlace
from tests.support.processes import wait_until
from tests.topologies.places import (
    NAMES,
    backend,
    key_of,
    nodes,
    sure,
    waiting,
)

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]


def test_a_hold_survives_the_loss_of_its_primary(failing: Any) -> None:
    name = NAMES[7]
    with lock(name, lease=20) as held:
        failing.copied()
        lost = failing.owner(key_of(name))
        failing.lose(lost)
        left = held.remaining()
        wait_until(lambda: held.remaining() > left)
        assert sure(held.owned)
        assert not sure(lambda: lock(name).acquire(wait=0))
        lost.restart()
        failing.wait_until_agreed()
    with lock(name, wait=10) as again:
        assert again.fence > held.fence


def test_a_waiter_is_notified_of_its_turn_by_the_promoted_replica(failing: Any) -> None:
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
    lost.restart()
    failing.wait_until_agreed()


def test_nothing_is_lost_in_a_manual_failover(failing: Any) -> None:
    name = NAMES[9]
    with lock(name, lease=20) as held:
        waiter, thread = waiting(name)
        failing.fail_over(failing.owner(key_of(name)))
        held.extend(60)
        wait_until(lambda: backend().listening(name), what="it listens on the other node")
    thread.join(60)
    assert waiter.fence > held.fence
    waiter.release()


def test_a_waiter_listens_to_the_new_primary_when_the_old_one_is_frozen(
    failing: Any, use: UsePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen primary sends nothing, and does not close its connections either."""
    # The thread of a node without names ends after that time, which would end the wait, too.
    monkeypatch.setattr("django_redislock.backends.redis.wakeups.connection.LINGER", 60)
    options = {"grant_lease": 500, "socket_timeout": 1, "metrics": False}
    use("", entry=failing.entry | {"OPTIONS": options})
    name = NAMES[11]
    stranger = RedisLockBackend(backend().config, **options)
    stranger.acquire(Claim(name, "0" * 32, 1, 600.0, Holder().pack()))
    waiter, thread = waiting(name)
    failing.copied()
    owner = failing.owner(key_of(name))
    replica = failing.replica_of(owner)
    with failing.frozen(owner):
        failing.wait_for_promotion(replica)
        # Another attempt of this process finds out.
        assert not sure(lambda: lock(name).acquire(wait=0))
        # Sooner than an unanswered PING would show it.
        wait_until(lambda: backend().listening(name), within=6)
        assert sure(lambda: stranger.release(name, "0" * 32))
        thread.join(15)
        assert waiter.held
    waiter.release()
    stranger.close()
    failing.wait_until_agreed()


@pytest.mark.parametrize("is_doubted", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_answer_of_a_primary_that_was_replaced_meanwhile_does_not_count(
    failing: Any, monkeypatch: pytest.MonkeyPatch, is_async: bool, is_doubted: bool
) -> None:
    """A primary that was frozen answers what is in its buffers before it finds out."""
    name = NAMES[12]
    with lock(name):
        pass
    stranger = RedisLockBackend(backend().config)
    node = nodes().topology.owner(12)
    verb = "aexchange" if is_async else "exchange"
    original = getattr(node, verb)
    done = False

    def replace() -> None:
        nonlocal done
        done = True
        failing.fail_over(failing.owner(key_of(name)))
        failing.wait_until_agreed()
        (hold,) = sure(lambda: stranger.inspect(name)[0])
        assert sure(lambda: stranger.force_release(name, hold.token))
        assert sure(lambda: stranger.acquire(Claim(name, "0" * 32, 1, 600.0, Holder().pack())))
        nodes().ask_topology(5)

    def late(*args: Any, **kwargs: Any) -> Any:
        replies = original(*args, **kwargs)
        if not done:
            replace()
        return replies

    async def alate(*args: Any, **kwargs: Any) -> Any:
        replies = await original(*args, **kwargs)
        if not done:
            await asyncio.to_thread(replace)
        return replies

    monkeypatch.setattr(node, verb, alate if is_async else late)
    if is_doubted:
        nodes().topology.doubted[node] = None
    handle = lock(name)
    with suppress(LockUnavailable):  # no time was left to ask the new primary
        taken = asyncio.run(handle.aacquire(wait=0)) if is_async else handle.acquire(wait=0)
        assert not taken
    assert done
    assert not handle.held
    assert sure(lambda: stranger.release(name, "0" * 32))
    stranger.close()


async def test_coroutines_find_the_promoted_replica(failing: Any) -> None:
    name = NAMES[10]
    async with lock(name, lease=20) as held:
        await asyncio.to_thread(failing.copied)
        lost = failing.owner(key_of(name))
        await asyncio.to_thread(failing.lose, lost)
        left = held.remaining()
        await asyncio.to_thread(wait_until, lambda: held.remaining() > left)
        async with lock(f"{name} other", wait=30) as other:
            assert other.fence
    await asyncio.to_thread(lost.restart)
    await asyncio.to_thread(failing.wait_until_agreed)
