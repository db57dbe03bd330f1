"""Messages that a replica passes on when a turn finds no listener at the primary."""

from __future__ import annotations

from typing import Any

from redis import Redis

from django_redislock.backends.base import Claim, Grant
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.keys import bucket_keys, bucket_of
from django_redislock.testing.servers import EmbeddedServer
from tests.support.processes import wait_until

__all__ = ["THE_END", "first_message_after_a_release"]

HOLDER = "0" * 32
THE_END = b"the end"

# By the kind of channels, with which the name of a process begins.
COMMANDS = {"s": ("ssubscribe", "spublish"), "p": ("subscribe", "publish")}


def first_message_after_a_release(
    backend: RedisLockBackend, name: str, primary: Redis, replica: EmbeddedServer, waiters: int
) -> Any:
    """Release the name to waiters whose process listens at the replica alone.

    Returns the first message from there. THE_END, which the primary publishes after the release, is
    the last one. With more than one waiter, the script takes its longer way.
    """
    subscribe, publish = COMMANDS[backend.wakeups.process[0]]
    tag = bucket_keys(backend.config.key_prefix, bucket_of(name)).tag
    channel = f"{tag}:wake:{backend.wakeups.process[1:]}"
    stranger = RedisLockBackend(backend.config)
    assert isinstance(stranger.acquire(Claim(name, HOLDER, 1, 60.0, "{}")), Grant)
    for number in range(1, 1 + waiters):
        backend.acquire(Claim(name, f"{number}" * 32, 1, 60.0, "{}"), 30.0)
    with Redis(port=replica.port) as client, client.pubsub() as listener:
        getattr(listener, subscribe)(channel)
        wait_until(lambda: listener.get_message(timeout=1), what="it is subscribed")
        assert stranger.release(name, HOLDER)
        stranger.close()
        assert backend.inspect(name) == ([], [])
        getattr(primary, publish)(channel, THE_END)
        return wait_until(lambda: listener.get_message(timeout=1), what="a message arrives")
