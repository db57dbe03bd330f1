"""Pools of valkey-py, as django-valkey makes them, and the same for redis-py.

valkey-py is a copy of redis-py under other names. It need not be installed.
"""

from __future__ import annotations

import inspect
from typing import Any

from redis.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

__all__ = ["as_redis_pool", "is_of_valkey"]

CLASSES = {
    made_by.__name__: made_by
    for made_by in (
        *(Connection, SSLConnection, UnixDomainSocketConnection),
        *(SentinelManagedConnection, SentinelManagedSSLConnection),
    )
}

# Objects of valkey-py that redis-py has its own of, and what we do ourselves.
_OBJECTS = frozenset(
    ("parser_class", "connection_pool", "retry", "retry_on_error", "command_packer")
)


def is_of_valkey(pool: Any) -> bool:
    """Whether it is a pool of valkey-py's blocking connections, of whatever class."""
    return any(base.__module__ == "valkey.connection" for base in type(pool).__mro__)


def as_redis_pool(pool: Any) -> ConnectionPool:
    """A pool that connects to the same server in the same way. Raises ``TypeError``."""
    made_by = pool.connection_class
    if not (inspect.isclass(made_by) and made_by.__module__.partition(".")[0] == "valkey"):
        raise TypeError(
            f"its connections are made by {made_by!r}, for which redis-py has nothing like it"
        )
    kwargs = {key: value for key, value in pool.connection_kwargs.items() if key not in _OBJECTS}
    kwargs["connection_class"] = CLASSES[made_by.__name__]
    manager = getattr(pool, "sentinel_manager", None)
    if manager is None:
        return ConnectionPool(**kwargs)
    kwargs.pop("host", None)
    known = [client.connection_pool.connection_kwargs for client in manager.sentinels]
    sentinel = Sentinel(
        [(one["host"], one["port"]) for one in known],
        min_other_sentinels=manager.min_other_sentinels,
        sentinel_kwargs={
            key: value for key, value in manager.sentinel_kwargs.items() if key not in _OBJECTS
        },
    )
    # It takes the class from whether there is TLS.
    kwargs["ssl"] = kwargs.pop("connection_class") is SentinelManagedSSLConnection
    return SentinelConnectionPool(pool.service_name, sentinel, **kwargs)
