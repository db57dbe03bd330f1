"""Messages in a Cluster: replicas pass them on, and connections to old primaries may linger."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from django_redislock import lock
from django_redislock.backends.base import Claim
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.commands import tag_of
from django_redislock.holder import Holder
from tests.support.processes import wait_until
from tests.topologies.places import NAMES, backend, key_of, waiting

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]

NAME = NAMES[0]


def channel() -> str:
    return f"{tag_of(backend().config.key_prefix, NAME)}:wake:{backend().wakeups.process[1:]}"


@pytest.mark.parametrize("others", [0, 1])
def test_a_replica_hears_of_no_turn_that_is_not_given(failing: Any, others: Any) -> None:
    """A process that listens there alone, after a failover, would believe that it holds."""
    owner = failing.owner(key_of(NAME))
    replica = failing.replica_of(owner)
    stranger = RedisLockBackend(backend().config)
    stranger.acquire(Claim(NAME, "0" * 32, 1, 60.0, Holder().pack()))
    # They queue, and this process listens nowhere. With another behind it, the long way is taken.
    for token in ("1" * 32, "2" * 32)[: 1 + others]:
        backend().acquire(Claim(NAME, token, 1, 60.0, Holder().pack()), 30.0)
    with Redis(port=replica.port) as client, client.pubsub() as ear:
        ear.ssubscribe(channel())
        wait_until(lambda: ear.get_message(timeout=1))
        assert stranger.release(NAME, "0" * 32)
        stranger.close()
        assert backend().inspect(NAME) == ([], [])
        # What the replica passed on before this came before it.
        with failing.client(owner) as primary:
            primary.spublish(channel(), "the end")
        heard = []
        wait_until(lambda: heard.append(ear.get_message(timeout=1)) or heard[-1])
    assert heard[-1]["data"] == b"the end"


def test_nobody_listens_at_a_primary_that_was_replaced(failing: Any) -> None:
    held = lock(NAME, lease=60)
    assert held.acquire()
    waiter, thread = waiting(NAME)
    before = failing.owner(key_of(NAME))
    failing.fail_over(before)
    held.extend(60)
    with failing.client(before) as client:
        wait_until(lambda: not client.pubsub_shardchannels())
    wait_until(lambda: backend().listening(NAME))
    held.release()
    thread.join(60)
    assert waiter.held
    waiter.release()
