"""Primaries that Sentinels name. The Sentinels are asked again for each connection."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import (
    Sentinel as AsyncSentinel,
    SentinelManagedConnection as AsyncManaged,
    SentinelManagedSSLConnection as AsyncManagedSSL,
)
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from .hooks import with_hooks

__all__ = ["AsyncPrimary", "pool_that_asks_once", "sentinel_classes", "timeout_of"]

# Objects of the blocking client for which the asyncio client has its own.
_BLOCKING = frozenset(("connection_pool", "event_dispatcher", "parser_class", "retry"))


def sentinel_classes() -> dict[Any, type]:
    """Map the blocking classes that connect to a primary to their asyncio counterparts."""
    return {
        SentinelManagedConnection: AsyncManaged,
        SentinelManagedSSLConnection: AsyncManagedSSL,
    }


def pool_that_asks_once(pool: ConnectionPool, timeout: float) -> SentinelConnectionPool | None:
    """Return a copy of a pool that asks each Sentinel once; None if it uses no Sentinels.

    redis-py would ask a Sentinel that is down repeatedly, with pauses of several seconds in total.
    """
    if not isinstance(pool, SentinelConnectionPool):
        return None
    manager = pool.sentinel_manager
    if type(manager) is not Sentinel:
        return pool
    asked_once = Sentinel(
        _addresses(pool),
        min_other_sentinels=manager.min_other_sentinels,
        sentinel_kwargs=_times(manager, timeout) | {"retry": Retry(NoBackoff(), 0)},
        **_address_of_primary(manager),
    )
    # Ask for the primary even if the pool is for reading: a replica is too far behind for locks.
    return SentinelConnectionPool(pool.service_name, asked_once)


def timeout_of(kwargs: Mapping[str, Any], name: str, default: float) -> float:
    """Return a time-out of the settings (seconds). Raises ``ValueError`` or ``TypeError``."""
    value = kwargs.get(name)
    timeout = float(default if value is None else value)
    if not 0 < timeout < math.inf:
        raise ValueError(f"{name} must be more than 0 seconds, not {timeout:g}")
    return timeout


class AsyncPrimary:
    """Used as the pool of redis-py's asyncio connection to a primary."""

    is_master = True
    check_connection = False

    def __init__(self, pool: ConnectionPool, timeout: float) -> None:
        self._pool: Any = pool
        self._timeout = timeout
        self._answered_last: tuple[str, int] | None = None

    async def get_master_address(self) -> tuple[str, int]:
        """Ask the Sentinels, beginning with the one that answered last."""
        manager = self._pool.sentinel_manager
        known = inspect.signature(AsyncRedis.__init__).parameters.keys() - _BLOCKING
        kwargs = {k: v for k, v in _times(manager, self._timeout).items() if k in known}
        addresses = _addresses(self._pool)
        sentinel = AsyncSentinel(
            sorted(addresses, key=lambda address: address != self._answered_last),
            min_other_sentinels=manager.min_other_sentinels,
            sentinel_kwargs=kwargs | {"retry": AsyncRetry(NoBackoff(), 0)},
            **_address_of_primary(manager),
        )
        try:
            primary: tuple[str, int] = await sentinel.discover_master(self._pool.service_name)
            answered = sentinel.sentinels[0].connection_pool.connection_kwargs
            self._answered_last = (answered["host"], answered["port"])
            return primary
        finally:
            for client in sentinel.sentinels:
                await client.connection_pool.disconnect()


def _addresses(pool: SentinelConnectionPool) -> list[tuple[str, int]]:
    known = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    return [(one["host"], one["port"]) for one in known]


def _times(manager: Sentinel, timeout: float) -> dict[str, Any]:
    kwargs = with_hooks(manager.sentinel_kwargs)
    for name in ("socket_timeout", "socket_connect_timeout"):
        kwargs[name] = timeout_of(kwargs, name, timeout)
    return kwargs


def _address_of_primary(manager: Sentinel) -> dict[str, Any]:
    # An address that replaces the one from the Sentinels. Older releases of redis-py lack it.
    forced = getattr(manager, "_force_master_ip", None)
    return {"force_master_ip": forced} if forced else {}
