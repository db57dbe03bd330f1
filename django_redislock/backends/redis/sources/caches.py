"""Servers of the caches that ``CACHE`` names, from Django, django-redis or django-valkey."""

from __future__ import annotations

import inspect
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.redis import RedisCache
from django.core.exceptions import ImproperlyConfigured
from redis.connection import ConnectionPool
from redis.exceptions import RedisClusterException, RedisError

from ....conf import LockConfig
from ....exceptions import InvalidLockBackend
from ....names import dotted_path
from .valkey_pools import as_redis_pool, is_of_valkey

__all__ = ["pool_of_cache"]

# The caches whose server locks can use.
WORKING = (
    '"django_redis.cache.RedisCache", "django.core.cache.backends.redis.RedisCache" or '
    '"django_valkey.cache.ValkeyCache"'
)

# Errors raised for an entry of CACHES that Django, django-redis or redis-py cannot use.
_UNUSABLE = (
    *(ImproperlyConfigured, InvalidCacheBackendError, ImportError, NotImplementedError),
    *(LookupError, TypeError, ValueError, RedisError, RedisClusterException),
)


def pool_of_cache(config: LockConfig) -> ConnectionPool:
    """The connection pool of a Redis cache. Raises ``InvalidLockBackend``."""
    alias, where = config.cache, f"LOCKS[{config.alias!r}]"
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
        if is_of_valkey(pool):
            pool = as_redis_pool(pool)
        if isinstance(pool, ConnectionPool):
            # This does not connect, but raises if the class does not accept the pool's settings.
            pool.connection_class(**pool.connection_kwargs)
    except _UNUSABLE as error:
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which cannot be made: {type(error).__name__}: "
            f"{error}. Correct CACHES[{alias!r}]."
        ) from error
    if client is None:
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, which is a {dotted_path(type(cache))} and has no "
            "connection that threads can use to one Redis server. Write the address of a server, "
            f'LOCKS = {{"{config.alias}": {{"LOCATION": "redis://127.0.0.1:6379/1"}}}}, or name a '
            f"cache in {where}['CACHE'] whose BACKEND is {WORKING}."
        )
    if not isinstance(pool, ConnectionPool):
        raise InvalidLockBackend(
            f"{where} uses the cache {alias!r}, whose client is a {dotted_path(type(client))}. A "
            "cache has to lead to a standalone server, or to one that Sentinels name; for a "
            f"Cluster write {where}['LOCATION'] = 'cluster://host:6379,host:6379' in place of "
            "CACHE. Locks must not have several active servers."
        )
    return pool


def _client_of(cache: Any) -> Any:
    """Return the client that writes to the cache's server; None if threads cannot have one."""
    get_client = getattr(getattr(cache, "client", None), "get_client", None)
    if callable(get_client):
        try:
            return None if inspect.iscoroutinefunction(get_client) else get_client(write=True)
        except NotImplementedError:
            return cache.client  # it spreads keys over several servers, as ShardClient does
    return cache._cache.get_client(None, write=True) if isinstance(cache, RedisCache) else None
