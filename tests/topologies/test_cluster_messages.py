"""Messages in a Cluster: replicas pass them on, and connections to old primaries may linger."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock
from tests.support.processes import wait_until
from tests.topologies.messages import THE_END, first_message_after_a_release
from tests.topologies.places import NAMES, backend, key_of, waiting

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]

NAME = NAMES[0]


@pytest.mark.parametrize("waiters", [1, 2])
def test_a_replica_passes_on_no_turn_that_is_not_given(failing: Any, waiters: int) -> None:
    """A process that listens only there, after a failover, would believe that it holds."""
    owner = failing.owner(key_of(NAME))
    replica = failing.replica_of(owner)
    with failing.client(owner) as primary:
        message = first_message_after_a_release(backend(), NAME, primary, replica, waiters)
    assert message["data"] == THE_END


def test_no_process_stays_subscribed_to_a_replaced_primary(failing: Any) -> None:
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
