"""Address whose server is replaced, while the old server still answers, as its replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.wakeups import connection, subscriber
from django_redislock.backends.redis.wire.node import AT_ONCE
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.processes import WITHIN, frozen, wait_until
from tests.support.proxy import Proxy
from tests.topologies.claims import taking
from tests.topologies.places import backend

pytestmark = pytest.mark.timeout(120)


class Address:
    """A proxy that leads to one server, and after `fail_over()` to the other."""

    def __init__(self, stack: ExitStack) -> None:
        at_once = ("--repl-diskless-sync-delay", "0")
        self.old, self.new = (stack.enter_context(EmbeddedServer(args=at_once)) for _ in range(2))
        self.proxy = stack.enter_context(Proxy(self.old.url))

    def fail_over(self) -> None:
        """Make the old server a replica of the new one. No connection is cut."""
        self.proxy.upstream = (HOST, self.new.port)
        with Redis(port=self.old.port) as old, Redis(port=self.new.port) as new:
            old.replicaof(HOST, self.new.port)
            wait_until(lambda: old.role()[3] == b"connected", what="the replica is in step")
            new.set("written", 1)
            wait_until(lambda: new.wait(1, 100) == 1, what="it acknowledges")


@pytest.fixture(params=[0, 1], ids=["plain", "acknowledged"])
def address(
    request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Address]:
    # The connection stays open without a waiter, however long the failover takes.
    monkeypatch.setattr(connection, "LINGER", 600.0)
    with ExitStack() as stack:
        address = Address(stack)
        if request.param:  # grants of the old server have to be acknowledged, too
            follow = ("--replicaof", HOST, str(address.old.port))
            replica = stack.enter_context(EmbeddedServer(args=follow))
            with Redis(port=replica.port) as client:
                wait_until(lambda: client.role()[3] == b"connected")
        options = {"replicas": request.param, "metrics": False}
        settings.LOCKS = {
            "default": {"LOCATION": address.proxy.url, "OPTIONS": options},
            "new": {"LOCATION": address.new.url},
        }
        yield address
        for alias in ("default", "new"):
            lock_backends[alias].close()


def listens_again(before: object) -> None:
    def does() -> bool:
        return backend().listening("a") and backend().wakeups._subscriber.sock is not before

    wait_until(does, what="it listens anew", within=20)
    wait_until(lambda: lock_backends["new"].inspect("a")[1], what="it queues")


def test_a_waiter_listens_to_the_new_primary(address: Address) -> None:
    with lock("a", wait=20):  # on a connection that keeps leading to the old server
        backend().listen("a", WITHIN)
    before = backend().wakeups._subscriber.sock
    address.fail_over()
    holder = lock("a", lease=60, using="new")
    holder.acquire()
    thread, taken = taking("thread", "a", wait=40)
    thread.start()
    listens_again(before)
    holder.release()
    thread.join()
    assert taken == ["a"]


async def test_a_coroutine_listens_to_the_new_primary(address: Address) -> None:
    async with lock("a", wait=20):
        await backend().alisten("a", WITHIN)
    before = backend().wakeups._subscriber.sock
    await asyncio.to_thread(address.fail_over)
    holder, waiter = lock("a", lease=60, using="new"), lock("a", wait=40)
    await asyncio.to_thread(holder.acquire)
    waiting = asyncio.create_task(waiter.aacquire())
    await asyncio.to_thread(listens_again, before)
    await asyncio.to_thread(holder.release)
    assert await waiting
    await waiter.arelease()


def open_breaker() -> None:
    breaker = backend().source.breaker
    breaker.failed(RedisTimeoutError(), 1.0, 1.0, fresh=True)
    wait_until(lambda: not breaker.is_open(), what="the other server answers")


def time_out_once() -> None:
    """The next request is sent on a new connection, which leads to the other server."""
    with pytest.raises(LockUnavailable):
        lock("b").acquire(wait=0)
    assert not backend().source.breaker.is_open()
    with lock("b", wait=0):
        pass


# After an outage it connects again. Otherwise only a PING that is not answered shows it.
@pytest.mark.parametrize(("find_out", "pong_within"), [(open_breaker, 600.0), (time_out_once, 1.0)])
def test_a_waiter_leaves_a_frozen_server_that_another_has_replaced(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    find_out: Callable[[], None],
    pong_within: float,
) -> None:
    """Its connection there stays open."""
    monkeypatch.setattr(subscriber, "PING_AFTER", 600.0)
    monkeypatch.setattr(subscriber, "PONG_WITHIN", pong_within)
    with ExitStack() as stack:
        address = Address(stack)
        options = {"socket_timeout": 1, "grant_lease": 600, "metrics": False}
        settings.LOCKS = {
            "default": {"LOCATION": address.proxy.url, "OPTIONS": options},
            "old": {"LOCATION": address.old.url},
            "new": {"LOCATION": address.new.url},
        }
        holder = lock("a", lease=600, using="new")
        holder.acquire()
        with lock("a", lease=600, renew=False, using="old"):
            thread, taken = taking("thread", "a", wait=60)
            thread.start()
            wait_until(lambda: lock_backends["old"].inspect("a")[1], what="it queues")
            free = backend().node._free
            wait_until(lambda: len(free) == AT_ONCE, what="its connection is free")
            address.proxy.upstream = (HOST, address.new.port)
            with frozen(address.old.pid):
                find_out()
                wait_until(lambda: lock_backends["new"].inspect("a")[1], what="it queues there")
                holder.release()
                thread.join(WITHIN)
                assert taken == ["a"]
        for alias in settings.LOCKS:
            lock_backends[alias].close()
