"""Messages that a replica passes on, to processes that are still subscribed to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from django_redislock import lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.processes import wait_until
from tests.topologies.messages import THE_END, first_message_after_a_release

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def replica(settings: Any) -> Iterator[EmbeddedServer]:
    """The replica of the server that has the locks."""
    with EmbeddedServer() as primary:
        settings.LOCKS = {"default": {"LOCATION": f"redis://{HOST}:{primary.port}/0"}}
        follow = ("--replicaof", HOST, str(primary.port), "--repl-diskless-sync-delay", "0")
        with EmbeddedServer(args=follow) as server, Redis(port=server.port) as client:
            wait_until(lambda: client.role()[3] == b"connected", what="the replica is in step")
            yield server
        lock_backends["default"].close()


@pytest.mark.parametrize("waiters", [1, 2])
@pytest.mark.parametrize("kind", ["p", pytest.param("s", marks=pytest.mark.redis_server("7.0"))])
def test_a_replica_passes_on_no_turn_that_is_not_given(
    replica: EmbeddedServer, kind: str, waiters: int
) -> None:
    """Otherwise the process would believe that it holds, while the name is free."""
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    backend.wakeups.process = kind + backend.wakeups.process[1:]
    with Redis.from_url(backend.config.location) as primary:
        message = first_message_after_a_release(backend, "a", primary, replica, waiters)
    assert message["data"] == THE_END
