"""Callers that wait for a channel of a Cluster when another node gets its bucket."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from django_redislock import lock
from django_redislock.backends.redis.cluster.wakeups import ClusterWakeups, _NodeWakeups
from django_redislock.backends.redis.keys import bucket_of
from django_redislock.backends.redis.wakeups import connection
from django_redislock.backends.redis.wakeups.subscriber import Subscriber
from django_redislock.backends.waiters import Turn
from tests.support.processes import wait_until
from tests.topologies.places import NAMES, backend, key_of, nodes, waiting

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]

# Seconds: far longer than following a bucket takes, and shorter than a PING needs to be missed.
WITHIN = 12.0


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_a_caller_at_a_node_that_lost_its_buckets_follows_them(
    failing: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name, moved = NAMES[3], list[Any]()
    start = _NodeWakeups._start

    def move_first(wakeups: _NodeWakeups) -> None:
        if not moved:
            moved.append(wakeups)
            failing.fail_over(failing.owner(key_of(name)))
            failing.wait_until_agreed()
            nodes().ask_topology(WITHIN)  # as another thread does
        start(wakeups)

    monkeypatch.setattr(_NodeWakeups, "_start", move_first)
    if kind == "thread":
        backend().listen(name, WITHIN)
    else:
        asyncio.run(backend().alisten(name, WITHIN))
    assert backend().listening(name)
    assert not moved[0].ready
    wait_until(lambda: not moved[0].thread.is_running(), what="it has nothing more to do there")


def test_a_caller_at_a_frozen_primary_follows_its_bucket(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The thread of a node without buckets ends after that time, and would answer it then.
    monkeypatch.setattr(connection, "LINGER", 60.0)
    name = NAMES[4]
    owner = failing.owner(key_of(name))
    beside = next(one for one in NAMES if one != name and failing.owner(key_of(one)) is owner)
    backend().listen(beside, WITHIN)
    assert backend().listening(beside)
    replica = failing.replica_of(owner)
    with failing.frozen(owner):
        thread = threading.Thread(target=backend().listen, args=(name, WITHIN))
        thread.start()
        failing.wait_for_promotion(replica)
        # Others ask meanwhile, and not every node knows at once who was promoted.
        wait_until(lambda: nodes().ask_topology(WITHIN) or backend().listening(name), within=WITHIN)
        thread.join(WITHIN)
        assert not thread.is_alive()
    failing.wait_until_agreed()


def test_a_turn_from_a_node_that_does_not_have_the_bucket_is_not_believed(servers: Any) -> None:
    """It was demoted, perhaps without having noticed, and hands over what others hold."""
    name = NAMES[5]
    holder = lock(name, lease=60)
    assert holder.acquire()
    waiter, thread = waiting(name)
    owner = nodes().topology.owner(bucket_of(name))
    demoted = next(node for node in nodes().topology.nodes.values() if node is not owner)
    wakeups = backend().wakeups
    assert isinstance(wakeups, ClusterWakeups)
    (queued,) = backend().inspect(name)[1]
    wakeups._make(demoted)._deliver_turn(name, queued.token, Turn(1, time.time() + 60))
    holder.release()
    thread.join()
    assert waiter.fence > holder.fence
    waiter.release()


def test_a_node_whose_answer_is_late_is_asked_whether_it_still_sends_messages(
    servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinged, send = list[Subscriber](), Subscriber.send

    def note(subscriber: Subscriber, *words: str) -> None:
        if words == ("PING",):
            pinged.append(subscriber)
        send(subscriber, *words)

    monkeypatch.setattr(Subscriber, "send", note)
    for name in NAMES[:2]:
        backend().listen(name, WITHIN)
    node = nodes().topology.owner(0)
    node.breaker.failed(RedisTimeoutError(), 1.0, 1.0, fresh=False)
    wait_until(lambda: pinged, within=WITHIN)
    wakeups = backend().wakeups
    assert isinstance(wakeups, ClusterWakeups)
    assert pinged == [wakeups._nodes[node]._subscriber]
