"""Locks to compare, each as a context manager on the same server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import cache
from importlib.util import find_spec
from typing import Any

import django
from django.conf import settings

Guard = Callable[[str], AbstractContextManager[Any]]
AsyncGuard = Callable[[str], AbstractAsyncContextManager[Any]]

OURS = "django_redislock"
LEASE = 10  # seconds
WAIT = 60  # seconds
MOST_CONNECTIONS = 4000  # enough for locks that need a connection per waiter


def set_up(url: str) -> None:
    """Set up Django in this process, with its locks on the server or Cluster at ``url``.

    The database connection is open, as it would be in the middle of a request.
    """
    in_cluster = url.startswith("cluster://")
    settings.configure(
        INSTALLED_APPS=["django_redislock"],
        LOCKS={"default": {"LOCATION": url} if in_cluster else {}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        CACHES={
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": url,
                "OPTIONS": {"CONNECTION_POOL_KWARGS": {"max_connections": MOST_CONNECTIONS}},
            }
        },
    )
    django.setup()
    for noisy in ("pottery", "redis_lock"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    from django.db import connection

    connection.ensure_connection()


def contestants() -> list[str]:
    """Return our lock, redis-py's, which every project has, and those that are installed."""
    return [title for title, (module, _, _) in _LOCKS.items() if find_spec(module)]


def async_contestants() -> list[str]:
    """Return the contestants that have a lock for coroutines."""
    return [title for title in contestants() if _LOCKS[title][2]]


@cache
def guard(contestant: str) -> Guard:
    """Return the function that makes a contestant's lock for a name."""
    return _LOCKS[contestant][1]()


@cache
def async_guard(contestant: str) -> AsyncGuard:
    """Return the function that makes a contestant's lock for a name, for coroutines."""
    make = _LOCKS[contestant][2]
    if make is None:
        raise ValueError(f"{contestant} has no lock for coroutines.")
    return make()


def _ours() -> Any:
    from django_redislock import lock

    return lambda name: lock(name, wait=WAIT)


def _redis_py() -> Guard:
    from django_redis import get_redis_connection

    client = get_redis_connection()
    return lambda name: client.lock(name, timeout=LEASE, blocking_timeout=WAIT)


def _redis_py_async() -> AsyncGuard:
    client = _async_client()
    return lambda name: client.lock(name, timeout=LEASE, blocking_timeout=WAIT)


def _python_redis_lock() -> Guard:
    import redis_lock

    client = _patient_client()
    return lambda name: redis_lock.Lock(client, name, expire=LEASE)


def _pottery() -> Guard:
    import pottery

    masters = {_patient_client()}
    return lambda name: pottery.Redlock(key=name, masters=masters, auto_release_time=LEASE)


def _pottery_async() -> AsyncGuard:
    import pottery

    masters = {_async_client()}
    return lambda name: pottery.AIORedlock(key=name, masters=masters, auto_release_time=LEASE)


def _patient_client() -> Any:
    """Return a client without a socket time-out, which would end a blocking wait too soon."""
    from redis import Redis

    location = settings.CACHES["default"]["LOCATION"]
    return Redis.from_url(location, socket_timeout=None, max_connections=MOST_CONNECTIONS)


def _async_client() -> Any:
    from redis.asyncio import Redis

    location = settings.CACHES["default"]["LOCATION"]
    return Redis.from_url(location, max_connections=MOST_CONNECTIONS)


# By title: the module it needs, the factory of its locks, and that of its locks for coroutines.
_LOCKS: dict[str, tuple[str, Callable[[], Guard], Callable[[], AsyncGuard] | None]] = {
    OURS: ("django_redislock", _ours, _ours),
    "redis-py": ("redis", _redis_py, _redis_py_async),
    "python-redis-lock": ("redis_lock", _python_redis_lock, None),
    "pottery": ("pottery", _pottery, _pottery_async),
}
