"""Servers named by ``CACHE``: a Redis cache of Django or of django-redis."""

from __future__ import annotations

from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.redis import RedisCache
from django.core.exceptions import ImproperlyConfigured
from redis.connection import ConnectionPool
from redis.exceptions import RedisClusterException, RedisError

from ...exceptions import InvalidLockBackend

__all__ = ["pool_of_cache"]

# What an entry of CACHES raises that Django, django-redis or redis-py can make nothing of.
_UNUSABLE = (
    *(ImproperlyConfigured, InvalidCacheBackendError, ImportError, NotImplementedError),
    *(LookupError, TypeError, ValueError, RedisError, RedisClusterException),
)


def pool_of_cache(alias: str, where: str) -> ConnectionPool:
    """The connection pool of a Redis cache. Raises ``InvalidLockBackend``."""
    if alias not in list(caches):
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which CACHES does not have. Add it with "
            '"BACKEND": "django_redis.cache.RedisCache", or name another one in '
            f"{where}['CACHE']."
        )
    try:
        cache: Any = caches[alias]
        client = _client_of(cache)
        pool = getattr(client, "connection_pool", None)
        if isinstance(pool, ConnectionPool):
            # Connects to nobody, but knows already whether it takes what the pool will give it.
            pool.connection_class(**pool.connection_kwargs)
    except _UNUSABLE as error:
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which cannot be made: {type(error).__name__}: "
            f"{error}. Correct CACHES[{alias!r}]."
        ) from error
    if client is None:
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which is a {type(cache).__name__} and not a Redis "
            "cache. Locks need a connection to Redis: set its BACKEND to "
            '"django_redis.cache.RedisCache" or "django.core.cache.backends.redis.RedisCache", '
            f"name another cache in {where}['CACHE'], or an address in {where}['LOCATION']."
        )
    if not isinstance(pool, ConnectionPool):
        kind = f"{type(client).__module__}.{type(client).__qualname__}"
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, whose client is a {kind}. Only standalone servers "
            "and Sentinel are supported: redis.Redis over a connection pool."
        )
    return pool


def _client_of(cache: Any) -> Any:
    """The client that writes to the cache's server; None where the cache has none."""
    get_client = getattr(getattr(cache, "client", None), "get_client", None)
    if callable(get_client):
        return get_client(write=True)
    return cache._cache.get_client(None, write=True) if isinstance(cache, RedisCache) else None
