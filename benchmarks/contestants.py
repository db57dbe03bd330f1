"""The locks that are compared, each as a context manager over the same server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import django
from django.conf import settings

Guard = Callable[[str], AbstractContextManager[Any]]

WAIT = 60  # seconds


def set_up(url: str) -> None:
    """Django, with locks on the server at ``url``, in this process."""
    settings.configure(
        INSTALLED_APPS=["django_redislock"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}},
    )
    django.setup()


def guards() -> dict[str, Guard]:
    """The contestants: redis-py's own lock, which every project has, and what else is installed."""
    from django_redis import get_redis_connection

    from django_redislock import lock

    client = get_redis_connection()
    found: dict[str, Guard] = {
        "django_redislock": lambda name: lock(name, wait=WAIT),
        "redis-py": lambda name: client.lock(name, timeout=10, blocking_timeout=WAIT),
    }
    for module, (title, make) in _OTHERS.items():
        if find_spec(module):
            found[title] = make(import_module(module), _plain_client())
    return found


def guard(contestant: str) -> Guard:
    return guards()[contestant]


def _plain_client() -> Any:
    """Without the time-outs and the bound of a cache, with which those who wait would fail."""
    from redis import Redis

    location = settings.CACHES["default"]["LOCATION"]
    return Redis.from_url(location, socket_timeout=None, max_connections=500)


def _python_redis_lock(redis_lock: Any, client: Any) -> Guard:
    return lambda name: redis_lock.Lock(client, name, expire=10)


def _pottery(pottery: Any, client: Any) -> Guard:
    return lambda name: pottery.Redlock(key=name, masters={client}, auto_release_time=10)


_OTHERS = {
    "redis_lock": ("python-redis-lock", _python_redis_lock),
    "pottery": ("pottery", _pottery),
}
