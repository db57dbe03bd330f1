"""Pools of caches: locks use their settings, but none of their connections."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.core.cache import cache, caches

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.scripts import ACQUIRE
from django_redislock.backends.redis.wire import links
from django_redislock.backends.redis.wire.parser import Parser
from django_redislock.testing.servers import EmbeddedServer
from tests.support.fixtures import UsePlace
from tests.support.processes import wait_until
from tests.support.proxy import Proxy

POOLS = [
    {"max_connections": 1},
    {"max_connections": 2},
    {"max_connections": 3},
    {"max_connections": 1, "timeout": 20},
    {"max_connections": 3, "timeout": 20},
    {"protocol": 3, "decode_responses": True},
]


@pytest.fixture
def pooled(use: UsePlace, redis_url: str) -> Any:
    def pooled(**kwargs: Any) -> Any:
        place = use(redis_url)
        return use(redis_url, prefix=place.prefix, cache=place.pool(**kwargs).cache)

    return pooled


def in_threads(number: int, work: Any) -> None:
    errors = []

    def run(index: Any) -> None:
        try:
            work(index)
        except Exception as error:  # noqa: BLE001 - the test reports it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize("kwargs", POOLS, ids=str)
def test_many_threads_use_locks_beside_the_cache(pooled: Any, kwargs: Any) -> None:
    pooled(**kwargs)
    counter = 0

    def work(index: Any) -> None:
        nonlocal counter
        for _ in range(10):
            with lock("counter", wait=30, lease=6):
                counter += 1
            with lock(f"own {index}", wait=0):
                lock_backends["default"].inspect("counter")

    in_threads(12, work)
    assert counter == 120


@pytest.mark.parametrize("kwargs", [{"max_connections": 2}, {"max_connections": 2, "timeout": 0.2}])
def test_a_release_does_not_fail_when_the_cache_uses_the_whole_pool(
    pooled: Any, kwargs: Any
) -> None:
    place = pooled(**kwargs)
    pool = lock_backends["default"].source.pool
    held = lock("a")
    held.acquire()
    taken = [pool.get_connection() for _ in range(2)]
    try:
        held.extend()
        held.release()
        with lock("b"):
            pass
    finally:
        for connection in taken:
            pool.release(connection)
    with place.client() as client:
        assert not list(client.scan_iter(match=f"{place.prefix}:*:holds:*"))


@pytest.mark.parametrize("size", [1, 3, 19])
def test_locks_take_no_connection_from_the_pool(pooled: Any, size: Any) -> None:
    pooled(max_connections=size)
    waiter = lock("a", wait=30)
    with lock("a"):
        waiting = threading.Thread(target=waiter.acquire)
        waiting.start()
        wait_until(lambda: lock_backends["default"].inspect("a")[1])
        pool = lock_backends["default"].source.pool
        all_of_it = [pool.get_connection() for _ in range(size)]
        for connection in all_of_it:
            pool.release(connection)
        cache.set("key", "value", 5)
    waiting.join()
    waiter.release()


def test_a_hold_keeps_no_connection(own_server: EmbeddedServer, use: UsePlace) -> None:
    place = use(own_server.url)
    with place.client() as client:
        handles = [lock(f"name {number}") for number in range(50)]
        for handle in handles:
            handle.acquire()
        # That of the test and, since only one thread works here, one of the backend.
        assert client.info("clients")["connected_clients"] == 2
        for handle in handles:
            handle.release()


def test_a_connection_closed_by_the_server_is_replaced(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    place = use(own_server.url)
    held = lock("a")
    held.acquire()
    with place.client() as client:
        for one in client.client_list():
            if one["cmd"] != "client|list":
                client.client_kill_filter(_id=one["id"])
    assert held.owned()
    held.release()


def test_a_request_that_timed_out_is_not_sent_again(proxy: Proxy, use: UsePlace) -> None:
    use(proxy.url, cache={"OPTIONS": {"SOCKET_TIMEOUT": 2}})
    with lock("warm"):
        pass
    proxy.forget()
    proxy.black_hole()
    began = time.monotonic()
    with pytest.raises(LockUnavailable) as caught:
        lock("a").acquire(wait=5)  # the socket's time-out ends it
    assert time.monotonic() - began >= 2
    assert sum(command.contains(ACQUIRE.sha) for command in list(proxy.commands)) == 1
    assert caught.value.__cause__ is not None
    proxy.pass_through()
    caches["default"].get("anything")  # the pool has no connection with an answer left in it


def test_a_connection_retired_during_a_request_is_replaced(
    pooled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = pooled()
    used = []

    def closing(parser: Parser, count: Any, more: Any, data: bytes = b"") -> Any:
        if not used:
            used.append(data)
            lock_backends["default"].node._links.popitem()[0].retire()
            return read(parser, count, more)
        return read(parser, count, more, data)

    read = Parser.read
    with lock("a") as held:
        monkeypatch.setattr(links, "_one_reply", lambda data: None)  # so that every reply is parsed
        monkeypatch.setattr(Parser, "read", closing)
        held.extend()
    assert used
    with place.client() as client:
        assert not list(client.scan_iter(match=f"{place.prefix}:*:hold:*"))
