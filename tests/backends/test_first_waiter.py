"""The first waiter of a name, which creates the queue."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.redis.keys import name_keys
from django_redislock.testing.driver import LONG, Verbs
from django_redislock.testing.servers import EmbeddedServer
from tests.backends.test_redis_keys import client, verbs
from tests.support.fixtures import UsePlace
from tests.support.places import Place

__all__ = ["client", "verbs"]  # fixtures

HOUR = 3600


@pytest.mark.parametrize("cancelled", [False, True])
def test_it_is_kept_and_listed_for_as_long_as_it_may_stay(
    place: Place, client: Any, verbs: Verbs, cancelled: bool
) -> None:
    held = verbs.claim(lease=2 * HOUR)
    verbs.hold(held)
    keys = name_keys(place.prefix, "a")
    if cancelled:  # `records` exists, with an expiry of its own
        verbs.cancel(verbs.claim(), late=LONG)
    recorder = verbs.queue_up(verbs.claim(), stay=HOUR)
    kept = int(client.hget(keys.records, "kept until"))
    seconds, _ = client.time()
    assert kept > (seconds + HOUR) * 1000
    assert client.zscore(keys.waited, "a") == kept
    assert min(client.pttl(keys.queue), client.pttl(keys.records)) > HOUR * 1000
    assert client.pttl(keys.hold) > HOUR * 1000
    assert verbs.release(held)
    assert recorder.turn()
    assert verbs.backend.waited_for().total == 0


def test_two_that_take_turns_need_no_slow_path(own_server: EmbeddedServer, use: UsePlace) -> None:
    place = use(own_server.url, entry={"OPTIONS": {"metrics": False}})
    verbs = Verbs(lock_backends["default"], None)
    held = verbs.claim()
    verbs.hold(held)
    with place.client() as client:
        client.config_resetstat()
        for _ in range(3):
            waiting = verbs.claim()
            recorder = verbs.queue_up(waiting)
            assert verbs.release(held)
            assert recorder.turn()
            held = waiting
        stats = set(client.info("commandstats"))
    # Only the slow path looks at the keys of semaphores, and for a token in the queue.
    assert not {"cmdstat_zcard", "cmdstat_zrangebyscore", "cmdstat_lpos"} & stats


@pytest.mark.parametrize("there", [0, 1])
def test_a_queue_without_its_time_is_repaired(
    place: Place, client: Any, verbs: Verbs, there: int
) -> None:
    verbs.hold(verbs.claim())
    keys = name_keys(place.prefix, "a")
    tokens = [f"w{number}" for number in range(there + 1)]
    for token in tokens[:-1]:
        verbs.queue_up(verbs.claim(token=token))
        client.hdel(keys.records, "kept until")
        client.persist(keys.queue)
    client.set(keys.waited, "foreign")
    assert verbs.position(verbs.claim(token=tokens[-1]), stay=LONG) == there + 1
    assert verbs.waiting("a") == tokens
    assert [one.name for one in verbs.backend.waited_for().names] == ["a"]
    assert client.zscore(keys.waited, "a") == int(client.hget(keys.records, "kept until"))
    assert client.pttl(keys.queue) > 0


@pytest.mark.parametrize("key", ["records", "queue"])
def test_a_foreign_value_in_its_way_is_replaced(
    place: Place, client: Any, verbs: Verbs, key: str
) -> None:
    held = verbs.claim()
    verbs.hold(held)
    client.set(getattr(name_keys(place.prefix, "a"), key), "foreign")
    recorder = verbs.queue_up(verbs.claim(token="w1"))
    assert verbs.waiting("a") == ["w1"]
    assert verbs.release(held)
    assert recorder.turn()
