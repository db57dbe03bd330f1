"""Where the server of a backend is, and how redis-py connects to it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from redis.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisClusterException, RedisError

from ...exceptions import InvalidLockBackend

__all__ = ["UNUSABLE_CACHE", "Source", "pool_of_cache"]

# Time-out (seconds) of a connection whose settings name none.
TIMEOUT = 5.0

# What an entry of CACHES raises that Django, django-redis or redis-py can make nothing of.
UNUSABLE_CACHE = (
    *(ImproperlyConfigured, InvalidCacheBackendError, ImportError, NotImplementedError),
    *(LookupError, TypeError, ValueError, RedisError, RedisClusterException),
)


class Source:
    """A server and database, and the way to connect to them.

    ``where`` is for messages. ``place`` is equal for two sources that lead to the same database.
    """

    def __init__(self, pool: ConnectionPool, where: str) -> None:
        # Settings only: no connection is ever taken from it.
        self.pool = pool
        self.where = where
        self.place: Hashable = id(pool)
        self.timeout = float(pool.connection_kwargs.get("socket_timeout") or TIMEOUT)

    def connection(self, **other: Any) -> AbstractConnection:
        """A new connection, not connected yet. ``other`` replaces what the settings say."""
        kwargs = {
            name: value
            for name, value in self.pool.connection_kwargs.items()
            if not name.startswith(("maint_notifications", "oss_cluster", "orig_"))
        }
        connection: AbstractConnection = self.pool.connection_class(
            **kwargs | {"socket_timeout": self.timeout} | other
        )
        return connection


def pool_of_cache(alias: str, where: str) -> ConnectionPool:
    """The connection pool of a django-redis cache. Raises ``InvalidLockBackend``."""
    if alias not in list(caches):
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which CACHES does not have. Add it with "
            '"BACKEND": "django_redis.cache.RedisCache", or name another one in '
            f"{where}['CACHE']."
        )
    try:
        cache: Any = caches[alias]
        get_client = getattr(getattr(cache, "client", None), "get_client", None)
        client = get_client(write=True) if get_client else None
        pool = getattr(client, "connection_pool", None)
        if isinstance(pool, ConnectionPool):
            # Connects to nobody, but knows already whether it takes what the pool will give it.
            pool.connection_class(**pool.connection_kwargs)
    except UNUSABLE_CACHE as error:
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which cannot be made: {type(error).__name__}: "
            f"{error}. Correct CACHES[{alias!r}]."
        ) from error
    if client is None:
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which is a {type(cache).__name__} and not a "
            "django-redis cache. Locks need a connection to Redis: set its BACKEND to "
            f"\"django_redis.cache.RedisCache\", or name another cache in {where}['CACHE']."
        )
    if not isinstance(pool, ConnectionPool):
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, whose client is a {type(client).__name__}. Only "
            "standalone servers and Sentinel are supported: redis.Redis over a connection pool."
        )
    return pool
