"""A process that had thousands of waiters has ended, and its queue is still there."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.base import SHARED, Claim, Grant
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.backends.redis.keys import name_keys
from django_redislock.conf import LockConfig
from django_redislock.testing.servers import EmbeddedServer
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.tries import best_of

WAITERS = 5000


def claim(token: str, limit: int = 1) -> Claim:
    return Claim("a", token, limit, 60.0, "{}")


def pass_over_dead_waiters(place: Place) -> None:
    backend, keys = lock_backends["default"], name_keys(place.prefix, "a")
    assert isinstance(backend.acquire(claim("holder")), Grant)
    backend.acquire(claim("w"), 600.0)
    with place.client() as client:
        record, tokens = client.hget(keys.records, "w"), [f"{n:032}" for n in range(WAITERS)]
        for start in range(0, WAITERS, 500):
            some = tokens[start : start + 500]
            client.hset(keys.records, mapping=dict.fromkeys(some, record))
            client.rpush(keys.queue, *some)
        client.config_resetstat()
        assert backend.release("a", "holder")
        assert not client.exists(keys.queue, keys.hold)


def time_of(client: Any, *commands: str) -> float:
    """Return how long (microseconds) the server has spent in these commands."""
    figures = client.info("commandstats")
    return sum(figures.get(f"cmdstat_{command}", {}).get("usec", 0) for command in commands)


def test_each_of_them_is_passed_over_without_a_search_through_the_others(use: UsePlace) -> None:
    with EmbeddedServer() as server:
        place = use(server.url)

        def measure(_: int) -> float:
            pass_over_dead_waiters(place)
            with place.client() as client:
                lists = time_of(client, "lrange", "lpop", "lrem", "lpos")
                return lists / time_of(client, "hget", "hdel")

        # Two commands for the queue of each waiter, and two for its record. A search would take
        # fifty times as long.
        assert best_of(measure, 5.0) < 5.0
        lock_backends["default"].close()


@pytest.mark.parametrize("is_stricter", [False, True])
def test_the_server_looks_only_once_for_a_process_that_has_ended(
    use: UsePlace, own_server: EmbeddedServer, is_stricter: bool
) -> None:
    """Also if its waiters have no room, and stand before a caller that has."""
    place = use(own_server.url)
    backend, other = lock_backends["default"], RedisLockBackend(LockConfig(key_prefix=place.prefix))
    limit = SHARED if is_stricter else 1
    assert isinstance(backend.acquire(claim("holder", limit)), Grant)
    for number in range(20):
        other.acquire(claim(f"w{number}"), 600.0)
    with place.client() as client:
        client.config_resetstat()
        if is_stricter:
            assert isinstance(backend.acquire(claim("reader", limit)), Grant)
        else:
            assert backend.release("a", "holder")
        looked = [
            figures["calls"]
            for command, figures in client.info("commandstats").items()
            if command.startswith("cmdstat_pubsub")
        ]
        assert not client.exists(name_keys(place.prefix, "a").queue)
    # Once by the fast path, and once by the usual one.
    assert sum(looked) <= 2
    other.close()
    backend.close()
