"""Messages that a replica passes on, to processes that are still subscribed to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from django_redislock import lock_backends
from django_redislock.backends.base import Claim, Grant
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.commands import tag_of
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.processes import wait_until

pytestmark = pytest.mark.timeout(120)

NAME, HOLDER = "a", "0" * 32


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


def claim(token: str) -> Claim:
    return Claim(NAME, token, 1, 60.0, "{}")


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "another behind it"])
@pytest.mark.parametrize("kind", ["p", pytest.param("s", marks=pytest.mark.redis_server("7.0"))])
def test_it_passes_on_no_turn_that_counts_as_not_given(
    replica: EmbeddedServer, kind: str, others: int
) -> None:
    """Otherwise the process would believe that it holds, while the name is free."""
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    subscribe, publish = {"s": ("ssubscribe", "spublish"), "p": ("subscribe", "publish")}[kind]
    identity = backend.wakeups.process[1:]
    backend.wakeups.process = kind + identity
    stranger = RedisLockBackend(backend.config)
    assert isinstance(stranger.acquire(claim(HOLDER)), Grant)
    for token in ("1" * 32, "2" * 32)[: 1 + others]:
        backend.acquire(claim(token), 30.0)
    channel = f"{tag_of(backend.config.key_prefix, NAME)}:wake:{identity}"
    with Redis(port=replica.port) as client, client.pubsub() as listener:
        getattr(listener, subscribe)(channel)
        wait_until(lambda: listener.get_message(timeout=1))
        assert stranger.release(NAME, HOLDER)
        stranger.close()
        assert backend.inspect(NAME) == ([], [])
        # A message that the primary passes on after all others.
        with Redis.from_url(backend.config.location) as primary:
            getattr(primary, publish)(channel, "the end")
        heard: list[Any] = []
        wait_until(lambda: heard.append(listener.get_message(timeout=1)) or heard[-1])
    assert heard[-1]["data"] == b"the end"
