"""The locks that are compared, each as a context manager over the same server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import django
from django.conf import settings

Guard = Callable[[str], AbstractContextManager[Any]]


def set_up(url: str) -> None:
    """Django, with locks on the server at ``url``, in this process."""
    settings.configure(
        INSTALLED_APPS=["django_redislock"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}},
    )
    django.setup()


def guards() -> dict[str, Guard]:
    """The contestants. redis-py's own lock is the measure: every project has it already."""
    from django_redis import get_redis_connection

    from django_redislock import lock

    client = get_redis_connection()
    return {
        "django_redislock": lambda name: lock(name, wait=60),
        "redis-py": lambda name: client.lock(name, timeout=10, blocking_timeout=60),
    }


def guard(contestant: str) -> Guard:
    return guards()[contestant]
