"""Breaker of this process: whether its server is known to be away."""

from __future__ import annotations

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend

__all__ = ["PATIENCE", "SLACK", "find_out", "is_open", "refused"]

# Additional time (seconds) on a machine under load.
SLACK = 1.5

PATIENCE = 25.0


def is_open(alias: str = "default") -> bool:
    backend = lock_backends[alias]
    assert isinstance(backend, RedisLockBackend)
    return backend.source.breaker.is_open()


def find_out() -> None:
    """Ask until the server is known to be away."""
    while not is_open():
        with pytest.raises(LockUnavailable):
            lock("asked").acquire(wait=0)


def refused(name: str = "a") -> LockUnavailable:
    with pytest.raises(LockUnavailable) as error:
        lock(name).acquire(wait=0)
    assert not error.value.asked
    return error.value
